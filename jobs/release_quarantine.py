"""Judge a day's quarantined rows again, and promote those that pass: `--table NAME --day D`.

For after a rule was mended. The day they belong to is judged with them.
"""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.errors import UsageError
from content_signals.lake.session import spark_session
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.quality.suite import read_suite


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    if len(days) > 1:
        raise UsageError("rows are released day by day", next_step="give --day")
    table = context.catalog.any(given.table)
    read_suite(table.table)  # a broken suite is known before anything starts
    step = import_beside("content_signals.pipeline.release")
    spark = spark_session(f"release {table.table}")
    outcome: Outcome = step().release(context, spark, table, days[0])
    return outcome


if __name__ == "__main__":
    main("release_quarantine", parser(__doc__, subject="table", sources=True), work)
