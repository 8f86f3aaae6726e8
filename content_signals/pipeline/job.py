"""What every job's entry point shares: arguments, one JSON line at the end, the exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from content_signals.catalog import Catalog, catalog
from content_signals.day import check_not_future, day_range, parse_day
from content_signals.errors import OK, UNKNOWN, SignalsError, UsageError, summary_of
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.context import Context, Outcome, to_stderr
from content_signals.settings import load_settings

TASK_LOG = "CONTENT_SIGNALS_TASK_LOG"  # a scheduler says here where it keeps the log

Work = Callable[[Context, argparse.Namespace, list[date]], Outcome]


class _Parser(argparse.ArgumentParser):
    """argparse, exiting with the design's code for a wrong call."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, next_step=f"{self.prog} --help")


def parser(
    description: str | None, *, subject: str | None = "table", sources: bool = False, days: bool = True
) -> argparse.ArgumentParser:
    """Arguments of a job: `--table` or `--source`, a day or a range, settings and run id.

    Args:
        sources: `--table` may name a source too.
    """
    made = _Parser(description=description, allow_abbrev=False)
    if subject:
        made.add_argument(
            f"--{subject}",
            required=True,
            metavar="NAME",
            help=f"the {subject}{' or source' if sources else ''}, with its version or without (the newest)",
        )
    made.set_defaults(days_optional=False, subject="any" if sources else subject)
    if days:
        made.add_argument("--day", metavar="YYYY-MM-DD", help="the day")
        made.add_argument(
            "--from", dest="first", metavar="YYYY-MM-DD", help="first day of a range, built in one application"
        )
        made.add_argument("--to", dest="last", metavar="YYYY-MM-DD", help="last day of the range")
    made.add_argument(
        "--settings", metavar="FILE", help="settings file; default: CONTENT_SIGNALS_SETTINGS, else conf/local.toml"
    )
    made.add_argument("--run-id", metavar="ID", help="[a-z0-9-]{8,64}; names the run's files, a retry keeps it")
    return made


def run(name: str, arguments: argparse.ArgumentParser, work: Work, argv: Sequence[str] | None = None) -> int:
    """Run a job: progress on stderr, one JSON line on stdout last. Returns the exit code."""
    started = time.monotonic()
    say = to_stderr(started)
    # Nothing is done yet: what a job that raises has been asked for must not read as done.
    result: dict[str, object] = {"job": name, "table": None, "run_id": None, **_summary(Outcome())}
    try:
        given = arguments.parse_args(argv)
        days = days_of(given)
        result.update(table=getattr(given, "table", None) or getattr(given, "source", None))
        settings = load_settings(given.settings)
        context = Context(
            settings, Lake(settings.lake), catalog(), start_run(given.run_id), say, os.environ.get(TASK_LOG)
        )
        result.update(table=_full_name(given, context.catalog), run_id=context.run.run_id)
        outcome = work(context, given, days)
        code = outcome.exit_code
        result.update(_summary(outcome))
        for error in outcome.failed.values():
            say(str(error))
    except SignalsError as error:
        code = error.exit_code
        result["error"] = error.what
        say(str(error))
    except SystemExit as stop:  # --help
        return int(stop.code or OK)
    except Exception as error:  # the last net: every job ends with its JSON line and a code of the design
        code = UNKNOWN
        result["error"] = summary_of(error)
        traceback.print_exc()
    result.update(exit_code=code, seconds=round(time.monotonic() - started, 1))
    print(json.dumps(result), flush=True)
    return code


def main(name: str, arguments: argparse.ArgumentParser, work: Work) -> None:
    """`run`, then exit."""
    sys.exit(run(name, arguments, work))


def days_of(given: argparse.Namespace) -> list[date]:
    """The days asked for.

    Raises:
        UsageError: for both a day and a range, for neither, for a day in the future.
    """
    if not hasattr(given, "day"):
        return []
    if given.day is not None and (given.first or given.last) is not None:
        raise UsageError("give --day, or --from and --to, not both")
    if given.day is not None:
        days = [parse_day(given.day)]
    elif given.first is not None and given.last is not None:
        days = day_range(parse_day(given.first), parse_day(given.last))
    elif given.days_optional and given.first is None and given.last is None:
        return []
    else:
        raise UsageError("no day given", next_step="--day YYYY-MM-DD, or --from and --to")
    check_not_future(days, datetime.now(UTC))
    return days


def _full_name(given: argparse.Namespace, known: Catalog) -> str | None:
    """The table or source the job is about, with its version; None for a job about several.

    Raises:
        UnknownName: before any work starts.
    """
    if given.subject == "source":
        return known.source(given.source).table
    if given.subject == "table":
        return known.table(given.table).table
    return known.any(given.table).table if getattr(given, "table", None) else None


def _summary(outcome: Outcome) -> dict[str, object]:
    summary: dict[str, object] = {
        "days": [str(day) for day in outcome.days],
        "rows_in": outcome.rows_in,
        "rows_out": outcome.rows_out,
        "quarantined": outcome.quarantined,
        "verdict": outcome.verdict or None,
        "paths": outcome.paths,
        "skipped": {str(day): reason for day, reason in outcome.skipped.items()},
        **outcome.details,
    }
    if len(outcome.stages) == 1:
        summary["run_id"] = next(iter(outcome.stages))
    if outcome.failed:
        summary["failed"] = {str(day): error.what for day, error in outcome.failed.items()}
        summary["error"] = next(iter(outcome.failed.values())).what
    return summary
