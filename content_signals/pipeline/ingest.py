"""Landing files to a source table: parse strictly, drop duplicates, judge, set aside what is unfit, lose nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.alerts.problem import LATE, LOST
from content_signals.content import CONTENT_ID
from content_signals.contract import DAY, RUN_ID, SHA256, Source
from content_signals.errors import BrokenData, NotLanded, SignalsError
from content_signals.lake.contents import AS_LANDED, Contents
from content_signals.lake.layout import start_run
from content_signals.lake.promote import promote
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, write_stage, write_stage_record
from content_signals.pipeline import csv_source, event_source, folder_source, parquet_source
from content_signals.pipeline.contents import LOST_WORKER
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.landing import LandingFile, broken, find
from content_signals.pipeline.parsed import Parsed
from content_signals.pipeline.parts import taken_down_of
from content_signals.pipeline.told import alerts_of, tell_verdict
from content_signals.pipeline.validate import Judge, say_verdict
from content_signals.quality import status
from content_signals.quality.verdict import OUTCOMES, PASSED, STOPPED, Verdict
from content_signals.windows import dedup

# What a damaged file makes the readers under Spark throw. A store that fails for a while throws something else, and is
# tried again.
DAMAGED = (
    "EOFException",
    "ZipException",
    "DataFormatException",
    "Unexpected end of input stream",
    "incorrect header check",
    "not a gzip file",
    "gzip stream CRC failure",
    "stored gzip size",
    "is not a Parquet file",
    "ParquetDecodingException",
    "can not read class org.apache.parquet",
    "could not read page",
    "could not decode the dictionary",
    "MalformedInputException",
    "IndexOutOfBoundsException",
)
_CHECKS = {
    "csv": csv_source.check,
    "parquet": parquet_source.check,
    "events": event_source.check,
    "folder": folder_source.check,
}
_PARSERS = {"csv": csv_source.parse, "parquet": parquet_source.parse}  # the others look into the table, too
QUARANTINE_COLUMNS = ("file", "line_number", "raw", "reason")


def ingest(context: Context, spark: SparkSession, source: Source, days: Sequence[date]) -> Outcome:
    """Ingest some days of a source. Each day succeeds or fails by itself, and its owner is told."""
    outcome = _ingest(context, spark, source, days)
    judged = outcome.verdicts
    with alerts_of(context) as alerts:
        for day in outcome.days:  # what was late or lost is there now, whatever its rules say
            alerts.mended(source, day, kinds=(LATE, LOST))
        for day, error in outcome.failed.items():
            if day not in judged or judged[day].outcome != STOPPED:
                alerts.failed(source, day, error, task_log=context.task_log)
        for day, verdict in judged.items():
            if day in outcome.days or verdict.outcome == STOPPED:
                served = "the day as it was judged" if day in outcome.days else None
                tell_verdict(context, alerts, source, verdict, served)
    return outcome


def _ingest(context: Context, spark: SparkSession, source: Source, days: Sequence[date]) -> Outcome:
    outcome = Outcome()
    files: dict[date, LandingFile] = {}
    for day in days:
        try:
            files[day] = find(source, context.settings.landing, day)
            _CHECKS[source.format](files[day])
        except NotLanded as error:
            files.pop(day, None)
            if len(days) == 1:
                raise
            outcome.skipped[day] = f"not landed: {error.what}"
        except SignalsError as error:
            files.pop(day, None)
            outcome.failed[day] = error
    for day, reason in outcome.skipped.items():
        context.say(f"{source.table} {day}: {reason.split(';')[0]}")
    if not files and not outcome.failed:
        raise NotLanded(
            f"{source.table}: no day from {days[0]} to {days[-1]} has landed", next_step="deliver the files"
        )
    if files:
        _ingest_together(context, spark, source, files, outcome)
    return outcome


def _ingest_together(
    context: Context, spark: SparkSession, source: Source, files: dict[date, LandingFile], outcome: Outcome
) -> None:
    """All files in one pass; when one of them cannot be read to its end, without it."""
    try:
        parsed = _parse(context, spark, source, files)
    except BrokenData as error:
        if len(files) == 1:
            outcome.failed[next(iter(files))] = error
            return
        context.say(f"{source.table}: a file of the range is damaged; reading each by itself to tell which")
        files = {day: file for day, file in files.items() if _is_readable(context, spark, file, outcome)}
        if not files:
            return
        # Another attempt: what the one before has staged stays where it is.
        context = replace(context, run=start_run(context.run.run_id))
        parsed = _parse(context, spark, source, files)
    _ingest_parsed(context, spark, source, files, parsed, outcome)


def _is_readable(context: Context, spark: SparkSession, file: LandingFile, outcome: Outcome) -> bool:
    try:
        if file.source.format == "events":
            with _damage_of(file):
                event_source.read_through(spark, file.source, file.path)
        else:
            _parse(context, spark, file.source, {file.day: file})
    except BrokenData as error:
        outcome.failed[file.day] = error
        return False
    return True


def _ingest_parsed(
    context: Context,
    spark: SparkSession,
    source: Source,
    files: dict[date, LandingFile],
    parsed: Parsed,
    outcome: Outcome,
) -> None:
    table = context.lake.of(source)
    stopped = {day: error for day in files if (error := _too_malformed(source, files[day], parsed))}
    good = [day for day in files if day not in stopped]
    _quarantine(context, source, parsed, list(files))
    if parsed.contents is not None:
        _keep_contents(context, spark, source, parsed.contents)
    stages = _staged(context, source, parsed, good) if good else []
    for stage, found in Judge(context, spark, source).each(stages):
        day = date.fromisoformat(stage.day)
        outcome.rows_in += parsed.lines[day]
        try:
            verdict = _passed(context, source, found, outcome)
            promote(table, stage, verdict.files, kept=verdict.kept)
        except SignalsError as refusal:
            outcome.failed[day] = refusal
            continue
        _count(context, source, stage, verdict, parsed, outcome)
    for day, error in stopped.items():
        outcome.failed[day] = error
        outcome.rows_in += parsed.lines[day]
        outcome.quarantined += parsed.malformed[day]
    outcome.paths.append(table.path)


def _passed(context: Context, source: Source, found: Verdict | BrokenData, outcome: Outcome) -> Verdict:
    """The verdict of a staged day, noted.

    Raises:
        BrokenData: the day is stopped, or could not be judged.
    """
    if isinstance(found, BrokenData):
        raise found
    outcome.verdicts[date.fromisoformat(found.day)] = found
    outcome.verdict = max(outcome.verdict or PASSED, found.outcome, key=OUTCOMES.index)
    if found.failures:
        say_verdict(context, found)
    if found.outcome == STOPPED:
        outcome.quarantined += found.quarantined
        raise found.stop(source, context.lake)
    return found


def _staged(context: Context, source: Source, parsed: Parsed, days: Sequence[date]) -> list[Stage]:
    """The stages of some days, rows of one key made one."""
    table = context.lake.of(source)
    if parsed.rows is None:
        stages = [parsed.staged[day] for day in days]
        for stage in stages:
            write_stage_record(table, stage)
        return stages
    rows = parsed.rows.where(F.col(DAY).isin(*days)).select(*source.values, DAY)
    kept = dedup(rows, (DAY, *source.key), source.order_by) if source.order_by else rows.distinct()
    stamped = kept.select(*source.values, F.lit(context.run.run_id).alias(RUN_ID), DAY)
    return write_stage(table, stamped, days, context.run, {}, source.key)


def _parse(context: Context, spark: SparkSession, source: Source, files: dict[date, LandingFile]) -> Parsed:
    paths = {day: file.path for day, file in files.items()}
    with _damage_of(next(iter(files.values()))):
        if source.format == "events":
            return event_source.parse(spark, source, paths, context.lake.of(source), context.run)
        if source.format == "folder":
            return folder_source.parse(spark, source, paths, context.lake.of(source))
        return _PARSERS[source.format](spark, source, paths)


@contextmanager
def _damage_of(file: LandingFile) -> Iterator[None]:
    """What a damaged file makes Spark throw, as an error about the file."""
    try:
        yield
    except Exception as error:
        lost = any(sign in str(error) for sign in LOST_WORKER)  # its end reads like that of a file
        if lost or not any(sign in str(error) for sign in DAMAGED):
            raise
        raise broken(file, f"it cannot be read to its end (truncated or damaged): {_reason(error)}") from error


def _too_malformed(source: Source, file: LandingFile, parsed: Parsed) -> BrokenData | None:
    # Of an undated file a day may hold nothing, and malformed rows, which are of no day, count on each.
    lines = parsed.file_lines.get(file.day, parsed.lines.get(file.day, 0))
    malformed = parsed.malformed.get(file.day, 0)
    if file.day in parsed.refused:
        return parsed.refused[file.day]
    if lines == 0 and not parsed.may_be_empty:
        return broken(file, "it has a header and no rows" if source.format == "csv" else "it has no rows")
    if malformed <= lines * source.max_malformed_ratio:
        return None
    return broken(
        file,
        f"{malformed} of {lines} rows are malformed ({malformed / lines:.2%}); at most"
        f" {source.max_malformed_ratio:.2%} are allowed; they are in quarantine/{source.table}, ds={file.day}",
    )


def _quarantine(context: Context, source: Source, parsed: Parsed, days: Sequence[date]) -> None:
    """Keep malformed rows; days without any are emptied when an earlier file had put some there."""
    table = context.lake.malformed(source)
    earlier = set(Snapshot(table).days)
    touched = [day for day in days if parsed.malformed.get(day) or day in earlier]
    if not touched:
        return
    aside = parsed.aside.where(F.col(DAY).isin(*touched)).withColumn(RUN_ID, F.lit(context.run.run_id))
    for stage in write_stage(
        table, aside.select(*QUARANTINE_COLUMNS, RUN_ID, DAY), touched, context.run, {}, ["file", "line_number"]
    ):
        promote(table, stage, stage.files)


def _keep_contents(context: Context, spark: SparkSession, source: Source, found: DataFrame) -> None:
    """Keep what is new among the contents, before a day names it; what is taken down alone has is not kept."""
    kept = Contents(spark, context.lake.contents(source), AS_LANDED)
    down = taken_down_of(context, source)
    if down:
        gone = spark.createDataFrame([(key,) for key in down], f"{source.key[0]} string")
        found = found.join(F.broadcast(gone), on=source.key[0], how="left_anti")
    new = found.drop(*source.key).withColumnRenamed(SHA256, CONTENT_ID).join(kept.ids, on=CONTENT_ID, how="left_anti")
    kept.add(new.dropDuplicates([CONTENT_ID]), context.run, "contents")


def _count(context: Context, source: Source, stage: Stage, verdict: Verdict, parsed: Parsed, outcome: Outcome) -> None:
    day = date.fromisoformat(stage.day)
    lines, malformed = parsed.lines[day], parsed.malformed[day]
    duplicates, aside = lines - malformed - stage.rows, malformed + verdict.quarantined
    outcome.days.append(day)
    outcome.rows_out += verdict.rows
    outcome.quarantined += aside
    entry = {"rows": verdict.rows, "malformed": malformed}
    status.record_promotion(context.lake, source.table, stage.day, context.run.now, **entry)
    outcome.details["duplicates"] = int(str(outcome.details.get("duplicates", 0))) + duplicates
    kind = "duplicates" if source.order_by else "exact duplicates"
    context.say(
        f"{source.table} {day}: {lines} rows, {aside} set aside, {duplicates} {kind} dropped, {verdict.rows} promoted"
    )


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line.startswith("Caused by:") or "Exception:" in line]
    return (causes[-1] if causes else lines[0]).removeprefix("Caused by: ")[:300]
