"""The day a run is about. A day is a `datetime.date`, in UTC; its rows become valid at the next midnight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from content_signals.errors import UsageError

ONE_DAY = timedelta(days=1)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_day(text: str) -> date:
    """`2020-03-01` as a date.

    Raises:
        UsageError: for anything else. Schedulers hand over "None" or "" when a run has no day; guessing one would
            overwrite a day nobody asked for.
    """
    try:
        if not _DAY.fullmatch(text):  # fromisoformat alone reads weeks too: 2020-W10-1
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a day; a day is written YYYY-MM-DD",
            next_step="pass --day 2020-03-01, or --from and --to; a scheduler that hands over 'None' has no day",
        ) from error


def day_range(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included.

    Raises:
        UsageError: when `last` is before `first`.
    """
    if last < first:
        raise UsageError(f"the range ends ({last}) before it starts ({first})", next_step="swap --from and --to")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def days_until_yesterday(count: int) -> list[date]:
    """The last `count` days, yesterday (UTC) the last of them."""
    yesterday = datetime.now(UTC).date() - ONE_DAY
    return day_range(reach_back(yesterday, count), yesterday)


def check_not_future(days: Sequence[date], now: datetime) -> None:
    """Refuse days that have not begun in UTC: they can only be a slip of the keyboard."""
    if days and (last := max(days)) > now.astimezone(UTC).date():
        raise UsageError(f"{last} is in the future (UTC now: {now.astimezone(UTC):%Y-%m-%d %H:%M})")


def valid_from(day: date) -> datetime:
    """When the day's rows become valid: the following midnight UTC, when the day is over."""
    return datetime.combine(day + ONE_DAY, time(), tzinfo=UTC)


def reach_back(day: date, days: int) -> date:
    """The first day of the window (day - days, day]."""
    return day - timedelta(days=days - 1)
