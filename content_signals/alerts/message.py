"""What an alert says: plain text that reads well in a mail, in a chat and on a phone, and fields for a program."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from content_signals.alerts.problem import LATE, LET_THROUGH, LOST, PROMOTED, Problem
from content_signals.quality.verdict import CRITICAL, STOPPED, WARNED, Failure

FAILURE, WARNING, SUCCESS = "failure", "warning", "success"  # what channels colour by: Apprise's own words
MOST_RULES = 10
MOST_NAMES = 12
MOST_LETTERS = 300
MOST_LETTERS_OF_KEY = 60
_HEADLINE = {
    WARNED: "passed with warnings",
    STOPPED: "stopped",
    LATE: "late",
    LOST: "job lost",
    LET_THROUGH: "let through",
}
_SERVED = {WARNED: "Served until it is promoted"}
_JOINER = "\u200d"  # zero-width, inside an emoji


@dataclass(frozen=True)
class Message:
    """One message. `fields` are for webhooks, which get JSON: plain values and lists of them."""

    title: str
    body: str
    tone: str
    fields: dict[str, Any] = field(default_factory=dict)


def of_problem(problem: Problem, waiting: Sequence[str] = (), related: str = "") -> Message:
    """A problem, told in full.

    Args:
        waiting: the tables made from this one.
        related: what may have caused it, a sentence.
    """
    parts = [
        "\n".join(_reasons(problem)),
        _rules(problem.failures),
        _facts(problem, waiting, related),
        _links(problem),
    ]
    about = _summary(problem)
    return Message(
        f"{problem.table} {problem.day} {_HEADLINE[problem.kind]}" + (f": {about}" if about else ""),
        "\n\n".join(part for part in parts if part),
        WARNING if problem.kind == WARNED else FAILURE,
        {
            "event": "problem",
            "table": problem.table,
            "days": [str(problem.day)],
            "kind": problem.kind,
            "rules": sorted(problem.keys),
            "rows_set_aside": problem.set_aside,
            "owner": problem.owner,
            "served": problem.served,
            "next": problem.next_step,
            "waiting": list(waiting),
        },
    )


def of_more(problems: Sequence[Problem]) -> Message:
    """Further days of a table with one problem, after the first was told in full."""
    first, days = problems[0], sorted(p.day for p in problems)
    count = f"{len(days)} more {'day' if len(days) == 1 else 'days'}"
    body = "\n".join(
        [
            f"For the same reasons as the day told before: {_listed(sorted(first.keys))}",
            f"Days: {_listed([str(day) for day in days])}",
            f"Owner: {first.owner}",
            f"Next: content-signals runs {first.table} --day {days[0]}",
        ]
    )
    return Message(
        f"{first.table} {_HEADLINE[first.kind]}: {count}, {_span(days)}",
        body,
        WARNING if first.kind == WARNED else FAILURE,
        {
            "event": "problem",
            "table": first.table,
            "days": [str(day) for day in days],
            "kind": first.kind,
            "rules": sorted(first.keys),
            "owner": first.owner,
        },
    )


def of_end(table: str, day: date, kind: str, since: datetime | None, affected: Sequence[str], owner: str) -> Message:
    """The one line when a day that was told passes."""
    began = f", {since:%Y-%m-%d %H:%M} UTC" if since else ""
    reached = f" It had held up {_listed(affected)}." if affected else ""
    title = f"{table} {day} passes now"
    fields = {
        "event": "passed", "table": table, "days": [str(day)], "was": kind, "affected": list(affected), "owner": owner
    }  # fmt: skip
    return Message(title, f"Told before: {_HEADLINE.get(kind, kind)}{began}.{reached}", SUCCESS, fields)


def of_more_ends(table: str, days: Sequence[date], affected: Sequence[str], owner: str) -> Message:
    """The one line for further days of a table that pass, after the first was told."""
    title = f"{table}: {len(days)} more {'day passes' if len(days) == 1 else 'days pass'} now, {_span(days)}"
    reached = f"They had held up {_listed(affected)}." if affected else ""
    named = [str(day) for day in sorted(days)]
    fields = {"event": "passed", "table": table, "days": named, "affected": list(affected), "owner": owner}
    return Message(title, reached or f"Days: {_listed(named)}", SUCCESS, fields)


def plain(text: str, most: int = MOST_LETTERS) -> str:
    """One line of `text`, cut at `most` letters. Control characters, text direction among them, become spaces."""
    shown = "".join(c if c == _JOINER or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else " " for c in text)
    line = " ".join(shown.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _summary(problem: Problem) -> str:
    if problem.override:
        return f"by {plain(problem.override.by, 60)}"
    if not problem.failures:
        return ""
    count = len(problem.failures)
    aside = _aside(problem)
    return f"{count} {'rule' if count == 1 else 'rules'} failed" + (f", {aside} set aside" if aside else "")


def _aside(problem: Problem) -> str:
    of = f" of {problem.rows:,}" if problem.rows else ""
    return f"{problem.set_aside:,}{of} rows" if problem.set_aside else ""


def _reasons(problem: Problem) -> list[str]:
    """Why, up to where a rule begins that is listed below anyway."""
    names = {failure.rule for failure in problem.failures}
    cut = [
        min([reason.find(name) for name in names if name in reason], default=len(reason)) for reason in problem.reasons
    ]
    shown = [plain(reason[:end]).rstrip(" :") for reason, end in zip(problem.reasons, cut, strict=True)]
    return [reason for reason in shown if reason]


def _rules(failures: Sequence[Failure]) -> str:
    """The failed rules, critical ones first."""
    ordered = sorted(failures, key=lambda f: f.severity != CRITICAL)
    lines = [line for failure in ordered[:MOST_RULES] for line in _rule(failure)]
    if len(ordered) > MOST_RULES:
        lines.append(f"- and {len(ordered) - MOST_RULES} more")
    return "\n".join(["Failed:", *lines]) if lines else ""


def _rule(failure: Failure) -> list[str]:
    lines = [
        f"- {plain(failure.name)} ({failure.severity})",
        f"  observed {plain(failure.observed)}, allowed {plain(failure.allowed)}",
    ]
    if failure.rows:
        keys = ", ".join(plain(key, MOST_LETTERS_OF_KEY) for key in failure.keys[:3])
        lines.append(
            f"  {failure.rows:,} {'row' if failure.rows == 1 else 'rows'}" + (f", such as {keys}" if keys else "")
        )
    if failure.notes:
        lines.append(f"  {plain(failure.notes)}")
    return lines


def _facts(problem: Problem, waiting: Sequence[str], related: str) -> str:
    override = problem.override
    affected = "Made from it" if problem.kind in PROMOTED else "Waiting for it"
    facts = {
        "Let through by": f"{plain(override.by)} at {override.at}: {plain(override.reason)}" if override else "",
        "Set aside": _aside(problem),
        "Served" if problem.promoted else _SERVED.get(problem.kind, "Served meanwhile"): plain(problem.served),
        affected: _listed(waiting),
        "Perhaps because": related,
        "Owner": problem.owner,
        "Next": plain(problem.next_step, 3 * MOST_LETTERS),
    }
    return "\n".join(f"{name}: {text}" for name, text in facts.items() if text)


def _links(problem: Problem) -> str:
    links = {"Data Docs": problem.docs, "Log": problem.task_log, "Run": problem.run_id}
    return "\n".join(f"{name}: {text}" for name, text in links.items() if text)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join([*names[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])])


def _span(days: Sequence[date]) -> str:
    first, last = min(days), max(days)
    return str(first) if first == last else f"{first} to {last}"
