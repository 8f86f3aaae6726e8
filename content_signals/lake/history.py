"""A table's history: every row that a rebuild has superseded, as it was, with when it was known.

A row was known from its `computed_at` until its `superseded_at`. Rows a rebuild leaves as they were stay in the table
and never come here. extract stages them beside the day, promote commits them right after it: the history lies in a
Delta table of its own, `<table>_history`, which only grows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from deltalake import CommitProperties, Transaction

from content_signals.contract import COMPUTED_AT, DAY
from content_signals.lake.commit import add_actions, commit, create, evolve
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.snapshot import Snapshot, app_id
from content_signals.lake.stage import Stage, staged_files

if TYPE_CHECKING:  # promote appends to a history without Spark
    from pyspark.sql import DataFrame

SUPERSEDED_AT = "superseded_at"
_LOOKED_BACK = 20  # commits: some promote nothing, as new columns and upkeep


def stage_superseded(
    table: LakeTable,
    known: DataFrame,
    staged: DataFrame,
    stages: Sequence[Stage],
    current: Mapping[date, Stage],
    run: Run,
    keys: Sequence[str],
) -> list[Stage]:
    """The stages, each with the files that hold the rows it supersedes; days that say what they said have none.

    Args:
        known: rows of the days as promoted.
        staged: rows as staged; one that has not changed has kept its `computed_at`.
        current: the stage each day is promoted from.
    """
    from pyspark.sql import functions as F

    moved = [d for s in stages if (d := date.fromisoformat(s.day)) in current and current[d].digest != s.digest]
    if not moved:
        return list(stages)
    gone = known.where(F.col(DAY).isin(moved)).join(
        staged.select(DAY, *keys, COMPUTED_AT), on=[DAY, *keys, COMPUTED_AT], how="left_anti"
    )
    folder = f"data/{run.folder}"
    columns = [name for name in known.columns if name != DAY]
    (
        gone.select(*columns, F.lit(run.now).cast("timestamp").alias(SUPERSEDED_AT), DAY)
        .hint("rebalance", DAY)
        .sortWithinPartitions(DAY, *keys)
        .write.partitionBy(DAY)
        .parquet(f"{table.history.path}/{folder}")
    )
    return [replace(s, history=staged_files(table.history, folder, date.fromisoformat(s.day))) for s in stages]


def complete_history(table: LakeTable, snapshot: Snapshot) -> None:
    """Append what the newest promotion has superseded, where it was killed before it did."""
    for entry in snapshot.delta.history(_LOOKED_BACK) if snapshot.delta else ():
        stage = snapshot.stage(date.fromisoformat(entry["day"])) if "day" in entry else None
        if stage:
            append_history(table, stage)
            return


def append_history(table: LakeTable, stage: Stage) -> None:
    """Commit the rows a promoted stage has superseded, once, however often it is asked for."""
    if not stage.history:
        return
    day, history = date.fromisoformat(stage.day), table.history
    schema = json.loads(stage.schema_json)
    superseded_at = {"name": SUPERSEDED_AT, "type": "timestamp", "nullable": True, "metadata": {}}
    schema_json = json.dumps({**schema, "fields": [*schema["fields"], superseded_at]})

    def attempt() -> bool | None:
        delta = Snapshot(history).delta or create(history, schema_json)
        if (delta.transaction_version(app_id(history, day)) or 0) >= stage.fence:
            return True
        if evolve(delta, schema_json, f"{history.name} {day}"):
            return None
        _, adds = add_actions(history, day, stage.history, stage.fence)
        delta.create_write_transaction(
            actions=list(adds),
            mode="append",
            schema=delta.schema(),
            partition_by=[DAY],
            commit_properties=CommitProperties(
                custom_metadata={"run_id": stage.run_id, "day": stage.day},
                app_transactions=[Transaction(app_id(history, day), stage.fence)],
                max_commit_retries=0,
            ),
        )
        return True

    commit(f"{history.name} {day}", attempt)
