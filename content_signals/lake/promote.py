"""Make a staged day visible, whole and once: one metadata-only commit that replaces the day.

Needs no Spark. Everything that could break the table is asserted on the very snapshot the commit is made on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from content_signals.contract import DAY
from content_signals.errors import Refused, Superseded
from content_signals.lake.commit import add_actions, commit, create, evolve
from content_signals.lake.files import write_json
from content_signals.lake.history import append_history, complete_history
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot, app_id
from content_signals.lake.stage import Stage, StagedFile


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
    table: LakeTable,
    stage: Stage,
    judged: Iterable[StagedFile],
    *,
    kept: Stage | None = None,
    note: Mapping[str, str] | None = None,
    before_commit: Callable[[], None] = lambda: None,
) -> Promotion:
    """Commit a stage as its day, then the rows it supersedes to the table's history.

    Args:
        judged: the files a passing verdict was given for; they must be exactly the stage's.
        kept: the stage without the rows that were set aside; what is committed then.
        note: what else the commit's metadata shall say.
        before_commit: called between the last assertion and the commit; tests stand in for a rival run here.

    Raises:
        Superseded: the day holds a newer stage.
        Refused: an assertion failed; the table is as it was.
        Temporary: rivals kept winning the commit.
    """
    day = date.fromisoformat(stage.day)
    _check_stage(table, stage, list(judged))
    if kept:
        _check_kept(stage, kept)
        stage = kept
    rows, adds = add_actions(table, day, stage.files, stage.fence)
    if rows != stage.rows:
        raise Refused(f"{table.name} {day}: the files hold {rows} rows, the stage says {stage.rows}")
    done = commit(f"{table.name} {day}", lambda: _attempt(table, stage, day, adds, note or {}, before_commit))
    if not done.already:
        append_history(table, stage)
    return done


def _attempt(
    table: LakeTable,
    stage: Stage,
    day: date,
    adds: list[AddAction],
    note: Mapping[str, str],
    before_commit: Callable[[], None],
) -> Promotion | None:
    """One try on the table as it is now; None when it has to be looked at again."""
    snapshot = Snapshot(table)
    delta = snapshot.delta
    if delta is None:
        create(table, stage.schema_json)
        return None  # a rival may have made it first, and have promoted the day: assert on the table as it is now
    current = snapshot.stage(day)
    complete_history(table, snapshot)  # a promote that was killed between its two commits left the second to this one
    if current:
        append_history(table, current)
    if _is_there(stage, snapshot, current, day):
        return Promotion(table.name, stage.day, stage.run_id, stage.rows, delta.version(), already=True)
    if evolve(delta, stage.schema_json, f"{table.name} {day}"):
        return None  # the new columns are a commit of their own: assert on the snapshot after it
    # Written before the commit: a fence found in the table always leads to its stage.
    write_json(f"{table.run_folder(day, stage.run_id)}/promoted-{stage.fence}.json", stage.to_json())
    before_commit()
    _commit(delta, table, stage, day, adds, note)
    return Promotion(table.name, stage.day, stage.run_id, stage.rows, delta.version(), already=False)


def _is_there(stage: Stage, snapshot: Snapshot, current: Stage | None, day: date) -> bool:
    """Whether the day holds this stage already, or another one that says the same of the same inputs."""
    stored = snapshot.fence(day)
    if stored == stage.fence:
        return True
    if stored is not None and stored > stage.fence:
        raise Superseded(
            f"{stage.table} {day}: a newer run (fence {stored}) has promoted this day; this fence: {stage.fence}",
            state="readers see the newer run's rows",
            next_step="nothing, or run the day again if this run is the one you want",
        )
    if stage.base is None or stage.base == (stored or 0):
        return False
    if current and (current.digest, current.inputs) == (stage.digest, stage.inputs):
        return True
    raise Refused(
        f"{stage.table} {day}: another run has promoted this day since run {stage.run_id} read it, and says otherwise",
        state="readers see the other run's rows",
        next_step="run the day again, from its first step",
    )


def _check_stage(table: LakeTable, stage: Stage, judged: list[StagedFile]) -> None:
    if stage.table != table.name:
        raise Refused(f"the stage is of {stage.table}, not of {table.name}", next_step="name the right table")
    if sorted(f.path for f in judged) != sorted(f.path for f in stage.files) or set(judged) != set(stage.files):
        raise Refused(
            f"{table.name} {stage.day}: the verdict was given for other files than run {stage.run_id} staged",
            state="readers see the day as it was",
            next_step=f"validate_signals --table {table.name} --day {stage.day} --run-id {stage.run_id}, then promote",
        )
    _check_files(stage)


def _check_kept(stage: Stage, kept: Stage) -> None:
    if (kept.table, kept.day, kept.run_id, kept.fence) != (stage.table, stage.day, stage.run_id, stage.fence):
        raise Refused(f"{stage.table} {stage.day}: what was kept is of another run, table or day: {kept.run_id}")
    _check_files(kept)


def _check_files(stage: Stage) -> None:
    prefix = f"data/{stage.run_id}-{stage.fence}/{DAY}={stage.day}/"
    strangers = [f.path for f in stage.files if not f.path.startswith(prefix)]
    if strangers:
        raise Refused(f"{stage.table} {stage.day}: staged file {strangers[0]} is not of this run and day ({prefix})")


def _commit(
    delta: DeltaTable, table: LakeTable, stage: Stage, day: date, adds: list[AddAction], note: Mapping[str, str]
) -> None:
    for action in adds:
        if action.partition_values != {DAY: str(day)}:
            raise Refused(f"{table.name} {day}: {action.path} belongs to {action.partition_values}")
    delta.create_write_transaction(
        actions=list(adds),
        mode="overwrite",
        schema=delta.schema(),
        partition_by=[DAY],
        partition_filters=_replaced(delta, table, day),
        commit_properties=CommitProperties(
            custom_metadata={
                "run_id": stage.run_id,
                "day": stage.day,
                "digest": stage.digest,
                "inputs": json.dumps(stage.inputs, sort_keys=True),
                **note,
            },
            app_transactions=[Transaction(app_id(table, day), stage.fence)],
            max_commit_retries=0,  # a rival's commit is looked at again, with every assertion, not merged over
        ),
    )


def _replaced(delta: DeltaTable, table: LakeTable, day: date) -> list[tuple[str, str, str]]:
    """The filter on what the commit replaces: on this very snapshot it takes the day, whole, and nothing else."""
    if list(delta.metadata().partition_columns) != [DAY]:
        # A filter on a column that is no partition would drop whole files.
        raise Refused(f"{table.name} is partitioned by {delta.metadata().partition_columns}, not by {DAY}")
    chosen = delta.partitions(file_pruning_predicate=_only(day))
    if chosen != [found for found in delta.partitions() if found == {DAY: str(day)}]:
        raise Refused(f"{table.name} {day}: the commit would replace {chosen}, not {DAY}={day} alone")
    return _only(day)


def _only(day: date) -> list[tuple[str, str, str]]:
    return [(DAY, "=", str(day))]
