"""A sample of keys online, compared with the table: `--table NAME`, `--sample N`. Each difference with its cause."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.errors import UsageError
from content_signals.lake.session import spark_session
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject="table", days=False)
    made.add_argument("--sample", type=int, default=1_000, metavar="N", help="keys of the table, and of the store")
    return made


def work(context: Context, given: argparse.Namespace, _days: list[date]) -> Outcome:
    """Run the step."""
    if given.sample < 1:
        raise UsageError(f"--sample {given.sample}: at least one key is checked", next_step="--sample 1000")
    table = context.catalog.table(given.table)
    step = import_beside("content_signals.pipeline.check_online")
    spark = spark_session(f"check {table.table}")
    outcome: Outcome = step().check_online(context, spark, table, sample=given.sample)
    return outcome


if __name__ == "__main__":
    main("check_online", arguments(), work)
