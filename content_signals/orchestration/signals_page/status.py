"""What the jobs wrote of a table's days: the contents of `<lake>/_status/`, checked, and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

PASSED, WARNED, STOPPED = "passed", "warned", "stopped"
DAYS_KEPT = 28
ROWS_SHOWN = 50

Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]
Count = Annotated[int, Field(ge=0)]


class Unreadable(Exception):
    """A file that is not what the jobs write; the text says why, in words for the page."""


class _Record(BaseModel):
    # A newer job may write more than this page knows of.
    model_config = ConfigDict(frozen=True, extra="ignore")


R = TypeVar("R", bound=_Record)


class Failure(_Record):
    """A rule that failed.

    Attributes:
        rows: how many rows break it; 0 for a rule about the day as a whole.
        keys: some of theirs.
        name: what the rule is called in quarantine.
    """

    rule: Text
    severity: Text = ""
    column: Text = ""
    observed: Text = ""
    allowed: Text = ""
    notes: Text = ""
    rows: Count = 0
    keys: tuple[Text, ...] = ()
    name: Text = ""


class Override(_Record):
    """Who let a stopped day through, and why."""

    by: Text = ""
    reason: Text = ""
    at: Text = ""


class Contents(_Record):
    """How far what is computed by content is, for a day.

    Attributes:
        cached: had been computed before; done: by the run; aside: nothing can be made of them.
        seconds_left: an estimate; None when nothing is left.
    """

    total: Count = 0
    cached: Count = 0
    done: Count = 0
    aside: Count = 0
    seconds_left: Count | None = None

    @property
    def share(self) -> float:
        """The share of them that is there."""
        return min((self.cached + self.done) / self.total, 1) if self.total else 1.0


class DayStatus(_Record):
    """One day of a table, as it was judged last.

    Attributes:
        outcome: passed, warned or stopped; empty when nothing judges the table.
        quarantined: rows that broke critical rules; malformed: lines of a source's file that are no rows.
        promoted: whether readers see the day, by whichever of its runs.
        stopped_by: why it was stopped, a sentence each.
        null_share: share of nulls among the values of the signals, None where it is not known.
        docs: path of its Data Docs page, below the lake; empty when there is none.
        contents: of a table that is computed by content.
    """

    day: date
    outcome: Text = ""
    rows: Count | None = None
    quarantined: Count | None = None
    malformed: Count | None = None
    null_share: Annotated[float, Field(ge=0, le=1)] | None = None
    promoted: bool = False
    run_id: Text = ""
    judged_at: datetime | None = None
    promoted_at: datetime | None = None
    override: Override | None = None
    failures: tuple[Failure, ...] = ()
    stopped_by: tuple[Text, ...] = ()
    docs: Text = ""
    contents: Contents | None = None

    @property
    def aside(self) -> int | None:
        """All that was set aside; None where it is not known."""
        known = [count for count in (self.quarantined, self.malformed) if count is not None]
        return sum(known) if known else None

    @property
    def let_through(self) -> bool:
        """Whether a stopped day was promoted all the same."""
        return self.override is not None and self.promoted


class TableStatus(_Record):
    """The last days of a table, newest first."""

    table: str
    days: tuple[DayStatus, ...] = ()

    @field_validator("days")
    @classmethod
    def _newest_first(cls, days: tuple[DayStatus, ...]) -> tuple[DayStatus, ...]:
        return tuple(sorted(days, key=lambda status: status.day, reverse=True)[:DAYS_KEPT])

    @property
    def last_promoted(self) -> DayStatus | None:
        """The newest day that readers see."""
        return next((status for status in self.days if status.promoted), None)

    def of(self, day: date) -> DayStatus | None:
        """One day."""
        return next((status for status in self.days if status.day == day), None)


class AsideRow(_Record):
    """A row in quarantine, and the rules it breaks."""

    rules: tuple[Text, ...] = ()
    row: dict[str, Any]


class Aside(_Record):
    """A bounded sample of a day's quarantine; `total` is how many rows there are."""

    table: str
    day: date
    rows: tuple[AsideRow, ...] = ()
    total: Count = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the rows, in the order they come in."""
        return tuple(dict.fromkeys(column for found in self.rows for column in found.row))

    @property
    def by_rule(self) -> list[tuple[str, int]]:
        """Rule -> how many of the rows break it, most first."""
        return Counter(rule for found in self.rows for rule in found.rules).most_common()

    def breaking(self, rule: str) -> list[AsideRow]:
        """The rows that break a rule; all of them when none is named."""
        return [found for found in self.rows if not rule or rule in found.rules]

    @field_validator("rows", mode="before")
    @classmethod
    def _some(cls, rows: Any) -> Any:
        return rows[:ROWS_SHOWN] if isinstance(rows, list) else rows


def read_status(text: bytes, table: str) -> TableStatus:
    """The status in a file.

    Raises:
        Unreadable: when it is none, or another table's.
    """
    status = _read(TableStatus, text)
    if status.table != table:
        raise Unreadable(f"it is about {status.table[:80]!r}")
    return status


def read_aside(text: bytes, table: str, day: date) -> Aside:
    """The sample in a file.

    Raises:
        Unreadable: when it is none, or of another table or day.
    """
    aside = _read(Aside, text)
    if (aside.table, aside.day) != (table, day):
        raise Unreadable(f"it is about {aside.table[:80]!r}, {aside.day}")
    return aside


def _read(kind: type[R], text: bytes) -> R:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise Unreadable(f"{where + ': ' if where else ''}{first['msg']}{more}"[:300]) from None
