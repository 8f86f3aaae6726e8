"""A table's day by a language model: which endpoint, by the environment; its budget; and what of it is settled.

A budget is a day's, in UTC: a run that is tried again has no second one, though what ended the one before does not end
it. What is not answered for good, because the budget is spent or the endpoint is down, has no row, and the next run
asks for it; what was paid for is in the ledger meanwhile.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import REASON, Need
from content_signals.errors import UsageError
from content_signals.llm.outcome import Status
from content_signals.llm.run import Run, run_of
from content_signals.llm.task import Task

NO_ROW = "the model has not answered yet; the next run asks again"
# A process is an attempt: what ended another one, a key that was refused say, may have been mended since.
_ATTEMPT, _BEGAN = uuid.uuid4().hex, time.time()


def run_of_day(table: str, task: Task, endpoint: Need, environment: Mapping[str, str] = os.environ) -> Run:
    """The run of a table's day, at the endpoint that the environment names.

    Raises:
        UsageError: it names no file, or the file is wrong.
    """
    if not endpoint.is_met(environment):
        raise UsageError(
            f"no endpoint for {table}: the environment has no {endpoint.variable}",
            next_step=f"{endpoint.variable} names {endpoint.about}",
        )
    name = f"{table} {datetime.now(UTC).date()}"
    return run_of(environment[endpoint.variable], task, name, attempt=_ATTEMPT, began=_BEGAN)


def why_no_row(run: Run) -> str:
    """Why a run of today ended, by the ledger; else where to look."""
    ledger = run.ledger.open()
    try:
        spent = ledger.update(run.endpoint.name, lambda state, _: state.budgets.get(run.rules.budget.name))
    finally:
        ledger.close()
    if spent is None:
        return f"endpoint {run.endpoint.name} was not called today"
    return spent.stopped or f"endpoint {run.endpoint.name} did not answer them, or refused them"


def settled(outcomes: DataFrame) -> DataFrame:
    """The outcomes that no later run asks about again."""
    return outcomes.where(F.col("status").isin([status.value for status in Status if status.settled]))


def reason() -> Column:
    """Why nothing can be made of a content: null but where it has no text."""
    return F.when(F.col("status") == Status.EMPTY.value, F.col("error")).alias(REASON)
