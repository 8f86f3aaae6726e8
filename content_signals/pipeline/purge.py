"""What was taken down long enough ago, erased from the lake."""

from __future__ import annotations

from datetime import timedelta

from content_signals.contract import Table
from content_signals.lake.layout import LakeTable
from content_signals.lake.manifests import manifests
from content_signals.lake.purge import purge
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.context import Context, Outcome


def purge_removed(context: Context, older_than_days: int) -> Outcome:
    """Erase the signals of keys that were taken down so many days ago: tables, histories, tiles and quarantines.

    Sooner nothing is erased: a late day that is built meanwhile would bring the values back into the tables. Sources
    stay: they are what landed. Whatever comes back later is erased by the next run.
    """
    outcome, before = Outcome(), context.run.now - timedelta(days=older_than_days)
    join_keys = {e.name: e.join_key for t in context.catalog.tables for e in (t.entity, t.part_of) if e}
    for entity in sorted(join_keys):
        keys = sorted(key for key, entry in taken_down(context.lake, entity).items() if entry.at <= before)
        if not keys:
            continue
        outcome.rows_in += len(keys)
        for table in context.catalog.tables:
            is_part = table.part_of is not None and table.part_of.name == entity
            if join_keys[entity] in table.keys or is_part:
                outcome.rows_out += _purge_table(context, table, join_keys[entity], keys, outcome)
    if outcome.rows_out:
        names = [found["name"] for found in manifests(context.lake)]
        if names:
            context.say(f"files with these rows stay as long as manifests pin them: {', '.join(names)}")
            outcome.details["pinned_by"] = names
        context.say("old files go with the next maintain_lake after its retention")
    return outcome


def _purge_table(context: Context, table: Table, column: str, keys: list[str], outcome: Outcome) -> int:
    removed = 0
    for part in _parts(context, table):
        rows = purge(part, column, keys)
        if rows:
            context.say(f"{part.name}: {rows} rows erased")
            outcome.paths.append(part.path)
        removed += rows
    return removed


def _parts(context: Context, table: Table) -> list[LakeTable]:
    lake, main = context.lake, context.lake.of(table)
    return [main, main.history, lake.tiles(table), lake.coarse_tiles(table), lake.quarantine(table)]
