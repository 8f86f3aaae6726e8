"""Rows of some keys, erased from a table: its files are written again without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.dataset as ds

from content_signals.lake.commit import commit
from content_signals.lake.layout import LakeTable
from content_signals.lake.scan import rows_where
from content_signals.lake.snapshot import Snapshot

_AT_ONCE = 1_000  # keys in one commit


def purge(table: LakeTable, column: str, keys: Sequence[str]) -> int:
    """Erase every row of these keys, of all days; how many there were. A table that does not exist has none.

    The rows are in no version from then on; their old files go when upkeep removes what no version needs.

    Raises:
        Temporary: other runs kept winning the commit; run it again.
    """
    return _purge(table, column, keys, lambda some: f"{column} in ({', '.join(map(_quoted, some))})")


def purge_json(table: LakeTable, column: str, name: str, keys: Sequence[str]) -> int:
    """Erase every row whose `column`, a JSON object as Spark writes it, says one of these keys under a name.

    A text that only quotes such an object is another row's: quotes within a text are escaped.

    Raises:
        Temporary: other runs kept winning the commit; run it again.
    """
    said = [json.dumps({name: key}, ensure_ascii=False, separators=(",", ":"))[1:-1] for key in keys]
    return _purge(table, column, said, lambda some: " or ".join(f"strpos({column}, {_quoted(s)}) > 0" for s in some))


def _purge(table: LakeTable, column: str, keys: Sequence[str], predicate_of: Callable[[Sequence[str]], str]) -> int:
    removed = 0
    for first in range(0, len(keys), _AT_ONCE):
        predicate = predicate_of(keys[first : first + _AT_ONCE])

        def attempt(predicate: str = predicate) -> int | None:
            delta = Snapshot(table).delta
            if delta is None or column not in {field.name for field in delta.schema().fields}:
                return 0
            return int(delta.delete(predicate)["num_deleted_rows"])

        removed += commit(f"{table.name}: purge", attempt)
    return removed


def values_of(table: LakeTable, column: str, key: str, keys: Sequence[str]) -> list[str]:
    """What a column of texts says in the rows of some keys. Nothing where there is no such table or column."""
    delta = Snapshot(table).delta
    if delta is None or column not in {field.name for field in delta.schema().fields}:
        return []
    return sorted(_values(delta.to_pyarrow_dataset(), column, [key], ds.field(key).isin(list(keys))))


def contents_of(table: LakeTable, key: str, content: str, keys: Sequence[str]) -> list[str]:
    """The contents that rows of these keys have had on any day, and no row of another key has on any.

    Args:
        table: names the content of each of its rows, in the column `content`.
    """
    delta = Snapshot(table).delta
    if delta is None or not keys:
        return []
    data = delta.to_pyarrow_dataset()
    of_keys = ds.field(key).isin(list(keys))
    theirs = _values(data, content, [key], of_keys)
    of_others = ~of_keys & ds.field(content).isin(sorted(theirs))
    others = _values(data, content, [key, content], of_others) if theirs else set()
    return sorted(theirs - others)


def _values(data: Any, column: str, by: Sequence[str], wanted: Any) -> set[str]:
    found: set[str] = set()
    for _, rows in rows_where(data, [column], by, wanted):
        found.update(value for value in rows.column(0).unique().to_pylist() if value is not None)
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
