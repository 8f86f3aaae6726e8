"""What one day's partials say about a column, and how days are put together: states that merge, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor

from pyspark.sql import Column
from pyspark.sql import functions as F

from content_signals.contract import Table, Windowed
from content_signals.windows.partials import FIXED_POINT, Partial, partials_of


@dataclass(frozen=True)
class State:
    """One part of a column's value.

    Attributes:
        partial: what it is made from.
        of_day: the partial of a day and the day's age in days -> the state; null where the day says nothing.
        merge: states of rows -> one, an aggregate that passes over nulls.
        fold: states in an array, none of them null -> one; never asked about an empty array.
    """

    partial: Partial
    of_day: Callable[[Column, Column], Column]
    merge: Callable[[Column], Column]
    fold: Callable[[Column], Column]


def states_of(table: Table, column: Windowed) -> tuple[State, ...]:
    """The states of a windowed column, of any but a `distinct` without a threshold: its sets are not merged by row."""

    def within(value: Column, age: Column) -> Column:
        return F.when(age < column.days, value)

    parts = partials_of(table, column)
    first = parts[0]
    if column.op == "days_since":
        return (State(first, lambda value, age: within(F.when(value.isNotNull(), age), age), F.min, F.array_min),)
    if column.op == "last":
        return (State(first, lambda value, age: within(_recent(value, age), age), F.max, F.array_max),)
    if column.half_life_days:
        return (State(first, lambda value, age: within(_weighed(column, value, age), age), F.sum, _added),)
    if first.kind in ("hll", "theta"):
        return (State(first, within, first.merge, lambda sketches: _folded(sketches, first.merge_two)),)
    merge, fold = {"min": (F.min, F.array_min), "max": (F.max, F.array_max)}.get(first.kind, (F.sum, _added))
    return tuple(State(part, within, merge, fold) for part in parts)


def value_of(column: Windowed, merged: Sequence[Column]) -> Column:
    """The column's value from its merged states; null where the window is empty."""
    first, *others = merged
    if column.op in ("mean", "ratio"):
        counted = first if column.op == "mean" else F.coalesce(first, F.lit(0))  # a ratio of no rows to some is 0
        return counted.cast("double") / others[0]
    if column.op == "last":
        return first.getField("last").getField("value")
    if column.op == "approx_distinct":
        return F.hll_sketch_estimate(first)
    if column.exact_to:
        return F.theta_sketch_estimate(first)
    if column.half_life_days and column.op == "count":
        return first / F.lit(FIXED_POINT)
    if column.half_life_days:
        return first.cast("double") / F.lit(float(FIXED_POINT))
    return first


def _recent(value: Column, age: Column) -> Column:
    return F.when(value.isNotNull(), F.struct((-age).alias("recency"), value.alias("last")))


def _weighed(column: Windowed, value: Column, age: Column) -> Column:
    """Value * 2^(-age / half life), in fixed point.

    A count stays far below 2^63 / 2^30 and is added as a long; a sum may not, and is added as a decimal of 38 digits.
    """
    assert column.half_life_days
    weight = F.get(F.lit(_weights(column.half_life_days, column.days)), age)
    if column.op == "count":
        return value * weight
    return (value.cast("decimal(38,0)") * weight.cast("decimal(10,0)")).cast("decimal(38,0)")


def _weights(half_life_days: float, days: int) -> list[int]:
    """round(2^30 * 2^(-age / half life)), halves up as SQL rounds, for each age.

    A list to look into: a power for each row is slow in the JVM.
    """
    return [floor(FIXED_POINT * 2.0 ** (-age / half_life_days) + 0.5) for age in range(days)]


def _added(values: Column) -> Column:
    # The first value gives the type, which adding keeps: a long, or a decimal of 38 digits.
    return _folded(values, lambda one, other: one + other)


def _folded(values: Column, two: Callable[[Column, Column], Column]) -> Column:
    return F.aggregate(F.slice(values, 2, F.greatest(F.size(values) - 1, F.lit(0))), F.get(values, F.lit(0)), two)
