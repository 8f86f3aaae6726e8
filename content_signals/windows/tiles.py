"""Tiles: one row per key and day, with every partial of the table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY, Table
from content_signals.windows.partials import partials


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
    keyed = rows.dropna(subset=list(table.keys))
    return keyed.groupBy(DAY, *table.keys).agg(*[p.of_rows(rows.schema).alias(n) for n, p in own.items()])
