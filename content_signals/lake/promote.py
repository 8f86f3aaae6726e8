"""Make a staged day visible, whole and once: one metadata-only commit that replaces the day.

Needs no Spark. Everything that could break the table is asserted on the very snapshot the commit is made on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from content_signals.contract import DAY
from content_signals.errors import Refused, Superseded, Temporary
from content_signals.lake.files import filesystem, write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot, app_id
from content_signals.lake.stage import Stage, StagedFile
from content_signals.lake.statistics import footer_statistics

# Deletion vectors, column mapping and row tracking stay off: plain Parquet readers rely on it. The change feed lets
# a publisher send differences.
TABLE_PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}
_TRIES = 8


@dataclass(frozen=True)
class Promotion:
    """What promote did: the version readers see the day at, and whether it was committed now or before."""

    table: str
    day: str
    run_id: str
    rows: int
    version: int
    already: bool


def promote(
    table: LakeTable, stage: Stage, judged: Iterable[StagedFile], *, before_commit: Callable[[], None] = lambda: None
) -> Promotion:
    """Commit a stage as its day.

    Args:
        judged: the files a passing verdict was given for; they must be exactly the stage's.
        before_commit: called between the last assertion and the commit; tests stand in for a rival run here.

    Raises:
        Superseded: the day holds a newer stage.
        Refused: an assertion failed; the table is as it was.
        Temporary: rivals kept winning the commit.
    """
    day = date.fromisoformat(stage.day)
    _check_stage(table, stage, list(judged))
    adds = _add_actions(table, stage)
    for attempt in range(_TRIES):
        snapshot = Snapshot(table)
        delta = snapshot.delta or _create(table, stage)
        stored = delta.transaction_version(app_id(table, day))
        if stored == stage.fence:
            return Promotion(table.name, stage.day, stage.run_id, stage.rows, delta.version(), already=True)
        if stored is not None and stored > stage.fence:
            raise Superseded(
                f"{table.name} {day}: a newer run (fence {stored}) has promoted this day; this fence: {stage.fence}",
                state="readers see the newer run's rows",
                next_step="nothing, or extract the day again if this run is the one you want",
            )
        if _evolve(delta, stage):
            continue  # the new columns are a commit of their own: assert on the snapshot after it
        # Written before the commit: a fence found in the table always leads to its stage.
        write_json(f"{table.run_folder(day, stage.run_id)}/promoted-{stage.fence}.json", stage.to_json())
        before_commit()
        try:
            _commit(delta, table, stage, day, adds)
        except (CommitFailedError, DeltaError) as error:
            if attempt == _TRIES - 1:
                raise Temporary(
                    f"{table.name} {day}: could not commit: {error}", next_step="promote the day again"
                ) from error
            time.sleep(0.05 * 2**attempt)
            continue
        return Promotion(table.name, stage.day, stage.run_id, stage.rows, delta.version(), already=False)
    raise Temporary(f"{table.name} {day}: other runs won {_TRIES} commits in a row", next_step="promote the day again")


def _check_stage(table: LakeTable, stage: Stage, judged: list[StagedFile]) -> None:
    if stage.table != table.name:
        raise Refused(f"the stage is of {stage.table}, not of {table.name}", next_step="name the right table")
    if sorted(f.path for f in judged) != sorted(f.path for f in stage.files) or set(judged) != set(stage.files):
        raise Refused(
            f"{table.name} {stage.day}: the verdict was given for other files than run {stage.run_id} staged",
            state="readers see the day as it was",
            next_step=f"validate_signals --table {table.name} --day {stage.day} --run-id {stage.run_id}, then promote",
        )
    prefix = f"data/{stage.run_id}-{stage.fence}/{DAY}={stage.day}/"
    strangers = [f.path for f in stage.files if not f.path.startswith(prefix)]
    if strangers:
        raise Refused(f"{table.name} {stage.day}: staged file {strangers[0]} is not of this run and day ({prefix})")


def _add_actions(table: LakeTable, stage: Stage) -> list[AddAction]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        footers = list(pool.map(lambda f: footer_statistics(f"{table.path}/{f.path}"), stage.files))
    if sum(rows for rows, _ in footers) != stage.rows:
        raise Refused(
            f"{table.name} {stage.day}: the files hold {sum(r for r, _ in footers)} rows, the stage says {stage.rows}"
        )
    actions = []
    for file, (_, statistics) in zip(stage.files, footers, strict=True):
        size = _size(f"{table.path}/{file.path}")
        if size != file.size:
            raise Refused(f"{table.name} {stage.day}: {file.path} has {size} bytes, the stage says {file.size}")
        actions.append(AddAction(file.path, file.size, {DAY: stage.day}, stage.fence // 1000, True, statistics))
    return actions


def _commit(delta: DeltaTable, table: LakeTable, stage: Stage, day: date, adds: list[AddAction]) -> None:
    replaced = [(DAY, "=", str(day))]
    for action in adds:
        if action.partition_values != {DAY: str(day)}:
            raise Refused(f"{table.name} {day}: {action.path} belongs to {action.partition_values}")
    if list(delta.metadata().partition_columns) != [DAY]:
        # A filter on a column that is no partition would drop whole files.
        raise Refused(f"{table.name} is partitioned by {delta.metadata().partition_columns}, not by {DAY}")
    delta.create_write_transaction(
        actions=list(adds),
        mode="overwrite",
        schema=delta.schema(),
        partition_by=[DAY],
        partition_filters=replaced,
        commit_properties=CommitProperties(
            custom_metadata={
                "run_id": stage.run_id,
                "day": stage.day,
                "digest": stage.digest,
                "inputs": json.dumps(stage.inputs, sort_keys=True),
            },
            app_transactions=[Transaction(app_id(table, day), stage.fence)],
            max_commit_retries=0,  # a rival's commit is looked at again, with every assertion, not merged over
        ),
    )


def _create(table: LakeTable, stage: Stage) -> DeltaTable:
    return DeltaTable.create(
        table.path,
        schema=Schema.from_json(stage.schema_json),
        mode="ignore",
        partition_by=[DAY],
        name=table.name,
        configuration=TABLE_PROPERTIES,
    )


def _evolve(delta: DeltaTable, stage: Stage) -> bool:
    """Add the stage's new columns to the table; earlier days read null there. True when a commit was made."""
    known = {f.name: f.type for f in delta.schema().fields}
    staged = Schema.from_json(stage.schema_json).fields
    changed = [f"{f.name}: {known[f.name]} -> {f.type}" for f in staged if f.name in known and known[f.name] != f.type]
    if changed:
        raise Refused(
            f"{stage.table} {stage.day}: columns changed their type ({', '.join(changed)})",
            state="readers see the day as it was",
            next_step="give the table a new version in its contract",
        )
    new = [f for f in staged if f.name not in known]
    if new:
        delta.alter.add_columns(new)
    return bool(new)


def _size(path: str) -> int:
    files, inner = filesystem(path)
    return int(files.get_file_info(inner).size)
