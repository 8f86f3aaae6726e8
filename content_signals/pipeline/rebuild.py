"""Tables and everything made from them, over many days, in one application."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import SparkSession

from content_signals.contract import Table
from content_signals.errors import NotLanded, SignalsError, summary_of, worst
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.extract import extract
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.told import alerts_of
from content_signals.pipeline.validate import validate


def rebuild(context: Context, spark: SparkSession, plan: Mapping[str, Sequence[date]]) -> Outcome:
    """Extract, validate and promote each table's days, in build order.

    A day that fails in one table is left out of the tables made from it, which keep what they had; the others go on.
    Of a day that fails in several tables the gravest error counts; `details["tables"]` has each table's own.

    Args:
        plan: table name -> days.
    """
    total = Outcome(verdict="passed")
    not_rebuilt: dict[str, set[date]] = {}
    tables: dict[str, dict[str, object]] = {}
    for table in context.catalog.tables:
        if table.table not in plan:
            continue
        dropped = _dropped(table, plan[table.table], not_rebuilt)
        days = [day for day in plan[table.table] if day not in dropped]
        outcome = _table(context, spark, table, days) if days else Outcome()
        for day, reason in dropped.items():
            context.say(f"{table.table} {day}: skipped, {reason}")
        for error in dict.fromkeys(outcome.failed.values()):
            context.say(f"failed: {error.what}")
        outcome.skipped.update(dropped)
        not_rebuilt[table.table] = {*outcome.failed, *dropped}
        _add(total, outcome)
        tables[table.table] = _report(outcome)
    if not total.days and not total.failed:
        raise NotLanded(
            "none of the days can be built: no input of theirs has been promoted", next_step="ingest_source first"
        )
    total.details["tables"] = tables
    return total


def _dropped(table: Table, days: Sequence[date], not_rebuilt: Mapping[str, set[date]]) -> dict[date, str]:
    """Days to leave out because an input's day was to be rebuilt and was not, and why."""
    return {
        day: f"{read.table} {day} was not rebuilt"
        for day in days
        for read in table.all_inputs
        if day in not_rebuilt.get(read.table, ())
    }


def _table(context: Context, spark: SparkSession, table: Table, days: Sequence[date]) -> Outcome:
    try:
        staged = extract(context, spark, table, days)
    except NotLanded as error:
        context.say(f"{table.table}: {error.what}")
        return Outcome(skipped=dict.fromkeys(days, error.what))
    except Exception as error:
        return _given_up(context, table, Outcome(failed=dict.fromkeys(days, _as_ours(table, error))))
    try:
        judged = validate(context, spark, table, staged.days, context.run.run_id)
        passed = [day for day in judged.days if day not in judged.failed]
        promoted = promote_days(context, table, passed, context.run.run_id) if passed else Outcome()
    except Exception as error:
        failed = dict.fromkeys(staged.days, _as_ours(table, error))
        return _given_up(context, table, Outcome(failed=failed, skipped=staged.skipped))
    _given_up(context, table, promoted)
    return Outcome(
        days=promoted.days,
        rows_in=staged.rows_in,
        rows_out=promoted.rows_out,
        verdict=judged.verdict,
        paths=promoted.paths,
        failed={**judged.failed, **promoted.failed},
        skipped=staged.skipped,
    )


def _given_up(context: Context, table: Table, outcome: Outcome) -> Outcome:
    """Tell the owner of days that were given up before or after they were judged; validate tells of the others."""
    with alerts_of(context) as alerts:
        for day, error in outcome.failed.items():
            alerts.failed(table, day, error, task_log=context.task_log)
    return outcome


def _as_ours(table: Table, error: Exception) -> SignalsError:
    """A crash in one table must not hide what was promoted of the others: it counts as an error with code 1."""
    if isinstance(error, SignalsError):
        return error
    traceback.print_exception(error)
    return SignalsError(f"{table.table}: {summary_of(error)}")


def _report(outcome: Outcome) -> dict[str, object]:
    """What the last line says of one table."""
    return {
        "days": len(outcome.days),
        "last_day": str(max(outcome.days)) if outcome.days else None,
        "rows": outcome.rows_out,
        "verdict": outcome.verdict,
        "failed": {str(day): error.what for day, error in sorted(outcome.failed.items())},
        "skipped": {str(day): reason for day, reason in sorted(outcome.skipped.items())},
    }


def _add(total: Outcome, outcome: Outcome) -> None:
    total.days = sorted({*total.days, *outcome.days})
    total.rows_in += outcome.rows_in
    total.rows_out += outcome.rows_out
    total.paths += outcome.paths
    for day, error in outcome.failed.items():
        total.failed[day] = _graver(total.failed.get(day, error), error)
    for day, reason in outcome.skipped.items():
        known = total.skipped.setdefault(day, reason)
        if reason not in known.split("; "):
            total.skipped[day] = f"{known}; {reason}"
    if outcome.verdict:
        total.verdict = max(total.verdict, outcome.verdict, key=["passed", "warned", "stopped"].index)


def _graver(one: SignalsError, other: SignalsError) -> SignalsError:
    """The one with the graver exit code; the first of equals."""
    return one if worst((one.exit_code, other.exit_code)) == one.exit_code else other
