"""What every DAG of the project has in common."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from content_signals.orchestration.alerts import FailureAlert, alert_unsaid
from content_signals.orchestration.partition import MACROS
from content_signals.orchestration.retry import FIRST_DELAY, RETRIES, ExitCodePolicy

PROJECT_OWNER = "content-signals"

# Backfills reach back to any day, and nothing is caught up by itself.
START = datetime(2015, 1, 1, tzinfo=UTC)


def signals_dag(
    dag_id: str, page: str, *, owner: str, tags: list[str], table: str | None = None, **options: Any
) -> DAG:
    """A DAG with the project's defaults.

    Args:
        page: what the UI shows about it; its first line is the description.
        table: the table whose owner is alerted when a task is lost; see `FailureAlert`.
    """
    page = inspect.cleandoc(page)
    return DAG(
        dag_id=dag_id,
        description=page.splitlines()[0],
        doc_md=page,
        start_date=START,
        catchup=False,
        tags=["content-signals", *tags],
        user_defined_macros=dict(MACROS),
        default_args={
            "owner": owner,
            "retries": RETRIES,
            "retry_delay": FIRST_DELAY,
            "retry_policy": ExitCodePolicy(),
            "execution_timeout": timedelta(minutes=10),
            "on_failure_callback": [FailureAlert(table)],
        },
        on_failure_callback=[alert_unsaid],
        **options,
    )
