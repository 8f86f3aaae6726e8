"""What Great Expectations would ask of a frame, worked out before it asks: by footers, by one query, or not at all."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from functools import partial, reduce
from types import SimpleNamespace
from typing import Any

from great_expectations.core.id_dict import IDDict
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.expectations.metrics.column_map_metrics.column_values_unique import ColumnValuesUnique
from great_expectations.expectations.metrics.map_metric_provider import (
    column_pair_map_condition_auxilliary_methods as of_pairs,
)
from great_expectations.expectations.metrics.map_metric_provider import map_condition_auxilliary_methods as of_rows
from great_expectations.expectations.metrics.map_metric_provider import (
    multicolumn_map_condition_auxilliary_methods as of_many,
)
from great_expectations.expectations.metrics.multicolumn_map_metrics.compound_columns_unique import (
    CompoundColumnsUnique,
)
from great_expectations.expectations.registry import get_metric_provider
from great_expectations.validator.metric_configuration import MetricConfiguration, MetricConfigurationID
from great_expectations.validator.validation_graph import ValidationGraph
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.quality.column_metrics import ColumnBuckets, spread
from content_signals.quality.distribution import bucket_of
from content_signals.quality.footers import Footers
from content_signals.quality.proofs import proved
from content_signals.quality.questions import PYTHON, SIZE, Metrics, Question, ask

_ROW_COUNT = "table.row_count"
_DISTINCT = "column.distinct_values.count"
# These read the schema or make Columns; none starts a Spark job.
_SCHEMA = ("table.columns", "table.column_types")
_PARTIAL = (".condition", ".map", ".aggregate_fn")
_SAMPLES = ("unexpected_values", "unexpected_rows")
_UNIQUE = (ColumnValuesUnique, CompoundColumnsUnique)
_COUNT_OF_DOMAIN = (
    of_pairs._spark_column_pair_map_condition_filtered_row_count,
    of_many._spark_multicolumn_map_condition_filtered_row_count,
)
_UNSORTED = ("map<", "variant")
_STAND_IN = "stand-in"
_BUCKET = "__bucket"


@dataclass(frozen=True)
class Predicate:
    """Rows that break a rule: true for them, never null.

    Attributes:
        window: it looks at other rows too.
        among: the rows a window looks at, where a row condition leaves others out.
    """

    breaks: Column
    window: bool
    among: Column | None = None


@dataclass
class Prepared:
    """What follows from a suite, a result format and a schema alone, and is made once for all days."""

    graphs: tuple[list[Any], ...] | None = None
    partials: Metrics = field(default_factory=dict)
    questions: dict[MetricConfigurationID, Question] = field(default_factory=dict)
    asked: dict[MetricConfigurationID, Question] = field(default_factory=dict)  # those that footers have left open


class Plan:
    """What can be known of a graph before GX walks it: by the footers first, then by asking the rows."""

    def __init__(
        self,
        engine: Any,
        graph: ValidationGraph,
        runtime_configuration: dict[str, Any] | None,
        prepared: Prepared,
        footers: Footers | None,
        ahead: Metrics | None = None,
    ) -> None:
        self._engine = engine
        self._footers = footers
        self._ahead = ahead or {}
        self._runtime = runtime_configuration
        self._prepared = prepared
        self._frame: DataFrame = engine.batch_manager.active_batch_data.dataframe
        self._metrics: dict[MetricConfigurationID, MetricConfiguration] = {
            metric.id: metric for edge in graph.edges for metric in (edge.left, edge.right) if metric is not None
        }
        self._known: Metrics = dict(prepared.partials)
        self._left_to_gx: set[MetricConfigurationID] = set()
        # GX has every condition wait for the row count, which none of its own reads.
        self._row_counts: Metrics = {
            id_: _UNKNOWN for id_, metric in self._metrics.items() if metric.metric_name == _ROW_COUNT
        }
        self._given = ChainMap(self._known, self._row_counts)

    def answers(self) -> Metrics:
        """Every value found; a second query follows only where conditions depend on aggregates, as with z-scores."""
        while True:
            for metric in self._metrics.values():
                self._make_partial(metric)
            unproved = self._unproved(self._questions())
            if not unproved:
                break
            questions = self._unasked(unproved)
            self._left_to_gx.update(question.metric for question in questions)  # those without an answer
            if questions:
                self._known.update(ask(self._frame, questions))
        self._known.update(self._empty_samples())
        return self._known

    def predicate(self, metric: MetricConfiguration) -> Predicate | None:
        """A condition with the domain it is about, as one predicate; None when that cannot be said of a row by itself.

        So it is of a condition that hangs on an aggregate of the rows, or on their order.
        """
        self._metrics[metric.id] = metric
        if not self._make_partial(metric):
            return None
        condition, compute, accessor = self._known[metric.id]
        rows = self._rows({**compute, **accessor})
        broken = condition if rows is None else rows & condition
        window = self._is_window(metric)
        if window and self._provider(metric)[0] not in _UNIQUE:
            return None  # about the order of rows, which files do not keep once some are set aside
        among = rows if window and metric.metric_domain_kwargs.get("row_condition") else None
        return Predicate(F.coalesce(broken, F.lit(False)), window, among)

    def _unproved(self, questions: list[Question]) -> list[Question]:
        """The questions that the footers do not answer."""
        if self._footers is None:
            return questions
        asked = []
        for question in questions:
            value = proved(self._footers, self._frame.schema, self._metrics[question.metric])
            if value is None:
                asked.append(question)
            else:
                self._known[question.metric] = value
        return asked

    def _unasked(self, questions: list[Question]) -> list[Question]:
        """The questions that were not answered ahead; those of every day are noted, to be asked ahead of others."""
        kept = self._prepared.questions
        self._prepared.asked.update({q.metric: q for q in questions if q.metric in kept})
        found = {q.metric for q in questions if q.metric in self._ahead}
        self._known.update({metric: self._ahead[metric] for metric in found})
        return [question for question in questions if question.metric not in found]

    def _make_partial(self, metric: MetricConfiguration) -> bool:
        """Let GX make a metric that starts no job, and those it depends on; whether it has a value now."""
        if metric.id in self._given:
            return True
        if metric.id in self._left_to_gx or not _starts_no_job(metric.metric_name):
            return False
        needed = [one for one in metric.metric_dependencies.values() if one.id != metric.id]
        if not all(self._make_partial(one) for one in needed):
            return False
        try:
            self._known.update(self._engine.resolve_metrics([metric], self._given, self._runtime))
        except Exception:  # whatever it is, GX meets it again and reports it
            self._left_to_gx.add(metric.id)
            return False
        partials = self._prepared.partials
        if self._is_gx_own(metric) and all(one.id in partials or one.id in self._row_counts for one in needed):
            partials[metric.id] = self._known[metric.id]
        return True

    def _provider(self, metric: MetricConfiguration) -> tuple[Any, Any]:
        """The class and the function that make a metric; no function: it is bundled."""
        return get_metric_provider(metric.metric_name, self._engine)

    def _is_gx_own(self, metric: MetricConfiguration) -> bool:
        """Somebody else's metric may look at the frame where GX's own, and ours, look at the schema alone."""
        provider_class, _ = self._provider(metric)
        return str(provider_class.__module__).startswith(("great_expectations.", "content_signals."))

    def _questions(self) -> list[Question]:
        questions = []
        for metric in self._metrics.values():
            if metric.id in self._known or metric.id in self._left_to_gx:
                continue
            try:
                question = self._prepared.questions.get(metric.id) or self._question(metric)
            except Exception:
                self._left_to_gx.add(metric.id)
                continue
            if question:
                questions.append(question)
        return questions

    def _question(self, metric: MetricConfiguration) -> Question | None:
        provider_class, provider = self._provider(metric)
        if provider_class is ColumnBuckets:
            self._prepared.questions[metric.id] = self._buckets(metric)
            return self._prepared.questions[metric.id]
        if provider is None:
            return self._kept(self._aggregate(metric), metric, "metric_partial_fn")
        made = self._value_of(metric, "unexpected_condition")
        if made is None:
            return None
        condition, compute, accessor = made
        domain = {**compute, **accessor}
        question: Question | None
        if provider in _COUNT_OF_DOMAIN:
            question = self._count(metric, domain)
        elif provider is not of_rows._spark_map_condition_unexpected_count_value:
            return None
        elif provider_class in _UNIQUE:
            question = self._repeated(metric, domain)
        elif self._is_window(metric.metric_dependencies["unexpected_condition"]):
            return None
        else:
            question = self._count(metric, domain, condition)
        return self._kept(question, metric, "unexpected_condition")

    def _kept(self, question: Question | None, metric: MetricConfiguration, source: str) -> Question | None:
        if question and metric.metric_dependencies[source].id in self._prepared.partials:
            self._prepared.questions[metric.id] = question
        return question

    def _value_of(self, metric: MetricConfiguration, dependency: str) -> Any:
        needed = metric.metric_dependencies.get(dependency)
        return None if needed is None else self._known.get(needed.id)

    def _is_window(self, condition: MetricConfiguration) -> bool:
        """Whether a condition looks at other rows too, which no aggregate can contain."""
        provider_class, provider = self._provider(condition)
        kind = getattr(provider, "metric_fn_type", None)
        return provider_class in _UNIQUE or kind is MetricPartialFunctionTypes.WINDOW_CONDITION_FN

    def _aggregate(self, metric: MetricConfiguration) -> Question | None:
        """What GX bundles: an aggregate Column over a domain."""
        made = self._value_of(metric, "metric_partial_fn")
        if made is None:
            return None
        aggregate, compute, _ = made
        rows, domain = self._rows(compute), IDDict(compute).to_id()
        if metric.metric_name == _DISTINCT:
            # Beside others, it would make Spark group all of them by its column first.
            return Question(metric.id, aggregate, metric.id, rows)
        condition = self._counted(metric)
        if condition is not None and _calls_python(condition):
            # Spark hands Python every row of such a query, also those that a row condition spares it.
            return Question(metric.id, aggregate, (PYTHON, domain), rows)
        if metric.metric_name == _ROW_COUNT:
            return Question(metric.id, _how_many(rows))
        if condition is not None:
            # As GX has it: NULL, not 0, when the domain has no row. A count costs half of the sum that GX makes.
            return Question(metric.id, F.when(_how_many(rows) > 0, _how_many(rows, condition)))
        return Question(metric.id, aggregate) if rows is None else Question(metric.id, aggregate, domain, rows)

    def _counted(self, metric: MetricConfiguration) -> Column | None:
        """The condition of the rows that a metric counts; None: it is another kind of aggregate."""
        partial = metric.metric_dependencies["metric_partial_fn"]
        _, provider = self._provider(partial)
        if provider is not of_rows._spark_map_condition_unexpected_count_aggregate_fn:
            return None
        condition: Column = self._value_of(partial, "unexpected_condition")[0]
        return condition

    def _count(self, metric: MetricConfiguration, domain: dict[str, Any], condition: Column | None = None) -> Question:
        """How many rows of the domain there are, or meet the condition."""
        return Question(metric.id, _how_many(self._rows(domain), condition))

    def _repeated(self, metric: MetricConfiguration, domain: dict[str, Any]) -> Question | None:
        """How many rows of the domain share their key with another: what GX counts with a window, by grouping.

        A window has no keys that cannot be sorted, though a group may: with those GX raises.
        """
        keys = [domain["column"]] if "column" in domain else self._frame[domain["column_list"]].columns
        if any(kind in field.dataType.simpleString() for field in self._frame[keys].schema for kind in _UNSORTED):
            return None
        repeated = F.sum(F.when(F.col(SIZE) > 1, F.col(SIZE)))
        return Question(metric.id, F.coalesce(repeated, F.lit(0)), metric.id, self._rows(domain), tuple(keys))

    def _buckets(self, metric: MetricConfiguration) -> Question:
        """How many rows of the domain are in each bucket of the column."""
        domain = dict(metric.metric_domain_kwargs)
        name = domain["column"]
        kind, column, rows = self._frame.schema[name].dataType, F.col(f"`{name}`"), self._rows(domain)
        there = column.isNotNull() if rows is None else rows & column.isNotNull()
        bucket = bucket_of(column, kind).cast("string").alias(_BUCKET)
        counts = F.map_from_entries(F.collect_list(F.struct(_BUCKET, SIZE)))
        return Question(metric.id, counts, metric.id, there, (bucket,), partial(spread, kind))

    def _rows(self, domain: dict[str, Any]) -> Column | None:
        """Which rows a domain means, as a predicate: what GX would filter by, taken down. None: every row."""
        taken = _Filters(self._frame)
        frames = self._engine.batch_manager.batch_data_cache
        frames[_STAND_IN] = SimpleNamespace(dataframe=taken)
        try:
            self._engine.get_domain_records({**domain, "batch_id": _STAND_IN})
        finally:
            del frames[_STAND_IN]
        return reduce(Column.__and__, taken.filters) if taken.filters else None

    def _empty_samples(self) -> Metrics:
        """The samples of rules that no row breaks."""
        found: Metrics = {}
        for id_, metric in self._metrics.items():
            rule, _, kind = metric.metric_name.rpartition(".")
            condition = metric.metric_dependencies.get("unexpected_condition")
            if kind in _SAMPLES and condition is not None:
                count = condition.id._replace(metric_name=f"{rule}.unexpected_count")
                if not self._known.get(count, 1):  # NULL counts as none: there was no row to ask about
                    found[id_] = []
        return found


def _how_many(*conditions: Column | None) -> Column:
    """The number of rows that meet some conditions; each is asked of rows that meet those before it."""
    counted = F.lit(1)
    for condition in reversed(conditions):
        counted = counted if condition is None else F.when(condition, counted)
    return F.count(counted)


class _Filters:
    """Stands in for a frame where GX filters one, and keeps what it filters by."""

    def __init__(self, frame: DataFrame) -> None:
        self.schema = frame.schema
        self.filters: list[Column] = []

    def filter(self, condition: Column | str) -> _Filters:
        self.filters.append(F.expr(condition) if isinstance(condition, str) else condition)
        return self


class _Unknown:
    """A value not known yet. Whoever uses it fails, and is left to GX, which computes the value first."""

    def _fail(self, *_: object) -> Any:
        raise LookupError("the row count is not known yet")

    __bool__ = __eq__ = __hash__ = __str__ = __int__ = __float__ = __index__ = _fail


_UNKNOWN = _Unknown()


def _calls_python(condition: Column) -> bool:
    """Whether a condition may call a function in Python: Spark shows those as no function of its own."""
    return "columnnodeexpression(" in str(condition)


def _starts_no_job(name: str) -> bool:
    return name in _SCHEMA or name.endswith(_PARTIAL)
