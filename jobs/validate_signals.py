"""Judge staged days by the table's rules: `--table NAME`, `--day D` or `--from D --to D`.

Without `--run-id` the newest stage of the day is meant.
"""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.lake.session import spark_session
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    table = context.catalog.table(given.table)
    spark = spark_session(f"validate {table.table}")
    from content_signals.pipeline.validate import validate  # imports Great Expectations: seconds

    return validate(context, spark, table, days, given.run_id)


if __name__ == "__main__":
    main("validate_signals", parser(__doc__, subject="table"), work)
