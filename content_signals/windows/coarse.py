"""Coarse tiles: a key's tiles of 32 days in one row, for windows so long that a row a day would be too many.

A coarse tile keeps its days apart. What a day weighs depends on its age, and a window may begin in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY, Table, Windowed
from content_signals.windows.partials import Partial, partials_of
from content_signals.windows.states import State

BLOCK_DAYS = 32
LONG_DAYS = 2 * BLOCK_DAYS  # a window up to here reads a day's tiles by themselves
_AT, _VALUE = "at", "value"
_EPOCH = date(1970, 1, 1)


def block_of(day: date) -> date:
    """First day of the block a day lies in: blocks follow each other from 1970-01-01 on."""
    return day - timedelta(days=(day - _EPOCH).days % BLOCK_DAYS)


def is_long(column: Windowed) -> bool:
    """Whether the column is made from coarse tiles. Sets of all values stay by day: they cannot be merged by row."""
    return column.days > LONG_DAYS and (column.op != "distinct" or column.exact_to is not None)


def coarse_partials(table: Table) -> tuple[Partial, ...]:
    """What the table's coarse tiles keep; nothing when no window is long."""
    long = [column for column in table.windowed if is_long(column)]
    return tuple(dict.fromkeys(partial for column in long for partial in partials_of(table, column)))


def first_fine_day(table: Table, first: date) -> date:
    """Tiles of single days are read from here on, for a target on `first` or later; before it, whole blocks."""
    short = [column.days for column in table.windowed if not is_long(column)]
    return block_of(first - timedelta(days=max([table.keep_days, 1, *short]) - 1))


def coarsen(table: Table, tiles: DataFrame) -> DataFrame:
    """Tiles of whole blocks to `ds`, the block's first day; the keys; and of each partial the days that have it.

    A partial is an array of (place in the block, value), in order of the days; null where no day has it.
    """
    names = [partial.name for partial in coarse_partials(table)]
    at = F.pmod(F.unix_date(DAY), F.lit(BLOCK_DAYS))
    days = {n: F.when(F.col(n).isNotNull(), F.struct(at.alias(_AT), F.col(n).alias(_VALUE))).alias(n) for n in names}
    kept = tiles.dropna(how="all", subset=names).select(F.date_sub(DAY, at).alias(DAY), *table.keys, *days.values())
    return kept.groupBy(DAY, *table.keys).agg(*[_array(name) for name in names])


def _array(name: str) -> Column:
    days = F.sort_array(F.collect_list(name))
    return F.when(F.size(days) > 0, days).alias(name)


def block_state(state: State, age_of_block: Column) -> Column:
    """What the days of a block say together, the block's first day being so many days old."""

    def of_day(day: Column) -> Column:
        return state.of_day(day.getField(_VALUE), age_of_block - day.getField(_AT))

    said = F.filter(F.transform(state.partial.name, of_day), lambda one: one.isNotNull())
    return F.when(F.size(said) > 0, state.fold(said))


def blocks_of(days: Iterable[date]) -> dict[date, list[date]]:
    """Block -> those of the days that lie in it."""
    found: dict[date, list[date]] = {}
    for day in days:
        found.setdefault(block_of(day), []).append(day)
    return found
