"""Staged and judged days, made visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from content_signals.contract import Source, Table
from content_signals.errors import NotLanded, Refused, SignalsError, UsageError
from content_signals.lake.layout import LakeTable
from content_signals.lake.promote import Promotion, promote
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, read_stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.decision import reason_of
from content_signals.pipeline.parts import hide_parts
from content_signals.pipeline.told import alerts_of, found_again, tell_verdict
from content_signals.quality import status
from content_signals.quality.verdict import STOPPED, Verdict, read_verdict


@dataclass(frozen=True)
class LetThrough:
    """A person's decision that a stopped day is promoted all the same.

    It overrules the day's verdict, never a row's: rows that critical rules have set aside stay in quarantine.
    """

    by: str
    reason: str
    at: datetime

    def __post_init__(self) -> None:
        """Refuse a decision that nobody made, or for no reason.

        Raises:
            UsageError: before any work starts.
        """
        if not self.by.strip():
            raise UsageError("an override names who decided it", next_step='--by "name"')
        reason_of(self.reason, "an override", "why the day is good enough to be served")


def promote_days(
    context: Context,
    table: Source | Table,
    days: Sequence[date],
    run_id: str | None,
    decision: LetThrough | None = None,
) -> Outcome:
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
            promotion = promote_judged(context, table, stage, decision)
        except SignalsError as error:
            outcome.failed[day] = error
            continue
        outcome.days.append(day)
        outcome.rows_out += promotion.rows
        how = "was promoted already" if promotion.already else f"promoted as version {promotion.version}"
        context.say(f"{table.table} {day}: {promotion.rows} rows, {how}")
    if not outcome.days and not outcome.failed:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} is staged",
            next_step="extract_signals first, or ingest_source for a source",
        )
    outcome.paths.append(lake_table.path)
    found_again(context, table, outcome.days)
    return outcome


def promote_judged(
    context: Context, contract: Source | Table, stage: Stage, decision: LetThrough | None = None
) -> Promotion:
    """Promote a stage whose own verdict lets it pass, or that somebody lets through.

    Raises:
        Refused: when the verdict stopped the day or was given for another attempt; when there is nothing to overrule.
    """
    table = context.lake.of(contract)
    verdict = read_verdict(table, stage)
    if decision:
        verdict = _overruled(table, verdict, decision)
    elif verdict.outcome == STOPPED and not verdict.override:
        raise Refused(
            f"{table.name} {stage.day}: run {stage.run_id} was stopped: {'; '.join(verdict.stopped_by)}",
            state="nothing was promoted; readers see the day as it was promoted last, if it was",
            next_step=f"content-signals runs {table.name} --day {stage.day} tells which; mend, run the day again;"
            f' or content-signals promote {table.name} --day {stage.day} --override --reason "…"',
        )
    note = {f"override_{name}": value for name, value in vars(verdict.override).items()} if verdict.override else {}
    files = [f"{table.path}/{file.path}" for file in (verdict.kept or stage).files]
    hide_parts(context, contract, files)  # before anybody can read them
    done = promote(table, stage, verdict.files, kept=verdict.kept, note=note)
    hide_parts(context, contract, files)  # of what was taken down meanwhile, by somebody who could not see them yet
    if done.already:
        _check_same_rows(table, verdict.kept or stage)
    if decision:  # after the commit, whose metadata says it first: a refused override overruled nothing
        verdict.write(table)
        with alerts_of(context) as alerts:
            tell_verdict(context, alerts, contract, verdict)
    entry = {"rows": done.rows, "override": vars(verdict.override) if verdict.override else None}
    status.record_promotion(context.lake, table.name, stage.day, context.run.now, **entry)
    return done


def _check_same_rows(table: LakeTable, judged: Stage) -> None:
    """A stage judged again after it was promoted may have lost or gained rows: its day does not change by itself."""
    current = Snapshot(table).stage(date.fromisoformat(judged.day))
    if current and current.fence == judged.fence and current.digest != judged.digest:
        raise Refused(
            f"{table.name} {judged.day}: run {judged.run_id} is promoted with {current.rows} rows; judged again since,"
            f" {judged.rows} rows would pass",
            state="readers see the rows promoted first; the quarantine holds what was found last",
            next_step=f"run {judged.day} of {table.name} again, from its first step",
        )


def _overruled(table: LakeTable, verdict: Verdict, decision: LetThrough) -> Verdict:
    about = f"{table.name} {verdict.day}: run {verdict.run_id}"
    if verdict.outcome != STOPPED:
        raise Refused(f"{about} was not stopped", next_step="promote it without --override")
    if verdict.kept and not verdict.kept.rows:
        raise Refused(
            f"{about}: every row is in quarantine, none is left to promote",
            next_step=f"content-signals quarantine {table.name} --day {verdict.day}; mend, run the day again",
        )
    return verdict.overridden(decision.by, decision.reason.strip(), decision.at)
