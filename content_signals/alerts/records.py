"""What was told of which day: one small JSON file per table and day below `<lake>/_alerts`.

A writer writes the file of its own table and day alone. What a problem affected is not kept with it but found: the days
whose record names it as their cause. So no two tables ever write one file.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from content_signals.alerts.problem import Problem, gravity
from content_signals.lake.files import list_folder, read_json, write_json

# A turn lasts at most as long as a message may take to be sent, and then some.
TURN = timedelta(seconds=90)
SETTLE_SECONDS = 0.2  # between writing a claim and reading it back
LOOK_SECONDS = 0.2
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")


class Ref(NamedTuple):
    """A day of a table."""

    table: str
    day: date

    def __str__(self) -> str:
        return f"{self.table} {self.day}"


@dataclass(frozen=True)
class Record:
    """What is known, and what was told, of a day's problem.

    Attributes:
        open: whether the day has not passed since.
        kind: of the problem as it is now, and `keys` what it consists of.
        told: every key told since it was opened; `told_kind` is the gravest kind among them.
        cause: the day it was folded into: nobody was told of this one.
    """

    at: Ref
    open: bool = False
    kind: str = ""
    keys: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    told_kind: str = ""
    opened_at: datetime | None = None
    told_at: datetime | None = None
    closed_at: datetime | None = None
    cause: Ref | None = None

    def with_problem(self, problem: Problem, now: datetime) -> Record:
        """The same with the problem as it is now; one that was closed begins anew."""
        kept = self if self.open else Record(self.at, open=True, opened_at=now)
        return replace(kept, kind=problem.kind, keys=tuple(sorted(problem.keys)))

    def has_news(self, problem: Problem) -> bool:
        """Whether the problem has a key, or a gravity, that was not told."""
        return bool(problem.keys - set(self.told)) or gravity(problem.kind) > gravity(self.told_kind)

    def as_told(self, now: datetime) -> Record:
        """The same, told as it is now."""
        kind = self.kind if gravity(self.kind) >= gravity(self.told_kind) else self.told_kind
        told = tuple(sorted({*self.told, *self.keys}))
        return replace(self, told=told, told_kind=kind, told_at=now, cause=None)

    def as_closed(self, now: datetime) -> Record:
        """The same, over."""
        return replace(self, open=False, closed_at=now)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        moments = {n: _text(getattr(self, n)) for n in ("opened_at", "told_at", "closed_at")}
        return {
            "table": self.at.table,
            "day": str(self.at.day),
            "open": self.open,
            "kind": self.kind,
            "keys": list(self.keys),
            "told": list(self.told),
            "told_kind": self.told_kind,
            "cause": {"table": self.cause.table, "day": str(self.cause.day)} if self.cause else None,
            **moments,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Record:
        """What `to_json` kept."""
        return cls(
            at=_ref(kept),
            open=bool(kept["open"]),
            kind=str(kept["kind"]),
            keys=tuple(kept["keys"]),
            told=tuple(kept["told"]),
            told_kind=str(kept["told_kind"]),
            cause=_ref(kept["cause"]) if kept["cause"] else None,
            **{n: _moment(kept[n]) for n in ("opened_at", "told_at", "closed_at")},
        )


class Records:
    """The records of a lake.

    Args:
        root: of the lake.
        clock: the time, with its zone.
        sleep: waits some seconds.
    """

    def __init__(self, root: str, clock: Callable[[], datetime], sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder, self._clock, self._sleep = f"{root}/_alerts", clock, sleep

    def read(self, at: Ref) -> Record | None:
        """The record of a day, None when there is none, or none that can be understood."""
        try:
            kept = read_json(self._path(at))
            return None if kept is None else Record.from_json(kept)
        except (ValueError, KeyError, TypeError):  # half a file of an interrupted upload: better told twice than never
            return None

    def write(self, record: Record) -> None:
        """Keep a record in its day's place."""
        write_json(self._path(record.at), record.to_json())

    def between(self, table: str, first: date, last: date) -> list[Record]:
        """The open records of a table's days from `first` to `last`."""
        matches = [_FILE.fullmatch(info.base_name) for info in list_folder(f"{self._folder}/{table}")]
        days = [date.fromisoformat(match[1]) for match in matches if match]
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = pool.map(self.read, [Ref(table, day) for day in days if first <= day <= last])
            return [record for record in found if record is not None and record.open]

    @contextmanager
    def turn(self, at: Ref) -> Iterator[None]:
        """Be the only one who works on a day.

        A claim is written and, a moment later, read back: of two that were written at once one is left, and the other
        waits. This needs no more of a store than that it shows what was written last. A claim that its process did not
        live to give back runs out.
        """
        path, mine = f"{self._folder}/_turns/{at.table}/{at.day}.json", uuid.uuid4().hex
        give_up = self._clock() + TURN
        while True:
            if self._is_taken(path) and self._clock() < give_up:
                self._sleep(LOOK_SECONDS)
                continue
            write_json(path, {"who": mine, "until": (self._clock() + TURN).isoformat()})
            self._sleep(SETTLE_SECONDS)
            if self._holder(path) == mine:
                break
        try:
            yield
        finally:
            if self._holder(path) == mine:
                write_json(path, {})

    def _is_taken(self, path: str) -> bool:
        claim = _claim(path)
        until = _moment(claim.get("until"))
        return until is not None and until > self._clock()

    def _holder(self, path: str) -> str:
        return str(_claim(path).get("who", ""))

    def _path(self, at: Ref) -> str:
        return f"{self._folder}/{at.table}/{at.day}.json"


def _claim(path: str) -> dict[str, Any]:
    try:
        return read_json(path) or {}
    except ValueError:
        return {}


def _ref(kept: dict[str, Any]) -> Ref:
    return Ref(str(kept["table"]), date.fromisoformat(kept["day"]))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
