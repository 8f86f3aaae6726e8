"""Rules that compare a day with the days before it: what they judge, and what they let be."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from content_signals.lake.layout import LakeTable
from content_signals.quality.baseline import Baseline
from content_signals.quality.history import (
    Compared,
    ExpectColumnDistributionToBeLikeHistory,
    ExpectColumnMeanToBeLikeHistory,
    ExpectColumnNullShareToBeLikeHistory,
    ExpectColumnTrueShareToBeLikeHistory,
    ExpectRowCountToBeLikeHistory,
    ExpectTableToDifferFromDayBefore,
    compared_with,
    kept_metrics,
)
from content_signals.quality.verdict import STOPPED, Override
from tests.lake import judged, promoted, stage_of

DAY = date(2020, 3, 20)
ROWS, MEAN, NULLS = "table.row_count", "column.mean", "column.non_null_count"
COUNT = ExpectRowCountToBeLikeHistory(history_of="t")
AVERAGE = ExpectColumnMeanToBeLikeHistory(history_of="t", column="n")
SHARE = ExpectColumnNullShareToBeLikeHistory(history_of="t", column="n")
SPREAD = ExpectColumnDistributionToBeLikeHistory(history_of="t", column="n")
TRUE = ExpectColumnTrueShareToBeLikeHistory(history_of="t", column="n")
DIFFERS = ExpectTableToDifferFromDayBefore(history_of="t")


def before(days: int) -> date:
    return DAY - timedelta(days=days)


@pytest.fixture
def table(tmp_path):
    return LakeTable("t", f"{tmp_path}/t", f"{tmp_path}/_runs/t")


@pytest.fixture
def history(table):
    """Promote days with these metrics: days before -> metrics."""

    def of(days, run_id="run-00001", stopped=False, override=None):
        for ago, metrics in days.items():
            stage = (stage_of if stopped and not override else promoted)(table, before(ago), {"n": [1]}, run_id=run_id)
            verdict = judged(stage, 1)
            more = {"outcome": STOPPED} if stopped else {}
            type(verdict)(**{**vars(verdict), **more, "metrics": metrics, "override": override}).write(table)

    return of


@pytest.fixture
def judge(table):
    """What a rule says of the day: whether it passes, and its result."""

    def run(rule, metrics, *, day=DAY, seen=None, digest="today"):
        with compared_with(Compared(day, Baseline(table, seen), digest)):
            found = rule._validate(metrics)
        return found["success"], found["result"]

    return run


def test_the_first_days_are_not_judged(history, judge):
    metrics = {ROWS: 10_000}
    assert judge(COUNT, metrics) == (
        True,
        {
            "observed_value": 10_000,
            "details": {
                "metric": "rows",
                "value": 10_000,
                "days": 0,
                "allowed": "not judged: 0 earlier days are known, 7 are needed",
            },
        },
    )
    history({ago: {"rows": 1000} for ago in range(1, 7)})
    assert judge(COUNT, metrics)[0], "six days are too few"
    history({7: {"rows": 1000}})
    assert not judge(COUNT, metrics)[0]


@pytest.mark.parametrize(("rows", "good"), [(500, True), (2000, True), (499, False), (2001, False), (0, False)])
def test_bounds_are_allowed_values(history, judge, rows, good):
    history({ago: {"rows": rows} for ago, rows in enumerate([10, 900, 1000, 1000, 1000, 1100, 10**9], 1)})
    passed, result = judge(COUNT, {ROWS: rows})
    assert (passed, result["details"]["allowed"]) == (good, "500 to 2000 (0.5 to 2 times the median of 7 days)")


def test_days_of_few_rows_are_not_judged_but_few_rows_where_there_were_many(history, judge):
    history({ago: {"rows": 40, "mean(n)": 3.0} for ago in range(1, 8)})
    assert judge(COUNT, {ROWS: 99})[1]["details"]["allowed"] == "not judged: 99 rows, 100 are needed"
    assert not judge(COUNT, {ROWS: 100})[0]
    assert judge(AVERAGE, {ROWS: 99, MEAN: 100.0})[0]
    assert not judge(AVERAGE, {ROWS: 100, MEAN: 100.0})[0]


def test_of_a_median_of_zero_there_is_no_multiple(history, judge):
    history({ago: {"rows": 0, "mean(n)": 0.0} for ago in range(1, 8)})
    for rule, metrics in ((COUNT, {ROWS: 1000}), (AVERAGE, {ROWS: 1000, MEAN: 0.1})):
        passed, result = judge(rule, metrics)
        assert passed
        assert "not judged: the median of 7 days is 0" in result["details"]["allowed"]


@pytest.mark.parametrize(("mean", "good"), [(-2.0, True), (-0.5, True), (-2.1, False), (-0.4, False), (1.0, False)])
def test_a_mean_may_be_negative(history, judge, mean, good):
    history({ago: {"mean(n)": -1.0} for ago in range(1, 8)})
    assert judge(AVERAGE, {ROWS: 500, MEAN: mean})[0] == good


def test_a_mean_of_nothing_and_one_that_is_no_number(history, judge):
    history({ago: {"mean(n)": 1.0} for ago in range(1, 8)})
    passed, result = judge(AVERAGE, {ROWS: 500, MEAN: None})
    assert (passed, result["details"]["allowed"]) == (True, "nothing to compare: the day has no value")
    for mean in (math.nan, math.inf):
        passed, result = judge(AVERAGE, {ROWS: 500, MEAN: mean})
        assert not passed
        assert kept_metrics(results(result)) == {}, "later days are not compared with it"


def results(*found):
    return SimpleNamespace(results=[SimpleNamespace(result=one) for one in found])


@pytest.mark.parametrize(("filled", "good"), [(800, True), (600, True), (599, False), (801, False)])
def test_the_share_of_nulls(history, judge, filled, good):
    history({ago: {"null_share(n)": 0.3} for ago in range(1, 8)})
    passed, result = judge(SHARE, {ROWS: 1000, NULLS: filled})
    assert (passed, result["details"]["allowed"]) == (good, "0.3 ± 0.1 (the median of 7 days)")
    assert result["observed_value"] == (1000 - filled) / 1000
    assert judge(SHARE, {ROWS: 0, NULLS: 0})[1]["details"]["allowed"] == "nothing to compare: the day has no value"


def test_a_spread(history, judge):
    kept = {"ordered": True, "counts": {str(bucket): 100 for bucket in range(10)}}
    history({ago: {"buckets(n)": kept} for ago in range(1, 8)})
    assert judge(SPREAD, {ROWS: 1000, "column.buckets": kept})[0]
    one = {"ordered": True, "counts": {"3": 1000}}
    passed, result = judge(SPREAD, {ROWS: 1000, "column.buckets": one})
    assert not passed
    assert result["details"]["allowed"] == "at most 0.25, against 7 days"
    assert judge(SPREAD, {ROWS: 499, "column.buckets": one})[0], "few rows"
    nothing = {"ordered": True, "counts": {}}
    assert judge(SPREAD, {ROWS: 1000, "column.buckets": nothing})[0]


def test_yesterdays_file_again(history, judge):
    history({1: {"digest": "same"}, 2: {"digest": "today"}})
    assert not judge(DIFFERS, {ROWS: 1000}, digest="same")[0]
    assert judge(DIFFERS, {ROWS: 1000}, digest="today")[0], "only the day before is looked at"
    assert judge(DIFFERS, {ROWS: 99}, digest="same")[0]
    assert judge(DIFFERS, {ROWS: 1000}, day=DAY + timedelta(days=1), digest="same")[0], "after a gap"


def test_an_older_days_file_again(history, judge):
    history({4: {"digest": "same"}, 30: {"digest": "old"}})
    rule = ExpectTableToDifferFromDayBefore(history_of="t", days=28)
    passed, result = judge(rule, {ROWS: 1000}, digest="same")
    assert (passed, result["observed_value"]) == (False, f"same, as on {before(4)}")
    assert result["details"]["value"] == "same", "later days are compared with the digest alone"
    assert judge(rule, {ROWS: 1000}, digest="old")[0], "further back than that"


@pytest.mark.parametrize(("share", "good"), [(0.067, True), (0.15, True), (0.066, False), (0.151, False), (0, False)])
def test_the_share_of_what_is_true(history, judge, share, good):
    history({ago: {"true_share(n)": 0.1} for ago in range(1, 8)})
    passed, result = judge(TRUE, {ROWS: 1000, "column.true_share": share})
    allowed = "0.1 ± 0.01, or 0.67 to 1.5 times it (the median of 7 days)"
    assert (passed, result["details"]["allowed"]) == (good, allowed)


@pytest.mark.parametrize(("share", "good"), [(0, True), (0.012, True), (0.013, False), (1, False)])
def test_what_is_rarely_true_may_double(history, judge, share, good):
    history({ago: {"true_share(n)": 0.002} for ago in range(1, 8)})
    assert judge(TRUE, {ROWS: 1000, "column.true_share": share})[0] == good


def test_only_earlier_days_count_the_last_28_of_them(history, judge):
    days = {ago: {"rows": 1000} for ago in range(1, 57, 2)}  # every other day: 28
    history({**days, 57: {"rows": 10}, 0: {"rows": 10}, -1: {"rows": 10}})
    assert judge(COUNT, {ROWS: 1000})[1]["details"]["days"] == 28
    assert judge(COUNT, {ROWS: 1000}, day=before(1))[1]["details"]["days"] == 28
    assert judge(COUNT, {ROWS: 1000}, day=before(-2))[1]["details"]["days"] == 28


def test_days_without_the_metric_do_not_count(history, judge):
    history({**{ago: {"rows": 1000} for ago in range(1, 7)}, 7: {"mean(n)": 1.0}, 8: {}})
    assert judge(COUNT, {ROWS: 9000})[1]["details"]["days"] == 6


def test_days_of_the_same_run_count_in_place_of_promoted_ones(history, judge):
    history({ago: {"rows": 10} for ago in range(4, 12)})
    seen = {before(ago): SimpleNamespace(metrics={"rows": 1000}) for ago in range(1, 10)}
    passed, result = judge(COUNT, {ROWS: 1000}, seen={**seen, DAY: SimpleNamespace(metrics={"rows": 7})})
    assert (passed, result["details"]["days"]) == (True, 11)


def test_a_stopped_day_does_not_count_one_let_through_does(history, judge):
    history({ago: {"rows": 1000} for ago in range(1, 7)})
    history({7: {"rows": 1000}, 1: {"rows": 1}}, run_id="run-stopped", stopped=True)
    assert judge(COUNT, {ROWS: 1000})[1]["details"]["days"] == 6
    history({7: {"rows": 1000}}, run_id="run-through", stopped=True, override=Override("kim", "known", "now"))
    assert judge(COUNT, {ROWS: 1000})[1]["details"]["days"] == 7


def test_kept_metrics_are_those_of_the_rules_and_survive_json(history, judge):
    found = [judge(COUNT, {ROWS: 7})[1], judge(AVERAGE, {ROWS: 7, MEAN: 1.5})[1], {}, None]
    assert json.loads(json.dumps(kept_metrics(results(*found)))) == {"rows": 7, "mean(n)": 1.5}


@pytest.mark.parametrize("rule", [COUNT, AVERAGE, SHARE, SPREAD, TRUE, DIFFERS], ids=lambda rule: rule.expectation_type)
def test_a_rule_says_in_words_what_it_wants(rule):
    said = rule.configuration.to_json_dict()
    assert said["kwargs"]["history_of"] == "t"
    block = type(rule)._prescriptive_renderer(configuration=rule.configuration)[0].to_json_dict()["string_template"]
    assert ("$column" in block["template"]) == hasattr(rule, "column")
    words = [word.strip(":,.") for word in block["template"].split() if word.startswith("$")]
    assert {word[1:] for word in words} == set(block["params"])
