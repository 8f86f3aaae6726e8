"""Inputs to staged files of a signal table: `--table NAME`, `--day D` or `--from D --to D`."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.lake.session import spark_session
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.extract import extract
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.needs import check_needs


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    table = context.catalog.table(given.table)
    check_needs(context.catalog, table)
    return extract(context, spark_session(f"extract {table.table}"), table, days)


if __name__ == "__main__":
    main("extract_signals", parser(__doc__, subject="table"), work)
