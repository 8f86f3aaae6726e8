"""Remove retired versions from the online store: `--after-days N`, how long a flip can be undone. Needs no Spark."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.pipeline.cleanup import clean_retired
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject=None, days=False)
    made.add_argument("--after-days", type=int, default=7, metavar="N", help="retired so long ago; default 7")
    return made


def work(context: Context, given: argparse.Namespace, _days: list[date]) -> Outcome:
    """Run the step."""
    return clean_retired(context, given.after_days)


if __name__ == "__main__":
    main("clean_retired", arguments(), work)
