"""Between Airflow's runs and days of tables: which tables a run is about, and which run judged a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select

from content_signals.catalog import Catalog
from content_signals.contract import Source, Table
from content_signals.errors import SignalsError
from content_signals.orchestration.builds import INGEST_DAG, build_of
from content_signals.orchestration.partition import job_run_id, run_day, run_range

INGEST, REBUILD, MAINTAIN = INGEST_DAG, "rebuild_signals", "maintain_lake"
# A day's run is among the newest of its DAG, or the day has left the page: it keeps 28.
RUNS_LOOKED_AT = 5000


@dataclass(frozen=True)
class About:
    """What a run, or one task of it, is about.

    Attributes:
        day: empty when it is about no single day.
        run_id: what its jobs call it.
        problem: why there is no saying what it is about.
    """

    contracts: tuple[Source | Table, ...] = ()
    day: str = ""
    run_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class RunFacts:
    """The little of a DAG run that counts here."""

    dag_id: str
    run_id: str
    partition_key: str | None
    conf: Mapping[str, Any]
    run_after: datetime


def find_run(dag_id: str, run_id: str) -> RunFacts | None:
    """A run as Airflow's database has it."""
    asked = select(DagRun.partition_key, DagRun.conf, DagRun.run_after)
    with create_session() as session:
        row = session.execute(asked.where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
    if row is None:
        return None
    conf = row.conf if isinstance(row.conf, dict) else {}
    return RunFacts(dag_id, run_id, row.partition_key, conf, row.run_after)


def about_run(run: RunFacts, task_id: str, catalog: Catalog) -> About:
    """Which tables and which day a run is about, or the task of it that is named."""
    run_id = job_run_id(run.dag_id, run.run_id)
    contracts = about_dag(run.dag_id, catalog, run.conf)
    named = [c for c in contracts if task_id.startswith(f"{c.table}.")]  # a task in the group of one table
    try:
        day = _day(run)
    except SignalsError as error:
        return About(tuple(named or contracts), run_id=run_id, problem=error.what)
    return About(tuple(named or contracts), day, run_id)


def about_dag(dag_id: str, catalog: Catalog, conf: Mapping[str, Any] | None = None) -> tuple[Source | Table, ...]:
    """The tables a DAG works on; none for a DAG that is not ours."""
    conf = conf or {}
    if dag_id == INGEST:
        chosen = conf.get("sources")
        return tuple(s for s in catalog.sources if not isinstance(chosen, list) or s.table in chosen)
    if dag_id == REBUILD:
        chosen = conf.get("tables")
        known = {c.table for c in (*catalog.sources, *catalog.tables)}
        wanted = [name for name in chosen if name in known] if isinstance(chosen, list) else known
        return tuple(catalog.downstream(wanted))
    if dag_id == MAINTAIN:
        return (*catalog.sources, *catalog.tables)
    return tuple(
        table
        for table in catalog.tables
        if dag_id in (build_of(table, catalog).dag_id, f"approve_{table.table}", f"publish_{table.table}")
    )


def judging_task(contract: Source | Table, run_id: str) -> str:
    """Path in Airflow's UI of the task that judged a day: it is found by what the jobs call its run.

    Returns:
        Nothing when no run that Airflow still knows is called so: the job was run by hand, or long ago.
    """
    build = build_of(contract)
    dags = {build.dag_id: build.task("ingest" if isinstance(contract, Source) else "validate"), REBUILD: "rebuild"}
    asked = select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.in_(dags))
    with create_session() as session:
        rows: Sequence[Any] = session.execute(asked.order_by(DagRun.run_after.desc()).limit(RUNS_LOOKED_AT)).all()
    for dag_id, airflow_run in rows:
        if job_run_id(dag_id, airflow_run) == run_id:
            return f"/dags/{dag_id}/runs/{quote(airflow_run, safe='')}/tasks/{dags[dag_id]}"
    return ""


def _day(run: RunFacts) -> str:
    """The day of a run; of a range its last, of maintenance none.

    Raises:
        UsageError: when its key or its form names none.
    """
    if run.dag_id == MAINTAIN:
        return ""
    if run.dag_id == REBUILD:
        return run_range(run.conf)[1]
    return run_day(run.partition_key, run.conf, run.run_after)
