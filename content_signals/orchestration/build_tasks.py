"""The tasks that build one day of a table: extract, validate, promote, announce; and a question when rules stop it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import chain

from content_signals.contract import Table
from content_signals.day import ONE_DAY
from content_signals.orchestration.approval import ApprovalRequest
from content_signals.orchestration.assets import announce, outlets
from content_signals.orchestration.builds import Build
from content_signals.orchestration.jobs import for_day, python_job, spark_job
from content_signals.orchestration.partition import DAY
from content_signals.orchestration.paths import JobPaths
from content_signals.orchestration.retry import ExitCodePolicy, retries_within


def build_tasks(
    table: Table, build: Build, paths: JobPaths, *, extract_within: timedelta = timedelta(hours=2)
) -> tuple[Any, Any]:
    """The tasks, in the DAG or group that is open; the first of them, and the promotion."""
    arguments = for_day("--table", table.table)
    extract = spark_job(
        "extract_signals",
        arguments,
        paths,
        execution_timeout=extract_within,
        # The policy ends them when the day is late. Started while the day lasts, that is up to a day more.
        retries=retries_within(table.fresh_within + ONE_DAY),
        retry_policy=ExitCodePolicy(late_after=table.fresh_within),
    )
    validate = spark_job("validate_signals", arguments, paths, execution_timeout=timedelta(hours=1))
    promote = python_job("promote_signals", arguments, paths, execution_timeout=timedelta(minutes=15))
    chain(extract, validate, promote, announce(outlets(table), DAY))
    validate >> ApprovalRequest(task_id="ask", table=table.table, build=build)
    return extract, promote
