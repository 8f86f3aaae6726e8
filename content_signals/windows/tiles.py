"""Tiles: one row per key and day, with every partial of the table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY, Table
from content_signals.windows.partials import Partial, partials

# Kinds whose partials Spark holds in a hash table, and merges into the same.
_NESTED = ("count", "sum", "min", "max")


def partial_columns(table: Table) -> tuple[str, ...]:
    """Names of the partials in the table's tiles."""
    return tuple(partials(table))


def tile(table: Table, events: Mapping[str, DataFrame]) -> DataFrame:
    """Rows of each input, by table name, to tiles: `ds`, the keys, the partials. Rows without a key are passed over."""
    parts = [_tile_of(table, name, rows) for name, rows in events.items() if name in table.tiled_inputs]
    if len(parts) == 1:
        return parts[0].select(DAY, *table.keys, *partial_columns(table))
    together = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), parts)
    return merge_tiles(table, together)


def merge_tiles(table: Table, tiles: DataFrame) -> DataFrame:
    """Tiles of the same key and day, merged: associative and commutative."""
    merged = [partial.merge(F.col(name)).alias(name) for name, partial in partials(table).items()]
    return tiles.groupBy(DAY, *table.keys).agg(*merged)


def _tile_of(table: Table, name: str, rows: DataFrame) -> DataFrame:
    own = {n: p for n, p in partials(table).items() if p.input_table == name}
    keyed = rows.where(reduce(Column.__and__, [F.col(key).isNotNull() for key in table.keys]))
    by = [DAY, *table.keys]
    sets = [p for p in own.values() if p.kind == "set"]
    if not sets:
        return _aggregated(keyed, by, own)
    nested = {n: p for n, p in own.items() if p.kind in _NESTED}
    others = {n: p for n, p in own.items() if p.kind not in (*_NESTED, "set")}
    tiles = _with_set(keyed, by, nested, sets[0])
    apart = [_with_set(keyed, by, {}, partial) for partial in sets[1:]]
    apart += [_aggregated(keyed, by, others)] if others else []
    return reduce(lambda left, right: left.join(right, on=by, how="left"), apart, tiles)


def _aggregated(rows: DataFrame, by: list[str], wanted: Mapping[str, Partial]) -> DataFrame:
    return rows.groupBy(*by).agg(*[p.of_rows(rows.schema).alias(n) for n, p in wanted.items()])


def _with_set(rows: DataFrame, by: list[str], nested: Mapping[str, Partial], of: Partial) -> DataFrame:
    """Tiles with a set of values: a row per key and value first, then the values of a key together.

    Collecting a set straight from the rows would sort all of them: it is no aggregate that Spark can hash. One row a
    value is, and the partials that are, go along.
    """
    values = rows.groupBy(*by, of.value().alias(of.name)).agg(
        F.lit(1).alias("_one"), *[p.of_rows(rows.schema).alias(n) for n, p in nested.items()]
    )
    together = F.sort_array(F.collect_list(of.name))
    return values.groupBy(*by).agg(
        *[p.merge(F.col(n)).alias(n) for n, p in nested.items()],
        F.when(F.size(together) > 0, together).alias(of.name),
    )
