"""Upkeep of a table: small files of closed days put together, unreferenced files removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from content_signals.contract import DAY
from content_signals.errors import Temporary
from content_signals.lake.history import append_history
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import StagedFile

# A run may hold staged, not yet promoted files this long; vacuum must not take them for orphans.
MIN_RETENTION_HOURS = 24
# Days of larger files stay as they were laid out: put together, the ranges of keys their files hold would overlap.
SMALL_FILE_BYTES = 8 << 20


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table."""

    table: str
    days_compacted: int
    files_removed: int


def maintain(table: LakeTable, *, before: date, retention_hours: int, keep: Collection[int] = ()) -> Upkeep | None:
    """Compact days before `before` that lie in several small files, and vacuum. None when there is no table.

    Orphans are collected too: stages that were rejected or abandoned are in no version of the table.

    Args:
        keep: versions of the table whose files stay, however old.

    Raises:
        Temporary: another run has replaced a day meanwhile; nothing was lost.
    """
    snapshot = Snapshot(table)
    if snapshot.delta is None:
        return None
    for day in snapshot.days:  # before vacuum could take what a promote, killed between its two commits, left to do
        if stage := snapshot.stage(day):
            append_history(table, stage)
    days = [day for day, files in snapshot.files_by_day.items() if day < before and _are_small(files)]
    _compact(table, snapshot.delta, days)
    delta = DeltaTable(table.path)
    removed = delta.vacuum(
        retention_hours, dry_run=False, full=True, enforce_retention_duration=False, keep_versions=sorted(keep) or None
    )
    return Upkeep(table.name, len(days), len(removed))


def _are_small(files: Sequence[StagedFile]) -> bool:
    return len(files) > 1 and sum(file.size for file in files) < SMALL_FILE_BYTES * len(files)


def _compact(table: LakeTable, delta: DeltaTable, days: Sequence[date]) -> None:
    for day in days:
        try:
            delta.optimize.compact(partition_filters=[(DAY, "=", str(day))])
        except CommitFailedError as error:
            raise Temporary(
                f"{table.name} {day}: not compacted, another run has committed meanwhile: {error}",
                state="the day is as that run left it",
                next_step="maintain_lake again, once that run is done",
            ) from error


def maintain_entries(table: LakeTable, retention_hours: int) -> int | None:
    """Put small files of receipts, takedowns or contents together; how many were removed, None when there is no table.

    Files of runs that were killed before they committed them are removed too.
    """
    try:
        delta = DeltaTable(table.path)
    except TableNotFoundError:
        return None
    delta.optimize.compact()
    return len(delta.vacuum(retention_hours, dry_run=False, full=True, enforce_retention_duration=False))
