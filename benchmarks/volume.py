"""Many events through every job, as processes: generated, ingested, extracted, validated, promoted, published, read.

    .venv/jobs/bin/python -m benchmarks.volume --rows 300000000 --folder DIR

Prints for each step its time, rows a second, how far the machine's memory (page cache aside) and disk in use rose at
most, and what Spark shuffled and spilled.
DIR keeps landing files and lake; landing files that are there are not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from benchmarks.sides import machine, shuffled_and_spilled
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.local.events import generate_events
from content_signals.local.job_process import JobFailed, job_command, job_environment
from content_signals.local.services import running
from content_signals.settings import PROJECT, Settings
from tools.peak_memory import Peak

SOURCE, TABLE = "play_events_v1", "track_engagement_v1"
DAYS = [date(2026, 3, 1) + timedelta(days=n) for n in range(28)]
# What big days get: compiled code all the way, and more to sort in.
OPTIONS = ["--driver-memory", "4g", "--driver-java-options", "-XX:TieredStopAtLevel=4"]
EVENTS = [
    option
    for name in ("enabled=true", "compress=false", "rolling.enabled=false")
    for option in ("--conf", f"spark.eventLog.{name}")
]


class Steps:
    """What was run, and what it took."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.took: list[dict[str, Any]] = []
        self.events = folder / "events"
        self.events.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, rows: int, work: Callable[[], Any]) -> Any:
        """Time a step; `rows` are those it is about."""
        with Peak(self.folder) as peak:
            result = work()
        took = {"step": name, "seconds": round(peak.seconds, 1), "rows": rows, "peak_mib": round(peak.mib)}
        took |= {"disk_mib": round(peak.disk_mib)} | self._shuffled()
        self.took.append(took)
        print(json.dumps(took), flush=True)
        return result

    def job(self, job: str, *arguments: str) -> dict[str, Any]:
        """Run a job as `spark-submit` or Python would; its last line."""
        command = job_command(job, *arguments)
        if "--properties-file" in command:
            command[3:3] = [*OPTIONS, *EVENTS, "--conf", f"spark.eventLog.dir={self.events.as_uri()}"]
        done = subprocess.run(
            command, cwd=PROJECT, env=job_environment(self.settings), capture_output=True, text=True, check=False
        )
        (self.folder / f"{job}.log").write_text(done.stdout + done.stderr, "utf-8")
        report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        if done.returncode:
            raise JobFailed(job, done.returncode, report)
        return report

    def _shuffled(self) -> dict[str, int]:
        """MiB that the step's Spark jobs shuffled and spilled, by their event logs, which are then removed."""
        logs = list(self.events.iterdir())
        sizes = [shuffled_and_spilled(log) for log in logs]
        for log in logs:
            log.unlink()
        if not sizes:
            return {}
        shuffled, spilled = (sum(size) for size in zip(*sizes, strict=True))
        return {"shuffled_mib": shuffled >> 20, "spilled_mib": spilled >> 20}

    def read(self) -> None:
        """One key's features, by the command a user types."""
        key = self._files(TABLE)[0][0]
        command = [str(Path(sys.executable).parent / "content-signals"), "features", "get", "track_engagement"]
        command += ["--keys", key, "--as-of", f"{DAYS[-1] + timedelta(days=1)}T01:00:00Z"]
        done = subprocess.run(
            command, cwd=PROJECT, env=job_environment(self.settings), capture_output=True, text=True, check=True
        )
        print(done.stdout)

    def look_up(self) -> None:
        """How many files of the last day a reader opens for one track, by the statistics of the commit."""
        for name in (SOURCE, TABLE):
            files = self._files(name)
            key = files[len(files) // 2][0]
            opened = sum(first <= key <= last for first, last, _ in files)
            sizes = ", ".join(f"{size / 1e6:.0f}" for *_, size in files)
            print(f"{name} {DAYS[-1]}: {len(files)} files of {sizes} MB; one track: {opened} opened")

    def _files(self, name: str) -> list[tuple[str, str, int]]:
        """First track, last track and bytes of each file of the last day."""
        delta = Snapshot(Lake(self.settings.lake).of(catalog().any(name))).delta
        assert delta
        adds = delta.get_add_actions(flatten=True)
        columns = ("partition.ds", "min.track_id", "max.track_id", "size_bytes")
        rows = zip(*(adds.column(column).to_pylist() for column in columns), strict=True)
        return sorted(values for day, *values in rows if str(day) == str(DAYS[-1]))


def settings_of(folder: Path, landing: Path) -> Settings:
    """A lake and services of their own below a folder."""
    var = folder / "var"
    return Settings(
        landing=str(landing), lake=str(folder / "lake"), var=str(var),
        online_store=f"unix://{var}/valkey.sock", registry=f"sqlite:///{var}/registry.db",
    )  # fmt: skip


def run(rows: int, folder: Path, *, even: bool, publish: bool) -> dict[str, Any]:
    """Every step, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    landing = folder / "landing"
    settings = settings_of(folder, landing)
    steps, last = Steps(settings, folder), str(DAYS[-1])
    if not landing.exists():
        landing.mkdir()
        tracks = max(1000, rows // 300)
        steps.run(
            "generate", rows, lambda: generate_events(landing, rows=rows, days=DAYS, seed=1, tracks=tracks, even=even)
        )
    of_range, of_day = ["--from", str(DAYS[0]), "--to", last], ["--table", TABLE, "--day", last]
    steps.run("ingest 28 days", rows, lambda: steps.job("ingest_source", "--source", SOURCE, *of_range))
    steps.run("extract a day, its 28 days of tiles too", rows, lambda: steps.job("extract_signals", *of_day))
    signals = steps.run("extract the day again", rows, lambda: steps.job("extract_signals", *of_day))["rows_out"]
    steps.run("validate", signals, lambda: steps.job("validate_signals", *of_day))
    steps.run("promote", signals, lambda: steps.job("promote_signals", *of_day))
    steps.look_up()
    if publish:
        with running(settings, airflow=False, features=False):
            steps.run("publish", signals, lambda: steps.job("publish_features", *of_day))
            steps.read()
    return {"machine": machine(), "rows": rows, "even": even, "signals": signals, "steps": steps.took}


def main() -> None:
    """Run the benchmark; print what each step took."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rows", type=int, required=True)
    given.add_argument("--folder", type=Path, required=True)
    given.add_argument("--even", action="store_true", help="every track as popular as any other")
    given.add_argument("--publish", action="store_true", help="publish the day too, to an embedded Valkey")
    asked = given.parse_args()
    result = run(asked.rows, asked.folder.absolute(), even=asked.even, publish=asked.publish)
    (asked.folder / "result.json").write_text(json.dumps(result, indent=1), "utf-8")
    grid = Grid(title=f"{asked.rows:,} events, {result['signals']:,} keys on the last day", title_justify="left")
    names = ("step", "seconds", "rows a second", "seconds a million", "memory", "disk", "shuffled", "spilled, MiB")
    for name in names:
        grid.add_column(name, justify="left" if name == "step" else "right")
    for step in result["steps"]:
        rate, cost = step["rows"] / step["seconds"], step["seconds"] / step["rows"] * 1e6
        mib = [step.get(name) for name in ("peak_mib", "disk_mib", "shuffled_mib", "spilled_mib")]
        sizes = ["" if size is None else f"{size:,}" for size in mib]
        grid.add_row(step["step"], f"{step['seconds']:,}", f"{rate:,.0f}", f"{cost:.2f}", *sizes)
    Console(width=140).print(grid)


if __name__ == "__main__":
    main()
