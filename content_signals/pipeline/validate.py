"""A staged day, judged by its table's rules: what breaks them is set aside, stops the day, or is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from content_signals.contract import DAY, Source, Table
from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import write_json, write_text
from content_signals.lake.read import read_files
from content_signals.lake.session import SMALL_ROWS, sized_for
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, read_stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.told import alerts_of, tell_verdict
from content_signals.quality import quarantine, status
from content_signals.quality.baseline import Baseline
from content_signals.quality.docs_page import docs_page
from content_signals.quality.footers import Footers
from content_signals.quality.history import Compared, kept_metrics
from content_signals.quality.quarantine import SetAside
from content_signals.quality.scan import Scanner
from content_signals.quality.suite import read_suite
from content_signals.quality.verdict import CRITICAL, INFO, OUTCOMES, PASSED, STOPPED, WARNED, Failure, Verdict

DOCS = "data_docs.html"
_TOGETHER, _ROWS_TOGETHER = 64, 4 * SMALL_ROWS  # days, and rows, asked of with one query
_UNREAD = "an error: [FAILED_READ_FILE"  # so begins what is observed by a rule about a file that Spark cannot read


def validate(
    context: Context, spark: SparkSession, table: Source | Table, days: Sequence[date], run_id: str | None
) -> Outcome:
    """Judge some staged days. A stopped day fails by itself; the others go on."""
    lake_table = context.lake.of(table)
    stages: list[Stage] = []
    outcome = Outcome()
    for day in days:
        try:
            stages.append(read_stage(lake_table, day, run_id))
        except NotLanded as error:
            if len(days) == 1:
                raise
            outcome.skipped[day] = error.what
    if not stages:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} is staged",
            next_step="extract_signals first, or ingest_source for a source",
        )
    with alerts_of(context) as alerts:
        for stage, found in Judge(context, spark, table).each(stages):
            day = date.fromisoformat(stage.day)
            if isinstance(found, BrokenData):
                outcome.failed[day] = found
                alerts.failed(table, day, found, task_log=context.task_log)
                continue
            _note(context, table, stage, found, outcome)
            tell_verdict(context, alerts, table, found)
    return outcome


def _note(context: Context, table: Source | Table, stage: Stage, verdict: Verdict, outcome: Outcome) -> None:
    """What a verdict says of a day."""
    day = date.fromisoformat(stage.day)
    outcome.paths.append(verdict.path(context.lake.of(table)))
    outcome.stages.add(stage.run_id)
    outcome.days.append(day)
    outcome.verdicts[day] = verdict
    outcome.rows_in += stage.rows
    outcome.rows_out += 0 if verdict.outcome == STOPPED else verdict.rows
    outcome.quarantined += verdict.quarantined
    outcome.verdict = max(outcome.verdict or PASSED, verdict.outcome, key=OUTCOMES.index)
    if verdict.outcome == STOPPED:
        outcome.failed[day] = verdict.stop(table, context.lake)
    say_verdict(context, verdict)


class Judge:
    """Judges days of one table, one after the other: those that pass are history to the next."""

    def __init__(
        self, context: Context, spark: SparkSession, table: Source | Table, baseline: Baseline | None = None
    ) -> None:
        self._context, self._spark, self._table = context, spark, table
        self._lake_table, self._quarantine = context.lake.of(table), context.lake.quarantine(table)
        self._scanner = Scanner(read_suite(table.table), context.settings.quality_engine)
        promoted = Snapshot(self._lake_table).schema_json
        fields = StructType.fromJson(json.loads(promoted)) if promoted else StructType()
        self._types = {one.name: one.dataType for one in fields}
        self._passed: dict[date, Verdict] = {}
        self._baseline = baseline or Baseline(self._lake_table, self._passed)
        self._ahead: dict[str, Any] = {}

    def judge(self, stage: Stage) -> Verdict:
        """Run the suite on a stage's files, set aside what must be, and keep what was found.

        Raises:
            BrokenData: the files are no such rows as the table has.
        """
        verdict, keep = self._judge(stage)
        keep()
        return verdict

    def each(self, stages: Sequence[Stage]) -> Iterator[tuple[Stage, Verdict | BrokenData]]:
        """Judge some days; each is handed out once what is kept of it is written.

        That is Python's work, done beside the judging of the next day, which is mostly Spark's. Of small days all but
        the first are asked with few queries.
        """
        behind: tuple[Stage, Verdict | BrokenData, Future[None] | None] | None = None
        asked = False
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pages") as pool:
            for number, stage in enumerate(stages):
                kept: Future[None] | None = None
                found: Verdict | BrokenData
                try:
                    found, keep = self._judge(stage)
                    kept = pool.submit(keep)
                except BrokenData as error:
                    found = error
                if behind:
                    yield _settled(*behind)
                behind = stage, found, kept
                if kept and not asked:  # by now it is known what is asked
                    self._look_ahead(stages[number + 1 :])
                    asked = True
            if behind:
                yield _settled(*behind)

    def _look_ahead(self, stages: Sequence[Stage]) -> None:
        """Ask what will be asked of these days with one query for many of them: of a small day planning is the cost."""
        small = [stage for stage in stages if 0 < stage.rows < SMALL_ROWS]
        schemas = {stage.schema_json for stage in small}
        if len(small) < 2 or len(schemas) > 1:
            return
        schema = StructType.fromJson(json.loads(schemas.pop()))
        for some in _batches(small):
            paths = [f"{self._lake_table.path}/{file.path}" for stage in some for file in stage.files]
            frame = partial(read_files, self._spark, schema, paths)
            with sized_for(self._spark, sum(stage.rows for stage in some)):
                found = self._scanner.ask_ahead(frame, DAY)
            self._ahead |= {stage.day: found.get(date.fromisoformat(stage.day), {}) for stage in some}

    def _judge(self, stage: Stage) -> tuple[Verdict, Callable[[], None]]:
        """The verdict, and what writes all that is kept of it."""
        day = date.fromisoformat(stage.day)
        paths = [f"{self._lake_table.path}/{file.path}" for file in stage.files]
        footers = Footers.of(paths, (DAY, day))
        schema = StructType.fromJson(json.loads(stage.schema_json))
        self._check_types(stage, schema, footers)
        frame = read_files(self._spark, schema, paths)
        with sized_for(self._spark, stage.rows):
            compared = Compared(day, self._baseline, stage.digest)
            result = self._scanner.run(frame, footers, compared, self._ahead.pop(stage.day, None))
            failures = self._scanner.failures(result)
            _check_readable(stage, failures)
            aside = self._set_aside(frame, stage, failures)
        verdict = self._verdict(stage, failures, aside, kept_metrics(result))
        if verdict.outcome != STOPPED:
            self._passed[day] = verdict
        return verdict, partial(self._keep, verdict, result, null_share(footers, self._table))

    def _keep(self, verdict: Verdict, result: Any, nulls: float | None) -> None:
        """Write what is kept of a judgement; the verdict, by which a day may be promoted, last."""
        folder = self._lake_table.run_folder(date.fromisoformat(verdict.day), verdict.run_id)
        write_json(f"{folder}/validation_result.json", result.to_json_dict())
        write_text(f"{folder}/{DOCS}", docs_page(result))
        docs = f"{folder}/{DOCS}".removeprefix(f"{self._context.lake.root}/")
        status.record_verdict(self._context.lake, verdict, nulls, docs)
        verdict.write(self._lake_table)

    def _check_types(self, stage: Stage, schema: StructType, footers: Footers) -> None:
        """Refuse a column of another type than the stage, or the table's promoted days, have it in.

        Rules are no judge of it: Spark compares a text of digits with a number as if it were one.
        """
        drifted = footers.drifted(schema)
        drifted += [
            f"{one.name}: {one.dataType.simpleString()}, not {known.simpleString()} as in promoted days"
            for one in schema
            if (known := self._types.get(one.name)) and known != one.dataType
        ]
        if drifted:
            raise _unfit(stage, f"columns have another type ({'; '.join(drifted)})")

    def _set_aside(self, frame: DataFrame, stage: Stage, failures: Sequence[Failure]) -> SetAside | None:
        """The rows that critical rules are broken by; None when none is."""
        names = [one.name for one in failures if one.severity == CRITICAL and one.rows]
        predicates = self._scanner.predicates(frame, names) if names else {}
        day, lake, run = date.fromisoformat(stage.day), self._context.lake, self._context.run
        if not predicates:
            if quarantine.clear(self._quarantine, day, run):
                status.record_quarantine(lake, stage.table, stage.day, [], 0)
            return None
        aside = quarantine.set_aside(
            self._lake_table, self._quarantine, frame, stage, predicates, self._table.keys, run
        )
        status.record_quarantine(lake, stage.table, stage.day, aside.sample, aside.rows)
        return aside

    def _verdict(
        self, stage: Stage, failures: Sequence[Failure], aside: SetAside | None, metrics: dict[str, object]
    ) -> Verdict:
        keys = aside.keys if aside else {}
        told = tuple(replace(one, keys=keys.get(one.name, one.keys)) for one in failures)
        stopped_by = _stops(self._table, stage, told, aside)
        serious = aside or any(one.severity != INFO for one in told)
        rows = aside.kept.rows if aside else stage.rows
        return Verdict(
            table=stage.table,
            day=stage.day,
            run_id=stage.run_id,
            fence=stage.fence,
            outcome=STOPPED if stopped_by else WARNED if serious else PASSED,
            rules=self._scanner.rules,
            failures=told,
            files=stage.files,
            rows=rows,
            quarantined=aside.rows if aside else 0,
            kept=aside.kept if aside else None,
            stopped_by=stopped_by,
            # The digest is of what came, bad rows and all: so the same file is known when it comes again.
            metrics={**metrics, "rows": rows, "digest": stage.digest},
            judged_at=self._context.run.now.isoformat(timespec="seconds"),
        )


def _settled(
    stage: Stage, found: Verdict | BrokenData, kept: Future[None] | None
) -> tuple[Stage, Verdict | BrokenData]:
    if kept:
        kept.result()
    return stage, found


def _batches(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Stages of some days and not too many rows together."""
    batch: list[Stage] = []
    for stage in stages:
        if batch and (len(batch) == _TOGETHER or sum(one.rows for one in (*batch, stage)) > _ROWS_TOGETHER):
            yield batch
            batch = []
        batch.append(stage)
    yield batch


def _check_readable(stage: Stage, failures: Sequence[Failure]) -> None:
    """Of a damaged file every rule about its columns says the same: the day has one problem, which is no rule's."""
    for one in failures:
        if one.observed.startswith(_UNREAD):
            raise _unfit(stage, f"a staged file is damaged: {one.observed.removeprefix('an error: ')}")


def _unfit(stage: Stage, what: str) -> BrokenData:
    return BrokenData(
        f"{stage.table} {stage.day}: run {stage.run_id}: {what}",
        state="nothing was promoted; readers see the day as it was promoted last, if it was",
        next_step=f"mend what wrote it, then run {stage.day} of {stage.table} again",
    )


def _stops(table: Source | Table, stage: Stage, failures: Sequence[Failure], aside: SetAside | None) -> tuple[str, ...]:
    """Why a day must not be promoted, a sentence each."""
    located = aside.keys if aside else {}
    whole = [one for one in failures if one.severity == CRITICAL and one.name not in located]
    why = [str(one) for one in whole]
    # Whatever the cause, a row that breaks a rule and was not found must not be promoted.
    why += [
        f"{one.name}: {one.rows} rows break it, {aside.broken[one.name]} of them were found"
        for one in failures
        if aside and one.name in located and aside.broken[one.name] != one.rows
    ]
    if aside and aside.rows > stage.rows * table.max_quarantine_ratio:
        broken = "; ".join(str(one) for one in failures if one.name in located)
        why.append(
            f"{aside.rows} of {stage.rows} rows break critical rules ({aside.rows / stage.rows:.2%}); at most"
            f" {table.max_quarantine_ratio:.2%} may: {broken}"
        )
    return tuple(why)


def say_verdict(context: Context, verdict: Verdict) -> None:
    """Say what was found, a line each."""
    about = f"{verdict.table} {verdict.day}"
    aside = f", {verdict.quarantined} rows set aside" if verdict.quarantined else ""
    context.say(f"{about}: {verdict.outcome}; {verdict.rules} rules, {len(verdict.failures)} failed{aside}")
    for failure in verdict.failures:
        context.say(f"{about}:   {failure}")


def null_share(footers: Footers, table: Source | Table) -> float | None:
    """The share of nulls among all values of a day, stamps aside; None when a footer does not tell."""
    nulls = [footers.columns[name].nulls for name in table.values if name in footers.columns]
    if not footers.rows or not nulls or None in nulls:
        return None
    return sum(count or 0 for count in nulls) / (footers.rows * len(nulls))
