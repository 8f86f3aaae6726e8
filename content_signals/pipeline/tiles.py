"""Tiles of a table, kept so that a day never reads earlier days' rows again.

A tile is a function of its input day alone, so it is kept with the digests of the input it was made from. A tile that
is missing, or whose input has moved since, is made again before it is used: what a day's windows say depends on what
has landed, not on what was built when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from content_signals.contract import Input, Table
from content_signals.errors import Superseded, Temporary
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.promote import promote
from content_signals.lake.read import read_days, read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs, Stage, write_stage
from content_signals.pipeline.context import Context
from content_signals.pipeline.inputs import Snapshots, windows_span
from content_signals.windows import partial_columns, tile


def current_tiles(
    context: Context,
    spark: SparkSession,
    table: Table,
    days: Sequence[date],
    snapshots: Snapshots,
    scratch: Lake | None = None,
) -> DataFrame:
    """Tiles of every day in the windows of `days`, made where they are missing or out of date.

    Args:
        scratch: where what is made is staged, and left, when it must not enter the lake.
    """
    kept = context.lake.tiles(table)
    snapshot = Snapshot(kept)
    wanted = _input_digests(table, windows_span(table, days), snapshots)
    outdated = [day for day, inputs in wanted.items() if not _is_current(table, snapshot.stage(day), inputs)]
    if outdated:
        context.say(f"{table.tiles}: making {len(outdated)} of {len(wanted)} days")
        target = (scratch or context.lake).tiles(table)
        rows = _rows(spark, table, outdated, wanted, snapshots)
        stages = write_stage(target, tile(table, rows), outdated, context.run, wanted, table.keys)
        if scratch:
            return _together(spark, snapshot.files(set(wanted) - set(outdated)), target, stages)
        for stage in stages:
            with suppress(Superseded):  # a newer run has made the same tile meanwhile
                promote(kept, stage, stage.files)
        snapshot = Snapshot(kept)
        _check_made(table, snapshot, {day: wanted[day] for day in outdated})
    return read_days(spark, snapshot, wanted)


def _rows(
    spark: SparkSession, table: Table, days: Sequence[date], wanted: Mapping[date, Inputs], snapshots: Snapshots
) -> dict[str, DataFrame]:
    """Rows of the tiled inputs on the days whose tiles are made."""
    rows = {}
    for read in table.all_inputs:
        if read.table in table.tiled_inputs:
            having = [day for day in days if read.table in wanted[day]]
            rows[read.table] = filtered(read, read_days(spark, snapshots.of(read.table), having))
    return rows


def _together(spark: SparkSession, kept: list[str], target: LakeTable, stages: Sequence[Stage]) -> DataFrame:
    """Kept tiles, and staged ones that are in no version."""
    schema = StructType.fromJson(json.loads(stages[0].schema_json))
    return read_files(
        spark, schema, [*kept, *(f"{target.path}/{file.path}" for stage in stages for file in stage.files)]
    )


def _input_digests(table: Table, days: Sequence[date], snapshots: Snapshots) -> dict[date, Inputs]:
    """Day -> input table -> day -> digest, for days on which a tiled input has been promoted."""
    found: dict[date, dict[str, dict[str, str]]] = {}
    for name in table.tiled_inputs:
        for day, digest in snapshots.of(name).digests(days).items():
            found.setdefault(day, {})[name] = {str(day): digest}
    return dict(sorted(found.items()))


def _check_made(table: Table, snapshot: Snapshot, wanted: Mapping[date, Inputs]) -> None:
    for day, inputs in wanted.items():
        if not _is_current(table, snapshot.stage(day), inputs):
            raise Temporary(
                f"{table.tiles} {day}: another run has made it from other inputs meanwhile",
                state="nothing was staged",
                next_step="extract the day again",
            )


def _is_current(table: Table, stage: Stage | None, inputs: Inputs) -> bool:
    if stage is None or stage.inputs != inputs:
        return False
    return set(partial_columns(table)) <= {field["name"] for field in json.loads(stage.schema_json)["fields"]}


def filtered(read: Input, rows: DataFrame) -> DataFrame:
    """The rows of an input that count."""
    return rows.where(read.where) if read.where else rows
