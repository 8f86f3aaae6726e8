"""The demo: what production does, on one machine, with what it took and what came out."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Source, Table
from content_signals.day import days_until_yesterday
from content_signals.errors import SignalsError, UsageError
from content_signals.local import services
from content_signals.local.airflow import airflow_url
from content_signals.local.airflow_api import FINAL, AirflowApi
from content_signals.local.demo_report import Step, print_engagement, print_features, print_steps
from content_signals.local.events import generate_events
from content_signals.local.job_process import run_job
from content_signals.local.landing import generate_landing
from content_signals.orchestration.builds import build_of
from content_signals.settings import Settings

RANGE_DAYS = 30
PAST_DAYS = 7
SEED = 1
EVENTS = 60_000
INGEST = "ingest_sources"


# Their signals take minutes, or hours, and a day of them is as good as thirty.
CONTENT = ("episode_transcripts_v1", "audio_clips_v1", "artist_catalogue_v1")
# Every track meets every other: thirty days would take as long as all the rest, and one is as good.
LAST_DAY_ALONE = ("track_neighbours_v1",)

# How long a run of a DAG is waited for: vectors of many transcripts take hours.
RUN_SECONDS, WITH_CONTENT_SECONDS = 600, 6 * 3600


def run_demo(settings: Settings, landing: Path | None, *, content: bool = False) -> None:
    """Build the last 30 landed days in one run, take one more day through every DAG, read features.

    Args:
        content: take transcripts and sound files, where there are some, through Airflow's day too.
    """
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 120)
    home = _prepare_landing(settings, landing, console)
    landed = _landed_days(home)
    *earlier, last = landed[-RANGE_DAYS - 1 :]
    if not earlier:
        raise UsageError(f"{settings.landing} has {len(landed)} landed days; the demo needs two or more")
    found = _landed_sources(catalog(), home, earlier, last)
    names = found if content else tuple(name for name in found if name not in CONTENT)
    tables = tuple(table for table in catalog().fed_by(names) if not catalog().lacking(table, os.environ))
    daily = tuple(name for name in names if name not in CONTENT)
    # Airflow starts yesterday's run by itself. Where the last landed day is older, nothing would land for it.
    scheduled = last == days_until_yesterday(1)[0]
    # A source that has no files here would be waited for until its day is late.
    settings = settings.model_copy(update={"daily": scheduled, "sources": names})
    console.print(f"Landing: {settings.landing}; range {earlier[0]} to {earlier[-1]}, then {last} through Airflow")
    console.print(f"Sources: {', '.join(names)}")
    for table in catalog().fed_by(names):
        for need in catalog().lacking(table, os.environ):
            console.print(f"Left out: {table.table}; {need.variable} is not set, which names {need.about}")
    log = Path(settings.var) / "demo.log"
    console.print(f"What the jobs say as they go is in {log}")
    steps: list[Step] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming_up = pool.submit(services.up, settings, features=False, say=lambda _: None)
        for name in daily:
            with _timed(steps, f"ingest {name}", console) as step:
                step.update(run_job(settings, "ingest_source", "--source", name, *_range(earlier), log=log))
        with _timed(steps, "services up (waited for)", console):
            coming_up.result()
    with _timed(steps, "build every table, one application", console) as step:
        chosen = _built_in_one_run(catalog(), daily)
        step.update(run_job(settings, "rebuild_signals", *chosen, *_range(earlier), log=log))
    api = AirflowApi(airflow_url(settings))
    _one_day_through_airflow(api, names, tables, last, scheduled, steps, console)
    print_steps(console, steps, time.monotonic() - started)
    print_features(console, settings, last, earlier[-min(PAST_DAYS, len(earlier))])
    if any(table.family == "track_engagement" for table in tables):
        print_engagement(console, settings, last)
    seconds = time.monotonic() - started
    console.print(f"\nDone in {seconds:.0f} s. Airflow's UI: {airflow_url(settings)}. Stop with: make down")


def _prepare_landing(settings: Settings, landing: Path | None, console: Console) -> Path:
    """Make the settings' landing folder the one asked for. What was built from another one is moved aside."""
    home, state = Path(settings.landing), Path(settings.var)
    if landing is not None:
        _check_landing(landing)
    wanted = landing.resolve() if landing else None
    if wanted and home.exists() and home.resolve() != wanted:
        services.down(settings, say=lambda _: None)
        aside = state / "earlier" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        aside.mkdir(parents=True)
        kept = ("valkey", "feast", "airflow", "vectors")
        for path in (home, Path(settings.lake), *(state / name for name in kept)):
            if path.exists() or path.is_symlink():
                shutil.move(path, aside / path.name)
        console.print(f"What was built from another landing folder was moved to {aside}")
    home.parent.mkdir(parents=True, exist_ok=True)
    if wanted and not home.exists():
        home.symlink_to(wanted, target_is_directory=True)
    elif not wanted and not _landed_days(home):
        made = generate_landing(home, days=days_until_yesterday(RANGE_DAYS + 2), seed=SEED)
        events = generate_events(home, rows=EVENTS, days=made.days, seed=SEED, format="jsonl")
        console.print(
            f"No landing folder given: generated {len(made.days)} days with {sum(made.rows.values()):,} rows,"
            f" {sum(map(len, made.malformed.values()))} malformed, {sum(made.duplicates.values())} duplicate,"
            f" {', '.join(map(str, made.missing_days))} missing; and {sum(events.rows.values()):,} play events"
        )
    return home


def _check_landing(landing: Path) -> None:
    missing = [name for name in ("playlists/daily", "playlists/tracks.parquet") if not (landing / name).exists()]
    if missing:
        raise UsageError(
            f"{landing} is no landing folder: it has no {' and no '.join(missing)}",
            next_step="a landing folder holds playlists/daily/YYYY-MM-DD.csv[.gz] and playlists/tracks.parquet",
        )


def _landed_days(landing: Path) -> list[date]:
    names = {path.name.split(".", 1)[0] for path in (landing / "playlists" / "daily").glob("*.csv*")}
    return sorted(date.fromisoformat(name) for name in names if re.fullmatch(r"\d{4}-\d{2}-\d{2}", name))


def _landed_sources(known: Catalog, landing: Path, earlier: list[date], last: date) -> tuple[str, ...]:
    """The sources that have a file for the last day and for one before it."""

    def has(source: Source, day: date) -> bool:
        return any((landing / pattern.format(day=day)).exists() for pattern in source.landing)

    return tuple(s.table for s in known.sources if has(s, last) and any(has(s, day) for day in earlier))


def _built_in_one_run(known: Catalog, sources: Sequence[str]) -> tuple[str, ...]:
    fed = [table.table for table in known.fed_by(sources)]
    built, left_out = ([name for name in fed if (name in LAST_DAY_ALONE) is alone] for alone in (False, True))
    return "--tables", ",".join(built), *(("--without", ",".join(left_out)) if left_out else ())


def _range(days: list[date]) -> tuple[str, ...]:
    return "--from", str(days[0]), "--to", str(days[-1])


@contextmanager
def _timed(steps: list[Step], name: str, console: Console) -> Iterator[Step]:
    step: Step = {"step": name}
    start = time.monotonic()
    yield step
    step["seconds"] = time.monotonic() - start
    steps.append(step)
    console.print(f"  {name}: {step['seconds']:.0f} s")


def _one_day_through_airflow(
    api: AirflowApi,
    sources: Sequence[str],
    tables: Sequence[Table],
    day: date,
    scheduled: bool,
    steps: list[Step],
    console: Console,
) -> None:
    builds = list(dict.fromkeys(build_of(t).dag_id for t in tables))
    publishes = [f"publish_{t.table}" for t in tables if t.serve]
    within = WITH_CONTENT_SECONDS if set(sources) & set(CONTENT) else RUN_SECONDS
    api.wait_dags([INGEST, *builds, *publishes])
    known = {dag: api.runs(dag) for dag in (INGEST, *builds, *publishes)}
    api.unpause(*publishes, *builds, INGEST)
    console.print(f"  Airflow: {day} through {INGEST}, {len(builds)} build and {len(publishes)} publish DAGs …")
    started = _start_ingest(api, sources, day, scheduled, known[INGEST])
    for dag in (INGEST, *builds, *publishes):
        if dag == INGEST and started:
            runs = [api.wait_run(dag, started, seconds=within)]
        else:
            runs = _runs_of_day(api, dag, day, known[dag], within)
        for run in runs:
            if run["state"] != "success":
                raise SignalsError(f"{dag} {day} {run['state']}", next_step=f"look at {api.url}/dags/{dag}")
            steps += _task_steps(api, dag, run["dag_run_id"])
        console.print(f"  Airflow: {dag} {day} succeeded")
    if not scheduled:
        # Paused again, so that a later start with a schedule does not ingest yesterday out of old files.
        api.set_paused(INGEST, True)


def _start_ingest(
    api: AirflowApi, sources: Sequence[str], day: date, scheduled: bool, known: list[dict[str, Any]]
) -> str:
    """The run that the day takes, started where nothing else starts it; empty for the schedule's own."""
    of_day = [run for run in known if run["partition_key"] == str(day)]
    if scheduled and all(run["state"] not in FINAL for run in of_day):
        return ""  # unpausing starts it, or midnight did and it is at work
    return api.trigger(INGEST, {"day": str(day), "sources": list(sources)})


def _runs_of_day(
    api: AirflowApi, dag: str, day: date, known: list[dict[str, Any]], within: float
) -> list[dict[str, Any]]:
    """All runs that the day has brought, ended: of a DAG of several sources each may start one of its own."""
    earlier = [run["dag_run_id"] for run in known if run["state"] in FINAL]
    api.wait_day(dag, day, other_than=earlier, seconds=within)
    new = [run for run in api.runs(dag) if run["partition_key"] == str(day) and run["dag_run_id"] not in earlier]
    return [api.wait_run(dag, run["dag_run_id"], seconds=within) for run in reversed(new)]


def _task_steps(api: AirflowApi, dag: str, run_id: str) -> list[Step]:
    steps = []
    for task in api.tasks(dag, run_id):
        report = api.report(dag, run_id, task["task_id"])
        if report:
            steps.append({**report, "step": f"{dag}: {task['task_id']}", "seconds": task["duration"]})
    return steps
