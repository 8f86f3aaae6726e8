"""What Great Expectations gets wrong on Spark, one test for each point of docs/great-expectations.md.

A test that fails here after an upgrade is good news: the point can leave the list. The fused engine says the same as
GX, right or wrong: rules are to be written so that it does not matter.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import great_expectations as gx
import numpy as np
import pytest

from content_signals.lake.session import sized_for
from tests.quality_judged import UNCOMPILED, attempt, conf, scanned
from tests.quality_rules import Cases, column, pair, suite_of, table, values, where

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2

SCHEMA = (
    "id long, n int, m int, d double, key string, day date, at timestamp, big long, wide decimal(38,10), small smallint"
)
ROWS = [
    (0, 3, 5, 1.0, "a", date(2020, 3, 9), datetime(2020, 3, 20, 18, tzinfo=UTC), 2**53, Decimal(10**20), 1),
    (1, None, 1, float("nan"), "b", None, datetime(2020, 3, 20, 12, tzinfo=UTC), 1, Decimal(10**20), 2),
    (2, 4, None, 2.0, "c", date(2020, 3, 1), datetime(2020, 3, 20, 6, tzinfo=UTC), 0, Decimal("0.5"), 3),
    (3, 3, 3, 2.0, None, date(2020, 3, 1), None, None, Decimal(10**20) + Decimal("0.5"), 4),
]
EMPTY = where("id < 0")

# name -> the rule, whether GX says that it holds, and what GX counts or observes.
ODD: dict[str, tuple[Any, bool, Any]] = {
    # NaN
    "nan is not null": (values("to_not_be_null", "d"), True, 0),
    "nan holds any lower bound": (values("to_be_between", "d", min_value=1.5, **where("id > 0")), True, 0),
    "nan breaks any upper bound": (values("to_be_between", "d", max_value=1e308), False, 1),
    "nan hides the maximum": (column("max_to_be_between", "d", max_value=5), False, None),
    "nan hides the mean": (column("mean_to_be_between", "d", max_value=5), False, None),
    # NULL makes a comparison neither true nor false, and only what is false is counted
    "null in a set allows everything": (values("to_be_in_set", "key", value_set=["a", None]), True, 0),
    "null in a set of distinct values": (column("distinct_values_to_be_in_set", "key", value_set=["a", None]), True, 0),
    "null in a pair": (pair("a_to_be_greater_than_b", "n", "m", **where("id in (1, 2)")), True, 0),
    "null between two dates": (values("to_be_increasing", "day", **where("id < 3")), True, 0),
    # times
    "date against time": (column("max_to_be_between", "at", max_value=date(2020, 3, 20)), True, "2020-03-20"),
    "hours do not count": (values("to_be_increasing", "at"), True, 0),
    # numbers
    "sum of longs": (column("sum_to_be_between", "big", max_value=2**53), True, 2.0**53),
    "maximum of decimals": (column("max_to_be_between", "wide", max_value=10**20), True, 1e20),
    "bound of longs": (values("to_be_between", "big", min_value=2**53 + 1, **where("id = 0")), True, 0),
    # no rows
    "no rows hold a row rule": (values("to_not_be_null", "key", **EMPTY), True, None),
    "no rows break an aggregate": (column("max_to_be_between", "n", max_value=5, **EMPTY), False, None),
    "no rows have no sum": (column("sum_to_be_between", "n", min_value=0, **EMPTY), False, None),
    "one row has no deviation": (column("stdev_to_be_between", "n", min_value=0, **where("id = 0")), False, None),
}
RAISES: Cases = {
    "mean of a small column": column("mean_to_be_between", "small", min_value=0),
    "text that is no json": values("to_match_json_schema", "key", json_schema={"type": "object"}),
    "like": values("to_match_like_pattern", "key", like_pattern="a%"),
    "dateutil": values("to_be_dateutil_parseable", "key"),
    "relative error": column(
        "quantile_values_to_be_between",
        "n",
        quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 9]]},
        allow_relative_error=0.1,
    ),
}


@pytest.fixture(scope="module")
def frame(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("odd") / "rows")
    spark.createDataFrame(ROWS, SCHEMA).coalesce(1).write.parquet(path)
    with sized_for(spark, 4), conf(spark, UNCOMPILED):
        yield spark.read.schema(SCHEMA).parquet(path)


@pytest.fixture(scope="module", params=["native", "fused"])
def said(request, frame):
    """Case -> its result."""
    cases = {name: rule for name, (rule, _, _) in ODD.items()}
    return {name: json.loads(text) for name, text in scanned(cases, request.param, frame).items()}


@pytest.mark.parametrize("case", ODD)
def test_odd_but_so(said, case):
    _, holds, found = ODD[case]
    result = said[case]
    observed = result["result"].get("unexpected_count", result["result"].get("observed_value"))
    assert (result["success"], observed) == (holds, found)


@pytest.mark.parametrize("case", RAISES)
def test_raises_though_there_is_nothing_wrong(frame, case):
    assert '"raised_exception": true' in attempt(case, RAISES, "native", frame)


def test_rules_that_raise_say_what_another_one_raised(frame):
    cases: Cases = {
        "one": values("to_match_regex", "key", regex="("),
        "another": values("to_match_regex", "key", regex="["),
    }
    of_two = [all(f"invalid: '{regex}'" in text for regex in "([") for text in scanned(cases, "native", frame).values()]
    assert any(of_two)


def test_one_rule_that_raises_has_each_metric_asked_again(spark, frame):
    fine: Cases = {f"{bound}": values("to_be_between", "n", min_value=-bound) for bound in range(10)}
    jobs = []
    for cases in (fine, {**fine, "raises": values("to_match_regex", "key", regex="(")}):
        group = f"odd {len(cases)}"
        spark.sparkContext.setJobGroup(group, group)
        scanned(cases, "native", frame)
        jobs.append(len(spark.sparkContext.statusTracker().getJobIdsForGroup(group)))
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert jobs[1] > 3 * jobs[0]


def test_quantiles_leave_a_value_that_json_does_not_know(frame):
    ranges = {"quantiles": [0.5], "value_ranges": [[0, 9]]}
    result = _validated(frame, {"quantiles": column("quantile_values_to_be_between", "n", quantile_ranges=ranges)})
    assert isinstance(result.results[0].success, np.bool)
    with pytest.raises(TypeError):
        json.dumps(result.to_json_dict())


def test_a_rule_that_is_not_known_is_left_out(caplog):
    with caplog.at_level(logging.ERROR):
        suite = gx.ExpectationSuite(**suite_of({"unknown": table("to_be_known"), "known": values("to_be_null", "n")}))
    assert len(suite.expectations) == 1
    assert "expect_table_to_be_known not found" in caplog.text


def test_a_query_leaves_its_view(spark, frame):
    query = "select id from {batch} where id < 0"
    _validated(frame, {"query": ("unexpected_rows_expectation", {"unexpected_rows_query": query})})
    assert spark.catalog.tableExists("tmp_view")
    spark.catalog.dropTempView("tmp_view")


@pytest.mark.usefixtures("uncached")
def test_a_source_as_it_comes_keeps_every_frame_in_memory(frame):
    _validated(frame, {"null": values("to_be_null", "n")}, persist=True)
    assert frame.is_cached


def _validated(frame, cases: Cases, persist: bool = False):
    """The result of Great Expectations alone, with none of our code."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_spark("spark", persist=persist).add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    return batch.validate(gx.ExpectationSuite(**suite_of(cases)))


def test_every_point_is_written_down():
    written = Path("docs/great-expectations.md").read_text("utf-8")
    tests = [name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")]
    points = [*ODD, *RAISES, *tests]
    assert [point for point in points if f"`{point}`" not in written] == [
        "odd but so",
        "raises though there is nothing wrong",
        "every point is written down",
    ]
