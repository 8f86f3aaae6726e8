"""What two publications were made from, compared."""

from __future__ import annotations

from content_signals.inspection.explanation import differing


def test_days_that_came_were_made_anew_or_left_are_named():
    before = {
        "a_v1": {"2020-03-01": 5, "2020-03-02": 6, "2020-03-03": 7},
        "b_v1": {"2020-03-03": 1},
        "gone_v1": {"d": 1},
    }
    now = {"a_v1": {"2020-03-02": 6, "2020-03-03": 9, "2020-03-04": 10}, "b_v1": {"2020-03-03": 1}}
    assert differing(before, now) == {
        "a_v1": "new 2020-03-04 and made anew 2020-03-03 and left 2020-03-01",
        "gone_v1": "left d",
    }


def test_many_days_are_a_span():
    days = {f"2020-03-{day:02}": day for day in range(1, 31)}
    assert differing({}, {"a_v1": days}) == {"a_v1": "new 2020-03-01 … 2020-03-30 (30 days)"}
    assert differing({"a_v1": days}, {"a_v1": days}) == {}
