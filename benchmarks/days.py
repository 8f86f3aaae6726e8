"""What a day costs when it has a long history, and what many days cost together, beside one by one; as processes.

    .venv/jobs/bin/python -m benchmarks.days rebuild --rows 20000000 --folder DIR
    .venv/jobs/bin/python -m benchmarks.days history --rows 20000000 --folder DIR

`rebuild`: 28 days one by one (extract, validate, promote, each a process of its own), then in one application, their
tiles in place both times; every row compared. `history`: the last of 400 days, and the same day where no more than 28
have landed, in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.sides import machine
from benchmarks.volume import SOURCE, TABLE, Steps, settings_of
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.local.events import generate_events
from content_signals.settings import Settings

LAST = date(2026, 6, 30)
WINDOW = 28


def _days(count: int) -> list[date]:
    return [LAST - timedelta(days=n) for n in reversed(range(count))]


def _landing(folder: Path, rows: int, days: Sequence[date]) -> Path:
    """Generated files, made when there are none; one key in 300 events of 28 days, as in `benchmarks.volume`."""
    landing = folder / "landing"
    if not landing.exists():
        landing.mkdir(parents=True)
        tracks = max(1000, rows * WINDOW // len(days) // 300)
        generate_events(landing, rows=rows, days=days, seed=1, tracks=tracks)
    return landing


def _steps(folder: Path, landing: Path, days: Sequence[date]) -> Steps:
    """A lake in which `days` of the landing folder are promoted."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(settings_of(folder, landing), folder)
    steps.job("ingest_source", "--source", SOURCE, "--from", str(days[0]), "--to", str(days[-1]))
    return steps


def _single(steps: Steps, day: date) -> float:
    """Seconds a day takes by itself, from extract to promoted."""
    of_day = ["--table", TABLE, "--day", str(day)]
    jobs = ("extract_signals", "validate_signals", "promote_signals")
    rows = [steps.run(f"{job} {day}", 1, lambda job=job: steps.job(job, *of_day)) for job in jobs]
    assert rows[-1]["rows_out"]
    return float(sum(took["seconds"] for took in steps.took[-len(jobs) :]))


def rebuild(folder: Path, rows: int) -> dict[str, object]:
    """28 days, one by one and together."""
    days = _days(2 * WINDOW - 1)
    steps = _steps(folder, _landing(folder, rows, days), days)
    of_range = ["--from", str(days[-WINDOW]), "--to", str(LAST)]
    steps.run("extract all, tiles too", rows, lambda: steps.job("extract_signals", "--table", TABLE, *of_range))
    singles = [_single(steps, day) for day in days[-WINDOW:]]
    before = _values(steps.settings)
    together = steps.run(
        "together", rows, lambda: steps.job("rebuild_signals", "--tables", "track_engagement", *of_range)
    )
    seconds = float(steps.took[-1]["seconds"])
    con = duckdb.connect()
    for one, other in ((before, _values(steps.settings)), (_values(steps.settings), before)):
        assert not con.execute(f"({one}) EXCEPT ALL ({other}) LIMIT 1").fetchall()
    return {
        "singles_s": round(sum(singles), 1),
        "a_single_s": statistics.median(singles),
        "together_s": seconds,
        "share": round(seconds / sum(singles), 3),
        "rows": together["rows_out"],
    }


def _values(settings: Settings) -> str:
    """Keys and signals of the rebuilt days, as they are promoted now."""
    table = catalog().table(TABLE)
    files = Snapshot(Lake(settings.lake).of(table)).files(_days(WINDOW))
    columns = ", ".join((*table.keys, *table.values))
    return f"SELECT ds, {columns} FROM read_parquet({files}, hive_partitioning = true)"


def history(folder: Path, rows: int, runs: int) -> dict[str, object]:
    """The last day, with 400 days of history and with 28."""
    days = _days(400)
    landing = _landing(folder, rows, days)
    took: dict[int, list[float]] = {}
    lakes = {count: _steps(folder / f"{count}-days", landing, days[-count:]) for count in (400, WINDOW)}
    words = ["--table", TABLE, "--day", str(LAST)]
    for steps in lakes.values():
        steps.job("extract_signals", *words)  # makes the tiles
    for _ in range(runs):
        for count, steps in lakes.items():
            steps.run(f"the day, {count} days landed", rows, lambda s=steps: s.job("extract_signals", *words))
            took.setdefault(count, []).append(float(steps.took[-1]["seconds"]))
    long, short = (statistics.median(took[count]) for count in (400, WINDOW))
    return {"with_400_s": long, "with_28_s": short, "ratio": round(long / short, 2), "runs": runs}


def main() -> None:
    """Run one of them; print what it took."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("what", choices=["rebuild", "history"])
    given.add_argument("--rows", type=int, required=True)
    given.add_argument("--folder", type=Path, required=True)
    given.add_argument("--runs", type=int, default=3, help="of `history`")
    asked = given.parse_args()
    folder = asked.folder.absolute() / asked.what
    result = rebuild(folder, asked.rows) if asked.what == "rebuild" else history(folder, asked.rows, asked.runs)
    print(json.dumps({"machine": machine(), "events": asked.rows, **result}, indent=1))


if __name__ == "__main__":
    main()
