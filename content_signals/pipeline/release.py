"""Rows in quarantine, judged again after a rule was mended: what passes now joins its day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from content_signals.contract import Table
from content_signals.errors import NotLanded, Refused
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, stage_files, write_stage_record
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.promotion import promote_judged
from content_signals.pipeline.validate import Judge
from content_signals.quality.quarantine_columns import FILE
from content_signals.quality.verdict import STOPPED, verdict_of


def release(context: Context, spark: SparkSession, table: Table, day: date) -> Outcome:
    """Stage the day as promoted together with its quarantined rows, judge all of it, and promote what passes.

    Raises:
        NotLanded: nothing is in quarantine.
        Refused: the quarantined rows are not of what is promoted.
        BrokenData: the day is stopped; readers see it as before.
    """
    lake_table = context.lake.of(table)
    aside, current = _quarantined(context, spark, table, day), _promoted(lake_table, day)
    _check_same_run(table, lake_table, current, aside)
    quarantined = aside.count()
    promoted = read_days(spark, Snapshot(lake_table), [day])
    rows = promoted.unionByName(aside.select(*promoted.columns))
    staged = stage_files(lake_table, rows, [day], context.run, {day: current.inputs}, table.keys)[0]
    stage = replace(staged, base=current.fence)
    write_stage_record(lake_table, stage)
    verdict = Judge(context, spark, table).judge(stage)
    verdict.write(lake_table)
    if verdict.outcome == STOPPED:
        raise verdict.stop(lake_table)
    promote_judged(context, table, stage)
    released = quarantined - verdict.quarantined
    context.say(f"{table.table} {day}: {released} of {quarantined} quarantined rows released")
    return Outcome(
        days=[day],
        rows_in=quarantined,
        rows_out=released,
        quarantined=verdict.quarantined,
        verdict=verdict.outcome,
        paths=[lake_table.path],
    )


def _quarantined(context: Context, spark: SparkSession, table: Table, day: date) -> DataFrame:
    snapshot = Snapshot(context.lake.quarantine(table))
    if snapshot.delta is None or not snapshot.rows([day]):
        raise NotLanded(
            f"{table.table} {day}: nothing is in quarantine", next_step="nothing: there is no row to release"
        )
    return read_days(spark, snapshot, [day])


def _promoted(table: LakeTable, day: date) -> Stage:
    current = Snapshot(table).stage(day)
    if current is None:
        raise Refused(
            f"{table.name} {day}: the day is not promoted, so no row can join it",
            state="the rows stay in quarantine, and the staged files where they are",
            next_step=f"validate_signals --table {table.name} --day {day} judges the whole stage once more",
        )
    return current


def _check_same_run(table: Table, lake_table: LakeTable, current: Stage, aside: DataFrame) -> None:
    """Rows that a later, stopped run has set aside belong to that run's day, not to the one that is promoted."""
    day = date.fromisoformat(current.day)
    verdict = verdict_of(lake_table, day, current.run_id)
    known = {file.path.rsplit("/", 1)[1] for file in verdict.files} if verdict else set()
    strange = {row[FILE] for row in aside.select(FILE).distinct().collect()} - known
    if strange:
        raise Refused(
            f"{table.table} {day}: the rows in quarantine are of another run than {current.run_id}, which is promoted",
            state="the rows stay in quarantine; readers see the day as it was",
            next_step=f"validate_signals --table {table.table} --day {day} judges the newest stage again, then promote",
        )
