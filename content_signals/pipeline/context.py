"""What every step is given: the lake, the catalogue, the run, and somewhere to say how it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from content_signals.catalog import Catalog
from content_signals.errors import SignalsError, worst
from content_signals.lake.layout import Lake, Run
from content_signals.settings import Settings

if TYPE_CHECKING:  # it loads pyarrow, which the commands that show a contract do without
    from content_signals.quality.verdict import Verdict


def to_stderr(started: float) -> Callable[[str], None]:
    """A progress line with the seconds since `started`: stdout stays free for the result."""
    return lambda line: print(f"{time.monotonic() - started:7.1f} s  {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Context:
    """The surroundings of a step.

    Attributes:
        say: gets one line per thing that happened.
        task_log: URL of the log this goes to, if a scheduler has said so.
    """

    settings: Settings
    lake: Lake
    catalog: Catalog
    run: Run
    say: Callable[[str], None]
    task_log: str | None = None


@dataclass
class Outcome:
    """What a step did, day by day.

    Attributes:
        rows_in: rows read, rows_out: rows staged or written, quarantined: rows set aside.
        failed: day -> the error that stopped it; the other days went on.
        skipped: days with nothing to do, and why.
        stages: run ids of the stages that were judged or promoted: not always the step's own.
        verdicts: of the days that were judged.
    """

    days: list[date] = field(default_factory=list)
    rows_in: int = 0
    rows_out: int = 0
    quarantined: int = 0
    verdict: str = ""
    paths: list[str] = field(default_factory=list)
    failed: dict[date, SignalsError] = field(default_factory=dict)
    skipped: dict[date, str] = field(default_factory=dict)
    stages: set[str] = field(default_factory=set)
    verdicts: dict[date, Verdict] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or the gravest code of the days that failed."""
        return worst(error.exit_code for error in self.failed.values())
