"""Training sets: this project's two engines beside plain Feast on Spark, all equal; and a big one in flat memory.

    .venv/jobs/bin/python -m benchmarks.training
    .venv/jobs/bin/python -m benchmarks.training --entities 10000000 --rows 20000000 --alone

Feature rows lie in 20 promoted days, ten features each; entity rows are random keys at random moments of these days.
Sides take turns in one process and write the set to Parquet. Making rows, starting Spark and importing Feast are not
counted. `--alone` leaves Feast out, and prints what memory the process took at most.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.publish import Bench
from benchmarks.publish_table import TABLE, promote_day
from benchmarks.sides import machine
from benchmarks.volume import settings_of
from content_signals.features.asof import Mode
from content_signals.features.registry import register
from content_signals.features.store import feature_store
from content_signals.features.training import Engine, training_set
from content_signals.lake.layout import Lake
from content_signals.local.services import running
from content_signals.settings import Settings
from tools.peak_memory import Peak

DAYS = [date(2026, 3, 1) + timedelta(days=n) for n in range(20)]
OURS, FEAST = "DuckDB, event time", "plain Feast on Spark, event time"
SIDES: dict[str, tuple[Engine, Mode]] = {
    OURS: ("duckdb", "event"),
    "DuckDB, known time": ("duckdb", "known"),
    "Feast on Spark, event time": ("spark", "event"),
    "Feast on Spark, known time": ("spark", "known"),
}
WANTED = 3.0


def entity_rows(count: int, keys: int) -> pa.Table:
    """Random keys at random moments, some before the first row of their key and some long after the last."""
    chance = np.random.default_rng(1)
    first = np.datetime64(DAYS[0], "us").astype(np.int64)
    moments = first + chance.integers(0, (len(DAYS) + 4) * 86_400_000_000, count)
    names = pa.array(np.char.mod("track:%016d", chance.integers(0, int(keys * 1.01), count)))
    moment = pa.array(moments, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    return pa.table({"label": pa.array(np.arange(count)), "track_id": names, "event_timestamp": moment})


def by_feast(bench: Bench, entities: Path, target: str) -> None:
    """Through the Spark store, entity rows and result in files: no row passes through pandas."""
    job = bench.store.get_historical_features(
        entity_df=f"select * from parquet.`{entities}`",
        features=bench.store.get_feature_service(TABLE.family),
        full_feature_names=True,
    )
    job.to_spark_df().write.parquet(target)


def compare(ours: str, feasts: str) -> None:
    """Every value of every row."""
    names = ", ".join(f'"{TABLE.table}__{name}"' for name in TABLE.values)
    both = [f"select label, track_id, {names} from read_parquet('{path}')" for path in (ours, f"{feasts}/*.parquet")]
    with duckdb.connect() as connection:
        rows = [connection.execute(f"select count(*) from ({one})").fetchone() for one in both]
        different = connection.execute(f"select count(*) from (({both[0]}) except all ({both[1]}))").fetchone()
    assert rows[0] == rows[1], rows
    assert different == (0,), f"{different} rows differ"


def run(count: int, rows: int, runs: int, folder: Path, *, alone: bool) -> None:
    """Make days and entity rows, let the sides take turns, compare, print."""
    settings = settings_of(folder, folder / "landing")
    console = Console(width=None if sys.stdout.isatty() else 120)
    each = rows // len(DAYS)
    for number, day in enumerate(DAYS):
        promote_day(Lake(settings.lake), each, number, day)
    entities = entity_rows(count, each)
    if alone:
        _alone(console, settings, entities, folder)
        return
    source = folder / "entities.parquet"
    pq.write_table(entities, source)
    seconds: dict[str, list[float]] = {side: [] for side in (*SIDES, FEAST)}
    with running(settings, airflow=False, features=False):
        bench = Bench(settings)
        register(bench.store, settings)
        for turn in range(runs):
            for side, taken in seconds.items():
                target, start = str(folder / f"{side}-{turn}"), time.monotonic()
                if side == FEAST:
                    by_feast(bench, source, target)
                else:
                    engine, mode = SIDES[side]
                    made = training_set(entities, TABLE.family, mode, engine=engine, settings=settings, keep=False)
                    made.write(target)
                taken.append(time.monotonic() - start)
                console.print(f"{side}: {taken[-1]:.1f} s", highlight=False)
            compare(str(folder / f"{OURS}-{turn}"), str(folder / f"{FEAST}-{turn}"))
            for time_ in ("event time", "known time"):
                bytes_of = [(folder / f"{by}, {time_}-{turn}").read_bytes() for by in ("DuckDB", "Feast on Spark")]
                assert bytes_of[0] == bytes_of[1], time_
        bench.spark.stop()
    grid = Grid(title=f"{count:,} entity rows × {each * len(DAYS):,} feature rows × {len(TABLE.values)} features")
    for name in ("side", f"seconds, median of {runs}", "entity rows a second", "of ours", "wanted"):
        grid.add_column(name, justify="left" if name == "side" else "right")
    ours = statistics.median(seconds[OURS])
    for side, taken in seconds.items():
        median = statistics.median(taken)
        wanted = f"{WANTED:.0f} ×" if side == FEAST else ""
        grid.add_row(side, f"{median:.2f}", f"{count / median:,.0f}", f"{median / ours:.1f} ×", wanted)
    console.print(machine())
    console.print(grid)


def _alone(console: Console, settings: Settings, entities: pa.Table, folder: Path) -> None:
    import content_signals.catalog
    from benchmarks.publish_table import CATALOG

    content_signals.catalog.catalog = lambda: CATALOG  # type: ignore[assignment]  # feature_repo/ asks for it
    register(feature_store(settings), settings)
    for mode in ("event", "known"):
        with Peak(folder) as peak:
            training_set(entities, TABLE.family, mode, settings=settings, keep=False).write(f"{folder}/{mode}.parquet")  # type: ignore[arg-type]
        rate = entities.num_rows / peak.seconds
        console.print(f"{mode}: {peak.seconds:.1f} s, {rate:,.0f} entity rows a second, {peak.mib:,.0f} MiB at most")
    console.print(machine())


def main() -> None:
    """Run the benchmark."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--entities", type=int, default=200_000)
    given.add_argument("--rows", type=int, default=2_000_000, help="feature rows, in 20 days")
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--alone", action="store_true", help="without Feast")
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="cs-bench-") as name:
        run(asked.entities, asked.rows, asked.runs, Path(name), alone=asked.alone)


if __name__ == "__main__":
    main()
