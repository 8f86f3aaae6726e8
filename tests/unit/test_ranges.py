"""Ranges of a key: as many rows in each, whatever the keys."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import date

import pytest

from content_signals.lake.ranges import ROWS_PER_FILE, ranges_of, sample_share

DAY, LAST = date(2024, 2, 28), date(2024, 3, 1)


def test_each_range_holds_as_many_rows() -> None:
    keys = [f"{n:05}" for n in range(10_000)]
    ranges = ranges_of([LAST, DAY], "key", keys[::-1], 4 * ROWS_PER_FILE, 2)
    assert (ranges.days, ranges.each_day, ranges.partitions) == ((DAY, LAST), 4, 8)
    assert Counter(bisect_right(ranges.bounds, key) for key in keys) == dict.fromkeys(range(4), 2500)


@pytest.mark.parametrize(
    ("rows", "tasks", "parts"),
    [(1, 4, 1), (ROWS_PER_FILE, 1, 1), (ROWS_PER_FILE + 1, 1, 2), (ROWS_PER_FILE, 4, 4), (ROWS_PER_FILE, 200, 10)],
)
def test_a_day_has_a_part_for_so_many_rows_and_the_workers_have_enough(rows: int, tasks: int, parts: int) -> None:
    assert ranges_of([DAY], "key", list(range(100)), rows, tasks).each_day == parts


def test_a_key_that_is_most_of_the_rows_has_a_range_to_itself() -> None:
    ranges = ranges_of([DAY], "key", ["a", *["b"] * 8, "c"], 5 * ROWS_PER_FILE, 1)
    assert ranges.bounds == ("b",)


@pytest.mark.parametrize("sample", [[], ["a"], ["a"] * 10])
def test_without_different_keys_there_is_one_range(sample: list[str]) -> None:
    assert ranges_of([DAY], "key", sample, 5 * ROWS_PER_FILE, 4).bounds == ()


def test_no_more_than_the_driver_can_hold_is_drawn() -> None:
    assert sample_share(0) == sample_share(20_000) == 1.0
    assert sample_share(2 * 10**9) * 2 * 10**9 == pytest.approx(20_000)
