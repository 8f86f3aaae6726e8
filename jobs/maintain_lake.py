"""Upkeep of the lake: compact closed days, remove unreferenced files. `--table NAME` (default: all). Needs no Spark.

For all tables it also removes what killed training sets have left.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta

from content_signals.contract import Source, Table
from content_signals.day import parse_day
from content_signals.errors import UsageError
from content_signals.lake.maintain import MIN_RETENTION_HOURS, maintain, maintain_entries
from content_signals.lake.manifests import pinned, remove_abandoned
from content_signals.lake.takedowns import takedowns_table
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def work(context: Context, given: argparse.Namespace, _days: list[date]) -> Outcome:
    """Run the step."""
    if given.retention_hours < MIN_RETENTION_HOURS:
        raise UsageError(
            f"--retention-hours {given.retention_hours}: runs may hold staged files for {MIN_RETENTION_HOURS} hours",
            next_step=f"give {MIN_RETENTION_HOURS} or more",
        )
    before = parse_day(given.optimize_before) if given.optimize_before else context.run.now.date()
    catalog = context.catalog
    contracts = [catalog.any(given.table)] if given.table else [*catalog.sources, *catalog.tables]
    outcome = Outcome()
    for contract in contracts:
        tables = [context.lake.of(contract), context.lake.quarantine(contract)]
        if isinstance(contract, Source):
            tables.append(context.lake.malformed(contract))
        if isinstance(contract, Table):
            tables.append(context.lake.of(contract).history)
            tables += [context.lake.tiles(contract), context.lake.coarse_tiles(contract)] if contract.windowed else []
            tables += [context.lake.unusable(contract)] if contract.content else []
        for table in tables:
            keep = pinned(context.lake, table.name)
            upkeep = maintain(table, before=before, retention_hours=given.retention_hours, keep=keep)
            if upkeep:
                context.say(
                    f"{table.name}: {upkeep.days_compacted} days compacted, {upkeep.files_removed} files removed"
                )
                outcome.paths.append(table.path)
                outcome.details[table.name] = {
                    "days_compacted": upkeep.days_compacted,
                    "files_removed": upkeep.files_removed,
                }
    served = [contract for contract in contracts if isinstance(contract, Table) and contract.serve]
    entries = [context.lake.receipts(contract) for contract in served]
    entries += [context.lake.contents(contract) for contract in contracts if keeps_contents(contract)]
    entries += [takedowns_table(context.lake, name) for name in {t.entity.name for t in served if t.entity}]
    for table in entries:
        removed = maintain_entries(table, given.retention_hours)
        if removed is not None:
            outcome.details[table.name] = {"files_removed": removed}
    if not given.table:
        abandoned = remove_abandoned(context.lake, context.run.now - timedelta(hours=given.retention_hours))
        context.say(f"training sets: {abandoned} working folders of killed ones removed")
        outcome.details["training_sets"] = {"working_folders_removed": abandoned}
    return outcome


def keeps_contents(contract: Source | Table) -> bool:
    """Whether something is kept by content of a table."""
    return bool(contract.contents if isinstance(contract, Source) else contract.content)


def arguments() -> argparse.ArgumentParser:
    """The arguments."""
    made = parser(__doc__, subject=None, days=False)
    made.add_argument("--table", metavar="NAME", help="one table or source; default: all")
    made.add_argument(
        "--retention-hours",
        type=int,
        default=7 * 24,
        metavar="N",
        help="keep unreferenced files this long; default 168",
    )
    made.add_argument(
        "--optimize-before", metavar="YYYY-MM-DD", help="compact days before this one; default: today, UTC"
    )
    return made


if __name__ == "__main__":
    main("maintain_lake", arguments(), work)
