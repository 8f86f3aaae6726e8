"""From tiles to the values of the windowed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY, Table, Windowed
from content_signals.windows.coarse import BLOCK_DAYS, block_state, is_long
from content_signals.windows.partials import Partial, partials_of, presence
from content_signals.windows.states import State, states_of, value_of

_AGE, _PRESENT = "_age_days", "_present"

# Name -> state: the columns a tile is turned into before its key's tiles are merged.
_States = Mapping[str, State]


def finalize(
    table: Table,
    tiles: DataFrame,
    targets: DataFrame | None,
    days: Sequence[date] | None = None,
    coarse: DataFrame | None = None,
) -> DataFrame:
    """The windowed columns of each target.

    Args:
        tiles: `ds`, keys, partials; one row per key and day.
        targets: `ds` and keys: whose values, and as of the end of which day. One row each. None: every key that the
            table keeps, on each of `days`: what `present_keys` gives, without asking the tiles twice.
        days: the days that occur in `targets`, when the caller knows them: a tile is then sent to the days whose
            windows it lies in, instead of meeting every target of its key.
        coarse: coarse tiles, of days that `tiles` leaves out and that no short window reaches. Only with `days`.

    Returns:
        `ds`, keys and one column per windowed column, one row per target.
    """
    keys = [DAY, *table.keys]
    many = days is not None and len(days) > 1
    # A tile is sent to many days then: to where its key's other tiles are, before and not after.
    tiles = tiles.repartition(*table.keys) if many else tiles
    sets = [c for c in table.windowed if _keeps_set(c)]
    # Spark sorts the rows of an aggregate that merges sketches, and hashes those of one that does not.
    sketches = [c for c in table.windowed if many and _keeps_sketch(c)]
    plain = [c for c in table.windowed if c not in (*sets, *sketches)]
    if targets is None:
        result = _kept(table, tiles, coarse, _known(table, days), plain)
    else:
        result = _with(targets.select(*keys), table, tiles, targets, days, coarse, plain)
    result = _with(result, table, tiles, targets, days, coarse, sketches)
    for partial, columns in _by_partial(table, sets).items():
        aged = _aged(table, tiles, targets, days, [partial], max(c.days for c in columns))
        result = result.join(_distinct(aged, keys, partial, columns), on=keys, how="left")
    defaults = {c.name: c.default for c in table.windowed}
    filled = [F.col(n) if d is None else F.coalesce(F.col(n), F.lit(d)).alias(n) for n, d in defaults.items()]
    return result.select(*keys, *filled)


def _keeps_set(column: Windowed) -> bool:
    return column.op == "distinct" and not column.exact_to


def _keeps_sketch(column: Windowed) -> bool:
    return column.op == "approx_distinct" or column.exact_to is not None


def _with(
    result: DataFrame,
    table: Table,
    tiles: DataFrame,
    targets: DataFrame | None,
    days: Sequence[date] | None,
    coarse: DataFrame | None,
    columns: Sequence[Windowed],
) -> DataFrame:
    """The result with some columns that are no sets, null where a window holds nothing."""
    if not columns:
        return result
    keys = [DAY, *table.keys]
    states = _named(table, columns)
    horizon = max(c.days for c in columns)
    aged = _aged(table, tiles, targets, days, [s.partial for s in states.values()], horizon)
    said = _said(table, aged, states, coarse, days or (), horizon)
    return result.join(said.groupBy(*keys).agg(*_values(table, columns, states)), on=keys, how="left")


def _kept(
    table: Table, tiles: DataFrame, coarse: DataFrame | None, days: Sequence[date], plain: Sequence[Windowed]
) -> DataFrame:
    """`ds`, keys and the columns that are no sets, of every key the table keeps."""
    kept = presence(table)
    if kept is None:
        raise ValueError(f"{table.table} keeps no keys")
    states = _named(table, plain)
    horizon = max(table.keep_days, *(c.days for c in plain), 1)
    aged = _aged(table, tiles, None, days, [kept, *(s.partial for s in states.values())], horizon)
    present = (F.col(_AGE) < table.keep_days) & F.col(kept.name).isNotNull()
    said = _said(table, aged, states, coarse, days, horizon, present.alias(_PRESENT))
    values = said.groupBy(DAY, *table.keys).agg(F.max(_PRESENT).alias(_PRESENT), *_values(table, plain, states))
    return values.where(_PRESENT).drop(_PRESENT)


def _known(table: Table, days: Sequence[date] | None) -> Sequence[date]:
    if days is None:
        raise ValueError(f"{table.table}: give the targets, or the days")
    return days


def present_keys(table: Table, tiles: DataFrame, days: Sequence[date]) -> DataFrame:
    """`ds` and keys: for each of `days`, the keys with a driver row in the `keep_days` up to it."""
    kept = presence(table)
    if kept is None:
        raise ValueError(f"{table.table} keeps no keys")
    return _sent(tiles.where(F.col(kept.name).isNotNull()), days, table.keep_days).select(DAY, *table.keys).distinct()


def _aged(
    table: Table,
    tiles: DataFrame,
    targets: DataFrame | None,
    days: Sequence[date] | None,
    kept: Sequence[Partial],
    horizon: int,
) -> DataFrame:
    """Tiles that hold one of the partials, one row per target day whose window they can lie in, with their age."""
    names = list(dict.fromkeys(p.name for p in kept))
    holding = tiles.select(DAY, *table.keys, *names).dropna(how="all", subset=names)
    if targets is None or days is not None:
        return _sent(holding, _known(table, days), horizon)
    wanted = targets.select(F.col(DAY).alias("_target"), *table.keys)
    age = F.datediff("_target", DAY)
    met = holding.join(wanted, on=list(table.keys), how="inner").withColumn(_AGE, age)
    return met.where((F.col(_AGE) >= 0) & (F.col(_AGE) < horizon)).withColumn(DAY, F.col("_target")).drop("_target")


def _sent(tiles: DataFrame, days: Sequence[date], horizon: int) -> DataFrame:
    """Each tile once per day of `days` in [ds, ds + horizon), `ds` replaced by that day, its age beside it."""
    all_days = F.array(*[F.lit(day) for day in days])
    reached = F.filter(all_days, lambda day: (day >= F.col(DAY)) & (F.datediff(day, F.col(DAY)) < horizon))
    sent = tiles.withColumn("_target", F.explode(reached)).withColumn(_AGE, F.datediff("_target", DAY))
    return sent.withColumn(DAY, F.col("_target")).drop("_target")


def _named(table: Table, columns: Sequence[Windowed]) -> dict[str, State]:
    return {_name(column, n): state for column in columns for n, state in enumerate(states_of(table, column))}


def _name(column: Windowed, number: int) -> str:
    return f"_{column.name}_{number}"


def _said(
    table: Table,
    aged: DataFrame,
    states: _States,
    coarse: DataFrame | None,
    days: Sequence[date],
    horizon: int,
    *more: Column,
) -> DataFrame:
    """`ds`, the keys and the states of each aged tile, coarse ones too."""
    keys = [DAY, *table.keys]
    said = [s.of_day(F.col(s.partial.name), F.col(_AGE)).alias(name) for name, s in states.items()]
    fine = aged.select(*keys, *more, *said)
    if coarse is None:
        return fine
    long = {_name(c, n) for c in table.windowed if is_long(c) for n in range(len(states_of(table, c)))} & states.keys()
    if not long:
        return fine
    # A block reaches back further than its first day lets it seem.
    blocks = _sent(coarse, days, horizon + BLOCK_DAYS)
    folded = [block_state(state, F.col(_AGE)).alias(name) for name, state in states.items() if name in long]
    return fine.unionByName(blocks.select(*keys, *folded), allowMissingColumns=True)


def _values(table: Table, columns: Sequence[Windowed], states: _States) -> list[Column]:
    """Aggregates of the states of a key's tiles."""

    def merged(column: Windowed) -> list[Column]:
        names = [_name(column, n) for n in range(len(states_of(table, column)))]
        return [states[name].merge(F.col(name)) for name in names]

    return [value_of(column, merged(column)).alias(column.name) for column in columns]


def _distinct(aged: DataFrame, keys: list[str], partial: Partial, columns: Sequence[Windowed]) -> DataFrame:
    """Distinct values per key, of the sets of the days that each window reaches.

    Sets stay arrays: a row for each value would have to be shuffled and hashed twice.
    """
    sets = F.col(partial.name)
    counts = [F.size(_union(F.when(F.col(_AGE) < c.days, sets))).cast("long").alias(c.name) for c in columns]
    return aged.groupBy(*keys).agg(*counts)


def _union(sets: Column) -> Column:
    return F.array_distinct(F.flatten(F.collect_list(sets)))


def _by_partial(table: Table, columns: Sequence[Windowed]) -> dict[Partial, list[Windowed]]:
    found: dict[Partial, list[Windowed]] = {}
    for column in columns:
        found.setdefault(partials_of(table, column)[0], []).append(column)
    return found
