"""What an alert can be about: a day of a table that did not go through as it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from content_signals.contract import Source, Table
from content_signals.errors import SignalsError
from content_signals.lake.layout import Lake
from content_signals.quality.verdict import INFO, STOPPED, WARNED, Failure, Override, Verdict

LATE, LOST, LET_THROUGH = "late", "lost", "let through"
KINDS = (WARNED, LATE, LOST, STOPPED, LET_THROUGH)

# Of these the day was promoted, or may be; of the others nobody can read it.
PROMOTED = frozenset({WARNED, LET_THROUGH})


@dataclass(frozen=True)
class Problem:
    """A day that needs somebody.

    Attributes:
        kind: one of `KINDS`.
        keys: what it consists of, rule by rule: a problem whose keys were all told is not told again.
        reasons: why, a sentence each.
        rows: of the day, and `set_aside` of them that are in quarantine.
        served: what readers see meanwhile; promoted: that is this day, as it was judged.
        next_step: the command to run.
    """

    table: str
    day: date
    kind: str
    keys: frozenset[str]
    owner: str
    served: str
    next_step: str
    reasons: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    rows: int = 0
    set_aside: int = 0
    override: Override | None = None
    promoted: bool = False
    run_id: str = ""
    task_log: str = ""
    docs: str = ""


def gravity(kind: str) -> int:
    """0: nothing yet; 1: the day went through; 2: it did not, or only because somebody said so."""
    return 0 if not kind else 1 if kind == WARNED else 2


def of_verdict(
    contract: Source | Table, verdict: Verdict, lake: Lake, served: str, task_log: str | None, docs: str | None
) -> Problem:
    """The problem of a verdict that did not pass. A failed rule of severity `info` is none."""
    failures = tuple(f for f in verdict.failures if f.severity != INFO)
    keys = {f.name for f in failures} | ({LET_THROUGH} if verdict.override else set())
    return Problem(
        table=contract.table,
        day=date.fromisoformat(verdict.day),
        kind=LET_THROUGH if verdict.override else verdict.outcome,
        keys=frozenset(keys or {verdict.outcome}),
        owner=contract.owner,
        served=served,
        next_step=_after(contract, verdict, lake),
        reasons=verdict.stopped_by,
        failures=failures,
        rows=verdict.rows + verdict.quarantined,  # a verdict counts what is left
        set_aside=verdict.quarantined,
        override=verdict.override,
        run_id=verdict.run_id,
        task_log=task_log or "",
        docs=docs or "",
    )


def of_error(contract: Source | Table, day: date, error: SignalsError, served: str, task_log: str | None) -> Problem:
    """The problem of a day that a step gave up: a file that is broken, a promotion that was refused."""
    return Problem(
        table=contract.table,
        day=day,
        kind=STOPPED,
        keys=frozenset({type(error).__name__}),
        owner=contract.owner,
        served=served,
        next_step=error.next_step or _look(contract, day),
        reasons=(error.what, *([error.state] if error.state else [])),
        task_log=task_log or "",
    )


def of_reason(
    contract: Source | Table, day: date, kind: str, reason: str, served: str, task_log: str | None, run_id: str | None
) -> Problem:
    """The problem of a day that is late, or of a job that was lost."""
    return Problem(
        table=contract.table,
        day=day,
        kind=kind,
        keys=frozenset({kind}),
        owner=contract.owner,
        served=served,
        next_step=_again(contract, day, kind),
        reasons=_lines(reason),
        run_id=run_id or "",
        task_log=task_log or "",
    )


def _after(contract: Source | Table, verdict: Verdict, lake: Lake) -> str:
    if verdict.outcome == STOPPED and not verdict.override:
        return verdict.stop(contract, lake).next_step
    if verdict.quarantined:
        return f"content-signals quarantine {contract.table} --day {verdict.day}"
    return _look(contract, date.fromisoformat(verdict.day))


def _again(contract: Source | Table, day: date, kind: str) -> str:
    if isinstance(contract, Source):
        first = "when its file has landed" if kind == LATE else "when what is said above is mended"
        return f"{first}: clear the task in Airflow, or jobs/ingest_source.py --source {contract.table} --day {day}"
    return f"{_look(contract, day)} tells how far it came; then clear the task in Airflow, or run its step again"


def _look(contract: Source | Table, day: date) -> str:
    return f"content-signals runs {contract.table} --day {day}"


def _lines(text: str) -> tuple[str, ...]:
    found: Sequence[str] = [line.strip() for line in text.splitlines()]
    return tuple(line for line in found if line)
