"""What the page says of a table: worked out from its contract, its status and the time, with no web in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from content_signals.content import Need
from content_signals.contract import Source, Table
from content_signals.day import ONE_DAY, day_range, reach_back, valid_from
from content_signals.orchestration.builds import build_of
from content_signals.orchestration.signals_page.sparkline import Series
from content_signals.orchestration.signals_page.status import (
    DAYS_KEPT,
    STOPPED,
    WARNED,
    DayStatus,
    TableStatus,
    Unreadable,
)
from content_signals.orchestration.signals_page.store import Known

# Worst first: the order of the list, and of the counts above it.
UNREADABLE, LATE, LET_THROUGH, NOTHING, PASSED = "unreadable", "late", "let through", "nothing yet", "passed"
STATES = (UNREADABLE, STOPPED, LATE, LET_THROUGH, WARNED, NOTHING, PASSED)
IN_NEED = frozenset({UNREADABLE, STOPPED, LATE})


@dataclass(frozen=True)
class Overview:
    """One table or source.

    Attributes:
        status: None when nothing was written of it yet.
        problem: why its status cannot be read; empty when it can.
        now: the time it is looked at.
        unmet: what it, or a table it is made from, needs and Airflow's environment does not have.
    """

    contract: Source | Table
    status: TableStatus | None
    problem: str
    now: datetime
    unmet: tuple[Need, ...]

    @property
    def name(self) -> str:
        """The table's name."""
        return self.contract.table

    @property
    def kind(self) -> str:
        """What it is."""
        return "source" if isinstance(self.contract, Source) else "table"

    @property
    def dag_id(self) -> str:
        """The DAG that makes it."""
        return build_of(self.contract).dag_id

    @property
    def lacking(self) -> str:
        """What is missing to make it, in words; empty: nothing."""
        return "; ".join(f"{need.variable} is not set, which names {need.about}" for need in self.unmet)

    @property
    def newest(self) -> DayStatus | None:
        """The newest day that was judged or promoted."""
        return self.status.days[0] if self.status and self.status.days else None

    @property
    def promoted(self) -> DayStatus | None:
        """The newest day that readers see."""
        return self.status.last_promoted if self.status else None

    @property
    def age(self) -> timedelta | None:
        """Since when the newest day that readers see is over."""
        return self.now - valid_from(self.promoted.day) if self.promoted else None

    @property
    def due_within(self) -> timedelta:
        """How old it may get: until the next day is late, that is `fresh_within` after the end of that day."""
        return ONE_DAY + self.contract.fresh_within

    @property
    def late_by(self) -> timedelta | None:
        """How long the next day is overdue; None while it is not, or when no day was ever promoted."""
        return self.age - self.due_within if self.age and self.age > self.due_within else None

    @property
    def verdict(self) -> str:
        """What was found of the newest day."""
        if self.newest is None or not self.newest.outcome:
            return ""
        return LET_THROUGH if self.newest.outcome == STOPPED and self.newest.let_through else self.newest.outcome

    @property
    def state(self) -> str:
        """The gravest of what there is to say."""
        if self.problem:
            return UNREADABLE
        if self.newest is None:
            return NOTHING
        said = {self.verdict, LATE if self.late_by else PASSED}
        return next((state for state in STATES if state in said), PASSED)

    @property
    def window(self) -> list[date]:
        """The 28 days of the sparklines: up to yesterday, or to the newest day where that is long past."""
        yesterday = self.now.date() - ONE_DAY
        last = yesterday
        if self.newest and not reach_back(yesterday, DAYS_KEPT) <= self.newest.day <= yesterday:
            last = self.newest.day
        return day_range(reach_back(last, DAYS_KEPT), last)

    def volume(self) -> Series:
        """Rows a day."""
        days = self._days()
        return [(day, days[day].rows if day in days else None) for day in self.window]

    def null_share(self) -> Series:
        """Share of nulls a day."""
        days = self._days()
        return [(day, days[day].null_share if day in days else None) for day in self.window]

    def stopped_days(self) -> frozenset[date]:
        """The days that were stopped."""
        return frozenset(day for day, status in self._days().items() if status.outcome == STOPPED)

    def _days(self) -> dict[date, DayStatus]:
        return {status.day: status for status in self.status.days} if self.status else {}


def overview(contract: Source | Table, known: Known | None, now: datetime, unmet: tuple[Need, ...] = ()) -> Overview:
    """One table."""
    if isinstance(known, Unreadable):
        return Overview(contract, None, str(known), now, unmet)
    return Overview(contract, known, "", now, unmet)


def worst_first(tables: Iterable[Overview]) -> list[Overview]:
    """Those that need somebody first."""
    return sorted(tables, key=lambda table: (STATES.index(table.state), table.name))


def counts(tables: Sequence[Overview]) -> list[tuple[str, int]]:
    """How many tables are in which state, worst first, without those that none is in."""
    states = [table.state for table in tables]
    return [(state, states.count(state)) for state in STATES if state in states]


def span(length: timedelta) -> str:
    """A length of time in words: `3 h`, `1 d 4 h`, `12 d`."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:
        return f"{max(minutes, 0)} min"
    days, hours = divmod(minutes // 60, 24)
    if days >= 7 or (days and not hours):
        return f"{days:,} d"
    return f"{days} d {hours} h" if days else f"{hours} h"


def share(value: float | None) -> str:
    """A share in words: `1.2 %`."""
    if value is None:
        return "–"
    percent = value * 100
    if 0 < percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.2g} %" if percent < 1 else f"{percent:.1f} %"
