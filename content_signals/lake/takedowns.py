"""What was taken down: content whose signals nobody may read any more. A Delta table an entity, entries only added.

What is a part of something, as a chunk is of an episode, has entries of its own: whoever reads looks for one key only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import TableNotFoundError

from content_signals.lake.commit import TABLE_PROPERTIES, commit
from content_signals.lake.layout import Lake, LakeTable

Action = Literal["taken down", "given back"]
TAKEN_DOWN: Action = "taken down"
GIVEN_BACK: Action = "given back"

_COLUMNS: dict[str, pa.DataType] = {
    "key": pa.string(),
    "action": pa.string(),
    "reason": pa.string(),
    "who": pa.string(),
    "at": pa.timestamp("us", "UTC"),
    "because_of": pa.string(),
}


@dataclass(frozen=True)
class Takedown:
    """One entry: a key was taken down, or given back; why, by whom, when.

    Attributes:
        because_of: what was taken down or given back that this is a part of, e.g. "episode e1"; "": it itself was.
    """

    key: str
    action: Action
    reason: str
    who: str
    at: datetime
    because_of: str = ""


def takedowns_table(lake: Lake, entity: str) -> LakeTable:
    """The table of an entity, by its name."""
    name = f"takedowns/{entity}"
    return LakeTable(name, f"{lake.root}/{name}", f"{lake.root}/_runs/{name}")


def create_takedowns(lake: Lake, entity: str) -> None:
    """Make the table where there is none: those who read signals leave out what it lists."""
    table = takedowns_table(lake, entity)
    DeltaTable.create(
        table.path,
        schema=Schema.from_arrow(pa.schema(_COLUMNS)),
        mode="ignore",
        name=table.name,
        configuration=TABLE_PROPERTIES,
    )


def add_takedown(lake: Lake, entity: str, *entries: Takedown) -> None:
    """Add entries, all of them or none.

    Raises:
        Temporary: the lake does not take it.
    """
    table = takedowns_table(lake, entity)

    def attempt() -> bool:
        rows = pa.Table.from_pylist([asdict(entry) for entry in entries], pa.schema(_COLUMNS))
        # "merge": a table that was made before a column was added to it gets the column.
        options: dict[str, Any] = {"mode": "append", "schema_mode": "merge", "configuration": TABLE_PROPERTIES}
        write_deltalake(table.path, rows, name=table.name, **options)
        return True

    if entries:
        commit(f"{table.name}: {entries[0].key}", attempt)


def entries_of(lake: Lake, entity: str) -> list[Takedown]:
    """Every entry of an entity, oldest first."""
    try:
        rows: list[dict[str, Any]] = DeltaTable(takedowns_table(lake, entity).path).to_pyarrow_table().to_pylist()
    except TableNotFoundError:
        return []
    found = (Takedown(**{**row, "because_of": row.get("because_of") or ""}) for row in rows)
    return sorted(found, key=lambda entry: entry.at)


def taken_down(lake: Lake, entity: str) -> dict[str, Takedown]:
    """What is taken down now: key -> its last entry."""
    return {key: entry for key, entry in last_entries(lake, entity).items() if entry.action == TAKEN_DOWN}


def last_entries(lake: Lake, entity: str) -> dict[str, Takedown]:
    """The entry that counts of each key that has any."""
    return {entry.key: entry for entry in entries_of(lake, entity)}


def without_taken_down(lake: Lake, entity: str, key: str, columns: str, rows: str) -> str:
    """SQL for Spark: `columns` of `rows`, a query, without what is taken down by its column `key`."""
    table = takedowns_table(lake, entity)
    last = f"select key, max_by(action, at) as action from delta.`{table.path}` group by key"  # noqa: S608
    gone = f"select key as taken_down from ({last}) where action = '{TAKEN_DOWN}'"  # noqa: S608
    return f"select {columns} from ({rows}) left anti join ({gone}) on {key} = taken_down"  # noqa: S608
