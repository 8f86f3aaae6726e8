"""Make judged days visible: `--table NAME`, `--day D` or `--from D --to D`. Needs no Spark.

Without `--run-id` the newest stage of the day is meant.
"""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.promotion import promote_days


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    return promote_days(context, context.catalog.table(given.table), days, given.run_id)


if __name__ == "__main__":
    main("promote_signals", parser(__doc__, subject="table"), work)
