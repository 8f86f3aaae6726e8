"""Questions about the rows of a frame, and their answers by one query, for the whole frame or for each of its days."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

from great_expectations.util import convert_to_json_serializable
from great_expectations.validator.metric_configuration import MetricConfigurationID
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

Metrics = dict[MetricConfigurationID, Any]

FRAME, PYTHON = "frame", "python"  # sources: every row; rows of a domain that go through Python
SIZE = "__size"
_MAX_FIELDS = "spark.sql.codegen.maxFields"


@dataclass(frozen=True)
class Question:
    """A metric, as an aggregate of rows of a frame; with `keys`, of the groups that share them and their sizes.

    Questions with the same `source` are about the same rows. Columns are unbound: they fit any frame of the schema.

    Attributes:
        shaped: makes the metric of the aggregate's value.
    """

    metric: MetricConfigurationID
    aggregate: Column
    source: Hashable = FRAME
    rows: Column | None = None
    keys: tuple[str | Column, ...] = ()
    shaped: Callable[[Any], Any] | None = None


def ask(frame: DataFrame, questions: list[Question]) -> Metrics:
    """The answers of one query. If it raises, of two with half the questions each, and so on; culprits get none."""
    try:
        return _one_query(frame, questions).get(None, {})
    except Exception:
        if len(questions) == 1:
            return {}
        middle = len(questions) // 2
        return ask(frame, questions[:middle]) | ask(frame, questions[middle:])


def ask_ahead(frame: Callable[[], DataFrame], questions: Iterable[Question], by: str) -> dict[Any, Metrics]:
    """The answers of one query for each value of a column, as `ask` gives them for the rows with that value.

    Where a value has no rows for a question it has no answer. If making the frame or the query raises there are none:
    whoever needs one asks for it, and meets what it raises.
    """
    wanted = [q for q in questions if not (isinstance(q.source, tuple) and q.source[0] == PYTHON)]
    try:
        return _one_query(frame(), wanted, by) if wanted else {}
    except Exception:
        return {}


def _one_query(frame: DataFrame, questions: list[Question], by: str | None = None) -> dict[Any, Metrics]:
    """The answers for each value of `by`; without it, for None."""
    sources: dict[Hashable, list[Question]] = {}
    for question in questions:
        sources.setdefault(question.source, []).append(question)
    # A row for each source, with a column of its own, all in one union: Spark runs them side by side in one job.
    parts = [
        _frame_of(frame, asked[0], by).agg(
            F.struct(*[question.aggregate.alias(str(number)) for number, question in enumerate(asked)]).alias(f"{part}")
        )
        for part, asked in enumerate(sources.values())
    ]
    with _compiled(frame.sparkSession):
        rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts).collect()
    found: dict[Any, Metrics] = {}
    for row in rows:
        answers = found.setdefault(row[by] if by else None, {})
        for part, asked in enumerate(sources.values()):
            values = row[f"{part}"]
            for question, value in zip(asked, values, strict=True) if values is not None else ():
                plain = convert_to_json_serializable(data=value)
                answers[question.metric] = question.shaped(plain) if question.shaped else plain
    return found


@contextmanager
def _compiled(session: SparkSession) -> Iterator[None]:
    """Have Spark compile queries of over a hundred aggregates too: interpreted, a wide suite takes thrice as long."""
    before = session.conf.get(_MAX_FIELDS)
    session.conf.set(_MAX_FIELDS, "10000")
    try:
        yield
    finally:
        session.conf.set(_MAX_FIELDS, str(before))


def _frame_of(frame: DataFrame, question: Question, by: str | None) -> Any:
    """What the question's aggregate is about: rows, or groups of them, and these for each value of `by`."""
    rows = frame if question.rows is None else frame.where(question.rows)
    kept = [by] if by else []
    if question.keys:
        keys = [*kept, *(key for key in question.keys if not isinstance(key, str) or key != by)]
        rows = rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(SIZE))
    return rows.groupBy(*kept)
