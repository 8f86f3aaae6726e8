"""Rebuild tables and everything made from them in one application: `--tables A,B --from D --to D`, or `--stale`."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.errors import UsageError
from content_signals.lake.session import spark_session
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.needs import without_lacking
from content_signals.pipeline.stale import stale_days
from content_signals.quality.suite import read_suite


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    plan = _plan(context, given, days)
    if not plan:
        context.say("nothing to rebuild")
        return Outcome(verdict="passed")
    for table in plan:
        read_suite(table)  # a broken suite is known before anything starts
    step = import_beside("content_signals.pipeline.rebuild")
    spark = spark_session("rebuild signals")
    outcome: Outcome = step().rebuild(context, spark, plan)
    return outcome


def _plan(context: Context, given: argparse.Namespace, days: list[date]) -> dict[str, list[date]]:
    if given.stale == bool(given.tables) or (given.tables and not days):
        raise UsageError("give --tables with a range, or --stale", next_step="rebuild_signals --help")
    left_out = [table.table for table in context.catalog.downstream(_named(context, given.without))]
    chosen = _named(context, given.tables)
    plan: dict[str, list[date]] = {}
    if chosen:
        plan = {table.table: days for table in context.catalog.downstream(chosen)}
    else:
        for entry in stale_days(context):
            if not days or entry.day in days:
                plan.setdefault(entry.table, []).append(entry.day)
    return without_lacking(context, {name: own for name, own in plan.items() if name not in left_out}, chosen)


def _named(context: Context, names: str | None) -> list[str]:
    return [context.catalog.table(name.strip()).table for name in (names or "").split(",") if name.strip()]


def arguments() -> argparse.ArgumentParser:
    """The arguments."""
    made = parser(__doc__, subject=None)
    made.set_defaults(days_optional=True)
    made.add_argument("--tables", metavar="A,B", help="tables; everything downstream is rebuilt too")
    made.add_argument(
        "--without", metavar="A,B", default="", help="tables to leave as they are, with all that is made from them"
    )
    made.add_argument(
        "--stale", action="store_true", help="the days that `content-signals stale` lists, in the range if one is given"
    )
    return made


if __name__ == "__main__":
    main("rebuild_signals", arguments(), work)
