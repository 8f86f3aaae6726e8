"""Tables and everything made from them, over many days, in one application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import SparkSession

from content_signals.contract import Table
from content_signals.errors import NotLanded, SignalsError
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.extract import extract
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.validate import validate


def rebuild(context: Context, spark: SparkSession, plan: Mapping[str, Sequence[date]]) -> Outcome:
    """Extract, validate and promote each table's days, in build order.

    A day that fails in one table is left out of the tables made from it, which keep what they had; the others go on.

    Args:
        plan: table name -> days.
    """
    total = Outcome(verdict="passed")
    failed: dict[str, set[date]] = {}
    tables: dict[str, dict[str, object]] = {}
    for table in context.catalog.tables:
        if table.table not in plan:
            continue
        broken = set().union(*(failed.get(i.table, set()) for i in table.all_inputs))
        days = [day for day in plan[table.table] if day not in broken]
        outcome = _table(context, spark, table, days) if days else Outcome()
        failed[table.table] = set(outcome.failed) | (broken & set(plan[table.table]))
        _add(total, outcome)
        last = str(max(outcome.days)) if outcome.days else None
        tables[table.table] = {
            "days": len(outcome.days),
            "last_day": last,
            "rows": outcome.rows_out,
            "verdict": outcome.verdict,
        }
    if not total.days and not total.failed:
        raise NotLanded(
            "none of the days can be built: no input of theirs has been promoted", next_step="ingest_source first"
        )
    total.details["tables"] = tables
    return total


def _table(context: Context, spark: SparkSession, table: Table, days: Sequence[date]) -> Outcome:
    try:
        staged = extract(context, spark, table, days)
        judged = validate(context, spark, table, staged.days, context.run.run_id)
        passed = [day for day in judged.days if day not in judged.failed]
        promoted = promote_days(context, table, passed, context.run.run_id) if passed else Outcome()
    except NotLanded as error:
        context.say(f"{table.table}: {error.what}")
        return Outcome(skipped=dict.fromkeys(days, error.what))
    except SignalsError as error:
        return Outcome(failed=dict.fromkeys(days, error))
    return Outcome(
        days=promoted.days,
        rows_in=staged.rows_in,
        rows_out=promoted.rows_out,
        verdict=judged.verdict,
        paths=promoted.paths,
        failed={**judged.failed, **promoted.failed},
        skipped=staged.skipped,
    )


def _add(total: Outcome, outcome: Outcome) -> None:
    total.days = sorted({*total.days, *outcome.days})
    total.rows_in += outcome.rows_in
    total.rows_out += outcome.rows_out
    total.paths += outcome.paths
    total.failed.update(outcome.failed)
    total.skipped.update(outcome.skipped)
    if outcome.verdict:
        total.verdict = max(total.verdict, outcome.verdict, key=["passed", "warned", "stopped"].index)
