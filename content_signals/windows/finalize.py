"""From tiles to the values of the windowed columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from math import floor

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY, Table, Windowed
from content_signals.windows.partials import FIXED_POINT, Partial, partials_of, presence

_AGE, _PRESENT = "_age_days", "_present"


def finalize(
    table: Table, tiles: DataFrame, targets: DataFrame | None, days: Sequence[date] | None = None
) -> DataFrame:
    """The windowed columns of each target.

    Args:
        tiles: `ds`, keys, partials; one row per key and day.
        targets: `ds` and keys: whose values, and as of the end of which day. One row each. None: every key that the
            table keeps, on each of `days`: what `present_keys` gives, without asking the tiles twice.
        days: the days that occur in `targets`, when the caller knows them: a tile is then sent to the days whose
            windows it lies in, instead of meeting every target of its key.

    Returns:
        `ds`, keys and one column per windowed column, one row per target.
    """
    keys = [DAY, *table.keys]
    sets = [c for c in table.windowed if _keeps_set(c)]
    plain = [c for c in table.windowed if not _keeps_set(c)]
    if targets is None:
        result = _kept(table, tiles, _known(table, days), plain)
    else:
        result = targets.select(*keys)
        if plain:
            horizon = max(c.days for c in plain)
            aged = _aged(table, tiles, targets, days, _partials_of(table, plain), horizon)
            values = aged.groupBy(*keys).agg(*[_value(table, c).alias(c.name) for c in plain])
            result = result.join(values, on=keys, how="left")
    for partial, columns in _by_partial(table, sets).items():
        aged = _aged(table, tiles, targets, days, [partial], max(c.days for c in columns))
        result = result.join(_distinct(aged, keys, partial, columns), on=keys, how="left")
    defaults = {c.name: c.default for c in table.windowed}
    filled = [F.col(n) if d is None else F.coalesce(F.col(n), F.lit(d)).alias(n) for n, d in defaults.items()]
    return result.select(*keys, *filled)


def _keeps_set(column: Windowed) -> bool:
    return column.op == "distinct" and not column.exact_to


def _kept(table: Table, tiles: DataFrame, days: Sequence[date], plain: Sequence[Windowed]) -> DataFrame:
    """`ds`, keys and the columns that are no sets, of every key the table keeps."""
    kept = presence(table)
    if kept is None:
        raise ValueError(f"{table.table} keeps no keys")
    horizon = max(table.keep_days, *(c.days for c in plain), 1)
    aged = _aged(table, tiles, None, days, [kept, *_partials_of(table, plain)], horizon)
    present = F.max((F.col(_AGE) < table.keep_days) & F.col(kept.name).isNotNull())
    values = [_value(table, c).alias(c.name) for c in plain]
    return aged.groupBy(DAY, *table.keys).agg(present.alias(_PRESENT), *values).where(_PRESENT).drop(_PRESENT)


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
    kept: Iterable[Partial],
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


def _value(table: Table, column: Windowed) -> Column:
    """Aggregate of a key's aged tiles."""
    first, *others = partials_of(table, column)
    inside = F.col(_AGE) < column.days

    def within(value: Column) -> Column:
        return F.when(inside, value)

    if column.op == "days_since":
        return F.min(within(F.when(F.col(first.name).isNotNull(), F.col(_AGE))))
    if column.op in ("mean", "ratio"):
        part, whole = F.sum(within(F.col(first.name))), F.sum(within(F.col(others[0].name)))
        counted = part if column.op == "mean" else F.coalesce(part, F.lit(0))  # a ratio of no rows to some is 0
        return counted.cast("double") / whole
    if column.op == "last":
        value = F.col(first.name)
        latest = F.max(
            within(F.when(value.isNotNull(), F.struct((-F.col(_AGE)).alias("recency"), value.alias("last"))))
        )
        return latest.getField("last").getField("value")
    if column.op == "approx_distinct":
        sketch = within(F.col(first.name))
        return F.when(F.count(sketch) > 0, F.hll_sketch_estimate(F.hll_union_agg(sketch)))
    if column.exact_to:
        # A union brings the sketch of a single tile, which may hold up to twice its entries, to its size.
        return F.theta_sketch_estimate(first.merge(within(F.col(first.name))))
    if column.half_life_days:
        return _decayed(column.half_life_days, column.days, within(F.col(first.name)), exact=column.op == "count")
    return first.merge(within(F.col(first.name)))


def _decayed(half_life_days: float, days: int, value: Column, *, exact: bool) -> Column:
    """Sum of value * 2^(-age / half life), added up in fixed point.

    A count stays far below 2^63 / 2^30 and is added as a long; a sum may not, and is added as a decimal of 38 digits.
    """
    weight = F.get(F.lit(_weights(half_life_days, days)), F.col(_AGE))
    if exact:
        return F.sum(value * weight) / F.lit(FIXED_POINT)
    product = value.cast("decimal(38,0)") * weight.cast("decimal(10,0)")
    return F.sum(product.cast("decimal(38,0)")).cast("double") / F.lit(float(FIXED_POINT))


def _weights(half_life_days: float, days: int) -> list[int]:
    """round(2^30 * 2^(-age / half life)), halves up as SQL rounds, for each age.

    A list to look into: a power for each row is slow in the JVM.
    """
    return [floor(FIXED_POINT * 2.0 ** (-age / half_life_days) + 0.5) for age in range(days)]


def _distinct(aged: DataFrame, keys: list[str], partial: Partial, columns: Sequence[Windowed]) -> DataFrame:
    """Distinct values per key, of the sets of the days that each window reaches.

    Sets stay arrays: a row for each value would have to be shuffled and hashed twice.
    """
    sets = F.col(partial.name)
    counts = [F.size(_union(F.when(F.col(_AGE) < c.days, sets))).cast("long").alias(c.name) for c in columns]
    return aged.groupBy(*keys).agg(*counts)


def _union(sets: Column) -> Column:
    return F.array_distinct(F.flatten(F.collect_list(sets)))


def _partials_of(table: Table, columns: Iterable[Windowed]) -> list[Partial]:
    return [partial for column in columns for partial in partials_of(table, column)]


def _by_partial(table: Table, columns: Iterable[Windowed]) -> dict[Partial, list[Windowed]]:
    found: dict[Partial, list[Windowed]] = {}
    for column in columns:
        found.setdefault(partials_of(table, column)[0], []).append(column)
    return found
