"""Landing files to a source table, judged by its rules: `--source NAME`, `--day D` or `--from D --to D`."""

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
    source = context.catalog.source(given.source)
    read_suite(source.table)  # a broken suite is known before anything starts
    step = import_beside("content_signals.pipeline.ingest")
    spark = spark_session(f"ingest {source.table}")
    outcome: Outcome = step().ingest(context, spark, source, days)
    return outcome


if __name__ == "__main__":
    main("ingest_source", parser(__doc__, subject="source"), work)
