"""Two sides of a step, run in turn in one process, timed, and their results compared value by value."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb


@dataclass
class Step:
    """One step: what the floor (DuckDB) and our side (Spark) do to write the same rows to a folder.

    Attributes:
        goal: how many times the floor's seconds ours may take.
        kept: which of the files that our side writes hold its rows.
    """

    name: str
    goal: float
    floor: Callable[[Path], None]
    ours: Callable[[Path], None]
    kept: str = "**/*.parquet"
    floor_seconds: list[float] = field(default_factory=list)
    our_seconds: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of ours by median of the floor."""
        return statistics.median(self.our_seconds) / statistics.median(self.floor_seconds)


def result_folder(folder: Path, step: str, side: str) -> Path:
    """Where a side's last result of a step lies."""
    return folder / f"{''.join(c if c.isalnum() else '-' for c in step)}-{side}"


def run_in_turn(step: Step, folder: Path, runs: int) -> tuple[Path, Path]:
    """Run both sides, in turn, some times; the folders of the last results."""
    floor, ours = result_folder(folder, step.name, "floor"), result_folder(folder, step.name, "ours")
    for _ in range(runs):
        for side, out, seconds in ((step.floor, floor, step.floor_seconds), (step.ours, ours, step.our_seconds)):
            shutil.rmtree(out, ignore_errors=True)
            start = time.monotonic()
            side(out)
            seconds.append(time.monotonic() - start)
    return floor, ours


def assert_equal(con: duckdb.DuckDBPyConnection, step: Step, floor: Path, ours: Path) -> int:
    """Rows compared, every column of every row. Doubles are compared as they are: both sides add up whole numbers.

    Raises:
        AssertionError: with an example that only one side has.
    """
    names = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM '{floor}/**/*.parquet'").fetchall()]
    columns = ", ".join(f'"{name}"' for name in names)
    sides = {
        "floor": f"SELECT {columns} FROM '{floor}/**/*.parquet'",
        "ours": f"SELECT {columns} FROM '{ours}/{step.kept}'",
    }
    rows = {side: con.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0] for side, query in sides.items()}
    assert rows["floor"] == rows["ours"], f"{step.name}: {rows}"
    for side, other in (("floor", "ours"), ("ours", "floor")):
        alone = con.execute(f"({sides[side]}) EXCEPT ALL ({sides[other]}) LIMIT 1").fetchall()
        assert not alone, f"{step.name}: only {side} has {alone}"
    return int(rows["floor"])


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
    }


@dataclass(frozen=True)
class Work:
    """What Spark did for a step, by its event log: per run, all queries of the run together."""

    scans: int
    exchanges: int
    shuffled_bytes: int
    spilled_bytes: int


def work_by_description(event_log: Path, runs: int) -> dict[str, Work]:
    """Job description -> what the queries under it took, a run."""
    plans: dict[int, tuple[str, dict]] = {}  # type: ignore[type-arg]
    tasks: dict[str, list[int]] = {}
    stage_of: dict[int, str] = {}
    for line in event_log.read_text("utf-8").splitlines():
        event = json.loads(line)
        kind = event["Event"].rsplit(".", 1)[-1]
        if kind == "SparkListenerSQLExecutionStart":
            plans[event["executionId"]] = (event["description"], event["sparkPlanInfo"])
        elif kind == "SparkListenerSQLAdaptiveExecutionUpdate" and event["executionId"] in plans:
            plans[event["executionId"]] = (plans[event["executionId"]][0], event["sparkPlanInfo"])
        elif kind == "SparkListenerJobStart":
            description = event.get("Properties", {}).get("spark.job.description", "")
            stage_of |= dict.fromkeys(event["Stage IDs"], description)
        elif kind == "SparkListenerTaskEnd":
            total = tasks.setdefault(stage_of.get(event["Stage ID"], ""), [0, 0])
            for n, size in enumerate(_bytes_of(event)):
                total[n] += size
    nodes: dict[str, list[str]] = {}
    for description, plan in plans.values():
        nodes.setdefault(description, []).extend(_nodes(plan))
    return {
        description: Work(
            sum(name.startswith("Scan ") for name in names) // runs,
            names.count("Exchange") // runs,
            *(total // runs for total in tasks.get(description, [0, 0])),
        )
        for description, names in nodes.items()
    }


def shuffled_and_spilled(event_log: Path) -> tuple[int, int]:
    """Bytes that all tasks of an application wrote for shuffles, and spilled to disk."""
    events = (json.loads(line) for line in event_log.read_text("utf-8").splitlines())
    sizes = [_bytes_of(event) for event in events if event["Event"] == "SparkListenerTaskEnd"]
    return sum(shuffled for shuffled, _ in sizes), sum(spilled for _, spilled in sizes)


def _bytes_of(task_end: dict) -> tuple[int, int]:  # type: ignore[type-arg]
    metrics = task_end.get("Task Metrics") or {}
    shuffled = metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return shuffled, metrics.get("Disk Bytes Spilled", 0)


def _nodes(plan: dict) -> Sequence[str]:  # type: ignore[type-arg]
    return [plan["nodeName"], *(name for child in plan["children"] for name in _nodes(child))]
