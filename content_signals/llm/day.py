"""A table's day by a language model: which endpoint, by the environment; its budget; and what of it is settled.

A budget is a day's, in UTC: a run that is tried again has no second one, though what ended the one before does not end
it. What was not asked, because the budget is spent or the endpoint is down, has no row; what was asked and has no
answer has one that says why. The next run asks for both; what was paid for is in the ledger meanwhile.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import AGAIN, REASON, Need
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
    return spent.stopped or f"endpoint {run.endpoint.name} did not answer them"


def forget(run: Run, content_ids: Iterable[str], reply_keys: Iterable[str]) -> None:
    """Erase the replies about some contents from the ledger.

    Args:
        reply_keys: under which replies about them were kept, whatever the prompt and the model were.

    Raises:
        LedgerError: it does not answer.
    """
    ledger = run.ledger.open()
    try:
        ledger.forget({*reply_keys, *map(run.identity.key, content_ids)})
    finally:
        ledger.close()


def with_rows(outcomes: DataFrame) -> DataFrame:
    """The outcomes of what was asked, or needed no asking."""
    return outcomes.where(F.col("status") != Status.NOT_ASKED.value)


def verdicts() -> list[Column]:
    """Of an outcome: why nothing can be made of its content, and whether the next run asks about it again.

    Nothing can be made of what has no text, nor, until it is asked again, of what the endpoint gave no answer to in any
    attempt: too many of those hold the day. What does not fit and what the endpoint finds fault with is a row.
    """
    status = F.col("status")
    reason = F.when(status.isin(Status.EMPTY.value, Status.FAILED.value), F.col("error")).alias(REASON)
    return [reason, status.isin([one.value for one in Status if not one.settled]).alias(AGAIN)]
