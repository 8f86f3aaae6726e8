"""Staged and judged days, made visible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from content_signals.contract import Table
from content_signals.errors import NotLanded, Refused, SignalsError
from content_signals.lake.layout import LakeTable
from content_signals.lake.promote import Promotion, promote
from content_signals.lake.stage import Stage, read_stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.quality.verdict import STOPPED, read_verdict


def promote_days(context: Context, table: Table, days: Sequence[date], run_id: str | None) -> Outcome:
    """Promote some days. Each succeeds or fails by itself."""
    lake_table = context.lake.of(table)
    outcome = Outcome()
    for day in days:
        try:
            stage = read_stage(lake_table, day, run_id)
        except NotLanded as error:
            if len(days) == 1:
                raise
            outcome.skipped[day] = error.what
            continue
        outcome.rows_in += stage.rows
        outcome.stages.add(stage.run_id)
        try:
            promotion = promote_judged(lake_table, stage)
        except SignalsError as error:
            outcome.failed[day] = error
            continue
        outcome.days.append(day)
        outcome.rows_out += promotion.rows
        how = "was promoted already" if promotion.already else f"promoted as version {promotion.version}"
        context.say(f"{table.table} {day}: {promotion.rows} rows, {how}")
    if not outcome.days and not outcome.failed:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} is staged", next_step="extract_signals first"
        )
    outcome.paths.append(lake_table.path)
    return outcome


def promote_judged(table: LakeTable, stage: Stage) -> Promotion:
    """Promote a stage whose own verdict lets it pass.

    Raises:
        Refused: when the verdict stopped the day or was given for another attempt.
    """
    verdict = read_verdict(table, stage)
    if verdict.outcome == STOPPED:
        stopping = sum(failure.severity == "critical" for failure in verdict.failures)
        raise Refused(
            f"{table.name} {stage.day}: run {stage.run_id} was stopped by {stopping} critical"
            f" rule{'s' if stopping > 1 else ''}",
            state="nothing was promoted; readers see the day as it was promoted last, if it was",
            next_step=f"content-signals runs {table.name} --day {stage.day} tells which; mend, extract the day again",
        )
    return promote(table, stage, verdict.files)
