"""Partials: what a day keeps of a key's rows so that any window can be merged from days.

Windows that differ only in length, or in how days are weighed, share a partial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, IntegralType, StructType

from content_signals.contract import Table, Windowed
from content_signals.errors import ContractError

# Decay weights are fixed-point longs: sums of longs do not depend on the order of the rows.
FIXED_POINT = 1 << 30
# 2^12 buckets: relative standard error 1.6 % (0.83 / sqrt(2^12) is HLL_8's in Apache DataSketches, 1.04 the classic).
SKETCH_LOG2_BUCKETS = 12


@dataclass(frozen=True)
class Partial:
    """One mergeable column of a tile.

    Attributes:
        kind: count, sum, min, max, last, set, hll (a HyperLogLog sketch) or theta (a sketch of the hashes of up to
            `exact_to` values, and above that of the smallest hashes).
        rows: the filter of the table's input; it was applied before, and is part of what the partial is.
        declared: a windowed column that is merged from it, for messages; no part of what the partial is.
    """

    kind: str
    input_table: str
    column: str = ""
    where: str = ""
    order_by: str = ""
    rows: str = ""
    exact_to: int = 0
    declared: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """Column name in the tile: readable, and unique by the definition: a changed one is not taken for it."""
        parts = [self.kind, self.input_table, self.column, self.where, self.order_by, self.rows]
        definition = "\x1f".join([*parts, str(self.exact_to)] if self.exact_to else parts)
        digest = hashlib.sha256(definition.encode()).hexdigest()[:8]
        return "_".join(filter(None, (self.kind, self.column, digest)))

    def of_rows(self, schema: StructType) -> Column:
        """Aggregate of a day's rows of a key. Null when no row counts, so that tiles stay sparse."""
        value = self.value()
        if self.kind == "count":
            return F.nullif(F.count(value), F.lit(0).cast("long"))
        if self.kind == "sum":
            self._check_summable(schema)
            return F.sum(value)
        if self.kind == "set":
            values = F.sort_array(F.collect_set(value))
            return F.when(F.size(values) > 0, values)
        if self.kind in ("hll", "theta"):
            hashed = _hashable(value, schema[self.column].dataType)
            if self.kind == "hll":
                return F.when(F.count(value) > 0, F.hll_sketch_agg(hashed, SKETCH_LOG2_BUCKETS))
            return F.when(F.count(value) > 0, F.theta_sketch_agg(hashed, self._log2_entries))
        if self.kind == "last":
            order = F.col(self.order_by) if self.order_by else F.lit(0)
            return F.max(F.when(value.isNotNull(), F.struct(order.alias("order"), value.alias("value"))))
        return F.min(value) if self.kind == "min" else F.max(value)

    def value(self) -> Column:
        """What a row has to say: null where it does not count."""
        condition = F.expr(self.where) if self.where else F.lit(True)
        return F.when(condition, F.col(self.column) if self.column else F.lit(1))

    def merge(self, values: Column) -> Column:
        """Aggregate of partials. Nulls are passed over."""
        if self.kind in ("count", "sum"):
            return F.sum(values)
        if self.kind == "set":
            merged = F.sort_array(F.array_distinct(F.flatten(F.collect_list(values))))
            return F.when(F.size(merged) > 0, merged)
        if self.kind == "hll":
            return F.when(F.count(values) > 0, F.hll_union_agg(values))
        if self.kind == "theta":
            return F.when(F.count(values) > 0, F.theta_union_agg(values, self._log2_entries))
        return F.min(values) if self.kind == "min" else F.max(values)

    def merge_two(self, one: Column, other: Column) -> Column:
        """Two sketches to one."""
        if self.kind == "hll":
            return F.hll_union(one, other)
        return F.theta_union(one, other, self._log2_entries)

    @property
    def _log2_entries(self) -> int:
        return self.exact_to.bit_length() - 1

    def _check_summable(self, schema: StructType) -> None:
        kind = schema[self.column].dataType
        if not isinstance(kind, IntegralType | DecimalType):
            raise ContractError(
                f"{self.declared}: {self.input_table}.{self.column} is {kind.simpleString()}: "
                "a sum of it would depend on the order of the rows",
                next_step="sum a whole number of a smaller unit instead (ms, cents)",
            )


def _hashable(value: Column, kind: DataType) -> Column:
    """What a sketch is given of a value: a whole number as it is, whatever its width; else a hash of 64 bits.

    Of the text itself the sketches pass over the empty one.
    """
    return value.cast("long") if isinstance(kind, IntegralType) else F.when(value.isNotNull(), F.xxhash64(value))


def partials_of(table: Table, column: Windowed) -> tuple[Partial, ...]:
    """The partials a windowed column of a table is merged from."""
    rows = _filter_of(table, column.input_table)
    base: dict[str, Any] = {
        "input_table": column.input_table,
        "where": column.where,
        "rows": rows,
        "declared": column.name,
    }
    if column.op in ("count", "days_since"):
        return (Partial("count", **base),)
    if column.op == "ratio":
        return Partial("count", **base), Partial("count", **{**base, "where": column.over})
    if column.op == "mean":
        return Partial("sum", column=column.column, **base), Partial("count", column=column.column, **base)
    if column.exact_to:
        return (Partial("theta", column=column.column, exact_to=column.exact_to, **base),)
    kind = {"distinct": "set", "approx_distinct": "hll"}.get(column.op, column.op)
    return (Partial(kind, column=column.column, order_by=column.order_by, **base),)


def presence(table: Table) -> Partial | None:
    """Counts driver rows of a key: what keeps the key in the table for `keep_days`."""
    return Partial("count", table.driver.table, rows=table.driver.where) if table.keep_days else None


def partials(table: Table) -> Mapping[str, Partial]:
    """Every partial of a table's tiles, by column name."""
    found = [partial for column in table.windowed for partial in partials_of(table, column)]
    if kept := presence(table):
        found.append(kept)
    return {partial.name: partial for partial in found}


def _filter_of(table: Table, input_table: str) -> str:
    return next(read.where for read in table.all_inputs if read.table == input_table)
