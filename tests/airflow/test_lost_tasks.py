"""Tasks that could not speak for themselves, told by a process of Airflow's own DAG processor."""

from __future__ import annotations

import json
import os
import selectors
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from content_signals.orchestration.alerts import SAID
from content_signals.settings import PROJECT

pytestmark = pytest.mark.slow

HOME = Path(os.environ["AIRFLOW_HOME"])
TABLE, DAY = "track_popularity_v1", "2020-03-01"
FILE = PROJECT / "dags" / "build_signals.py"


@pytest.fixture
def told() -> Iterator[Any]:
    """The calls of the jobs environment's `content-signals`."""
    program, log = HOME / "jobs" / "bin" / "content-signals", HOME / "told.jsonl"
    log.write_text("")
    program.write_text(
        f"#!{sys.executable} -S\nimport json, sys\n"
        f"with open({str(log)!r}, 'a') as log:\n    log.write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    program.chmod(0o755)
    yield lambda: [json.loads(line) for line in log.read_text().splitlines()]
    program.unlink()


@pytest.fixture
def failed_run(bag: Any, jobs: Any, told: Any) -> Any:
    """A run whose `validate` has failed, and said so."""
    from airflow.utils.db import initdb

    initdb()
    jobs.plan(validate_signals=(64, ""))
    run = bag.dags[f"build_{TABLE}"].test(run_conf={"day": DAY})
    assert str(run.state) == "failed"
    (HOME / "told.jsonl").write_text("")
    return run


def in_dag_processor(request: Any) -> None:
    """Hand a request to a DAG processor's process, and serve that until it has ended."""
    import structlog
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
    from airflow.dag_processing.processor import DagFileProcessorProcess
    from airflow.sdk.api.client import Client
    from uuid6 import uuid7

    client = Client(base_url=None, token="", dry_run=True, transport=InProcessExecutionAPI().transport)
    client.base_url = "http://in-process.invalid./"
    selector = selectors.DefaultSelector()
    with (HOME / "processor.log").open("wb") as log:
        process = DagFileProcessorProcess.start(
            id=uuid7(), path=FILE, bundle_path=FILE.parent, bundle_name="dags-folder", dag_file_rel_path=FILE.name,
            callbacks=[request], selector=selector, logger=structlog.get_logger(), logger_filehandle=log, client=client,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not process.is_ready:
            assert time.monotonic() < deadline
            for key, _ in selector.select(timeout=0.5):
                handle, on_close = key.data
                if not handle(key.fileobj):
                    on_close(key.fileobj)
                    key.fileobj.close()


def of_task(run: Any, task_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    with create_session() as session:
        wanted = select(TaskInstance).where(TaskInstance.run_id == run.run_id, TaskInstance.task_id == task_id)
        return session.scalars(wanted.options(joinedload(TaskInstance.dag_run))).one()


def forget(run: Any) -> None:
    """As if the run's tasks had been killed before they could say anything."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(XComModel).where(XComModel.run_id == run.run_id, XComModel.key == SAID))


def test_a_task_killed_on_a_living_worker_is_told_at_the_end_of_its_run(bag: Any, failed_run: Any, told: Any) -> None:
    from airflow.callbacks.callback_requests import DagCallbackRequest, DagRunContext

    request = DagCallbackRequest(
        filepath=FILE.name, dag_id=failed_run.dag_id, run_id=failed_run.run_id, bundle_name="dags-folder",
        bundle_version=None, is_failure_callback=True, msg="task_failure",
        context_from_server=DagRunContext(dag_run=failed_run, last_ti=of_task(failed_run, "validate")),
    )  # fmt: skip
    in_dag_processor(request)
    assert told() == [], "the task has told it by itself"
    forget(failed_run)
    in_dag_processor(request)
    (words,) = told()
    assert words[:5] == ["alert", "lost", TABLE, "--day", DAY]
    assert words[5].startswith("--reason=validate: it ended without a word")
    assert words[6].endswith("/tasks/validate")


def test_a_task_whose_worker_is_gone_is_told_at_once(bag: Any, failed_run: Any, told: Any) -> None:
    from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun, TIRunContext
    from airflow.callbacks.callback_requests import TaskCallbackRequest
    from airflow.utils.state import TaskInstanceState

    instance = of_task(failed_run, "validate")
    for kind, count in ((TaskInstanceState.UP_FOR_RETRY, 0), (TaskInstanceState.FAILED, 1)):
        request = TaskCallbackRequest(
            filepath=FILE.name, bundle_name="dags-folder", bundle_version=None, ti=instance, msg="no heartbeat",
            task_callback_type=kind,
            context_from_server=TIRunContext(
                dag_run=DagRun.model_validate(failed_run, from_attributes=True), max_tries=0, variables=[],
                connections=[], xcom_keys_to_clear=[],
            ),
        )  # fmt: skip
        in_dag_processor(request)
        assert len(told()) == count, "a task that will be tried again is no news"
    assert told()[0][:5] == ["alert", "lost", TABLE, "--day", DAY]
