"""What every DAG of the project must have, read from the DAGs themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Asset, AssetAny, CronPartitionTimetable, PartitionedAssetTimetable
from airflow.serialization.serialized_objects import DagSerialization

from content_signals.catalog import catalog
from content_signals.orchestration.alerts import FailureAlert, alert_unsaid
from content_signals.orchestration.builds import CONTENT_DAG, build_of
from content_signals.orchestration.jobs import PythonJob, SparkJob
from content_signals.orchestration.landing import LandingSensor
from content_signals.orchestration.retry import ExitCodePolicy
from content_signals.settings import PROJECT

ALONE = [table for table in catalog().tables if not build_of(table).group]
TOGETHER = [table for table in catalog().tables if build_of(table).group]
SERVED = [table.table for table in catalog().tables if table.serve]
EXPECTED = {
    "ingest_sources",
    "rebuild_signals",
    "maintain_lake",
    "release_features",
    "build_search_index",
    "check_consistency",
    *(build_of(table).dag_id for table in catalog().tables),
    *(f"approve_{table.table}" for table in catalog().tables),
    *(f"publish_{table}" for table in SERVED),
}


def outlet_names(task: Any) -> set[str]:
    return {asset.name for asset in task.outlets}


def scheduled_by(dag: Any) -> str:
    """The one asset a DAG listens to."""
    assert isinstance(dag.timetable, PartitionedAssetTimetable)
    assert isinstance(dag.timetable.asset_condition, Asset)
    return str(dag.timetable.asset_condition.name)


def test_every_dag_is_there_and_none_fails_to_import(bag: Any) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == EXPECTED


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_dag_says_what_it_is(bag: Any, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert "content-signals" in dag.tags
    assert len(dag.tags) > 1
    assert dag.description
    assert "### When" in dag.doc_md
    assert "By hand" in dag.doc_md
    assert "```\nsource .venv/jobs/bin/activate\n" in dag.doc_md, "commands by hand need the jobs environment"
    assert "TABLE" not in dag.doc_md, "a placeholder was left in the page"
    assert not dag.catchup
    assert dag.max_active_runs >= 1
    DagSerialization.to_dict(dag)


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_fields_of_the_form_explain_themselves(bag: Any, dag_id: str) -> None:
    params = bag.dags[dag_id].params
    for name in params:
        field = params.get_param(name)
        assert field.schema.get("title"), name
        assert field.description, name
        if name in ("day", "from", "to"):
            assert field.schema["format"] == "date", name


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_tasks_are_owned_limited_and_retried_by_exit_code(bag: Any, dag_id: str) -> None:
    owners = {contract.owner for contract in (*catalog().sources, *catalog().tables)} | {"content-signals"}
    for task in bag.dags[dag_id].tasks:
        assert task.owner in owners, task.task_id
        assert task.retries > 0, task.task_id
        assert isinstance(task.retry_policy, ExitCodePolicy), task.task_id
        assert task.execution_timeout, task.task_id
        assert [type(callback) for callback in task.on_failure_callback] == [FailureAlert], task.task_id
    assert bag.dags[dag_id].on_failure_callback == [alert_unsaid]


def test_only_one_spark_driver_at_a_time(bag: Any) -> None:
    tasks = [task for dag in bag.dags.values() for task in dag.tasks]
    assert {task.pool for task in tasks if isinstance(task, SparkJob)} == {"spark"}
    assert {task.pool for task in tasks if not isinstance(task, SparkJob)} == {"default_pool"}


def test_no_secret_is_among_the_rendered_fields(bag: Any) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            if isinstance(task, SparkJob):
                assert not [name for name in task.env_vars if name.startswith("CONTENT_SIGNALS_")]


def test_ingest_runs_at_midnight_for_the_day_before(bag: Any) -> None:
    dag = bag.dags["ingest_sources"]
    assert isinstance(dag.timetable, CronPartitionTimetable)
    assert (dag.timetable.expression, dag.timetable.run_offset) == ("0 0 * * *", -1)
    assert dag.max_active_runs > 1, "other days must go on while one waits"


def test_ingest_waits_ingests_announces_for_each_source(bag: Any) -> None:
    dag = bag.dags["ingest_sources"]
    for source in catalog().sources:
        wait, ingest, announce = (dag.get_task(f"{source.table}.{name}") for name in ("wait", "ingest", "announce"))
        assert isinstance(wait, LandingSensor)
        assert wait.reschedule, "a waiting sensor holds no slot"
        assert wait.downstream_task_ids == {ingest.task_id}
        assert ingest.downstream_task_ids == {announce.task_id}
        assert outlet_names(announce) == {source.table}
        assert {wait.owner, ingest.owner, announce.owner} == {source.owner}


def test_a_folder_may_be_read_for_a_day_and_a_file_for_an_hour(bag: Any) -> None:
    dag = bag.dags["ingest_sources"]
    limits = {s.format: dag.get_task(f"{s.table}.ingest").execution_timeout for s in catalog().sources}
    assert limits.pop("folder") == timedelta(hours=24)
    assert set(limits.values()) == {timedelta(hours=1)}


def test_ingest_waits_only_for_the_sources_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(PROJECT / "dags" / "ingest_sources.py")
    monkeypatch.setenv("CONTENT_SIGNALS_SOURCES", "playlist_positions, catalogue_tracks_v1")
    dag = DagBag(dag_folder=file).dags["ingest_sources"]
    chosen = ["catalogue_tracks_v1", "playlist_positions_v1"]
    assert sorted(dag.task_group.children) == chosen
    field = dag.params.get_param("sources")
    assert (field.value, field.schema["items"]["enum"]) == (chosen, chosen)

    monkeypatch.setenv("CONTENT_SIGNALS_SOURCES", "playlist_positionz")
    (error,) = DagBag(dag_folder=file).import_errors.values()
    assert "unknown source 'playlist_positionz'" in error
    assert "did you mean playlist_positions_v1" in error


@pytest.mark.parametrize("table", ALONE, ids=lambda table: table.table)
def test_build_listens_to_the_driver_alone(bag: Any, table: Any) -> None:
    dag = bag.dags[f"build_{table.table}"]
    assert scheduled_by(dag) == table.driver.table
    assert [task.task_id for task in dag.topological_sort()] == ["extract", "validate", "promote", "announce", "ask"]
    assert isinstance(dag.get_task("promote"), PythonJob), "promote needs no JVM"
    expected = {table.table} | ({f"{table.table}/publish"} if table.serve else set())
    assert outlet_names(dag.get_task("announce")) == expected
    assert dag.doc_md.startswith(f"Build {table.table}")


def test_what_is_computed_by_content_listens_to_any_of_its_sources(bag: Any) -> None:
    condition = bag.dags[CONTENT_DAG].timetable.asset_condition
    sources = {t.driver.table for t in TOGETHER} - {t.table for t in TOGETHER}
    listened = condition.objects if isinstance(condition, AssetAny) else [condition]
    assert {asset.name for asset in listened} == sources


@pytest.mark.parametrize("table", TOGETHER, ids=lambda table: table.table)
def test_what_is_computed_by_content_has_a_group_in_build_order(bag: Any, table: Any) -> None:
    dag, build = bag.dags[CONTENT_DAG], build_of(table)
    names = ["choose", "extract", "validate", "promote", "announce", "ask"]
    assert {task.task_id for task in dag.tasks if task.task_id.startswith(f"{table.table}.")} == set(
        map(build.task, names)
    )
    expected = {table.table} | ({f"{table.table}/publish"} if table.serve else set())
    assert outlet_names(dag.get_task(build.task("announce"))) == expected
    made_from = {f"{read.table}.promote" for read in table.all_inputs if read.table in {t.table for t in TOGETHER}}
    assert dag.get_task(build.task("choose")).upstream_task_ids == made_from
    assert dag.get_task(build.task("extract")).owner == table.owner


@pytest.mark.parametrize("table", SERVED)
def test_publish_listens_to_an_asset_of_its_own(bag: Any, table: str) -> None:
    dag = bag.dags[f"publish_{table}"]
    assert scheduled_by(dag) == f"{table}/publish"
    assert dag.max_active_runs == 1


def test_rebuild_announces_to_publishing_alone(bag: Any) -> None:
    dag = bag.dags["rebuild_signals"]
    assert dag.schedule is None
    announced = set().union(*(outlet_names(task) for task in dag.tasks))
    assert announced == {f"{table}/publish" for table in SERVED}


def test_extract_keeps_trying_until_the_day_is_late(bag: Any) -> None:
    from content_signals.orchestration.retry import delay

    for table in catalog().tables:
        build = build_of(table)
        extract = bag.dags[build.dag_id].get_task(build.task("extract"))
        assert extract.retry_policy.late_after == table.fresh_within
        waited = sum((delay(number) for number in range(1, extract.retries + 1)), timedelta())
        assert waited >= table.fresh_within + timedelta(days=1), "a day may be started while it lasts"


def test_parsing_is_cheap_and_imports_no_engine() -> None:
    """In a process of its own, because this one has imported everything already."""
    program = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset, BaseOperator, BaseSensorOperator, CronPartitionTimetable, CronTriggerTimetable
from airflow.sdk import ObjectStoragePath, Param, PartitionedAssetTimetable, RetryPolicy, TaskGroup, task
before = time.process_time()
bag = DagBag(dag_folder="dags")
spent = time.process_time() - before
heavy = {"pyspark", "great_expectations", "feast", "pandas", "pyarrow", "deltalake", "duckdb", "numpy"}
print(json.dumps([spent, sorted(heavy & set(sys.modules)), len(bag.dags)]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    spent, heavy, found = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    assert found == len(EXPECTED)
    assert spent < 1.0
