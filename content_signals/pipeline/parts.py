"""What is a part of something that was taken down: put on the list of its own kind before anybody can read it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from content_signals.catalog import Catalog
from content_signals.contract import Entity, Source, Table
from content_signals.lake.parts import owners_of
from content_signals.lake.takedowns import TAKEN_DOWN, Takedown, add_takedown, taken_down
from content_signals.pipeline.context import Context


def hide_parts(
    context: Context, table: Source | Table, paths: Sequence[str], owners: Collection[str] | None = None
) -> list[str]:
    """Take down those rows of some files that are parts of something taken down. Their keys, new on the list or not.

    May be run again: a key that is on the list is not put there twice.

    Args:
        owners: look for the parts of these alone; None: of all that are taken down.

    Raises:
        Temporary: the lake does not take the entries.
    """
    if not isinstance(table, Table) or table.part_of is None or table.entity is None:
        return []
    of, entity = table.part_of, table.entity.name
    down = {k: entry for k, entry in taken_down(context.lake, of.name).items() if owners is None or k in owners}
    found = owners_of(paths, table.keys[0], of.join_key, down) if down else {}
    known = taken_down(context.lake, entity) if found else {}
    new = [
        Takedown(key, TAKEN_DOWN, down[owner].reason, down[owner].who, context.run.now, because_of(of.name, owner))
        for key, owner in sorted(found.items())
        if key not in known
    ]
    add_takedown(context.lake, entity, *new)
    if new:
        context.say(f"{table.table}: {len(new)} keys are taken down, as parts of {new[0].because_of} or others like it")
    return sorted(found)


def entity_of(catalog: Catalog, contract: Source | Table) -> Entity | None:
    """What each row of a source or table is about: its key alone is the join key of it. None: of nothing we know."""
    join_keys = {e.join_key: e for t in catalog.tables for e in (t.entity, t.part_of) if e}
    return join_keys.get(contract.keys[0]) if len(contract.keys) == 1 else None


def taken_down_of(context: Context, contract: Source | Table) -> list[str]:
    """The keys of a source or table that are taken down."""
    entity = entity_of(context.catalog, contract)
    return sorted(taken_down(context.lake, entity.name)) if entity else []


def because_of(entity: str, key: str) -> str:
    """How an entry names what its key is a part of."""
    return f"{entity} {key}"
