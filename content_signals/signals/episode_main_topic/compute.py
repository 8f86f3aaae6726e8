"""Transcripts to their main topic: by the classifier where it is sure, else by a language model, once for each.

`routed` is asked first: what it answers is never sent to the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import CONTENT_ID
from content_signals.llm import day
from content_signals.llm.frame import KEY, REPLY_SCHEMA, asked
from content_signals.llm.router import Sure
from content_signals.llm.run import Run
from content_signals.llm.task import Task, task_of
from content_signals.signals.episode_main_topic.answer import MainTopic
from content_signals.signals.episode_main_topic.contract import (
    CLASSIFIER,
    EPISODE_MAIN_TOPIC_V1,
    MODEL,
    PROMPT,
    SURE_FROM,
)
from content_signals.signals.needs import LANGUAGE_MODEL

NO_ROW = day.NO_ROW
KEPT_AS = KEY  # the column that says under what name a reply is kept elsewhere
TOPICS = "episode_topics_v1"
_KEYS = ["ds", "episode_id"]
_OPINION = ("classifier_topic", "classifier_probability")  # what a row has from the classifier, whoever answers
_ANSWER = "topic struct<quote: string, label: string>"
# Columns of the table that are null where the model was not asked.
_OF_MODEL = [name for name in EPISODE_MAIN_TOPIC_V1.values if name.startswith("model_")]
# Kept with the answer, and in no table: what a call brought, from which it can be judged again.
_KEPT = (KEY, *(name for name in REPLY_SCHEMA.names if f"model_{name}" not in _OF_MODEL))


def routed(rows: DataFrame, inputs: Mapping[str, DataFrame]) -> tuple[DataFrame, DataFrame]:
    """The rows about which the model is to be asked, and the rows that the classifier has answered.

    Args:
        rows: transcripts of some days.
        inputs: `episode_topics_v1` of these days. An episode that is not in it is asked about.
    """
    sure = is_sure(F.col("probabilities"), Sure(SURE_FROM))
    told = inputs[TOPICS].select(
        *_KEYS,
        F.get("topics", 0).alias("classifier_topic"),
        F.get("probabilities", 0).alias("classifier_probability"),
        sure.alias("_sure"),
    )
    marked = rows.join(told, on=_KEYS, how="left")
    topic, by = F.col("classifier_topic").alias("routed_topic"), F.lit(CLASSIFIER).alias("answered_by")
    nothing = [F.lit(None).alias(name) for name in _OF_MODEL]
    answered = marked.where("_sure").select(*_KEYS, topic, by, *_OPINION, *nothing)
    return marked.where("_sure IS NOT TRUE").drop("_sure"), answered


def is_sure(probabilities: Column, sure: Sure) -> Column:
    """`llm.router.route` for a column of probabilities, the highest first: whether the classifier answers alone."""
    first, second = F.get(probabilities, F.lit(0)), F.get(probabilities, F.lit(1))
    # To Spark NaN is greater than every number.
    enough = ~F.isnan(first) & (first >= sure.probability) & (first - F.coalesce(second, F.lit(0.0)) >= sure.margin)
    return F.coalesce(enough, F.lit(False))


def compute(contents: DataFrame) -> DataFrame:
    """What the model says of each content, from (content_id, transcript).

    Returns:
        content_id, the contract's columns that begin with model_, the rest of the reply, reason: null but where there
        is no text or no answer, and again: whether the next run asks once more. No row for what was not asked.
    """
    return said(contents, run_of_environment())


def said(contents: DataFrame, run: Run) -> DataFrame:
    """The same, for a run."""
    found = day.with_rows(asked(contents, run)).withColumn("answer", F.from_json("answer", _ANSWER))
    made = {"model_topic": F.col("answer.topic.label"), "model_quote": F.col("answer.topic.quote")}
    columns = [made.get(name, F.col(name.removeprefix("model_"))).alias(name) for name in _OF_MODEL]
    return found.select(CONTENT_ID, *columns, *_KEPT, *day.verdicts())


def place(found: DataFrame) -> DataFrame:
    """The table's rows that the model has answered."""
    topic, by = F.col("model_topic").alias("routed_topic"), F.lit(MODEL).alias("answered_by")
    return found.select(*_KEYS, topic, by, *_OPINION, *_OF_MODEL)


def installed() -> str:
    """Which model at which endpoint, with which prompt: another one is asked about every content anew."""
    return run_of_environment().identity.prefix[:12]


def forget(content_ids: Iterable[str], reply_keys: Iterable[str]) -> None:
    """Erase what the ledger has of some contents."""
    day.forget(run_of_environment(), content_ids, reply_keys)


def why_no_row() -> str:
    """Why the run of today ended."""
    return day.why_no_row(run_of_environment())


def task() -> Task:
    """The prompt of the family, and the type of its answers."""
    return task_of(PROMPT, MainTopic)


def run_of_environment(environment: Mapping[str, str] = os.environ) -> Run:
    """The run that the environment asks for.

    Raises:
        UsageError: it names no file, or the file is wrong.
    """
    return day.run_of_day(EPISODE_MAIN_TOPIC_V1.table, task(), LANGUAGE_MODEL, environment)
