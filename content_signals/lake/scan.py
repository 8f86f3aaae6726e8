"""Rows of a Delta table in Arrow, those that a condition is true of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa


def rows_where(
    data: Any, columns: Sequence[str], by: Sequence[str], wanted: Any, at_once: int = 131_072
) -> Iterator[tuple[str, pa.Table]]:
    """Of each file the rows that are wanted, some at a time, with its path; nothing of a file without any.

    A file that `DeltaTable.delete` has written again has texts as views (deltalake 1.6), which pyarrow 26 cannot
    compare with its statistics: it is read whole, and looked through here.

    Args:
        data: the table as a pyarrow dataset.
        columns: which are given.
        by: the columns that the condition is about.
        wanted: the condition.
        at_once: rows, at most.
    """
    read = list(dict.fromkeys((*columns, *by)))
    for fragment in data.get_fragments(wanted):
        views = any(plain(one.type) != one.type for one in fragment.physical_schema)
        for batch in fragment.to_batches(
            schema=data.schema, columns=read, filter=None if views else wanted, batch_size=at_once
        ):
            rows = pa.Table.from_batches([batch])
            rows = rows.filter(wanted) if views else rows
            if rows.num_rows:
                yield str(fragment.path), rows.select(list(columns))


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without views, in lists neither: what such a file has to be read as."""
    if pa.types.is_list(kind):
        inner = plain(kind.value_type)
        return kind if inner == kind.value_type else pa.list_(inner)
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """A file's schema without views."""
    return pa.schema([field.with_type(plain(field.type)) for field in schema])
