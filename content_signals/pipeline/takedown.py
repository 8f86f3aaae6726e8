"""Content taken down: its signals cannot be read any more, online or offline, from now on; and given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from content_signals.contract import COMPUTED_AT, DAY, EVENT_TS, Table
from content_signals.errors import NotLanded, UnknownName, UsageError
from content_signals.features.decode import ARROW, KINDS
from content_signals.features.lease import Lease
from content_signals.features.online import Mode, View, Writer
from content_signals.features.served import Marker
from content_signals.features.store import PROJECT_NAME, online_client, store_answers
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import (
    GIVEN_BACK,
    TAKEN_DOWN,
    Takedown,
    add_takedown,
    entries_of,
    taken_down,
)
from content_signals.pipeline.context import Context
from content_signals.pipeline.decision import reason_of

_WHY = "who asked for it, and why"


def take_down(context: Context, entity: str, key: str, reason: str, who: str) -> list[str]:
    """Take a key down, in the lake's list first: what is published later leaves it out. The views it was taken from.

    Raises:
        UsageError: an entity nobody serves, or no reason.
        Temporary: the lake or the online store does not answer; run it again.
    """
    tables, why = tables_of(context, entity), reason_of(reason, "a takedown", _WHY)
    entry = Takedown(_key(key), TAKEN_DOWN, why, who, context.run.now)
    add_takedown(context.lake, entity, entry)
    # Of a retired version nothing is left to hide; should it come back, what publishes it marks what is taken down.
    _mark(context, [one for one in tables if not _is_cleared(context, one)], [key], "take", context.run.now)
    return [table.table for table in tables]


def give_back(context: Context, entity: str, key: str, reason: str, who: str) -> list[str]:
    """Undo a takedown: the key is served again, with the rows that the newest promoted days have for it.

    May be run again, where the store did not answer in the middle of it.

    Raises:
        NotLanded: the key was never taken down.
    """
    tables = tables_of(context, entity)
    last = [entry for entry in entries_of(context.lake, entity) if entry.key == key]
    if not last:
        raise NotLanded(f"{entity} {key!r} was never taken down", next_step="nothing: it is served if it has a row")
    if last[-1].action == TAKEN_DOWN:
        add_takedown(
            context.lake,
            entity,
            Takedown(key, GIVEN_BACK, reason_of(reason, "giving a key back", _WHY), who, context.run.now),
        )
    _mark(context, tables, [key], "give", context.run.now)
    for table in tables:
        if not _is_cleared(context, table):
            _publish_row(context, table, key)
    return [table.table for table in tables]


def mark_taken_down(context: Context, table: Table) -> int:
    """Mark all that is taken down in the online store, which knows of none of it where a view is new or was emptied."""
    assert table.entity is not None  # a served table has one
    keys = list(taken_down(context.lake, table.entity.name))
    if keys:
        _mark(context, [table], keys, "take", context.run.now)
    return len(keys)


def _mark(context: Context, tables: Iterable[Table], keys: Sequence[str], mode: Mode, at: datetime) -> None:
    moment = pa.array([at] * len(keys), pa.timestamp("us", "UTC"))
    for table in tables:
        view = view_of(context, table)
        columns: dict[str, Any] = {view.join_key: pa.array(keys, pa.string()), EVENT_TS: moment, COMPUTED_AT: moment}
        _write(context, view, pa.record_batch(columns), mode)


def _write(context: Context, view: View, rows: pa.RecordBatch, mode: Mode) -> None:
    """Write rows beside a publication that may have looked at them before and be about to write its own.

    Its connections are ended: it looks again, and what it does after that it does knowing these rows. What it did until
    then is undone by writing them once more.
    """
    with store_answers(), online_client(context.settings) as client, Writer(view) as writer:
        writer.write(rows, mode)
        Lease(client, view.project, view.name).end_connections()
        writer.write(rows, mode)


def _is_cleared(context: Context, table: Table) -> bool:
    """Whether the table is a retired version, of which the store holds nothing any more."""
    with store_answers(), online_client(context.settings) as client:
        return Marker(client, PROJECT_NAME, table.table).cleared


def _publish_row(context: Context, table: Table, key: str) -> None:
    """The key's row of the newest promoted day, if it has one, to the online store."""
    snapshot = Snapshot(context.lake.of(table))
    if not snapshot.delta or not snapshot.days:
        return
    data = snapshot.delta.to_pyarrow_dataset(file_pruning_predicate=[(DAY, "=", str(snapshot.days[-1]))])
    there = [name for name in table.values if name in data.schema.names]
    wanted = (ds.field(DAY) == snapshot.days[-1]) & (ds.field(table.keys[0]) == key)
    rows = data.to_table(columns=[table.keys[0], *there, EVENT_TS, COMPUTED_AT], filter=wanted)
    types = context.catalog.types(table)
    for name in set(table.values) - set(there):  # the contract is ahead of the table
        kind: Any = ARROW[KINDS[types[name]]]
        missing = pa.nulls(rows.num_rows, pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else kind)
        rows = rows.append_column(name, missing)
    for batch in rows.to_batches():
        _write(context, view_of(context, table), batch, "put")


def view_of(context: Context, table: Table) -> View:
    """A table's view in the online store of the settings."""
    url = context.settings.online_store.get_secret_value()
    return View(url, PROJECT_NAME, table.table, table.keys[0], table.values)


def tables_of(context: Context, entity: str) -> list[Table]:
    """The served tables of an entity.

    Raises:
        UnknownName: an entity nobody serves.
    """
    served = [t for t in context.catalog.tables if t.serve and t.entity]
    names = {t.entity.name for t in served if t.entity}
    if entity not in names:
        raise UnknownName("entity", entity, names)
    return [t for t in served if t.entity and t.entity.name == entity]


def _key(key: str) -> str:
    if not key.strip():
        raise UsageError("no key given", next_step="content-signals features takedown ENTITY KEY --reason …")
    return key
