"""Judge staged days by the table's rules: `--table NAME`, `--day D` or `--from D --to D`.

Without `--run-id` the newest stage of the day is meant.
"""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.lake.session import spark_session
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.quality.suite import read_suite


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    table = context.catalog.any(given.table)
    read_suite(table.table)  # a broken suite is known before anything starts
    step = import_beside("content_signals.pipeline.validate")
    spark = spark_session(f"validate {table.table}")
    outcome: Outcome = step().validate(context, spark, table, days, given.run_id)
    return outcome


if __name__ == "__main__":
    main("validate_signals", parser(__doc__, subject="table", sources=True), work)
