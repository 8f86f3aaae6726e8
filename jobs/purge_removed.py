"""Erase from the lake what was taken down: `--older-than-days N`, the lateness horizon. Needs no Spark."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.purge import purge_removed


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject=None, days=False)
    made.add_argument("--older-than-days", type=int, default=7, metavar="N", help="taken down so long ago; default 7")
    return made


def work(context: Context, given: argparse.Namespace, _days: list[date]) -> Outcome:
    """Run the step."""
    return purge_removed(context, given.older_than_days)


if __name__ == "__main__":
    main("purge_removed", arguments(), work)
