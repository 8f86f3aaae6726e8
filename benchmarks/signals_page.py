"""How long the Signals page takes to answer for 100 tables of 28 days, through Airflow's own API server.

    .venv/airflow/bin/python -m benchmarks.signals_page [--tables 100] [--runs 50]

In this process: Airflow's middlewares, the check of the token, the query for the DAGs one may see, reading the status
files, the template. The first page reads every file; the next ones only what has changed; "all files changed" rewrites
every file before each page.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Make the files, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--runs", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cs-signals-page-") as folder:
        os.environ.update(  # before anything imports Airflow
            AIRFLOW_HOME=f"{folder}/airflow",
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
            AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
            AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
        )
        measure(Path(folder) / "lake", asked.tables, asked.runs)


def measure(lake: Path, count: int, runs: int) -> None:
    """Print the figures."""
    from fastapi.testclient import TestClient

    from content_signals.day import days_until_yesterday
    from content_signals.orchestration.signals_page.app import SignalsPage
    from content_signals.orchestration.signals_page.store import LakeFiles, StatusStore
    from tests.airflow.signals_page_app import airflow_app, parsed, token
    from tests.status_files import made_up, write_four_weeks

    catalog, (yesterday,) = made_up(count), days_until_yesterday(1)
    write_four_weeks(lake, catalog, yesterday)
    names = [contract.table for contract in (*catalog.sources, *catalog.tables)]
    client = TestClient(airflow_app(SignalsPage(catalog, StatusStore(lambda: LakeFiles.at(str(lake)), names))))
    logging.disable(logging.INFO)
    parsed(["ingest_sources", *(f"build_{table.table}" for table in catalog.tables)])
    headers = token()

    def ask(path: str = "/") -> Any:
        answer = client.get(f"/signals{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    first, answer = timed(ask)
    assert answer.text.count('<th scope="row">') == count
    sizes = sum(file.stat().st_size for file in (lake / "_status").glob("*.json"))
    print(f"{count} tables, {sizes / 1e6:.1f} MB of status files, a page of {len(answer.content) / 1e3:.0f} KB")
    say("first page, every file read", [first])
    say("next pages", [timed(ask)[0] for _ in range(runs)])
    changed = []
    for n in range(max(runs // 5, 5)):
        write_four_weeks(lake, catalog, yesterday, seed=n)
        changed.append(timed(ask)[0])
    say("all files changed", changed)
    say("page of one table", [timed(lambda: ask(f"/table/{names[3]}"))[0] for _ in range(runs)])


@dataclass(frozen=True)
class Took:
    """Milliseconds by the clock, and of the processor: what it would be on a machine with nothing else to do."""

    wall: float
    cpu: float


def timed(call: Callable[[], Any]) -> tuple[Took, Any]:
    """How long it took, and what came back."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return Took((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000), found


def say(what: str, times: list[Took]) -> None:
    """Medians and the slowest."""
    wall, cpu = [took.wall for took in times], [took.cpu for took in times]
    print(
        f"{what:<30} median {statistics.median(wall):6.1f} ms ({statistics.median(cpu):6.1f} ms of a core),"
        f" slowest of {len(times)} {max(wall):6.1f} ms"
    )


if __name__ == "__main__":
    main()
