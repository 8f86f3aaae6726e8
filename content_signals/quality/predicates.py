"""Rules of a suite as predicates: which rows break them. Great Expectations compiles them, without asking a row."""

from __future__ import annotations

from functools import reduce
from typing import Any

from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validation_graph import ValidationGraph
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.quality.plan import Plan, Predicate, Prepared

_YES_OR_NO = {"result_format": {"result_format": "BOOLEAN_ONLY"}}


def predicate_of(rule: Any, engine: Any, batch_id: str) -> Predicate | None:
    """The rows a rule of a suite is broken by.

    None for a rule about the frame as a whole, for one whose condition hangs on an aggregate of the rows, as a z-score
    does, and for one about their order.

    Args:
        rule: an expectation.
        engine: GX's Spark engine, with the frame loaded as this batch.
    """
    kind = getattr(rule, "map_metric", None)
    if not kind:
        return None
    asked = rule.get_validation_dependencies(execution_engine=engine, runtime_configuration=_YES_OR_NO)
    count = asked.metric_configurations.get(f"{kind}.unexpected_count")
    if count is None:
        return None
    domain = {**count.metric_domain_kwargs, "batch_id": batch_id}
    metric = MetricConfiguration(f"{kind}.condition", domain, count.metric_value_kwargs)
    graph = ValidationGraph(execution_engine=engine)
    graph.build_metric_dependency_graph(metric_configuration=metric, runtime_configuration=_YES_OR_NO)
    return Plan(engine, graph, _YES_OR_NO, Prepared(), None).predicate(metric)


def flagged(frame: DataFrame, predicates: dict[str, Predicate], rules: str) -> tuple[DataFrame, Column]:
    """The frame with a column of the names of the rules each row breaks, and the predicate that it breaks any.

    Rows that break none cost one OR: filter by the predicate before looking at the names.
    """
    windows = {name: f"__window_{n}" for n, (name, p) in enumerate(predicates.items()) if p.window}
    for name, column in windows.items():
        frame = _with_window(frame, predicates[name], column)
    breaks = {name: F.col(windows[name]) if name in windows else p.breaks for name, p in predicates.items()}
    names = F.array(*[F.when(broken, F.lit(name)) for name, broken in breaks.items()])
    marked = frame.withColumn(rules, F.filter(names, lambda name: name.isNotNull()))
    return marked, reduce(Column.__or__, breaks.values())


def _with_window(frame: DataFrame, predicate: Predicate, name: str) -> DataFrame:
    """The frame with a column of what a window says: it is computed in a projection, never in a filter."""
    if predicate.among is None:
        return frame.select("*", predicate.breaks.alias(name))
    inside = F.coalesce(predicate.among, F.lit(False))
    judged = frame.where(inside).select("*", predicate.breaks.alias(name))
    return judged.unionByName(frame.where(~inside).select("*", F.lit(False).alias(name)))
