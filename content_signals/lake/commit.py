"""What every commit to a table of the lake shares: the table made, new columns added, files described, one more try.

delta-rs is the only committer of these tables; nothing here needs Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from time import sleep
from typing import TypeVar

from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from content_signals.contract import DAY
from content_signals.errors import Refused, Temporary
from content_signals.lake.files import size_of
from content_signals.lake.layout import LakeTable
from content_signals.lake.stage import StagedFile
from content_signals.lake.statistics import footer_statistics

# Deletion vectors, column mapping and row tracking stay off: plain Parquet readers rely on it. The change feed lets
# a publisher send differences.
TABLE_PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    # The log is kept whole: what a training set's manifest or the online store was made from is a version of it.
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
_TRIES = 8

Result = TypeVar("Result")


def commit(about: str, attempt: Callable[[], Result | None]) -> Result:
    """Try until an attempt gives a result. Each attempt loads the table anew and asserts everything again.

    Args:
        about: table and day, for the error.
        attempt: gives None when it has to be made again, on the table as it is then.

    Raises:
        Temporary: rivals kept winning the commit, or the store did not take it.
    """
    refused: Exception | None = None
    for number in range(_TRIES):
        try:
            result = attempt()
        except (CommitFailedError, DeltaError) as error:
            refused = error
            if number + 1 < _TRIES:
                sleep(0.05 * 2**number)
            continue
        if result is not None:
            return result
    why = f"could not commit: {refused}" if refused else f"other runs won {_TRIES} commits in a row"
    raise Temporary(f"{about}: {why}", next_step="promote the day again") from refused


def create(table: LakeTable, schema_json: str) -> DeltaTable:
    """The table, made when there is none."""
    return DeltaTable.create(
        table.path,
        schema=Schema.from_json(schema_json),
        mode="ignore",
        partition_by=[DAY],
        name=table.name,
        configuration=TABLE_PROPERTIES,
    )


def evolve(delta: DeltaTable, schema_json: str, about: str) -> bool:
    """Add new columns to the table; earlier days read null there. True when a commit was made.

    Raises:
        Refused: when a column has changed its type.
    """
    known = {f.name: f.type for f in delta.schema().fields}
    staged = Schema.from_json(schema_json).fields
    changed = [f"{f.name}: {known[f.name]} -> {f.type}" for f in staged if f.name in known and known[f.name] != f.type]
    if changed:
        raise Refused(
            f"{about}: columns changed their type ({', '.join(changed)})",
            state="readers see the day as it was",
            next_step="give the table a new version in its contract",
        )
    new = [f for f in staged if f.name not in known]
    if new:
        delta.alter.add_columns(new)
    return bool(new)


def add_actions(table: LakeTable, day: date, files: Sequence[StagedFile], fence: int) -> tuple[int, list[AddAction]]:
    """Rows of some staged files, and what a commit says of each: size, day, full statistics from its footer.

    Raises:
        Refused: a file is missing, unreadable or not as it was staged.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        footers = list(pool.map(lambda f: footer_statistics(f"{table.path}/{f.path}"), files))
    actions = []
    for file, (_, statistics) in zip(files, footers, strict=True):
        size = size_of(f"{table.path}/{file.path}")
        if size != file.size:
            raise Refused(f"{table.name} {day}: {file.path} has {size} bytes, the stage says {file.size}")
        actions.append(AddAction(file.path, file.size, {DAY: str(day)}, fence // 1000, True, statistics))
    return sum(rows for rows, _ in footers), actions
