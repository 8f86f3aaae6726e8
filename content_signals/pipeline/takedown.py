"""Content taken down: its signals cannot be read any more, online or offline, from now on; and given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from content_signals.contract import COMPUTED_AT, DAY, EVENT_TS, Table
from content_signals.errors import NotLanded, Refused, UnknownName, UsageError
from content_signals.features.decode import ARROW, KINDS
from content_signals.features.lease import Lease
from content_signals.features.online import Mode, View, Writer
from content_signals.features.served import Marker
from content_signals.features.store import PROJECT_NAME, feature_store, online_client, other_store, store_answers
from content_signals.lake.parts import every_file, owners_of
from content_signals.lake.scan import rows_where
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import (
    GIVEN_BACK,
    TAKEN_DOWN,
    Takedown,
    add_takedown,
    last_entries,
    taken_down,
)
from content_signals.pipeline.context import Context
from content_signals.pipeline.decision import reason_of
from content_signals.pipeline.parts import because_of, hide_parts
from content_signals.pipeline.search_index import take_from_index

_WHY = "who asked for it, and why"
_OLDEST = datetime.fromtimestamp(0, UTC)


def take_down(context: Context, entity: str, key: str, reason: str, who: str) -> list[str]:
    """Take a key down, in the lake's list first: what is published later leaves it out. The views it was taken from.

    What is a part of it goes with it, as the chunks of an episode: what there is by now, here; what is made of it
    later, when it is promoted and published. May be run again, where the store did not answer in the middle of it.

    Raises:
        UsageError: an entity nobody serves, or no reason.
        Temporary: the lake or the online store does not answer; run it again.
    """
    tables_of(context, entity)  # an entity that somebody serves
    why = reason_of(reason, "a takedown", _WHY)
    entry = Takedown(_key(key), TAKEN_DOWN, why, who, context.run.now)
    add_takedown(context.lake, entity, entry)
    hidden = _hide(context, entity, [key])
    served = {name: tables_of(context, name) for name in hidden}
    for name, tables in served.items():
        # Of a retired version nothing is left to hide; should it come back, what publishes it marks what is taken down.
        there = [table for table in tables if not _is_cleared(context, table)]
        _mark(context, there, hidden[name], "take", context.run.now)
    take_from_index(context, entity, [key])
    return [table.table for tables in served.values() for table in tables]


def _hide(context: Context, entity: str, keys: Sequence[str]) -> dict[str, list[str]]:
    """Put what is a part of keys that are taken down on the lists; entity -> keys, these and those."""
    hidden = {entity: list(keys)}
    for part, tables in _parts_of(context, entity).items():
        found = {key for t in tables for key in hide_parts(context, t, every_file(context.lake.of(t)), keys)}
        hidden |= _hide(context, part, sorted(found)) if found else {}
    return hidden


def give_back(context: Context, entity: str, key: str, reason: str, who: str) -> list[str]:
    """Undo a takedown: the key is served again, with the rows that the newest promoted days have for it.

    May be run again, where the store did not answer in the middle of it.

    What went with it, as a part of it, comes back with it; a part that was taken down for itself stays down.

    Raises:
        NotLanded: the key was never taken down.
        Refused: it is a part of something that is taken down.
    """
    tables_of(context, entity)  # an entity that somebody serves
    last = last_entries(context.lake, entity).get(key)
    if not last:
        raise NotLanded(f"{entity} {key!r} was never taken down", next_step="nothing: it is served if it has a row")
    _refuse_part(context, entity, last)
    if last.action == TAKEN_DOWN:
        why = reason_of(reason, "giving a key back", _WHY)
        add_takedown(context.lake, entity, Takedown(key, GIVEN_BACK, why, who, context.run.now))
    return [table.table for table in _give(context, entity, [key], reason, who)]


def _give(context: Context, entity: str, keys: Sequence[str], reason: str, who: str) -> list[Table]:
    """Serve keys of an entity again, and what went with them; the tables that do."""
    served = tables_of(context, entity)
    # A store that only Feast can write keeps a row for what has none in the table: one that whatever comes replaces.
    _mark(context, served, keys, "give", _OLDEST)
    for table in served:
        if not _is_cleared(context, table):
            _publish_rows(context, table, keys)
    owners = {because_of(entity, key) for key in keys}
    for part in _parts_of(context, entity):
        went = [entry for entry in last_entries(context.lake, part).values() if entry.because_of in owners]
        back = [replace(e, action=GIVEN_BACK, reason=reason, who=who, at=context.run.now) for e in went]
        down = {entry.key for entry in went if entry.action == TAKEN_DOWN}
        add_takedown(context.lake, part, *(entry for entry in back if entry.key in down))
        served += _give(context, part, [entry.key for entry in went], reason, who) if went else []
    return served


def _refuse_part(context: Context, entity: str, last: Takedown) -> None:
    """Refuse to give back a part of what is taken down, whoever took the part itself down."""
    whole = {last.because_of}
    for table in context.catalog.tables:
        if table.entity and table.part_of and table.entity.name == entity:
            of, files = table.part_of, every_file(context.lake.of(table))
            owners = owners_of(files, table.keys[0], of.join_key, taken_down(context.lake, of.name))
            whole |= {because_of(of.name, owners[last.key])} if last.key in owners else set()
    for owner, _, key in (one.partition(" ") for one in sorted(whole - {""})):
        if key in taken_down(context.lake, owner):
            raise Refused(
                f"{entity} {last.key!r} is a part of {owner} {key}, which is taken down",
                state="nothing was given back",
                next_step=f'content-signals features reinstate {owner} {key} --reason "…" gives back all of it',
            )


def _parts_of(context: Context, entity: str) -> dict[str, list[Table]]:
    """Entity -> the tables whose rows, of that entity, are parts of this one."""
    found: dict[str, list[Table]] = {}
    for table in context.catalog.tables:
        if table.entity and table.part_of and table.part_of.name == entity:
            found.setdefault(table.entity.name, []).append(table)
    return found


def mark_taken_down(context: Context, table: Table, keys: Sequence[str] | None = None) -> int:
    """Mark what is taken down in the online store, which knows of none of it where a view is new or was emptied.

    Args:
        keys: None: all there is on the list.

    Returns:
        How many keys were marked.
    """
    assert table.entity is not None  # a served table has one
    keys = list(taken_down(context.lake, table.entity.name)) if keys is None else keys
    if keys:
        _mark(context, [table], keys, "take", context.run.now)
    return len(keys)


def _mark(context: Context, tables: Iterable[Table], keys: Sequence[str], mode: Mode, at: datetime) -> None:
    moment = pa.array([at] * len(keys), pa.timestamp("us", "UTC"))
    for table in tables:
        view = view_of(context, table)
        columns: dict[str, Any] = {view.join_key: pa.array(keys, pa.string()), EVENT_TS: moment, COMPUTED_AT: moment}
        _write(context, table, pa.record_batch(columns), mode)


def _write(context: Context, table: Table, rows: pa.RecordBatch, mode: Mode) -> None:
    """Write rows beside a publication that may have looked at them before and be about to write its own.

    Its connections are ended: it looks again, and what it does after that it does knowing these rows. What it did until
    then is undone by writing them once more.

    A store that only Feast can write has nulls in place of what is taken down.
    """
    view = view_of(context, table)
    if other_store():
        from content_signals.features.fallback import write_rows  # Feast takes seconds

        with store_answers():
            write_rows(feature_store(context.settings), table, pa.Table.from_batches([rows]))
        return
    with store_answers(), online_client(context.settings) as client, Writer(view) as writer:
        writer.write(rows, mode)
        Lease(client, view.project, view.name).end_connections()
        writer.write(rows, mode)


def _is_cleared(context: Context, table: Table) -> bool:
    """Whether the table is a retired version, of which the store holds nothing any more."""
    with store_answers(), online_client(context.settings) as client:
        return Marker(client, PROJECT_NAME, table.table).cleared


def _publish_rows(context: Context, table: Table, keys: Sequence[str]) -> None:
    """The keys' rows of the newest promoted day, those that have one, to the online store."""
    snapshot = Snapshot(context.lake.of(table))
    if not snapshot.delta or not snapshot.days:
        return
    data = snapshot.delta.to_pyarrow_dataset(file_pruning_predicate=[(DAY, "=", str(snapshot.days[-1]))])
    there = [name for name in table.values if name in data.schema.names]
    columns = [table.keys[0], *there, EVENT_TS, COMPUTED_AT]
    wanted = (ds.field(DAY) == snapshot.days[-1]) & ds.field(table.keys[0]).isin(list(keys))
    found = [some for _, some in rows_where(data, columns, [DAY], wanted)]
    rows = pa.concat_tables([data.schema.empty_table().select(columns), *found]).combine_chunks()
    types = context.catalog.types(table)
    for name in set(table.values) - set(there):  # the contract is ahead of the table
        kind: Any = ARROW[KINDS[types[name]]]
        missing = pa.nulls(rows.num_rows, pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else kind)
        rows = rows.append_column(name, missing)
    for batch in rows.to_batches():
        _write(context, table, batch, "put")


def view_of(context: Context, table: Table) -> View:
    """A table's view in the online store of the settings."""
    url = context.settings.online_store.get_secret_value()
    return View(url, PROJECT_NAME, table.table, table.keys[0], table.values)


def tables_of(context: Context, entity: str) -> list[Table]:
    """The served tables of an entity; none where only parts of it are served, or used.

    Raises:
        UnknownName: an entity nobody serves.
    """
    served = [t for t in context.catalog.tables if t.serve and t.entity]
    names = {t.entity.name for t in served if t.entity}
    names |= {e.name for t in context.catalog.tables if t.part_of for e in (t.part_of, t.entity) if e}
    if entity not in names:
        raise UnknownName("entity", entity, names)
    return [t for t in served if t.entity and t.entity.name == entity]


def _key(key: str) -> str:
    if not key.strip():
        raise UsageError("no key given", next_step="content-signals features takedown ENTITY KEY --reason …")
    return key
