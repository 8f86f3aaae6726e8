"""Extraction side by side with its floor: the same events through DuckDB and through this project's functions on Spark.

    .venv/jobs/bin/python -m benchmarks.extract --rows 30000000

Both sides run in turn in one process, write Parquet, and are compared value by value. Generating the events and
starting Spark are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.json_lines import ingest_step
from benchmarks.sides import Step, Work, assert_equal, machine, result_folder, run_in_turn, work_by_description
from content_signals.contract import Input, Table, Windowed
from content_signals.local.events import EventRates, generate_events
from content_signals.local.events_sql import Format
from content_signals.signals.entities import TRACK
from content_signals.windows import dedup, finalize, tile
from content_signals.windows.partials import Partial, partials

ROOT = Path(__file__).resolve().parents[1]
EVENTS = "play_events_v1"
PLAYS, SKIPS, SAVES = "kind = 'play'", "kind = 'skip'", "kind = 'save'"
DAYS = [date(2026, 3, 1) + timedelta(days=n) for n in range(28)]
LAST = DAYS[-1]
# to_date asks the time zone's rules about each row.
DAY_OF = "date_from_unix_date(cast(unix_micros(ingest_ts) div 86400000000 AS int))"


def _count(name: str, where: str, days: int, half_life_days: float | None = None) -> Windowed:
    return Windowed(
        name, op="count", of=EVENTS, where=where, days=days, half_life_days=half_life_days, about="benchmark"
    )


def _table(*columns: Windowed) -> Table:
    return Table(
        name="benchmark", version=1, entity=TRACK, driver=Input(EVENTS), keep_days=28, columns=columns,
        owner="benchmark", about="benchmark",
    )  # fmt: skip


MS = Windowed("ms_7d", op="sum", of=EVENTS, column="ms_played", where=PLAYS, days=7, about="benchmark")
COUNTS = _table(_count("plays_28d", PLAYS, 28), _count("skips_7d", SKIPS, 7), _count("saves_28d", SAVES, 28), MS)
SIGNALS = _table(
    _count("plays_1d", PLAYS, 1),
    _count("plays_7d", PLAYS, 7),
    _count("plays_28d", PLAYS, 28),
    _count("skips_7d", SKIPS, 7),
    _count("saves_28d", SAVES, 28),
    MS,
    _count("plays_decayed_50d", PLAYS, 28, 50),
    Windowed("listeners_28d", op="distinct", of=EVENTS, column="user_id", where=PLAYS, days=28, about="benchmark"),
)


COUNTING, TILING, FINALIZING = (
    "events to counts per key and day",
    "de-duplicate, tiles with distinct sets",
    "tiles to eight windowed signals",
)


def steps(con: duckdb.DuckDBPyConnection, spark: SparkSession, events: Path, folder: Path) -> list[Step]:
    """The steps, in the order of the path. Both sides of the last one take the floor's tiles."""
    read = f"(SELECT *, ingest_ts::DATE AS ds FROM '{events}/*.parquet')"
    tiles = result_folder(folder, TILING, "floor")

    def rows() -> DataFrame:
        return spark.read.parquet(str(events)).withColumn("ds", F.expr(DAY_OF))

    def copy(query: str, out: Path) -> None:
        out.mkdir(parents=True)
        con.execute(f"COPY ({query}) TO '{out}/part.parquet'")

    def write(step: str, frame: DataFrame, out: Path) -> None:
        spark.sparkContext.setJobDescription(step)
        frame.write.parquet(str(out))

    def our_counts(out: Path) -> None:
        write(COUNTING, tile(COUNTS, {EVENTS: rows()}), out)

    def our_tiles(out: Path) -> None:
        events_once = dedup(rows().repartition("ds", "track_id"), ["event_id", "track_id", "ds"], ["ingest_ts"])
        write(TILING, tile(SIGNALS, {EVENTS: events_once}), out)

    def our_signals(out: Path) -> None:
        write(FINALIZING, finalize(SIGNALS, spark.read.parquet(str(tiles)), None, [LAST]), out)

    return [
        Step(COUNTING, 3.0, lambda out: copy(_tiles_sql(COUNTS, read), out), our_counts),
        Step(TILING, 4.0, lambda out: copy(_tiles_sql(SIGNALS, _deduplicated(read)), out), our_tiles),
        Step(FINALIZING, 4.0, lambda out: copy(_signals_sql(tiles), out), our_signals),
    ]


def _deduplicated(events: str) -> str:
    """One row per event. Copies differ in their arrival alone, which no tile looks at."""
    values = ", ".join(f"any_value({name}) AS {name}" for name in ("kind", "user_id", "ms_played"))
    return f"(SELECT ds, track_id, event_id, {values} FROM {events} GROUP BY ALL)"


def _tiles_sql(table: Table, events: str) -> str:
    aggregates = ", ".join(f'{_aggregate(partial)} AS "{name}"' for name, partial in partials(table).items())
    return f"SELECT ds, track_id, {aggregates} FROM {events} GROUP BY ds, track_id"


def _aggregate(partial: Partial) -> str:
    rows = f"FILTER ({partial.where or 'true'})"
    return {
        "count": f"nullif(count(*) {rows}, 0)",
        "sum": f"(sum({partial.column}) {rows})::BIGINT",
        "set": f"list_sort(list(DISTINCT {partial.column}) {rows})",
    }[partial.kind]


def _signals_sql(tiles: Path) -> str:
    """The eight signals of the last day."""
    name = {(p.kind, p.where): f'"{n}"' for n, p in partials(SIGNALS).items()}
    plays, skips, saves = (name["count", where] for where in (PLAYS, SKIPS, SAVES))
    ms, users = name["sum", PLAYS], name["set", PLAYS]

    def total(column: str, days: int) -> str:
        return f"coalesce(sum({column}) FILTER (age < {days}), 0)::BIGINT"

    weight = "round(pow(2, 30) * pow(2, -age / 50.0))::BIGINT"
    return f"""
        WITH aged AS (SELECT *, DATE '{LAST}' - ds AS age FROM '{tiles}/*.parquet'),
        users AS (SELECT track_id, count(DISTINCT user_id) AS listeners
                  FROM (SELECT track_id, unnest({users}) AS user_id FROM aged) GROUP BY track_id)
        SELECT DATE '{LAST}' AS ds, track_id, {total(plays, 1)} AS plays_1d, {total(plays, 7)} AS plays_7d,
            {total(plays, 28)} AS plays_28d, {total(skips, 7)} AS skips_7d, {total(saves, 28)} AS saves_28d,
            {total(ms, 7)} AS ms_7d, coalesce(sum({plays} * {weight}), 0)::BIGINT / pow(2, 30) AS plays_decayed_50d,
            coalesce(any_value(listeners), 0) AS listeners_28d
        FROM aged LEFT JOIN users USING (track_id) GROUP BY track_id"""


def run(rows: int, runs: int, folder: Path, keep: Path | None, *, json_lines: bool) -> dict[str, object]:
    """Generate, run, compare, report."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    landing = keep or folder / "landing"
    events = _events(landing, rows, "parquet")
    con = duckdb.connect(config={"threads": os.cpu_count() or 1, "memory_limit": "4GB"})
    con.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{folder}/spill'; SET preserve_insertion_order = false")
    spark = _session(folder)
    found = [*steps(con, spark, events, folder)]
    if json_lines:
        found.append(ingest_step(con, spark, _events(landing, rows, "jsonl"), DAYS))
    compared = {}
    for step in found:
        compared[step.name] = assert_equal(con, step, *run_in_turn(step, folder, runs))
        console.print(f"{step.name}: {step.ratio:.2f} times the floor")
    spark.stop()
    log = next((folder / "events").iterdir())
    work = work_by_description(log, runs)
    _print(console, found, work, compared)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
        "runs": runs,
        "machine": machine(),
        "steps": {
            s.name: {
                "floor_s": round(statistics.median(s.floor_seconds), 2),
                "ours_s": round(statistics.median(s.our_seconds), 2),
                "ratio": round(s.ratio, 2),
                "goal": s.goal,
            }
            for s in found
        },
    }


def _events(landing: Path, rows: int, file_format: Format) -> Path:
    """The folder of the generated files, made when there is none."""
    home = landing / file_format
    events = home / "events" / "play_events"
    if not events.exists():
        rates = EventRates(malformed=0.0005 if file_format == "jsonl" else 0.0)  # the floor of Parquet checks nothing
        home.mkdir(parents=True)
        generate_events(home, rows=rows, days=DAYS, seed=1, format=file_format, rates=rates)
    return events


def _session(folder: Path) -> SparkSession:
    (folder / "events").mkdir()
    options = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.driver.memory": "3g",
    }
    words = " ".join(f"--conf {name}={value}" for name, value in options.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--properties-file {ROOT}/conf/spark.conf {words} --driver-java-options -XX:TieredStopAtLevel=4 pyspark-shell"
    )
    os.chdir(ROOT)  # spark.conf names files below it
    from content_signals.lake.session import spark_session

    return spark_session("bench-extract")


def _print(console: Console, found: Sequence[Step], work: dict[str, Work], compared: dict[str, int]) -> None:
    grid = Grid(title="medians, seconds", title_justify="left")
    for name in (
        "step",
        "floor",
        "ours",
        "ratio",
        "goal",
        "rows equal",
        "scans",
        "shuffles",
        "shuffled MB",
        "spilled MB",
    ):
        grid.add_column(name, justify="left" if name == "step" else "right")
    for step in found:
        took = work[step.name]
        grid.add_row(
            step.name, f"{statistics.median(step.floor_seconds):.2f}", f"{statistics.median(step.our_seconds):.2f}",
            f"{step.ratio:.2f}", f"{step.goal:g}", f"{compared[step.name]:,}", str(took.scans), str(took.exchanges),
            f"{took.shuffled_bytes / 1e6:,.0f}", f"{took.spilled_bytes / 1e6:,.0f}",
        )  # fmt: skip
    console.print(grid)


def main() -> None:
    """Run the benchmark; with `--history FILE` its ratios are added to that file."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rows", type=int, default=30_000_000)
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--landing", type=Path, help="keep the events here, and take them from here when they are there")
    given.add_argument("--history", type=Path, help="a file of JSON lines to add the result to")
    given.add_argument("--no-json", action="store_true", help="leave out the step from JSON lines, the longest")
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-extract-", dir=os.environ.get("TMPDIR")) as folder:
        result = run(asked.rows, asked.runs, Path(folder), asked.landing, json_lines=not asked.no_json)
    if asked.history:
        with asked.history.open("a", encoding="utf-8") as history:
            history.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
