"""Make a version of a family the live one: `--family NAME`, `--to N` or `--rollback`, `--reason TEXT`. No Spark."""

from __future__ import annotations

import argparse
import getpass
from datetime import date

from content_signals.errors import UsageError
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.job import main, parser


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser(__doc__, subject=None, days=False)
    made.add_argument("--family", required=True, metavar="NAME", help="the family")
    made.add_argument("--to", type=int, metavar="N", help="the version that shall be live")
    made.add_argument("--rollback", action="store_true", help="back to the version before the last flip")
    made.add_argument("--reason", required=True, metavar="TEXT", help="why, kept with the services")
    made.add_argument("--by", metavar="WHO", help="who decided it; default: the user who runs this")
    return made


def work(context: Context, given: argparse.Namespace, _days: list[date]) -> Outcome:
    """Run the step."""
    if given.rollback == (given.to is not None):
        raise UsageError("give --to N or --rollback", next_step="--to N")
    done = flip_family(context, given.family, given.to, given.reason, given.by or getpass.getuser())
    return Outcome(details={"before": done.before, "live": done.after, "services": list(done.services)})


if __name__ == "__main__":
    main("release_features", arguments(), work)
