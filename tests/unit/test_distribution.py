"""The stability index, against its formula worked out by hand."""

from __future__ import annotations

import math

import pytest

from content_signals.quality.distribution import stability_index


def test_equal_spreads_have_none():
    counts = {str(n): 100 for n in range(20)}
    assert stability_index([counts, counts], dict.fromkeys(counts, 5), ordered=True) == pytest.approx(0, abs=2e-3)


def test_two_values_by_the_formula():
    # p, q of today and before: 0.7, 0.3 and 0.5, 0.5.
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    found = stability_index([{"0": 10, "1": 10}, {"0": 500, "1": 500}], {"0": 70, "1": 30}, ordered=False)
    assert found == pytest.approx(expected)


def test_days_count_alike_whatever_their_rows():
    days = [{"0": 1, "1": 3}, {"0": 300, "1": 100}]  # a quarter and three quarters: a half each
    assert stability_index(days, {"0": 50, "1": 50}, ordered=False) == pytest.approx(0)


@pytest.mark.parametrize("factor", [1000, 1 / 1000])
def test_another_unit_is_a_large_change(factor):
    shift = round(8 * math.log2(factor))  # eight buckets to the doubling
    before = {str(16384 + n): 100 for n in range(40)}
    assert stability_index([before], {str(16384 + n + shift): 100 for n in range(40)}, ordered=True) > 2


def test_a_value_never_seen_counts_although_its_share_was_none():
    assert stability_index([{"0": 100}], {"0": 60, "7": 40}, ordered=False) > 2


def test_chance_stays_small():
    before = {str(n): 1000 for n in range(10)}
    today = {str(n): 1000 + (30 if n % 2 else -30) for n in range(10)}
    assert stability_index([before], today, ordered=True) < 0.01
