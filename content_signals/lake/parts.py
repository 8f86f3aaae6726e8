"""Which rows of a table are parts of something: looked up in its files, without Spark."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from content_signals.lake.files import filesystem
from content_signals.lake.layout import LakeTable
from content_signals.lake.scan import rows_where
from content_signals.lake.snapshot import Snapshot


def every_file(table: LakeTable) -> list[str]:
    """The files of every row that a table has, or has had and keeps in its history."""
    return [*Snapshot(table).files(), *Snapshot(table.history).files()]


def owners_of(paths: Sequence[str], key: str, column: str, owners: Collection[str]) -> dict[str, str]:
    """Key -> owner, of the rows whose `column` names one of the owners.

    Args:
        paths: Parquet files; one that lacks the column has no such row.
    """
    if not paths or not owners:
        return {}
    files, _ = filesystem(paths[0])
    inner = [filesystem(path)[1] for path in paths]
    data: Any = ds.dataset(
        inner, schema=pa.schema({key: pa.string(), column: pa.string()}), format="parquet", filesystem=files
    )
    found: dict[str, str] = {}
    for _, rows in rows_where(data, [key, column], [column], ds.field(column).isin(sorted(owners))):
        pairs: Any = zip(rows.column(key).to_pylist(), rows.column(column).to_pylist(), strict=True)
        found.update(pairs)
    return found
