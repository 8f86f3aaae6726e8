"""Rows of some keys, erased from a table: its files are written again without them."""

from __future__ import annotations

from collections.abc import Sequence

from content_signals.lake.commit import commit
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot

_AT_ONCE = 1_000  # keys in one commit


def purge(table: LakeTable, column: str, keys: Sequence[str]) -> int:
    """Erase every row of these keys, of all days; how many there were. A table that does not exist has none.

    The rows are in no version from then on; their old files go when upkeep removes what no version needs.

    Raises:
        Temporary: other runs kept winning the commit; run it again.
    """
    removed = 0
    for first in range(0, len(keys), _AT_ONCE):
        listed = ", ".join("'" + key.replace("'", "''") + "'" for key in keys[first : first + _AT_ONCE])
        predicate = f"{column} in ({listed})"

        def attempt(predicate: str = predicate) -> int | None:
            delta = Snapshot(table).delta
            if delta is None or column not in {field.name for field in delta.schema().fields}:
                return 0
            return int(delta.delete(predicate)["num_deleted_rows"])

        removed += commit(f"{table.name}: purge", attempt)
    return removed
