"""The newest promoted day to the online store: `--table NAME`, `--day D` or `--from D --to D`.

What is sent is the difference to what is served. `--full` sends every row.
"""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.lake.session import spark_session
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject="table")
    made.add_argument("--full", action="store_true", help="send every row, and look for keys that left in the store")
    return made


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    table = context.catalog.table(given.table)
    step = import_beside("content_signals.pipeline.publish")
    spark = spark_session(f"publish {table.table}")
    outcome: Outcome = step().publish(context, spark, table, days, full=given.full)
    return outcome


if __name__ == "__main__":
    main("publish_features", arguments(), work)
