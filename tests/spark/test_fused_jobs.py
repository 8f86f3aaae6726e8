"""How many Spark jobs and aggregates a suite takes; and what is made anew for each frame."""

from __future__ import annotations

from typing import Any

import pytest
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from content_signals.quality.scan import Scanner
from tests.quality_cases import CASES
from tests.quality_frames import ROWS, SCHEMA
from tests.quality_judged import COMPILED, UNCOMPILED, conf, scanned, scanner_of
from tests.quality_rules import Cases, column, columns, suite_of, table, values

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2


@pytest.fixture(scope="module")
def rows(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("jobs") / "rows")
    spark.createDataFrame(ROWS, SCHEMA).coalesce(1).write.parquet(path)
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        yield spark.read.schema(SCHEMA).parquet(path)


# --- somebody else's expectations


class ColumnValuesBelowTheMaximum(ColumnMapMetricProvider):
    """A condition that asks the frame itself: nothing of it may be kept for another frame."""

    condition_metric_name = "column_values.below_the_maximum"

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(self, column, _table, _accessor_domain_kwargs, **kwargs):
        highest = _table.agg(F.max(_accessor_domain_kwargs["column"])).collect()[0][0]
        return column < highest


class ColumnValuesBelowTheRowCount(ColumnMapMetricProvider):
    """A condition that reads the row count, which GX's own never do."""

    condition_metric_name = "column_values.below_the_row_count"

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(self, column, _metrics, **kwargs):
        return column < F.lit(_metrics["table.row_count"] - 3)


class ExpectColumnValuesToBeBelowTheMaximum(ColumnMapExpectation):
    map_metric = "column_values.below_the_maximum"


class ExpectColumnValuesToBeBelowTheRowCount(ColumnMapExpectation):
    map_metric = "column_values.below_the_row_count"


@pytest.mark.parametrize("rule", ["maximum", "row_count"])
def test_a_condition_that_depends_on_the_data_is_made_for_each_frame(rows, rule):
    cases = {"own": values(f"to_be_below_the_{rule}", "id")}
    scanner = scanner_of(cases, "fused")
    for number in (40, 20, 30):
        frame = rows.where(f"id < {number}")
        assert scanned(cases, "fused", frame, scanner=scanner) == scanned(cases, "native", frame)


# --- jobs


def counted(spark, name: str, ask) -> tuple[Any, int]:
    spark.sparkContext.setJobGroup(name, name)
    try:
        return ask(), len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


def passing(number: int) -> Cases:
    """Rules that hold, of several kinds, `number` in all."""
    rules = {
        "rows": table("row_count_to_be_between", min_value=1),
        "key": values("to_be_unique", "id"),
        "keys": columns("compound_columns_to_be_unique", "id", "key"),
        "max": column("max_to_be_between", "n", max_value=90),
        "in set": CASES["in_set_passes"],
        "pair": CASES["pair_where"],
        "python": CASES["json_schema"],
    }
    for name in ("id", "at", "a.b", "pair"):
        rules[f"{name} not null"] = values("to_not_be_null", name)
    for bound in range(number - len(rules)):
        name = ("id", "n", "m", "a.b")[bound % 4]
        rules[f"between {bound}"] = values("to_be_between", name, min_value=-40 - bound, max_value=99)
    return rules


@pytest.mark.parametrize("number", [30, 150])
def test_however_many_rules_are_one_job(spark, rows, number):
    scanner = Scanner(suite_of(passing(number)))
    result, jobs = counted(spark, f"{number} passing", lambda: scanner.run(rows))
    assert (scanner.rules, result.success, jobs) == (number, True, 1)


def test_many_rules_are_compiled_as_few_are(spark, rows):
    """Spark marks the nodes of a plan that it compiles with a star."""
    with conf(spark, COMPILED):
        Scanner(suite_of(passing(150))).run(rows)
        plan = spark._jsparkSession.sharedState().statusStore().executionsList().last().physicalPlanDescription()
    assert "* HashAggregate" in plan
    assert "\n+- HashAggregate" not in plan


def test_samples_are_a_job_for_each_rule_that_is_broken(spark, rows):
    broken = {name: CASES[name] for name in ("not_null_fails", "unique_fails")}
    scanner = Scanner(suite_of(passing(30) | broken))
    result, jobs = counted(spark, "failing", lambda: scanner.run(rows))
    assert (result.statistics["unsuccessful_expectations"], jobs) == (2, 3)


def test_natively_the_same_is_many_jobs_and_the_same_verdict(spark, rows):
    result, jobs = counted(spark, "native", lambda: Scanner(suite_of(passing(30)), "native").run(rows))
    assert result.success
    assert jobs > 3
