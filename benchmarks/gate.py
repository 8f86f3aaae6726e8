"""A day of many rows through the gate: judged, a thousandth of its rows set aside, promoted.

    .venv/jobs/bin/python -m benchmarks.gate --rows 20000000

Session and imports excluded. The day is one of `track_engagement_v1`, made by DuckDB; judged by the whole suite once as
it is, and once with every thousandth row broken.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pyspark.sql import SparkSession
from pyspark.sql.types import DateType
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.sides import machine
from benchmarks.volume import settings_of
from content_signals.catalog import catalog
from content_signals.contract import DAY, Table
from content_signals.lake.layout import Lake, Run, start_run
from content_signals.lake.session import spark_session
from content_signals.lake.stage import Stage, StagedFile, write_stage_record
from content_signals.pipeline.context import Context
from content_signals.pipeline.promotion import promote_judged
from content_signals.pipeline.validate import Judge
from content_signals.quality.verdict import Verdict

TABLE = "track_engagement_v1"
THE_DAY = date(2026, 3, 1)
FILES = 8
FACTORS = {"plays": 3, "skips": 1, "listened_ms": 100_000, "listeners": 1, "saves": 1}


def stage_day(context: Context, spark: SparkSession, table: Table, rows: int, *, broken: bool) -> Stage:
    """A staged day of so many keys, in files sorted by key; of a broken one every thousandth row has negative plays."""
    lake_table, run = context.lake.of(table), start_run()
    folder = f"data/{run.folder}/{DAY}={THE_DAY}"
    home = Path(lake_table.path) / folder
    home.mkdir(parents=True)
    columns = ", ".join(_column(column.name, broken=broken) for column in table.windowed)
    stamps = f"TIMESTAMPTZ '2026-03-02 00:00:00Z' AS event_ts, now() AS computed_at, '{run.run_id}' AS run_id"
    con, each = duckdb.connect(), -(-rows // FILES)
    for number in range(FILES):
        of_file = f"range({number * each}, {min(rows, (number + 1) * each)}) t(i)"
        con.execute(
            f"COPY (SELECT printf('%022d', i) AS track_id, {columns}, {stamps} FROM {of_file})"
            f" TO '{home}/part-{number}.parquet' (FORMAT parquet, COMPRESSION snappy)"
        )
    schema = spark.read.parquet(str(home)).drop(DAY).schema.add(DAY, DateType())
    return _record(context, table, run, folder, rows, schema.json())


def _column(name: str, *, broken: bool) -> str:
    """Windows grow with their days and ratios fit them, so that every rule of the suite holds."""
    signal, days = name.rsplit("_", 1)[0], int(name.rsplit("_", 1)[1].removesuffix("d"))
    if signal == "skip_ratio":
        return f"CASE WHEN i % 90 > 0 THEN {FACTORS['skips']} / ({FACTORS['skips']} + {FACTORS['plays']}) END AS {name}"
    if signal == "plays_decayed":
        return f"CAST(i % 90 * {28 * FACTORS['plays']} AS DOUBLE) * 0.9 AS {name}"
    value = f"i % 90 * {days * FACTORS[signal]}"
    if broken and name == "plays_1d":
        value = f"CASE WHEN i % 1000 = 0 THEN -1 ELSE {value} END"
    return f"CAST({value} AS BIGINT) AS {name}"


def _record(context: Context, table: Table, run: Run, folder: str, rows: int, schema_json: str) -> Stage:
    lake_table = context.lake.of(table)
    paths = [f"{folder}/part-{number}.parquet" for number in range(FILES)]
    files = tuple(StagedFile(path, (Path(lake_table.path) / path).stat().st_size) for path in paths)
    stage = Stage(
        lake_table.name, str(THE_DAY), run.run_id, run.fence, rows, f"{rows:x}-0", files, schema_json, base=None
    )
    write_stage_record(lake_table, stage)
    return stage


def timed(seconds: list[float], work: Callable[[], Any]) -> Any:
    """Do it, and note how long it took."""
    start = time.monotonic()
    result = work()
    seconds.append(time.monotonic() - start)
    return result


def judged(context: Context, spark: SparkSession, table: Table, stage: Stage) -> Verdict:
    """The verdict, once all that is kept of it is written."""
    return Judge(context, spark, table).judge(stage)


def main() -> None:
    """Run the benchmark; print what each step took."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rows", type=int, default=20_000_000)
    given.add_argument("--runs", type=int, default=3)
    asked = given.parse_args()
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--properties-file conf/spark.conf --driver-memory 4g --driver-java-options -XX:TieredStopAtLevel=4"
        " pyspark-shell"
    )
    spark, table = spark_session("gate"), catalog().table(TABLE)
    steps: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        settings = settings_of(Path(folder), Path(folder) / "landing")
        for broken in (False, True):
            context = Context(settings, Lake(settings.lake), catalog(), start_run(), print)
            stage = stage_day(context, spark, table, asked.rows, broken=broken)
            kind = "a thousandth of it broken" if broken else "as it is"
            for _ in range(asked.runs):
                again = Context(settings, context.lake, context.catalog, start_run(), print)
                taken = steps.setdefault(f"judge, {kind}", [])
                verdict = timed(taken, partial(judged, again, spark, table, stage))
                print(f"judged, {kind}: {taken[-1]:.1f} s", flush=True)
            print(f"{kind}: {verdict.outcome}, {verdict.quarantined:,} rows set aside, {len(stage.files)} files")
            timed(steps.setdefault(f"promote, {kind}", []), partial(promote_judged, context, table, stage))
    spark.stop()
    grid = Grid(title=f"{asked.rows:,} rows x {len(table.columns)} signals; {machine()}", title_justify="left")
    grid.add_column("step")
    grid.add_column("seconds, median", justify="right")
    for name, seconds in steps.items():
        grid.add_row(name, f"{statistics.median(seconds):.2f}")
    Console(width=140).print(grid)


if __name__ == "__main__":
    main()
