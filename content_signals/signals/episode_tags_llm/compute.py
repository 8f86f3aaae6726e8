"""Transcripts to tags by a language model, once for each transcript.

Which endpoint, within which limits and budget, says the TOML file that the environment names. A budget is a day's, in
UTC: a run that is tried again has no second one, though what ended the one before does not end it. What is not answered
for good, because the budget is spent or the endpoint is down, has no row here, and the next run asks for it; what was
paid for is in the ledger meanwhile.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import CONTENT_ID, REASON
from content_signals.errors import UsageError
from content_signals.llm.frame import REPLY_SCHEMA, asked
from content_signals.llm.outcome import Status
from content_signals.llm.prompt import read_prompt
from content_signals.llm.run import Run, run_of
from content_signals.llm.task import Task
from content_signals.signals.episode_tags_llm.answer import EpisodeTags
from content_signals.signals.episode_tags_llm.contract import ENDPOINT, EPISODE_TAGS_LLM_V1, PROMPT

# A process is an attempt: what ended another one, a key that was refused say, may have been mended since.
_ATTEMPT, _BEGAN = uuid.uuid4().hex, time.time()
_ANSWER = (
    "topics array<struct<quote: string, label: string>>, summary struct<quote: string, text: string>, "
    "audience struct<quote: string, label: string>, brand_safety array<struct<quote: string, flag: string>>"
)
# Kept with the tags, and in no table: what a call brought, from which it can be judged again.
_KEPT = ("reply_key", *(name for name in REPLY_SCHEMA.names if name not in EPISODE_TAGS_LLM_V1.values))


def compute(contents: DataFrame) -> DataFrame:
    """The tags of each content, from (content_id, transcript).

    Returns:
        content_id, the columns of the contract, the rest of the reply, and reason: null but for a transcript without
        text. No row for what is to be asked again.
    """
    return tagged(contents, run_of_environment())


NO_ROW = "the model has not answered yet; the next run asks again"


def why_no_row() -> str:
    """Why the run of today ended, by the ledger; else where to look."""
    run = run_of_environment()
    ledger = run.ledger.open()
    try:
        spent = ledger.update(run.endpoint.name, lambda state, _: state.budgets.get(run.rules.budget.name))
    finally:
        ledger.close()
    if spent is None:
        return f"endpoint {run.endpoint.name} was not called today"
    return spent.stopped or f"endpoint {run.endpoint.name} did not answer them, or refused them"


def place(found: DataFrame) -> DataFrame:
    """The table's rows: the reply's raw text stays where it is kept by content."""
    return found.select("ds", "episode_id", *EPISODE_TAGS_LLM_V1.values)


def tagged(contents: DataFrame, run: Run) -> DataFrame:
    """The same, for a run."""
    outcomes = asked(contents, run)
    settled = [status.value for status in Status if status.settled]
    answer = F.from_json("answer", _ANSWER)
    said = outcomes.where(F.col("status").isin(settled)).withColumn("answer", answer)
    return said.select(CONTENT_ID, *_tags(), *_KEPT, _reason())


def task() -> Task:
    """The prompt of the family, and the type of its answers."""
    name, _, version = PROMPT.partition("/v")
    return Task(read_prompt(name, int(version)), EpisodeTags)


def run_of_environment(environment: Mapping[str, str] = os.environ) -> Run:
    """The run that the environment asks for.

    Raises:
        UsageError: it names no file, or the file is wrong.
    """
    if not ENDPOINT.is_met(environment):
        raise UsageError(
            f"no endpoint for {EPISODE_TAGS_LLM_V1.table}: the environment has no {ENDPOINT.variable}",
            next_step=f"{ENDPOINT.variable} names {ENDPOINT.about}",
        )
    name = f"{EPISODE_TAGS_LLM_V1.table} {datetime.now(UTC).date()}"
    return run_of(environment[ENDPOINT.variable], task(), name, attempt=_ATTEMPT, began=_BEGAN)


def _tags() -> list[Column]:
    """The columns of the contract."""
    made = {
        "topics": F.col("answer.topics.label"),
        "main_topic": F.col("answer.topics")[0]["label"],
        "summary": F.col("answer.summary.text"),
        "audience": F.col("answer.audience.label"),
        "brand_safety_flags": F.col("answer.brand_safety.flag"),
    }
    return [made.get(name, F.col(name)).alias(name) for name in EPISODE_TAGS_LLM_V1.values]


def _reason() -> Column:
    return F.when(F.col("status") == Status.EMPTY.value, F.col("error")).alias(REASON)
