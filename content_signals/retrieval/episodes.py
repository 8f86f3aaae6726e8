"""What signals say of the episodes of an index: the columns that searches can be narrowed by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from content_signals.catalog import Catalog
from content_signals.contract import Table
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.signals.entities import EPISODE

# What a condition can be about, as it is kept: times are left out, and lists of other things.
_KEPT: dict[str, Any] = {
    "string": pa.string(), "boolean": pa.bool_(), "int": pa.int64(), "bigint": pa.int64(), "double": pa.float64(),
    "array<string>": pa.list_(pa.string()),
}  # fmt: skip


@dataclass(frozen=True)
class DayRead:
    """A day of a table as it was promoted."""

    table: Table
    snapshot: Snapshot
    day: date

    @property
    def digest(self) -> str:
        """Names the rows: another digest, other rows."""
        stage = self.snapshot.stage(self.day)
        return stage.digest if stage else ""

    def rows(self, columns: Sequence[str]) -> pa.Table:
        """Some of its columns, null where a file does not have them."""
        assert self.snapshot.delta is not None
        found = self.snapshot.delta.to_pyarrow_dataset(file_pruning_predicate=[("ds", "=", str(self.day))])
        there = [name for name in columns if name in found.schema.names]
        return found.to_table(columns=there)

    def distinct(self, column: str) -> set[str]:
        """What is in a column of texts."""
        return {str(value) for value in self.rows([column]).column(column).unique().to_pylist()}


def days_of_episodes(live: Iterable[Table], lake: Lake, day: date) -> list[DayRead]:
    """Of each of these tables that is about episodes the newest promoted day up to `day`, where there is one."""
    tables = [table for table in live if table.entity == EPISODE]
    reads = ((table, Snapshot(lake.of(table))) for table in tables)
    return [
        DayRead(table, snapshot, max(days))
        for table, snapshot in reads
        if (days := [d for d in snapshot.days if d <= day])
    ]


def signals_of(reads: Iterable[DayRead], known: Catalog, episode_ids: Sequence[str]) -> pa.Table:
    """The signals of some episodes, in their order; null where a table has no row of one.

    Returns:
        episode_id, and a column a signal: named after the column, and where two tables have one of that name after
        family and column.
    """
    reads = list(reads)
    named = Counter(column.name for read in reads for column in read.table.columns)
    made = pa.table({"episode_id": pa.array(episode_ids, pa.string())})
    for read in reads:
        types = known.types(read.table)
        kept = [column.name for column in read.table.columns if types[column.name] in _KEPT]
        rows = read.rows(["episode_id", *kept])
        places = pc.index_in(made.column("episode_id"), value_set=rows.column("episode_id"))
        for name in kept:
            kind = _KEPT[types[name]]
            there = rows.column(name) if name in rows.column_names else pa.nulls(rows.num_rows, kind)
            column = there.cast(kind).take(places)
            made = made.append_column(name if named[name] == 1 else f"{read.table.family}_{name}", column)
    return made
