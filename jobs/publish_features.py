"""Promoted days to the online store: `--table NAME`, `--day D` or `--from D --to D`. Needs no Spark."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.publish import publish


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    return publish(context, context.catalog.table(given.table), days)


if __name__ == "__main__":
    main("publish_features", parser(__doc__, subject="table"), work)
