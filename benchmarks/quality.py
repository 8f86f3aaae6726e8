"""A suite judged by Great Expectations as it comes, by this project, and by DuckDB: on the same files, in one run.

    .venv/jobs/bin/python -m benchmarks.quality --rows 20000000

Sides take turns in one process. Making the files, starting Spark and importing Great Expectations are not counted; what
the last two take is printed. All sides must find the same numbers for every rule.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.quality_rows import FOOTERS, RULES, Found, asked_of_duckdb, assert_same, observed, suite, write_rows
from benchmarks.sides import machine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).resolve().parents[1]
DEFAULT, SUMMARY = "GX, default checkpoint: SUMMARY, persisted", "GX, SUMMARY, not persisted"
YES_OR_NO = "GX, BOOLEAN_ONLY, not persisted"
OURS, SCAN, PROVED = "ours", "ours, without footers", "ours, rules that footers prove"
DUCKDB = "DuckDB, one query"
# Side -> how many times our seconds it takes: wanted, aimed at.
WANTED = {DEFAULT: (7.0, 9.0), SUMMARY: (2.5, 3.2), YES_OR_NO: (1.3, 1.7)}


@dataclass
class Side:
    """One way to judge: returns what it found of each rule of its list."""

    name: str
    judge: Callable[[], Found]
    after: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of its runs."""
        return statistics.median(self.seconds)


@dataclass
class Read:
    """What Spark did for a side, by its event log, in all of its runs."""

    jobs: int = 0
    rows: int = 0


def sides(spark: SparkSession, files: list[str], con: duckdb.DuckDBPyConnection) -> list[Side]:
    """All of them, in the order of their turns."""
    from content_signals.quality.footers import Footers
    from content_signals.quality.scan import COUNTS_AND_SAMPLES, Scanner

    schema = spark.read.parquet(*files).schema
    native, fused, few = Scanner(suite(RULES), "native"), Scanner(suite(RULES)), Scanner(suite(FOOTERS))

    def frame() -> DataFrame:
        return spark.read.schema(schema).parquet(*files)

    def scan(scanner: Scanner, result_format: dict[str, Any], footers: bool = False) -> Found:
        proofs = Footers.of(files) if footers else None
        return observed(scanner.validate(frame(), result_format, proofs))

    return [
        Side(DEFAULT, lambda: observed(_checkpoint(frame())), spark.catalog.clearCache),
        Side(SUMMARY, lambda: scan(native, COUNTS_AND_SAMPLES)),
        Side(YES_OR_NO, lambda: scan(native, {"result_format": "BOOLEAN_ONLY"})),
        Side(OURS, lambda: scan(fused, COUNTS_AND_SAMPLES, footers=True)),
        Side(SCAN, lambda: scan(fused, COUNTS_AND_SAMPLES)),
        Side(PROVED, lambda: scan(few, COUNTS_AND_SAMPLES, footers=True)),
        Side(DUCKDB, lambda: asked_of_duckdb(con, files, RULES)),
    ]


def _checkpoint(frame: DataFrame) -> Any:
    """The result of GX's checkpoint with everything left as it comes, but for progress bars."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all")
    rules = context.suites.add(gx.ExpectationSuite(**suite(RULES)))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="all", data=batch, suite=rules))
    checkpoint = context.checkpoints.add(gx.Checkpoint(name="all", validation_definitions=[definition]))
    (result,) = checkpoint.run(batch_parameters={"dataframe": frame}).run_results.values()
    return result


def run(rows: int, runs: int, folder: Path) -> None:
    """Make the files, let every side judge them some times, compare, print."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    con = duckdb.connect(config={"threads": os.cpu_count() or 1, "memory_limit": "4GB"})
    con.execute("SET TimeZone = 'UTC'")
    files = write_rows(con, rows, folder / "rows")
    size = sum(Path(file).stat().st_size for file in files)
    start = time.monotonic()
    spark = _session(folder)
    started = time.monotonic()
    import content_signals.quality.scan  # noqa: F401  # to know how long it takes

    imported = time.monotonic()
    found = sides(spark, files, con)
    expected = {PROVED: asked_of_duckdb(con, files, FOOTERS)}
    everything = asked_of_duckdb(con, files, RULES)
    for _ in range(runs):
        for side in found:
            spark.sparkContext.setJobDescription(side.name)
            start_of_side = time.monotonic()
            numbers = side.judge()
            side.seconds.append(time.monotonic() - start_of_side)
            side.after()
            assert_same(side.name, numbers, expected.get(side.name, everything))
    spark.stop()
    work = read_by_description(next((folder / "events").iterdir()))
    console.print(
        f"{rows:,} rows × 12 columns, {size / 1e6:,.0f} MB in {len(files)} files; {machine()}\n"
        f"not counted: Spark's start {started - start:.1f} s, imports {imported - started:.1f} s"
    )
    _print(console, found, work, rows, runs)


def read_by_description(event_log: Path) -> dict[str, Read]:
    """Job description -> what the jobs under it read."""
    found: dict[str, Read] = {}
    described: dict[int, str] = {}
    for line in event_log.read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerJobStart":
            description = event.get("Properties", {}).get("spark.job.description", "")
            found.setdefault(description, Read()).jobs += 1
            described |= dict.fromkeys(event["Stage IDs"], description)
        elif event["Event"] == "SparkListenerTaskEnd":
            metrics = (event.get("Task Metrics") or {}).get("Input Metrics", {})
            read = found.setdefault(described.get(event["Stage ID"], ""), Read())
            read.rows += metrics.get("Records Read", 0)
    return found


def _session(folder: Path) -> SparkSession:
    (folder / "events").mkdir()
    options = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.driver.memory": "6g",  # so that what GX persists fits
    }
    words = " ".join(f"--conf {name}={value}" for name, value in options.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--properties-file {ROOT}/conf/spark.conf {words} --driver-java-options -XX:TieredStopAtLevel=4 pyspark-shell"
    )
    os.chdir(ROOT)  # spark.conf names files below it
    from content_signals.lake.session import spark_session

    return spark_session("bench-quality")


def _print(console: Console, found: list[Side], work: dict[str, Read], rows: int, runs: int) -> None:
    ours = next(side for side in found if side.name == OURS).median
    grid = Grid(title=f"{len(RULES)} rules, medians of {runs}", title_justify="left")
    names = ("side", "seconds", "by ours", "wanted", "aim", "Spark jobs", "scans, by rows read")
    for name in names:
        grid.add_column(name, justify="left" if name == "side" else "right")
    for side in found:
        read = work.get(side.name, Read())
        wanted, aim = WANTED.get(side.name, ("", ""))
        grid.add_row(
            side.name, f"{side.median:.2f}", f"{side.median / ours:.2f}", f"{wanted}", f"{aim}",
            f"{read.jobs / runs:g}", f"{read.rows / rows / runs:.2f}",
        )  # fmt: skip
    console.print(grid)


def main() -> None:
    """Run the benchmark."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rows", type=int, default=20_000_000)
    given.add_argument("--runs", type=int, default=3)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-quality-", dir=os.environ.get("TMPDIR")) as folder:
        run(asked.rows, asked.runs, Path(folder))


if __name__ == "__main__":
    main()
