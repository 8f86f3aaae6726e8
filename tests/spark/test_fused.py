"""The fused engine gives what Great Expectations alone gives, rule by rule, in few Spark jobs."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from content_signals.quality.scan import COUNTS_AND_SAMPLES, Scanner

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2

# Hundreds of different queries on few rows take half the time when they are not compiled.
COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
UNCOMPILED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
SUMMARY = {"result_format": "SUMMARY", "partial_unexpected_count": 5}
SCHEMA = (
    "id long, key string, n int, m int, d double, f float, price decimal(10,2), day date, at timestamp, flag boolean,"
    " text string, `a.b` long, pair struct<x:int,y:string>, tags array<string>, nothing int"
)
NAN = float("nan")
TEXTS = ["plain", "", "naïve", "日本語", "🎵 music", "two\nlines", None, "UPPER", "a,b", "plain"]


def row(i: int) -> tuple[Any, ...]:
    return (
        i,
        None if i % 11 == 5 else f"k{i % 7}",
        None if i % 6 == 0 else i - 10,
        None if i % 9 == 4 else 2 * i - 15,
        [0.0, -0.0, NAN, None, 1.5, 2.25, -3.5, 1e300][i % 8],
        [0.5, None, NAN, 3.0][i % 4],
        None if i % 5 == 3 else Decimal(i * 7) / 4,
        None if i % 10 == 9 else date(2020, 3, 1 + i % 20),
        datetime(2020, 3, 1 + i % 20, i % 24, 30, tzinfo=UTC),
        [True, False, None][i % 3],
        TEXTS[i % 10],
        i % 4,
        (i % 3, "y" if i % 2 else None),
        None if i % 8 == 1 else ["a", "b"][: i % 3],
        None,
    )


def spark_condition(text: str) -> dict[str, str]:
    return {"row_condition": text, "condition_parser": "spark"}


def gx_condition(text: str) -> dict[str, str]:
    return {"row_condition": text, "condition_parser": "great_expectations"}


OBJECT_CONDITION = {
    "type": "and",
    "conditions": [
        {"type": "comparison", "column": {"name": "n"}, "operator": ">", "parameter": 0},
        {"type": "nullity", "column": {"name": "key"}, "is_null": False},
    ],
}

# name -> (expectation, its arguments)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    # nulls
    "not_null_passes": ("expect_column_values_to_not_be_null", {"column": "id"}),
    "not_null_fails": ("expect_column_values_to_not_be_null", {"column": "key"}),
    "not_null_mostly": ("expect_column_values_to_not_be_null", {"column": "key", "mostly": 0.5}),
    "not_null_where": ("expect_column_values_to_not_be_null", {"column": "n", **spark_condition("id > 20")}),
    "not_null_where_gx": ("expect_column_values_to_not_be_null", {"column": "n", **gx_condition('col("id") > 20')}),
    "not_null_where_object": (
        "expect_column_values_to_not_be_null",
        {"column": "m", "row_condition": OBJECT_CONDITION},
    ),
    "not_null_nowhere": ("expect_column_values_to_not_be_null", {"column": "n", **spark_condition("id < 0")}),
    "not_null_nan": ("expect_column_values_to_not_be_null", {"column": "d"}),
    "not_null_dotted": ("expect_column_values_to_not_be_null", {"column": "a.b"}),
    "not_null_nested": ("expect_column_values_to_not_be_null", {"column": "pair.y"}),
    "not_null_struct": ("expect_column_values_to_not_be_null", {"column": "pair"}),
    "null_passes": ("expect_column_values_to_be_null", {"column": "nothing"}),
    "null_fails": ("expect_column_values_to_be_null", {"column": "key"}),
    "null_mostly": ("expect_column_values_to_be_null", {"column": "n", "mostly": 0.1}),
    "null_share": ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "n", "min_value": 0.9}),
    # bounds
    "between_passes": ("expect_column_values_to_be_between", {"column": "id", "min_value": 0, "max_value": 100}),
    "between_fails": ("expect_column_values_to_be_between", {"column": "n", "min_value": 0, "max_value": 10}),
    "between_min": ("expect_column_values_to_be_between", {"column": "n", "min_value": -9}),
    "between_strict_min": ("expect_column_values_to_be_between", {"column": "n", "min_value": -9, "strict_min": True}),
    "between_strict_max": ("expect_column_values_to_be_between", {"column": "m", "max_value": 63, "strict_max": True}),
    "between_mostly": ("expect_column_values_to_be_between", {"column": "n", "min_value": 0, "mostly": 0.6}),
    "between_double": ("expect_column_values_to_be_between", {"column": "d", "min_value": -4, "max_value": 3}),
    "between_nan_min": ("expect_column_values_to_be_between", {"column": "d", "min_value": -4}),
    "between_float": ("expect_column_values_to_be_between", {"column": "f", "min_value": 0.5, "max_value": 2}),
    "between_decimal": ("expect_column_values_to_be_between", {"column": "price", "min_value": 1.75, "max_value": 50}),
    "between_dates": (
        "expect_column_values_to_be_between",
        {"column": "day", "min_value": "2020-03-02", "max_value": "2020-03-15"},
    ),
    "between_times": (
        "expect_column_values_to_be_between",
        {"column": "at", "min_value": "2020-03-01T00:30:00", "max_value": "2020-03-12T00:00:00"},
    ),
    "between_where": (
        "expect_column_values_to_be_between",
        {"column": "n", "min_value": 0, **spark_condition("key = 'k1' or flag")},
    ),
    "between_where_gx": (
        "expect_column_values_to_be_between",
        {"column": "n", "min_value": 0, **gx_condition('col("key").notNull()')},
    ),
    "between_nowhere": (
        "expect_column_values_to_be_between",
        {"column": "n", "min_value": 0, **spark_condition("false")},
    ),
    "between_all_null": ("expect_column_values_to_be_between", {"column": "nothing", "min_value": 1}),
    "between_dotted": ("expect_column_values_to_be_between", {"column": "a.b", "min_value": 1}),
    # sets, patterns, lengths
    "in_set_passes": ("expect_column_values_to_be_in_set", {"column": "key", "value_set": [f"k{i}" for i in range(7)]}),
    "in_set_fails": ("expect_column_values_to_be_in_set", {"column": "key", "value_set": ["k1", "k2"]}),
    "in_set_unicode": (
        "expect_column_values_to_be_in_set",
        {"column": "text", "value_set": ["日本語", "🎵 music", ""]},
    ),
    "in_set_bool": ("expect_column_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    "in_set_empty": ("expect_column_values_to_be_in_set", {"column": "key", "value_set": []}),
    "not_in_set_passes": ("expect_column_values_to_not_be_in_set", {"column": "key", "value_set": ["x"]}),
    "not_in_set_fails": ("expect_column_values_to_not_be_in_set", {"column": "n", "value_set": [1, 2, 3]}),
    "regex": ("expect_column_values_to_match_regex", {"column": "text", "regex": "^[a-z]+$"}),
    "regex_mostly": ("expect_column_values_to_match_regex", {"column": "key", "regex": "^k[0-5]$", "mostly": 0.5}),
    "not_regex": ("expect_column_values_to_not_match_regex", {"column": "text", "regex": "ï|語"}),
    "regex_list": (
        "expect_column_values_to_match_regex_list",
        {"column": "text", "regex_list": ["^p", "^U"], "match_on": "any"},
    ),
    "not_regex_list": ("expect_column_values_to_not_match_regex_list", {"column": "text", "regex_list": ["^p", "c"]}),
    "lengths": ("expect_column_value_lengths_to_be_between", {"column": "text", "min_value": 1, "max_value": 5}),
    "length": ("expect_column_value_lengths_to_equal", {"column": "key", "value": 2}),
    "json": ("expect_column_values_to_be_json_parseable", {"column": "text"}),
    "strftime": ("expect_column_values_to_match_strftime_format", {"column": "key", "strftime_format": "k%d"}),
    # uniqueness and order
    "unique_passes": ("expect_column_values_to_be_unique", {"column": "id"}),
    "unique_fails": ("expect_column_values_to_be_unique", {"column": "text"}),
    "unique_mostly": ("expect_column_values_to_be_unique", {"column": "n", "mostly": 0.5}),
    "unique_nan_and_zeros": ("expect_column_values_to_be_unique", {"column": "d"}),
    "unique_where": ("expect_column_values_to_be_unique", {"column": "day", **spark_condition("id < 15")}),
    "unique_nowhere": ("expect_column_values_to_be_unique", {"column": "key", **spark_condition("id < 0")}),
    "unique_all_null": ("expect_column_values_to_be_unique", {"column": "nothing"}),
    "unique_dotted": ("expect_column_values_to_be_unique", {"column": "a.b"}),
    "compound_passes": ("expect_compound_columns_to_be_unique", {"column_list": ["id", "key"]}),
    "compound_fails": ("expect_compound_columns_to_be_unique", {"column_list": ["key", "flag"]}),
    "compound_any_missing": (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["key", "flag"], "ignore_row_if": "any_value_is_missing"},
    ),
    "compound_never_ignored": (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["n", "m"], "ignore_row_if": "never", **spark_condition("id > 3")},
    ),
    "compound_nan": ("expect_compound_columns_to_be_unique", {"column_list": ["d", "f"]}),
    "increasing": ("expect_column_values_to_be_increasing", {"column": "id"}),
    "unique_in_record": ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["n", "m", "id"]}),
    "unique_in_record_ignoring": (
        "expect_select_column_values_to_be_unique_within_record",
        {"column_list": ["n", "m"], "ignore_row_if": "any_value_is_missing"},
    ),
    # pairs and several columns
    "pair_greater": ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "m", "column_B": "n"}),
    "pair_or_equal": (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "m", "column_B": "n", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    ),
    "pair_both_missing": (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "m", "column_B": "n", "ignore_row_if": "both_values_are_missing"},
    ),
    "pair_where": (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "id", "column_B": "n", "ignore_row_if": "neither", **gx_condition('col("id") >= 12')},
    ),
    "pair_mostly": (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "m", "column_B": "n", "mostly": 0.2, "ignore_row_if": "either_value_is_missing"},
    ),
    "pair_equal": ("expect_column_pair_values_to_be_equal", {"column_A": "n", "column_B": "m"}),
    "pair_equal_missing": (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "n", "column_B": "m", "ignore_row_if": "either_value_is_missing"},
    ),
    "pair_in_set": (
        "expect_column_pair_values_to_be_in_set",
        {"column_A": "key", "column_B": "flag", "value_pairs_set": [["k1", True], ["k2", None]]},
    ),
    "sum_of_columns": ("expect_multicolumn_sum_to_equal", {"column_list": ["n", "m"], "sum_total": 20}),
    "sum_ignoring": (
        "expect_multicolumn_sum_to_equal",
        {"column_list": ["n", "m"], "sum_total": 20, "ignore_row_if": "any_value_is_missing"},
    ),
    "values_of_columns_equal": ("expect_multicolumn_values_to_be_equal", {"column_list": ["n", "m"]}),
    # the table
    "row_count": ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 30}),
    "row_count_equal": ("expect_table_row_count_to_equal", {"value": 40}),
    "row_count_where": ("expect_table_row_count_to_be_between", {"max_value": 9, **spark_condition("n > 0")}),
    "column_count": ("expect_table_column_count_to_equal", {"value": 15}),
    "column_exists": ("expect_column_to_exist", {"column": "key"}),
    "column_misses": ("expect_column_to_exist", {"column": "gone"}),
    "columns": ("expect_table_columns_to_match_set", {"column_set": ["id", "key"], "exact_match": False}),
    "of_type": ("expect_column_values_to_be_of_type", {"column": "n", "type_": "IntegerType"}),
    "in_types": ("expect_column_values_to_be_in_type_list", {"column": "d", "type_list": ["LongType", "StringType"]}),
    # aggregates
    "max": ("expect_column_max_to_be_between", {"column": "n", "max_value": 20}),
    "max_nan": ("expect_column_max_to_be_between", {"column": "d", "max_value": 20}),
    "max_date": ("expect_column_max_to_be_between", {"column": "day", "max_value": "2020-03-10"}),
    "max_time": ("expect_column_max_to_be_between", {"column": "at", "min_value": "2020-03-10"}),
    "max_decimal": ("expect_column_max_to_be_between", {"column": "price", "max_value": 20}),
    "max_where": ("expect_column_max_to_be_between", {"column": "n", "max_value": 0, **spark_condition("id < 9")}),
    "min": ("expect_column_min_to_be_between", {"column": "m", "min_value": 0, "strict_min": True}),
    "min_all_null": ("expect_column_min_to_be_between", {"column": "nothing", "min_value": 1}),
    "mean": ("expect_column_mean_to_be_between", {"column": "n", "min_value": 5, "max_value": 9}),
    "mean_where": ("expect_column_mean_to_be_between", {"column": "n", "min_value": 5, **spark_condition("flag")}),
    "mean_decimal": ("expect_column_mean_to_be_between", {"column": "price", "min_value": 5}),
    "stdev": ("expect_column_stdev_to_be_between", {"column": "m", "min_value": 1, "max_value": 2}),
    "sum": ("expect_column_sum_to_be_between", {"column": "n", "min_value": 0, "max_value": 10}),
    "sum_decimal": ("expect_column_sum_to_be_between", {"column": "price", "min_value": 0}),
    "median": ("expect_column_median_to_be_between", {"column": "n", "min_value": 5, "max_value": 12}),
    "quantiles": (
        "expect_column_quantile_values_to_be_between",
        {"column": "id", "quantile_ranges": {"quantiles": [0.25, 0.75], "value_ranges": [[5, 15], [25, 35]]}},
    ),
    "z_scores": (
        "expect_column_value_z_scores_to_be_less_than",
        {"column": "id", "threshold": 1.5, "double_sided": True},
    ),
    "distinct_in_set": ("expect_column_distinct_values_to_be_in_set", {"column": "key", "value_set": ["k1", "k2"]}),
    "distinct_contain": ("expect_column_distinct_values_to_contain_set", {"column": "key", "value_set": ["k1", "k9"]}),
    "distinct_equal": ("expect_column_distinct_values_to_equal_set", {"column": "flag", "value_set": [True, False]}),
    "most_common": ("expect_column_most_common_value_to_be_in_set", {"column": "key", "value_set": ["k1"]}),
    "unique_count": ("expect_column_unique_value_count_to_be_between", {"column": "key", "min_value": 8}),
    "unique_share": (
        "expect_column_proportion_of_unique_values_to_be_between",
        {"column": "key", "min_value": 0.1, "max_value": 0.2},
    ),
}

# What raises is judged alone: asked together, GX gives several rules the message of one of them.
RAISING: dict[str, tuple[str, dict[str, Any]]] = {
    "no_such_column": ("expect_column_values_to_not_be_null", {"column": "gone"}),
    "no_such_column_unique": ("expect_column_values_to_be_unique", {"column": "gone"}),
    "no_such_column_max": ("expect_column_max_to_be_between", {"column": "gone", "max_value": 1}),
    "no_such_column_in_pair": ("expect_column_pair_values_to_be_equal", {"column_A": "n", "column_B": "gone"}),
    "no_such_column_in_condition": (
        "expect_column_values_to_not_be_null",
        {"column": "n", **spark_condition("gone > 1")},
    ),
    "condition_is_no_sql": ("expect_column_values_to_not_be_null", {"column": "n", **spark_condition("n >")}),
    "bad_regex": ("expect_column_values_to_match_regex", {"column": "text", "regex": "("}),
    "bound_of_another_type": ("expect_column_values_to_be_between", {"column": "text", "min_value": 1}),
    "cast_in_condition": (
        "expect_column_values_to_not_be_null",
        {"column": "n", **spark_condition("cast(text as int) > 1")},
    ),
    "mean_of_text": ("expect_column_mean_to_be_between", {"column": "text", "min_value": 1}),
    "compound_dotted": ("expect_compound_columns_to_be_unique", {"column_list": ["id", "a.b"]}),
    "no_spark_provider": ("expect_column_values_to_match_like_pattern", {"column": "text", "like_pattern": "p%"}),
}


def suite_of(cases: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    rules = [{"type": kind, "kwargs": kwargs, "meta": {"case": name}} for name, (kind, kwargs) in cases.items()]
    return {"name": "cases", "expectations": rules}


def judged(scanner: Scanner, frame, result_format: dict[str, Any]) -> dict[str, str]:
    """Case -> its result as text, without what differs between two runs of one engine too."""
    results = scanner.validate(frame, result_format).to_json_dict()["results"]
    return {one["expectation_config"]["meta"]["case"]: stable(one) for one in results}


def stable(result: dict[str, Any]) -> str:
    result["expectation_config"].pop("id", None)
    info = result.get("exception_info") or {}
    for entry in [info, *(each for each in info.values() if isinstance(each, dict))]:
        entry.pop("exception_traceback", None)
    # GX leaves a numpy.bool in the result of quantiles.
    text = json.dumps(result, sort_keys=True, ensure_ascii=False, indent=1, default=lambda value: value.item())
    text = re.sub(r"(\\n)+\\tat [^\\]*", "", text)  # Java's stack: how reflection calls changes while the JVM runs
    return re.sub(r"#\d+L?|\bo\d+\b|(?<=TID )\d+|(?<=stage )\d+\.\d+", "#", text)


@pytest.fixture(scope="module")
def frames(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("fused") / "rows")
    spark.createDataFrame([row(i) for i in range(40)], SCHEMA).coalesce(1).write.parquet(path)
    frame = spark.read.parquet(path)
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        yield {"rows": frame, "empty": frame.where("id < 0")}


@contextmanager
def conf(spark, changes: dict[str, str]):
    before = {key: spark.conf.get(key) for key in changes}
    for key, value in changes.items():
        spark.conf.set(key, value)
    yield
    for key, value in before.items():
        spark.conf.set(key, value)


@pytest.fixture(scope="module")
def both(frames):
    """Frame -> what either engine says of every case. One scanner: what it keeps of one frame must fit the next."""
    # Natively a count of distinct values changes the last digit of a deviation in the same suite: it is asked apart.
    apart = {name: case for name, case in CASES.items() if name in ("unique_count", "unique_share")}
    together = {name: case for name, case in CASES.items() if name not in apart}
    natives = [Scanner(suite_of(cases), "native") for cases in (together, apart)]
    fused = Scanner(suite_of(CASES), "fused")
    return {
        name: (
            {case: text for native in natives for case, text in judged(native, frame, SUMMARY).items()},
            judged(fused, frame, SUMMARY),
        )
        for name, frame in frames.items()
    }


@pytest.mark.parametrize("frame", ["rows", "empty"])
@pytest.mark.parametrize("case", CASES)
def test_a_rule_is_judged_as_natively(both, frame, case):
    native, fused = both[frame]
    assert fused[case] == native[case]


@pytest.mark.parametrize("case", RAISING)
def test_a_rule_that_raises_says_what_it_says_natively(frames, case):
    suite = suite_of({case: RAISING[case]})
    native, fused = (attempt(Scanner(suite, engine), frames["rows"]) for engine in ("native", "fused"))
    assert '"raised_exception": true' in native or native.startswith("raised")
    assert fused == native


def attempt(scanner: Scanner, frame) -> str:
    try:
        (result,) = judged(scanner, frame, SUMMARY).values()
    except Exception as error:
        return f"raised {error!r}"
    return result


FORMATS = [
    {"result_format": "BOOLEAN_ONLY"},
    {"result_format": "BASIC", "partial_unexpected_count": 3, "include_unexpected_rows": True},
    {"result_format": "COMPLETE", "return_unexpected_index_query": False},
    COUNTS_AND_SAMPLES,
]
IN_EVERY_FORMAT = [
    "not_null_passes",
    "not_null_fails",
    "between_where",
    "in_set_unicode",
    "unique_passes",
    "unique_fails",
    "compound_fails",
    "pair_or_equal",
    "sum_of_columns",
    "max_where",
]


@pytest.mark.parametrize("result_format", FORMATS, ids=lambda one: "-".join(map(str, one.values())))
def test_every_result_format(frames, result_format):
    suite = suite_of({name: CASES[name] for name in IN_EVERY_FORMAT})
    native, fused = (judged(Scanner(suite, engine), frames["rows"], result_format) for engine in ("native", "fused"))
    assert fused == native


def test_compiled_queries(spark, frames, both):
    cases = {name: CASES[name] for name in [*IN_EVERY_FORMAT, "mean", "sum_decimal", "regex", "lengths", "z_scores"]}
    scanner = Scanner(suite_of(cases))
    with conf(spark, COMPILED):
        assert judged(scanner, frames["rows"], SUMMARY) == {name: both["rows"][0][name] for name in cases}


def test_a_rule_that_raises_leaves_the_others_answered(frames, both):
    cases = {name: CASES[name] for name in IN_EVERY_FORMAT}
    raising = {name: RAISING[name] for name in ("no_such_column", "bad_regex", "mean_of_text")}
    fused = judged(Scanner(suite_of(cases | raising)), frames["rows"], SUMMARY)
    assert {name: fused[name] for name in cases} == {name: both["rows"][0][name] for name in cases}
    assert all('"raised_exception": true' in fused[name] for name in raising)


def test_a_day_with_another_schema_is_prepared_anew(frames):
    suite = suite_of({name: CASES[name] for name in ("between_fails", "mean", "not_null_fails")})
    other = frames["rows"].select(F.col("n").cast("double"), "key")
    scanner = Scanner(suite)
    for frame in (frames["rows"], other, frames["rows"]):
        assert judged(scanner, frame, SUMMARY) == judged(Scanner(suite, "native"), frame, SUMMARY)


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
def test_a_condition_that_depends_on_the_data_is_made_for_each_frame(frames, rule):
    suite = suite_of({"own": (f"expect_column_values_to_be_below_the_{rule}", {"column": "id"})})
    scanner = Scanner(suite)
    for rows in (40, 20, 30):
        frame = frames["rows"].where(f"id < {rows}")
        assert judged(scanner, frame, SUMMARY) == judged(Scanner(suite, "native"), frame, SUMMARY)


# --- jobs


def counted(spark, name: str, ask) -> tuple[Any, int]:
    spark.sparkContext.setJobGroup(name, name)
    try:
        return ask(), len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


def thirty_rules() -> dict[str, tuple[str, dict[str, Any]]]:
    rules = {
        "rows": ("expect_table_row_count_to_be_between", {"min_value": 1}),
        "key": ("expect_column_values_to_be_unique", {"column": "id"}),
        "keys": ("expect_compound_columns_to_be_unique", {"column_list": ["id", "key"]}),
        "max": ("expect_column_max_to_be_between", {"column": "n", "max_value": 90}),
    }
    for column in ("id", "at", "a.b", "pair"):
        rules[f"{column} not null"] = ("expect_column_values_to_not_be_null", {"column": column})
    for number in range(22):
        name = ("id", "n", "m", "a.b")[number % 4]
        kwargs = {"column": name, "min_value": -40 - number, "max_value": 99}
        rules[f"between {number}"] = ("expect_column_values_to_be_between", kwargs)
    return rules | {name: CASES[name] for name in ("in_set_passes", "pair_where")}


def test_thirty_rules_are_one_job(spark, frames):
    rules = thirty_rules()
    scanner = Scanner(suite_of(rules))
    result, jobs = counted(spark, "passing", lambda: scanner.run(frames["rows"]))
    assert (len(rules), scanner.rules, result.success, jobs) == (32, 32, True, 1)


def test_samples_are_a_job_for_each_rule_that_is_broken(spark, frames):
    broken = {name: CASES[name] for name in ("not_null_fails", "unique_fails")}
    scanner = Scanner(suite_of(thirty_rules() | broken))
    result, jobs = counted(spark, "failing", lambda: scanner.run(frames["rows"]))
    assert (result.statistics["unsuccessful_expectations"], jobs) == (2, 3)


def test_natively_the_same_is_many_jobs_and_the_same_verdict(spark, frames):
    result, jobs = counted(spark, "native", lambda: Scanner(suite_of(thirty_rules()), "native").run(frames["rows"]))
    assert result.success
    assert jobs > 3
