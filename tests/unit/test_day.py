"""The day a run is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from content_signals.day import check_not_future, day_range, parse_day, reach_back, valid_from
from content_signals.errors import USAGE, UsageError


@pytest.mark.parametrize("text", ["2020-03-01", "2020-02-29", "1999-12-31", "0001-01-01"])
def test_a_day_is_read_as_it_is_written(text: str) -> None:
    assert parse_day(text).isoformat() == text


@pytest.mark.parametrize(
    "text",
    [
        "None",  # what Airflow hands over when a run has no day
        "",
        " ",
        "null",
        "today",
        "2020-3-1",
        "20200301",
        "2020-03-01 ",
        " 2020-03-01",
        "2020-03-01\n",
        "2020-03-01T00:00:00",
        "2020/03/01",
        "01-03-2020",
        "2020-02-30",
        "2021-02-29",
        "2020-13-01",
        "0000-01-01",
        "-020-03-01",
        "２０２０-03-01",  # digits, but not ASCII ones
        "2020-061",  # day 61 of the year
        # A Monday in ISO weeks: ten characters, and date.fromisoformat reads it.
        "2020-W10-1",
        "{{ ds }}  ",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_day(text)
    assert repr(text) in error.value.what
    assert "YYYY-MM-DD" in error.value.what
    assert "--day" in error.value.next_step
    assert error.value.exit_code == USAGE


def test_a_range_holds_both_ends() -> None:
    assert day_range(date(2020, 2, 28), date(2020, 3, 1)) == [date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1)]
    assert day_range(date(2020, 3, 1), date(2020, 3, 1)) == [date(2020, 3, 1)]
    assert len(day_range(date(2019, 1, 1), date(2020, 12, 31))) == 365 + 366


def test_a_range_backwards_is_refused_with_both_ends() -> None:
    with pytest.raises(UsageError) as error:
        day_range(date(2020, 3, 2), date(2020, 3, 1))
    assert "2020-03-02" in error.value.what
    assert "2020-03-01" in error.value.what
    assert error.value.next_step


def test_today_has_begun_and_tomorrow_has_not() -> None:
    now = datetime(2020, 3, 1, 23, 59, tzinfo=UTC)
    check_not_future([], now)
    check_not_future([date(2020, 2, 1), date(2020, 3, 1)], now)
    with pytest.raises(UsageError, match="2020-03-02 is in the future"):
        check_not_future([date(2020, 3, 1), date(2020, 3, 2)], now)
    with pytest.raises(UsageError, match="2020-03-03 is in the future"):
        check_not_future([date(2020, 3, 3), date(2020, 3, 2), date(2020, 3, 1)], now)  # in whatever order


def test_the_future_is_that_of_utc_whatever_the_clock_shows() -> None:
    # Both clocks show the second of March; in UTC it is still the first at the one, and the third at the other.
    ahead = datetime(2020, 3, 2, 5, tzinfo=timezone(timedelta(hours=14)))
    behind = datetime(2020, 3, 2, 20, tzinfo=timezone(timedelta(hours=-10)))
    check_not_future([date(2020, 3, 1)], ahead)
    with pytest.raises(UsageError, match="2020-03-02"):
        check_not_future([date(2020, 3, 2)], ahead)
    check_not_future([date(2020, 3, 3)], behind)


def test_rows_are_valid_from_the_next_midnight_in_utc() -> None:
    assert valid_from(date(2020, 2, 28)) == datetime(2020, 2, 29, tzinfo=UTC)
    assert valid_from(date(2020, 12, 31)) == datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "first"), [(1, date(2020, 3, 1)), (2, date(2020, 2, 29)), (28, date(2020, 2, 3)), (400, date(2019, 1, 27))]
)
def test_a_window_of_n_days_has_n_days(days: int, first: date) -> None:
    day = date(2020, 3, 1)
    assert reach_back(day, days) == first
    assert len(day_range(first, day)) == days
