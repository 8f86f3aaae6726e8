"""Transcripts to their main topic: by the classifier where it is sure, else by a language model, once for each.

`routed` is asked first: what it answers is never sent to the model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.content import CONTENT_ID
from content_signals.llm import day
from content_signals.llm.frame import REPLY_SCHEMA, asked
from content_signals.llm.prompt import read_prompt
from content_signals.llm.router import Sure
from content_signals.llm.run import Run
from content_signals.llm.task import Task
from content_signals.signals.episode_main_topic.answer import MainTopic
from content_signals.signals.episode_main_topic.contract import (
    CLASSIFIER,
    EPISODE_MAIN_TOPIC_V1,
    MODEL,
    PROMPT,
    SURE,
    SURE_FROM,
)
from content_signals.signals.needs import LANGUAGE_MODEL

NO_ROW = day.NO_ROW
TOPICS = "episode_topics_v1"
_KEYS = ["ds", "episode_id"]
_OPINION = ("classifier_topic", "classifier_probability")  # what a row has from the classifier, whoever answers
_ANSWER = "topic struct<quote: string, label: string>"
_SAID = ("routed_topic", "status", "error", "quote")
_KEPT = ("reply_key", *REPLY_SCHEMA.names)


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
    answered = marked.where("_sure").select(
        *_KEYS,
        F.col("classifier_topic").alias("routed_topic"),
        F.lit(CLASSIFIER).alias("answered_by"),
        F.lit(SURE).alias("status"),
        *_OPINION,
        *[F.lit(None).alias(name) for name in ("error", "quote", *_of_the_call())],
    )
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
        content_id, routed_topic, status, error, quote, the rest of the reply, and reason: null but for a transcript
        without text. No row for what is to be asked again.
    """
    return said(contents, run_of_environment())


def said(contents: DataFrame, run: Run) -> DataFrame:
    """The same, for a run."""
    found = day.settled(asked(contents, run)).withColumn("answer", F.from_json("answer", _ANSWER))
    topic, quote = F.col("answer.topic.label").alias("routed_topic"), F.col("answer.topic.quote").alias("quote")
    return found.select(CONTENT_ID, topic, "status", "error", quote, *_KEPT, day.reason())


def place(found: DataFrame) -> DataFrame:
    """The table's rows that the model has answered."""
    return found.select(*_KEYS, *_SAID, F.lit(MODEL).alias("answered_by"), *_OPINION, *_of_the_call())


def why_no_row() -> str:
    """Why the run of today ended."""
    return day.why_no_row(run_of_environment())


def task() -> Task:
    """The prompt of the family, and the type of its answers."""
    name, _, version = PROMPT.partition("/v")
    return Task(read_prompt(name, int(version)), MainTopic)


def run_of_environment(environment: Mapping[str, str] = os.environ) -> Run:
    """The run that the environment asks for.

    Raises:
        UsageError: it names no file, or the file is wrong.
    """
    return day.run_of_day(EPISODE_MAIN_TOPIC_V1.table, task(), LANGUAGE_MODEL, environment)


def _of_the_call() -> list[str]:
    """Columns of the table that say what a call took."""
    return [name for name in EPISODE_MAIN_TOPIC_V1.values if name in REPLY_SCHEMA.names]
