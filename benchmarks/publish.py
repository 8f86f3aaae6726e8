"""A day of a table into a Redis-compatible store: by this project, and by Feast's two engines; in one run.

    .venv/jobs/bin/python -m benchmarks.publish --rows 1000000 --runs 3

Sides take turns in one process, on the same promoted day and a store of their own that is emptied before each turn.
Each has a first turn that does not count: in it the JVM compiles and workers start. Making the rows, starting Spark and
importing Feast are not counted. CPU is that of this process and all its children, the store's apart. Ours includes what
it always does: registration, counts, a sample read back, the receipt. After each turn a sample of keys is read through
Feast and compared with the rows.

    .venv/jobs/bin/python -m benchmarks.publish --memory 100000,1000000,5000000

publishes days of these sizes, each in a process of its own, and prints how much memory that took at most.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.dataset as ds
from rich.console import Console
from rich.table import Table as Grid

import content_signals.catalog
from benchmarks.publish_table import CATALOG, TABLE, THE_DAY, VALID_FROM, promote_day
from benchmarks.sides import machine
from benchmarks.volume import settings_of
from content_signals.features import encode, wire
from content_signals.features.store import feature_store, online_client, settings_in_environment
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.session import spark_session
from content_signals.lake.snapshot import Snapshot
from content_signals.local.services import running
from content_signals.pipeline.context import Context
from content_signals.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

ROOT = Path(__file__).resolve().parents[1]
FIRST, CHANGED = "ours, first load", "ours, every row changed: difference, newest wins"
LOCAL, SPARK = "Feast, local engine", "Feast, Spark engine"
PREBUILT = "the store itself: HSETs packed beforehand"
# Side -> how many times its rows a second ours, first load, shall write.
WANTED = {LOCAL: 5.0, SPARK: 4.0}
SAMPLE = 200


@dataclass
class Side:
    """One way to fill the store: what happens before, and what is timed."""

    name: str
    write: Callable[[], object]
    before: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    store_cpu: list[float] = field(default_factory=list)

    def forget_first(self) -> None:
        """The turn that warmed up."""
        for taken in (self.seconds, self.cpu, self.store_cpu):
            del taken[0]


class Bench:
    """A lake, a store, a session, and the sides.

    Args:
        heap: of the JVM; default: that of conf/spark.conf.
    """

    def __init__(self, settings: Settings, heap: str = "") -> None:
        content_signals.catalog.catalog = lambda: CATALOG  # type: ignore[assignment]  # feature_repo/ asks for it
        self.context = Context(settings, Lake(settings.lake), CATALOG, start_run(), lambda _: None)
        self.client = online_client(settings)
        self.server = psutil.Process(self.client.info("server")["process_id"])
        os.environ["PYSPARK_SUBMIT_ARGS"] = (  # as for big tables; of it the engines of Feast have the good too
            f"--properties-file conf/spark.conf {f'--driver-memory {heap}' if heap else ''}"
            " --driver-java-options -XX:TieredStopAtLevel=4 pyspark-shell"
        )
        self.spark = spark_session("benchmark")
        self.store = feature_store(settings)

    def publish(self) -> Any:
        """By this project."""
        from content_signals.pipeline.publish import publish

        return publish(replace(self.context, run=start_run()), self.spark, TABLE, [THE_DAY])

    def feast(self, engine: str) -> FeatureStore:
        """Feast with an engine to materialize with, everything registered."""
        from feast import FeatureStore as Store
        from feast.repo_config import load_repo_config

        from content_signals.features.registry import register
        from content_signals.features.store import REPO

        register(feature_store(self.context.settings), self.context.settings)
        with settings_in_environment(self.context.settings):
            config = load_repo_config(REPO, REPO / "feature_store.yaml")
        config.batch_engine_config = {"type": engine}
        return Store(config=config)

    def materialize(self, engine: str) -> Callable[[], object]:
        """By Feast."""
        store = self.feast(engine)
        span = VALID_FROM - timedelta(hours=1), VALID_FROM + timedelta(hours=1)
        return lambda: store.materialize(*span, feature_views=[TABLE.table])

    def rows(self) -> ds.Dataset:
        """The day's rows."""
        return ds.dataset(Snapshot(self.context.lake.of(TABLE)).files([THE_DAY]))

    def take(self, side: Side) -> None:
        """Time one turn, in a store that holds nothing but what `before` puts there."""
        self.client.flushall()
        side.before()
        store_cpu, start = _own(self.server), time.monotonic()
        with Spent(self.server.pid) as spent:
            side.write()
            side.seconds.append(time.monotonic() - start)
        side.cpu.append(spent.seconds)
        side.store_cpu.append(_own(self.server) - store_cpu)
        self._check(side.name)

    def _check(self, name: str) -> None:
        """A sample of keys has the day's values, read through Feast."""
        rows = self.rows().head(SAMPLE)
        answer = self.store.get_online_features(
            features=[f"{TABLE.table}:{column}" for column in TABLE.values],
            entity_rows=[{"track_id": key} for key in rows["track_id"].to_pylist()],
        ).to_dict()
        for column in TABLE.values:
            assert answer[column] == rows[column].to_pylist(), f"{name}: {column} is not as in the day's rows"

    def packed(self) -> list[tuple[bytes, int]]:
        """HSETs of the day's rows, as they would lie in the store, a pipeline a batch."""
        project = self.store.project
        names = [encode.time_field(TABLE.table), *(encode.field_name(TABLE.table, name) for name in TABLE.values)]
        found = []
        for batch in self.rows().to_batches(batch_size=10_000):
            cells = [encode.times(batch.column("event_ts")), *(encode.values(batch.column(n)) for n in TABLE.values)]
            pairs = [part for n, c in zip(names, cells, strict=True) for part in (wire.bulk(n), wire.bulks(c))]
            keys = wire.bulks(encode.entity_keys(batch.column("track_id"), "track_id", project))
            commands = wire.commands(b"HSET", 1 + len(pairs), [keys, *pairs])
            found.append((bytes(wire.packed(commands)), len(batch)))
        return found

    def send_packed(self, packed: list[tuple[bytes, int]]) -> None:
        """Send them and read the answers: what any client has to do at least."""
        connection = self.client.connection_pool.get_connection()
        for commands, rows in packed:
            connection.send_packed_command([commands])
            for _ in range(rows):
                connection.read_response()
        self.client.connection_pool.release(connection)


def _own(process: psutil.Process) -> float:
    """CPU seconds of a process, its children's apart."""
    return sum(process.cpu_times()[:2])


class Spent:
    """CPU seconds of this process and everything below it, one process apart: `seconds`.

    Workers come and go meanwhile, and not each is waited for by a process of ours; so what each has spent is looked at
    twice a second, and of one that has ended what was seen last counts.
    """

    def __init__(self, but: int) -> None:
        self._but, self._ended, self.seconds = but, threading.Event(), 0.0
        self._before, self._seen = self._look(), {}  # type: ignore[var-annotated]
        self._looking = threading.Thread(target=self._keep_looking)

    def __enter__(self) -> Spent:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._looking.join()
        self._seen |= self._look()
        self.seconds = sum(spent - self._before.get(process, 0.0) for process, spent in self._seen.items())

    def _keep_looking(self) -> None:
        while not self._ended.wait(0.5):
            self._seen |= self._look()

    def _look(self) -> dict[psutil.Process, float]:
        found = {}
        for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                if process.pid != self._but:
                    found[process] = _own(process)
        return found


def sides(bench: Bench, rows: int, *, feast: bool) -> list[Side]:
    """All of them, in the order of their turns; without `feast` none of Feast's, which take most of the time."""
    salts = iter(range(1, 1000))

    def again() -> None:
        bench.publish()
        promote_day(bench.context.lake, rows, next(salts))

    packed: list[tuple[bytes, int]] = []
    return [
        Side(FIRST, bench.publish),
        Side(CHANGED, bench.publish, again),
        *([Side(LOCAL, bench.materialize("local")), Side(SPARK, bench.materialize("spark.engine"))] if feast else []),
        Side(PREBUILT, lambda: bench.send_packed(packed), lambda: packed.__setitem__(slice(None), bench.packed())),
    ]


def run(rows: int, runs: int, folder: Path, *, feast: bool) -> None:
    """Make the day, let every side write it some times, print."""
    settings = settings_of(folder, folder / "landing")
    console = Console(width=None if sys.stdout.isatty() else 150)
    with running(settings, airflow=False, features=False):
        bench = Bench(settings)
        promote_day(bench.context.lake, rows, 0)
        found = sides(bench, rows, feast=feast)
        for turn in range(runs + 1):
            for side in found:
                bench.take(side)
                counts = "" if turn else "; does not count"
                told = f"{side.name}: {side.seconds[-1]:.1f} s, {side.cpu[-1]:.1f} s of CPU{counts}"
                console.print(told, highlight=False)
        for side in found:
            side.forget_first()
        bench.spark.stop()
    console.print(f"{rows:,} rows × {len(TABLE.values)} features; {machine()}")
    _print(console, found, rows, runs)


def _print(console: Console, found: list[Side], rows: int, runs: int) -> None:
    ours = statistics.median(found[0].seconds)
    grid = Grid(title=f"{rows:,} rows, medians of {runs}", title_justify="left")
    for name in (
        "side",
        "seconds",
        "rows a second",
        "ours is faster",
        "wanted",
        "CPU a row, µs",
        "store's CPU a row, µs",
    ):
        grid.add_column(name, justify="left" if name == "side" else "right")
    for side in found:
        seconds, cpu, store = (statistics.median(n) for n in (side.seconds, side.cpu, side.store_cpu))
        wanted = f"{WANTED[side.name]:.0f} ×" if side.name in WANTED else ""
        cells = [f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{seconds / ours:.2f} ×", wanted]
        grid.add_row(side.name, *cells, f"{cpu / rows * 1e6:.1f}", f"{store / rows * 1e6:.1f}")
    console.print(grid)


def memory(sizes: list[int], heap: str) -> None:
    """Publish days of these sizes, each in a process of its own; print the most memory each of its processes had."""
    title = f"Memory of a publication at most, MiB; heap of the JVM: {heap or 'as in conf/spark.conf'}"
    grid = Grid(title=title, title_justify="left")
    for name in ("rows", "driver: Python", "driver: JVM", "workers, together"):
        grid.add_column(name, justify="right")
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="cs-bench-") as name:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.publish", "--alone", str(rows), "--folder", name, "--heap", heap],
                capture_output=True, text=True, check=True, cwd=ROOT,
            )  # fmt: skip
        grid.add_row(f"{rows:,}", *done.stdout.strip().splitlines()[-1].split())
    Console(width=100).print(grid)


def alone(rows: int, folder: Path, heap: str) -> None:
    """Publish one day; print the most memory of driver, JVM and workers."""
    settings = settings_of(folder, folder / "landing")
    with running(settings, airflow=False, features=False):
        promote_day(Lake(settings.lake), rows, 0)
        with Resident() as most:
            Bench(settings, heap).publish()
    # The last line, whatever the services say as they stop.
    print(*(f"{most.mib[name]:.0f}" for name in ("driver", "java", "workers")))


class Resident:
    """Resident memory of this process's family, the most of each kind: `mib`."""

    def __enter__(self) -> Resident:
        self.mib = dict.fromkeys(("driver", "java", "workers"), 0.0)
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.05):
            now = dict.fromkeys(self.mib, 0.0)
            for process in (me, *me.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    name = process.name()
                    kind = "driver" if process == me else "java" if name == "java" else "workers"
                    if "valkey" not in name and "redis" not in name:
                        now[kind] += process.memory_info().rss / 2**20
            self.mib = {kind: max(most, now[kind]) for kind, most in self.mib.items()}


def main() -> None:
    """Run the benchmark."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--rows", type=int, default=1_000_000)
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--without-feast", action="store_true", help="only ours and the store itself: minutes less")
    given.add_argument("--memory", metavar="ROWS,…", help="only the memory of publications of these sizes")
    given.add_argument("--heap", default="", metavar="SIZE", help="with --memory: the JVM's, as 512m")
    given.add_argument("--alone", type=int, metavar="ROWS", help=argparse.SUPPRESS)
    given.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.memory:
        memory([int(size) for size in asked.memory.split(",")], asked.heap)
    elif asked.alone:
        alone(asked.alone, asked.folder, asked.heap)
    else:
        with tempfile.TemporaryDirectory(prefix="cs-bench-") as name:
            run(asked.rows, asked.runs, Path(name), feast=not asked.without_feast)


if __name__ == "__main__":
    main()
