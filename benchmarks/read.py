"""Features of one key and of a hundred, read online: by this project's client, Feast's SDK and Feast's HTTP server.

    .venv/jobs/bin/python -m benchmarks.read

One process asks, one call after the other, random keys of a published day of ten features; every side answers from the
same store. CPU is the asking process's; latency is what it waits. The HTTP server runs beside it on the same machine.
Ours gives masked arrays of NumPy, and on a line of its own Python's values, as the SDK's to_dict() does. Its client is
open, and looks the service up again, during its own turns only.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.publish import Bench
from benchmarks.publish_table import TABLE, VALID_FROM, promote_day
from benchmarks.sides import machine
from benchmarks.volume import settings_of
from content_signals.features.answer import Features
from content_signals.features.client import FeatureClient
from content_signals.local.services import running
from content_signals.settings import Settings

OURS, VALUES = "this project's client, NumPy", "this project's client, Python's values"
SDK, HTTP = "Feast's SDK", "Feast's feature server, HTTP"
# Keys a call -> how many times our CPU the SDK's shall be, and our p99 in milliseconds at most.
WANTED = {1: (3.0, 1.0), 100: (6.0, 5.0)}
ROWS = 100_000

Call = Callable[[Sequence[str]], object]
Side = Callable[[], AbstractContextManager[Call]]


@dataclass
class Taken:
    """What the calls of one side took, in milliseconds."""

    latencies: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        """What one call in a hundred takes longer than."""
        return statistics.quantiles(self.latencies, n=100)[98]

    @property
    def cpu_each(self) -> float:
        """CPU a call."""
        return self.cpu / len(self.latencies)


def ask(call: Call, asked: Sequence[Sequence[str]], taken: Taken) -> None:
    """Make the calls."""
    cpu = time.process_time_ns()
    for keys in asked:
        start = time.perf_counter_ns()
        call(keys)
        taken.latencies.append((time.perf_counter_ns() - start) / 1e6)
    taken.cpu += (time.process_time_ns() - cpu) / 1e6


def sides(bench: Bench, settings: Settings) -> dict[str, Side]:
    """Ways to ask for the same features, each open during its turns."""
    service = bench.store.get_feature_service(TABLE.family)
    again = urllib3.Retry(3, allowed_methods=None)  # the server ends connections now and then
    http, url = urllib3.PoolManager(retries=again), f"http://127.0.0.1:{settings.features_port}/get-online-features"
    features = [f"{TABLE.table}:{name}" for name in TABLE.values]

    def by_sdk(keys: Sequence[str]) -> object:
        rows = [{"track_id": key} for key in keys]
        return bench.store.get_online_features(features=service, entity_rows=rows).to_dict()

    def by_http(keys: Sequence[str]) -> object:
        body = {"features": features, "entities": {"track_id": list(keys)}}
        answer = http.request("POST", url, body=json.dumps(body), headers={"Content-Type": "application/json"})
        if answer.status != 200:
            raise RuntimeError(answer.data.decode())
        return answer.json()

    @contextmanager
    def ours(taken: Callable[[Features], object]) -> Iterator[Call]:
        with FeatureClient(TABLE.family, settings, store=bench.store) as client:
            client.get([], VALID_FROM)  # connects
            yield lambda keys: taken(client.get(keys, VALID_FROM))

    return {
        OURS: lambda: ours(Features.numpy),
        VALUES: lambda: ours(Features.dicts),
        SDK: lambda: nullcontext(by_sdk),
        HTTP: lambda: nullcontext(by_http),
    }


def same(ways: dict[str, Side], keys: Sequence[str]) -> None:
    """All sides give the same values."""
    found: dict[str, Any] = {}
    for side, opened in ways.items():
        with opened() as call:
            found[side] = call(keys)
    http = found[HTTP]
    names = http["metadata"]["feature_names"]
    for name in TABLE.values:
        expected = found[OURS][f"{TABLE.table}:{name}"].tolist()
        assert [row[f"{TABLE.table}:{name}"] for row in found[VALUES]] == expected, name
        assert found[SDK][name] == expected, name
        assert http["results"][names.index(name)]["values"] == expected, name


def run(calls_each: int, rounds: int, folder: Path) -> None:
    """Publish a day, ask every side in turns, print."""
    settings = settings_of(folder, folder / "landing")
    console = Console(width=None if sys.stdout.isatty() else 130)
    chance = np.random.default_rng(1)
    with running(settings, airflow=False, features=False):
        bench = Bench(settings)
        promote_day(bench.context.lake, ROWS, 0)
        bench.publish()
        bench.spark.stop()
        with running(settings, airflow=False, valkey=False):
            ways = sides(bench, settings)
            taken: dict[tuple[str, int], Taken] = {}
            for many in WANTED:
                asked = [_keys(chance, many) for _ in range(calls_each)]
                same(ways, asked[0])
                for opened in ways.values():
                    with opened() as call:  # warm
                        ask(call, asked[: calls_each // 4], Taken())
                gc.collect()
                gc.freeze()
                for _ in range(rounds):
                    for name, opened in ways.items():
                        with opened() as call:
                            ask(call, asked, taken.setdefault((name, many), Taken()))
    console.print(f"{ROWS:,} keys × {len(TABLE.values)} features; {machine()}")
    _print(console, taken, calls_each * rounds)


def _keys(chance: np.random.Generator, many: int) -> list[str]:
    return [f"track:{n:016}" for n in chance.choice(ROWS, many, replace=False)]


def _print(console: Console, taken: dict[tuple[str, int], Taken], calls: int) -> None:
    grid = Grid(title=f"{calls:,} calls each", title_justify="left")
    for name in ("side", "keys", "p50, ms", "p99, ms", "wanted", "CPU a call, ms", "of our CPU", "wanted "):
        grid.add_column(name, justify="left" if name == "side" else "right")
    for (side, many), found in taken.items():
        ratio, p99 = WANTED[many]
        wanted = [f"{p99:.0f}" if side == OURS else "", f"{ratio:.0f} ×" if side == SDK else ""]
        times = f"{found.cpu_each / taken[OURS, many].cpu_each:.1f} ×"
        cells = [f"{found.p50:.2f}", f"{found.p99:.2f}", wanted[0], f"{found.cpu_each:.3f}", times, wanted[1]]
        grid.add_row(side, f"{many}", *cells)
    console.print(grid)


def main() -> None:
    """Run the benchmark."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--calls", type=int, default=500, help="calls of each side in a round")
    given.add_argument("--rounds", type=int, default=4)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="cs-bench-") as name:
        run(asked.calls, asked.rounds, Path(name))


if __name__ == "__main__":
    main()
