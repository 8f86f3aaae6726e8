"""Tiles of a table, kept so that a day never reads earlier days' rows again.

A tile is a function of its input day alone, so it is kept with the digests of the input it was made from. A tile that
is missing, or whose input has moved since, is made again before it is used: what a day's windows say depends on what
has landed, not on what was built when.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from content_signals.contract import Input, Table
from content_signals.day import day_range
from content_signals.errors import Superseded, Temporary
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.promote import promote
from content_signals.lake.read import read_days, read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs, Stage, write_stage
from content_signals.pipeline.context import Context
from content_signals.pipeline.inputs import Snapshots, windows_span
from content_signals.windows import partial_columns, tile
from content_signals.windows.coarse import block_of, blocks_of, coarse_partials, coarsen, first_fine_day


@dataclass(frozen=True)
class Tiles:
    """The tiles that the windows of some days are made from.

    Attributes:
        fine: of single days.
        coarse: of whole blocks of days that `fine` leaves out; None where no window is that long.
    """

    fine: DataFrame
    coarse: DataFrame | None = None


def current_tiles(
    context: Context,
    spark: SparkSession,
    table: Table,
    days: Sequence[date],
    snapshots: Snapshots,
    scratch: Lake | None = None,
) -> Tiles:
    """Tiles of every day in the windows of `days`, made where they are missing or out of date.

    Args:
        scratch: where what is made is staged, and left, when it must not enter the lake.
    """
    wanted = _input_digests(table, _span(table, days), snapshots)
    blocks = _blocks(table, days, wanted)
    lake_table = context.lake.coarse_tiles(table)
    coarse = Snapshot(lake_table) if blocks else None
    columns = [partial.name for partial in coarse_partials(table)]
    stale = [b for b, of in blocks.items() if coarse and not _is_current(coarse, b, _together(of), columns)]
    of_blocks = {day for of in blocks.values() for day in of}
    of_stale = {day for block in stale for day in blocks[block]}
    fine = {day: inputs for day, inputs in wanted.items() if day not in of_blocks - of_stale}
    tiles, found = _fine(context, spark, table, fine, snapshots, scratch)
    if coarse is None or (scratch and len(stale) == len(blocks)):
        return Tiles(tiles)
    if scratch:
        return Tiles(tiles, read_days(spark, coarse, set(blocks) - set(stale)))
    if stale:
        context.say(f"{lake_table.name}: making {len(stale)} of {len(blocks)} blocks of days")
        rows = coarsen(table, read_days(spark, found, of_stale))
        inputs = {block: _together(of) for block, of in blocks.items()}
        coarse = _kept(context, lake_table, rows, stale, inputs, table, columns)
    # From the version that was looked at: a rival may have made a day again meanwhile, from other inputs.
    return Tiles(read_days(spark, found, set(fine) - of_blocks), read_days(spark, coarse, blocks))


def _fine(
    context: Context,
    spark: SparkSession,
    table: Table,
    wanted: Mapping[date, Inputs],
    snapshots: Snapshots,
    scratch: Lake | None,
) -> tuple[DataFrame, Snapshot]:
    """Tiles of single days, and the version of the table they are in; what is made in `scratch` is in none."""
    kept, columns = context.lake.tiles(table), partial_columns(table)
    snapshot = Snapshot(kept)
    outdated = [day for day, inputs in wanted.items() if not _is_current(snapshot, day, inputs, columns)]
    if outdated:
        context.say(f"{table.tiles}: making {len(outdated)} of {len(wanted)} days")
        rows = tile(table, _rows(spark, table, outdated, wanted, snapshots))
        if scratch:
            target = scratch.tiles(table)
            stages = write_stage(target, rows, outdated, context.run, wanted, table.keys)
            return _with_staged(spark, snapshot.files(set(wanted) - set(outdated)), target, stages), snapshot
        snapshot = _kept(context, kept, rows, outdated, wanted, table, columns)
    return read_days(spark, snapshot, wanted), snapshot


def _kept(
    context: Context,
    kept: LakeTable,
    rows: DataFrame,
    made: Sequence[date],
    wanted: Mapping[date, Inputs],
    table: Table,
    columns: Collection[str],
) -> Snapshot:
    """Stage and promote what was made; the version in which all that is wanted is as it is wanted."""
    for stage in write_stage(kept, rows, made, context.run, wanted, table.keys):
        with suppress(Superseded):  # a newer run has made the same meanwhile
            promote(kept, stage, stage.files)
    snapshot = Snapshot(kept)
    for day, made_from in wanted.items():
        if not _is_current(snapshot, day, made_from, columns):
            raise Temporary(
                f"{kept.name} {day}: another run has made it from other inputs meanwhile",
                state="nothing was staged",
                next_step="extract the day again",
            )
    return snapshot


def _span(table: Table, days: Sequence[date]) -> list[date]:
    """Every day whose tiles can be needed; where windows are long, from the beginning of a block."""
    span = windows_span(table, days)
    return day_range(block_of(span[0]), span[-1]) if coarse_partials(table) else span


def _blocks(table: Table, days: Sequence[date], wanted: Mapping[date, Inputs]) -> dict[date, dict[date, Inputs]]:
    """The blocks that stand in for single days, with those of their days that have landed."""
    if not coarse_partials(table):
        return {}
    first = first_fine_day(table, min(days))
    return {block: {d: wanted[d] for d in of} for block, of in blocks_of(d for d in wanted if d < first).items()}


def _together(inputs: Mapping[date, Inputs]) -> Inputs:
    """What a block is made from: input table -> day -> digest."""
    found: dict[str, dict[str, str]] = {}
    for of_day in inputs.values():
        for name, digests in of_day.items():
            found.setdefault(name, {}).update(digests)
    return found


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


def _with_staged(spark: SparkSession, kept: list[str], target: LakeTable, stages: Sequence[Stage]) -> DataFrame:
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


def _is_current(snapshot: Snapshot, day: date, inputs: Inputs, columns: Collection[str]) -> bool:
    stage = snapshot.stage(day)
    if stage is None or stage.inputs != inputs:
        return False
    return set(columns) <= {field["name"] for field in json.loads(stage.schema_json)["fields"]}


def filtered(read: Input, rows: DataFrame) -> DataFrame:
    """The rows of an input that count."""
    return rows.where(read.where) if read.where else rows
