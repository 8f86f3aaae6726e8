"""Rows in quarantine, judged again after a rule was mended: what passes now joins its day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from pyspark.sql import SparkSession

from content_signals.contract import Source, Table
from content_signals.errors import NotLanded, Refused
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import NO_ROWS, Stage, digests_of, less, read_stage, stage_files, write_stage_record
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.promotion import promote_judged
from content_signals.pipeline.told import alerts_of, tell_verdict
from content_signals.pipeline.validate import Judge
from content_signals.quality.verdict import STOPPED


def release(context: Context, spark: SparkSession, table: Source | Table, day: date) -> Outcome:
    """Stage the day as promoted together with its quarantined rows, judge all of it, and promote what passes.

    A release that was stopped, or killed anywhere, is taken up where it ended.

    Raises:
        NotLanded: nothing is in quarantine.
        Refused: the quarantined rows are not of what is promoted.
        BrokenData: the day is stopped; readers see it as before.
    """
    lake_table = context.lake.of(table)
    current, whole = _promoted(context, table, day)
    stage = _begun(lake_table, current, whole) or _staged(context, spark, table, current, whole)
    verdict = Judge(context, spark, table).judge(stage)
    with alerts_of(context) as alerts:
        tell_verdict(context, alerts, table, verdict)
    if verdict.outcome == STOPPED:
        raise verdict.stop(table, context.lake)
    if (verdict.kept or stage).digest != current.digest:
        promote_judged(context, table, stage)
    aside, released = whole.rows - current.rows, verdict.rows - current.rows
    context.say(f"{table.table} {day}: {released} of {aside} quarantined rows released")
    return Outcome(
        days=[day],
        rows_in=aside,
        rows_out=released,
        quarantined=verdict.quarantined,
        verdict=verdict.outcome,
        paths=[lake_table.path],
        stages={stage.run_id},
    )


def _promoted(context: Context, table: Source | Table, day: date) -> tuple[Stage, Stage]:
    """The day as it is promoted, and as it was staged: with the rows that were set aside."""
    lake_table = context.lake.of(table)
    found = Snapshot(context.lake.quarantine(table)).rows([day])
    current = Snapshot(lake_table).stage(day)
    whole = current and read_stage(lake_table, day, current.run_id)
    if not found and (not current or not whole or whole.rows == current.rows):
        raise NotLanded(
            f"{table.table} {day}: nothing is in quarantine", next_step="nothing: there is no row to release"
        )
    if not current or not whole:
        raise Refused(
            f"{table.table} {day}: the day is not promoted, so no row can join it",
            state="the rows stay in quarantine, and the staged files where they are",
            next_step=f"validate_signals --table {table.table} --day {day} judges the whole stage once more",
        )
    if whole.fence != current.fence or whole.rows == current.rows:
        raise _of_another_run(current)
    return current, whole


def _begun(table: LakeTable, current: Stage, whole: Stage) -> Stage | None:
    """The stage of an earlier release of the same rows, which was stopped or killed before it was promoted."""
    newest = read_stage(table, date.fromisoformat(current.day))
    return newest if (newest.base, newest.digest) == (current.fence, whole.digest) else None


def _staged(context: Context, spark: SparkSession, table: Source | Table, current: Stage, whole: Stage) -> Stage:
    """The promoted rows and those in quarantine, staged as one day: what the promoted run had staged."""
    lake_table, day = context.lake.of(table), date.fromisoformat(current.day)
    columns = [field["name"] for field in json.loads(whole.schema_json)["fields"]]
    # A later run may have set aside rows of its own, or rows that are promoted: they must not join the day.
    aside = read_days(spark, Snapshot(context.lake.quarantine(table)), [day])
    known = set(columns) <= set(aside.columns)
    digest = digests_of(aside.select(*columns)).get(day, (0, NO_ROWS))[1] if known else NO_ROWS
    if digest != less(whole.digest, current.digest):
        raise _of_another_run(current)
    rows = read_days(spark, Snapshot(lake_table), [day]).select(*columns).unionByName(aside.select(*columns))
    staged = stage_files(lake_table, rows, [day], context.run, {day: current.inputs}, table.keys)[0]
    stage = replace(staged, base=current.fence, read_at=current.read_at)
    write_stage_record(lake_table, stage)
    return stage


def _of_another_run(current: Stage) -> Refused:
    """Rows that a later run has set aside belong to that run's day, not to the one that is promoted."""
    return Refused(
        f"{current.table} {current.day}: the rows in quarantine are of another run than {current.run_id}, which is"
        " promoted",
        state="the quarantine stays as it is; readers see the day as it was",
        next_step=f"validate_signals --table {current.table} --day {current.day} judges the newest stage again, then"
        f" promote; if that is refused, run {current.day} of {current.table} again, from its first step",
    )
