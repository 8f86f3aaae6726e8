"""Metrics of Great Expectations that Parquet footers answer: what needs no scan.

A metric that is not proved is asked of the rows. Proofs hold for all rows only: a metric with a row condition has none.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from great_expectations.util import convert_to_json_serializable
from great_expectations.validator.metric_configuration import MetricConfiguration
from pyspark.sql.types import DataType, DateType, DoubleType, FloatType, IntegralType, StructType

from content_signals.quality.footers import ColumnFacts, Footers

# Above it not every integer is a double, and Spark compares a long with a double as doubles.
_EXACT = 2**53
_OF_BETWEEN = {"min_value", "max_value", "strict_min", "strict_max"}


def proved(footers: Footers, schema: StructType, metric: MetricConfiguration) -> Any:
    """The metric's value as GX would have it; None when the footers do not prove one."""
    if any(metric.metric_domain_kwargs.get(name) for name in ("row_condition", "filter_conditions")):
        return None
    if metric.metric_name == "table.row_count":
        return footers.rows
    name = metric.metric_domain_kwargs.get("column")
    facts = footers.columns.get(name) if isinstance(name, str) else None
    if facts is None or name not in schema.fieldNames() or not footers.rows:  # of no rows GX has NULL
        return None
    return _of_column(footers.rows, facts, schema[name].dataType, metric)


def _of_column(rows: int, facts: ColumnFacts, kind: DataType, metric: MetricConfiguration) -> Any:
    name: str = metric.metric_name
    arguments: dict[str, Any] = metric.metric_value_kwargs or {}
    if name == "column_values.nonnull.unexpected_count":
        return facts.nulls
    if name in ("column_values.null.unexpected_count", "column.non_null_count"):
        return None if facts.nulls is None else rows - facts.nulls
    if not facts.bounded or facts.least is None:
        return None
    if name in ("column.min", "column.max") and _is_exact(kind, facts):
        return convert_to_json_serializable(data=facts.least if name == "column.min" else facts.greatest)
    if name == "column_values.between.unexpected_count" and _all_between(kind, facts, arguments):
        return 0
    if name == "column_values.in_set.unexpected_count" and _all_in(kind, facts, arguments):
        return 0
    return None


def _is_exact(kind: DataType, facts: ColumnFacts) -> bool:
    """Whether the bounds are values of the column as Spark sees them."""
    if isinstance(kind, DateType):
        return type(facts.least) is date
    return isinstance(kind, IntegralType) and type(facts.least) is int


def _all_between(kind: DataType, facts: ColumnFacts, arguments: dict[str, Any]) -> bool:
    if any(value is not None for name, value in arguments.items() if name not in _OF_BETWEEN):
        return False
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None and high is None:
        return False
    if isinstance(kind, FloatType | DoubleType):
        # NaN is in no footer, and greater than any upper bound.
        comparable = high is None and _is_number(low) and abs(low or 0) < _EXACT and isinstance(facts.least, float)
    else:
        comparable = _is_exact(kind, facts) and all(
            bound is None or (_is_number(bound) and _compares(bound, facts)) for bound in (low, high)
        )
    return comparable and _holds(facts, low, high, arguments)


def _holds(facts: ColumnFacts, low: Any, high: Any, arguments: dict[str, Any]) -> bool:
    above = low is None or (facts.least > low if arguments.get("strict_min") else facts.least >= low)
    below = high is None or (facts.greatest < high if arguments.get("strict_max") else facts.greatest <= high)
    return bool(above and below)


def _all_in(kind: DataType, facts: ColumnFacts, arguments: dict[str, Any]) -> bool:
    values = arguments.get("value_set") or []
    return (
        isinstance(kind, IntegralType)
        and _is_exact(kind, facts)
        and facts.least == facts.greatest
        and all(type(value) is int for value in values)
        and facts.least in values
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool | datetime) and value == value


def _compares(bound: Any, facts: ColumnFacts) -> bool:
    """Whether Python compares an integer column's bounds with a number just as Spark compares the rows."""
    if type(facts.least) is not int:
        return False
    return type(bound) is int or max(abs(facts.least), abs(facts.greatest), abs(bound)) < _EXACT
