"""The index of chunks that searches read, of a promoted day: `--day D` or `--from D --to D` (the newest of them)."""

from __future__ import annotations

import argparse
from datetime import date

from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject=None)
    made.add_argument("--skip-missing", action="store_true", help="leave a day out whose chunks are not promoted yet")
    return made


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    from content_signals.pipeline.search_index import build_search_index

    return build_search_index(context, days, skip_missing=given.skip_missing)


if __name__ == "__main__":
    main("build_search_index", arguments(), work)
