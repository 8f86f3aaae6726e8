"""Make judged days visible: `--table NAME`, `--day D` or `--from D --to D`. Needs no Spark.

Without `--run-id` the newest stage of the day is meant. `--override --reason TEXT` promotes a day that was stopped.
"""

from __future__ import annotations

import argparse
import getpass
from datetime import date

from content_signals.errors import UsageError
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import main, parser
from content_signals.pipeline.promotion import LetThrough, promote_days


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject="table", sources=True)
    made.add_argument("--override", action="store_true", help="promote one day although its verdict stopped it")
    made.add_argument("--reason", metavar="TEXT", help="why, kept with the commit, the verdict and the alert")
    made.add_argument("--by", metavar="WHO", help="who decided it; default: the user who runs this")
    return made


def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
    """Run the step."""
    decision = None
    if given.override:
        if len(days) > 1:
            raise UsageError("an override is about one day", next_step="give --day")
        decision = LetThrough(given.by or getpass.getuser(), given.reason or "", context.run.now)
    elif given.reason or given.by:
        raise UsageError("--reason and --by belong to --override", next_step="add --override, or leave them out")
    return promote_days(context, context.catalog.any(given.table), days, given.run_id, decision)


if __name__ == "__main__":
    main("promote_signals", arguments(), work)
