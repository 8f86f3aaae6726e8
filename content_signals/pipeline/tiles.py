"""Tiles of a table, kept so that a day never reads earlier days' rows again.

A tile is a function of its input day alone, so it is kept with the digests of the input it was made from. A tile that
is missing, or whose input has moved since, is made again before it is used: what a day's windows say depends on what
has landed, not on what was built when.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from content_signals.contract import Input, Table
from content_signals.lake.layout import LakeTable
from content_signals.lake.promote import promote
from content_signals.lake.read import read_days, read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs, Stage, write_stage
from content_signals.pipeline.context import Context
from content_signals.pipeline.inputs import Snapshots, windows_span
from content_signals.windows import partial_columns, tile


def current_tiles(
    context: Context, spark: SparkSession, table: Table, days: Sequence[date], snapshots: Snapshots, *, keep: bool = True
) -> DataFrame:
    """Tiles of every day in the windows of `days`, made where they are missing or out of date.

    Args:
        keep: commit what is made; otherwise it is only staged, for `try`.
    """
    kept = context.lake.tiles(table)
    snapshot = Snapshot(kept)
    wanted = _input_digests(table, windows_span(table, days), snapshots)
    outdated = [day for day, inputs in wanted.items() if not _is_current(table, snapshot.stage(day), inputs)]
    if outdated:
        context.say(f"{table.tiles}: making {len(outdated)} of {len(wanted)} days")
        stages = _make(context, spark, table, outdated, wanted, snapshots)
        if not keep:
            return _beside(spark, snapshot, stages, [day for day in wanted if day not in outdated], kept)
        for stage in stages:
            promote(kept, stage, stage.files)
        snapshot = Snapshot(kept)
    return read_days(spark, snapshot, wanted)


def _make(
    context: Context, spark: SparkSession, table: Table, days: Sequence[date], wanted: dict[date, Inputs], snapshots: Snapshots
) -> list[Stage]:
    rows = {}
    for read in table.all_inputs:
        if read.table in table.tiled_inputs:
            having = [day for day in days if read.table in wanted[day]]
            rows[read.table] = filtered(read, read_days(spark, snapshots.of(read.table), having))
    return write_stage(context.lake.tiles(table), tile(table, rows), days, context.run, wanted, table.keys)


def _beside(
    spark: SparkSession, snapshot: Snapshot, stages: Sequence[Stage], current: Sequence[date], kept: LakeTable
) -> DataFrame:
    """Staged tiles that are in no version yet, together with kept ones."""
    schema = StructType.fromJson(json.loads(stages[0].schema_json))
    staged = [f"{kept.path}/{file.path}" for stage in stages for file in stage.files]
    return read_files(spark, schema, [*snapshot.files(current), *staged])


def _input_digests(table: Table, days: Sequence[date], snapshots: Snapshots) -> dict[date, Inputs]:
    """Day -> input table -> day -> digest, for days on which a tiled input has been promoted."""
    found: dict[date, dict[str, dict[str, str]]] = {}
    for name in table.tiled_inputs:
        for day, digest in snapshots.of(name).digests(days).items():
            found.setdefault(day, {})[name] = {str(day): digest}
    return dict(sorted(found.items()))


def _is_current(table: Table, stage: Stage | None, inputs: Inputs) -> bool:
    if stage is None or stage.inputs != inputs:
        return False
    return set(partial_columns(table)) <= {field["name"] for field in json.loads(stage.schema_json)["fields"]}


def filtered(read: Input, rows: DataFrame) -> DataFrame:
    """The rows of an input that count."""
    return rows.where(read.where) if read.where else rows


