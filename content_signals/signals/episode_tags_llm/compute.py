"""Transcripts to tags by a language model, once for each transcript; `llm.day` says within which limits and budget."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import CONTENT_ID
from content_signals.llm import day
from content_signals.llm.frame import KEY, REPLY_SCHEMA, asked
from content_signals.llm.run import Run
from content_signals.llm.task import Task, task_of
from content_signals.signals.episode_tags_llm.answer import EpisodeTags
from content_signals.signals.episode_tags_llm.contract import EPISODE_TAGS_LLM_V1, PROMPT
from content_signals.signals.needs import LANGUAGE_MODEL

NO_ROW = day.NO_ROW
KEPT_AS = KEY  # the column that says under what name a reply is kept elsewhere
_ANSWER = (
    "topics array<struct<quote: string, label: string>>, summary struct<quote: string, text: string>, "
    "audience struct<quote: string, label: string>, brand_safety array<struct<quote: string, flag: string>>"
)
# Kept with the tags, and in no table: what a call brought, from which it can be judged again.
_KEPT = (KEY, *(name for name in REPLY_SCHEMA.names if name not in EPISODE_TAGS_LLM_V1.values))


def compute(contents: DataFrame) -> DataFrame:
    """The tags of each content, from (content_id, transcript).

    Returns:
        content_id, the columns of the contract, the rest of the reply, reason: null but where there is no text or
        no answer, and again: whether the next run asks once more. No row for what was not asked.
    """
    return tagged(contents, run_of_environment())


def installed() -> str:
    """Which model at which endpoint, with which prompt: another one is asked about every content anew."""
    return run_of_environment().identity.prefix[:12]


def forget(content_ids: Iterable[str], reply_keys: Iterable[str]) -> None:
    """Erase what the ledger has of some contents."""
    day.forget(run_of_environment(), content_ids, reply_keys)


def why_no_row() -> str:
    """Why the run of today ended."""
    return day.why_no_row(run_of_environment())


def place(found: DataFrame) -> DataFrame:
    """The table's rows: the reply's raw text stays where it is kept by content."""
    return found.select("ds", "episode_id", *EPISODE_TAGS_LLM_V1.values)


def tagged(contents: DataFrame, run: Run) -> DataFrame:
    """The same, for a run."""
    said = day.with_rows(asked(contents, run)).withColumn("answer", F.from_json("answer", _ANSWER))
    return said.select(CONTENT_ID, *_tags(), *_KEPT, *day.verdicts())


def task() -> Task:
    """The prompt of the family, and the type of its answers."""
    return task_of(PROMPT, EpisodeTags)


def run_of_environment(environment: Mapping[str, str] = os.environ) -> Run:
    """The run that the environment asks for.

    Raises:
        UsageError: it names no file, or the file is wrong.
    """
    return day.run_of_day(EPISODE_TAGS_LLM_V1.table, task(), LANGUAGE_MODEL, environment)


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
