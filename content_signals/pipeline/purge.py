"""What was taken down long enough ago, erased from the lake.

Contents go first, then rows: which contents a key has had is read from rows, so that a run that was killed anywhere
finds what is left when it is run again.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from content_signals.content import CONTENT_ID
from content_signals.contract import SHA256, Source, Table
from content_signals.errors import SignalsError, Temporary
from content_signals.lake.layout import LakeTable
from content_signals.lake.manifests import manifests
from content_signals.lake.purge import contents_of, purge, purge_json, values_of
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.parts import entity_of
from content_signals.pipeline.search_index import purge_index


def purge_removed(context: Context, older_than_days: int) -> Outcome:
    """Erase the signals of keys that were taken down so many days ago: tables, histories, tiles and quarantines.

    And the contents that are theirs alone, as texts and as what was computed of them: one that another key has had on
    any day stays. Sooner nothing is erased: a late day that is built meanwhile would bring the values back into the
    tables. Tables of sources stay, which say what landed. Whatever comes back later is erased by the next run.

    Raises:
        Temporary: what is kept outside of the lake of a table's results cannot be erased; all else is.
    """
    outcome, before = Outcome(), context.run.now - timedelta(days=older_than_days)
    left: list[str] = []
    join_keys = {e.name: e.join_key for t in context.catalog.tables for e in (t.entity, t.part_of) if e}
    for entity in sorted(join_keys):
        keys = sorted(key for key, entry in taken_down(context.lake, entity).items() if entry.at <= before)
        if not keys:
            continue
        outcome.rows_in += len(keys)
        outcome.rows_out += _purge_contents(context, entity, keys, outcome, left)
        for table in context.catalog.tables:
            is_part = table.part_of is not None and table.part_of.name == entity
            if join_keys[entity] in table.keys or is_part:
                outcome.rows_out += _purge_table(context, table, join_keys[entity], keys, outcome)
    purge_index(context, before, outcome)
    if outcome.rows_out:
        names = [found["name"] for found in manifests(context.lake)]
        if names:
            context.say(f"files with these rows stay as long as manifests pin them: {', '.join(names)}")
            outcome.details["pinned_by"] = names
        context.say("old files go with the next maintain_lake after its retention")
    if left:
        raise Temporary(
            f"some results are kept elsewhere, too, and could not be erased there: {'; '.join(left)}",
            state="they are as they were in the lake, too; all else is erased",
            next_step="mend the cause, then purge_removed again; of a ledger that is gone, name a new one",
        )
    return outcome


def _purge_contents(context: Context, entity: str, keys: list[str], outcome: Outcome, left: list[str]) -> int:
    """Erase what is kept of the contents of these keys alone, and what was set aside of them as they landed.

    Args:
        left: takes the reasons why results stay that are kept elsewhere, too: which they are is known by them.
    """
    removed, found = 0, dict[tuple[str, str], list[str]]()
    contracts: tuple[Source | Table, ...] = (*context.catalog.sources, *context.catalog.tables)
    for contract in contracts:
        named = _named(context, contract)
        if named is None or (of := entity_of(context.catalog, named[0])) is None or of.name != entity:
            continue
        rows, column = named
        if (rows.table, column) not in found:
            found[rows.table, column] = contents_of(context.lake.of(rows), of.join_key, column, keys)
        ids = found[rows.table, column]
        try:
            _forget(context, contract, ids)
        except SignalsError as error:
            left.append(f"{contract.table}: {error.what}")
            continue
        removed += _told(context, context.lake.contents(contract), purge, CONTENT_ID, ids, outcome=outcome)
        if isinstance(contract, Source):  # its malformed rows lie there as they landed, texts and all
            removed += _told(
                context, context.lake.malformed(contract), purge_json, "raw", of.join_key, keys, outcome=outcome
            )
    return removed


def _forget(context: Context, contract: Source | Table, content_ids: list[str]) -> None:
    """Have results erased that a table's family keeps outside of the lake: in a language model's ledger, say."""
    kept = context.lake.contents(contract)
    content = contract.content if isinstance(contract, Table) else None
    if not content or not content.installed or not content_ids:
        return
    family = importlib.import_module(f"content_signals.signals.{contract.family}.compute")
    if hasattr(family, "forget"):
        names = values_of(kept, family.KEPT_AS, CONTENT_ID, content_ids)
        if names or all(need.is_met(os.environ) for need in content.needs):  # else nobody has ever asked here
            family.forget(content_ids, names)


def _named(context: Context, contract: Source | Table) -> tuple[Source | Table, str] | None:
    """Where it stands which content each row has, and in which column; None where nothing is kept, or it is not told.

    A content without an `id` is not told: its hash is taken over columns as it is computed, and names nobody.
    """
    if isinstance(contract, Source):
        return (contract, SHA256) if contract.contents else None
    if contract.content is None or not contract.content.id:
        return None
    return context.catalog.any(contract.driver.table), contract.content.id


def _purge_table(context: Context, table: Table, column: str, keys: list[str], outcome: Outcome) -> int:
    return sum(_told(context, part, purge, column, keys, outcome=outcome) for part in _parts(context, table))


def _told(context: Context, part: LakeTable, erase: Callable[..., int], *given: Any, outcome: Outcome) -> int:
    """Erase rows, and say so."""
    rows = erase(part, *given)
    if rows:
        context.say(f"{part.name}: {rows} rows erased")
        outcome.paths.append(part.path)
    return rows


def _parts(context: Context, table: Table) -> list[LakeTable]:
    lake, main = context.lake, context.lake.of(table)
    parts = [main, main.history, lake.tiles(table), lake.coarse_tiles(table), lake.quarantine(table)]
    return [*parts, lake.unusable(table)] if table.content else parts
