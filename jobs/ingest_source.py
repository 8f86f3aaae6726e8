"""Landing files to a source table: `--source NAME`, `--day D` or `--from D --to D`."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.lake.session import spark_session
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.job import main, parser


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    source = context.catalog.source(given.source)
    return ingest(context, spark_session(f"ingest {source.table}"), source, days)


if __name__ == "__main__":
    main("ingest_source", parser(__doc__, subject="source"), work)
