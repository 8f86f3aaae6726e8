"""A staged day, judged by its table's rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from content_signals.contract import Table
from content_signals.errors import NotLanded
from content_signals.lake.files import write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_files
from content_signals.lake.session import sized_for
from content_signals.lake.stage import Stage, read_stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.quality.scan import Scanner, failures
from content_signals.quality.suite import read_suite
from content_signals.quality.verdict import STOPPED, Verdict, judge


def validate(context: Context, spark: SparkSession, table: Table, days: Sequence[date], run_id: str | None) -> Outcome:
    """Judge some staged days. A stopped day fails by itself; the others go on."""
    lake_table = context.lake.of(table)
    scanner = Scanner(read_suite(table.table), context.settings.quality_engine)
    outcome = Outcome()
    verdicts = []
    for day in days:
        try:
            stage = read_stage(lake_table, day, run_id)
        except NotLanded as error:
            if len(days) == 1:
                raise
            outcome.skipped[day] = error.what
            continue
        verdict = judge_stage(spark, lake_table, stage, scanner)
        verdicts.append(verdict.outcome)
        outcome.stages.add(stage.run_id)
        outcome.days.append(day)
        outcome.rows_in += stage.rows
        outcome.rows_out += 0 if verdict.outcome == STOPPED else stage.rows
        outcome.paths.append(verdict.write(lake_table))
        context.say(f"{table.table} {day}: {verdict.outcome}; {verdict.rules} rules, {len(verdict.failures)} failed")
        for failure in verdict.failures:
            context.say(f"{table.table} {day}:   {failure}")
        if verdict.outcome == STOPPED:
            outcome.failed[day] = verdict.stop(lake_table)
    if not outcome.days:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} is staged", next_step="extract_signals first"
        )
    outcome.verdict = max(verdicts, key=["passed", "warned", "stopped"].index)
    return outcome


def judge_stage(spark: SparkSession, table: LakeTable, stage: Stage, scanner: Scanner) -> Verdict:
    """Run the suite on a stage's files and keep the standard validation result beside it."""
    schema = StructType.fromJson(json.loads(stage.schema_json))
    frame = read_files(spark, schema, [f"{table.path}/{file.path}" for file in stage.files])
    with sized_for(spark, stage.rows):
        result = scanner.run(frame)
    path = f"{table.run_folder(date.fromisoformat(stage.day), stage.run_id)}/validation_result.json"
    write_json(path, result.to_json_dict())  # type: ignore[no-untyped-call]
    return judge(stage, scanner.rules, failures(result))
