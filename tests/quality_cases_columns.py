"""Rules that judge columns and the table as a whole: name -> rule; and rules that raise."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.quality_rules import Cases, column, columns, compare, pair, table, values, where, where_gx


def quantiles(name: str, *ranges: list[Any], **kwargs: Any) -> tuple[str, dict[str, Any]]:
    """The quartiles of a column; a range for the first and one for the third."""
    quantile_ranges = {"quantiles": [0.25, 0.75], "value_ranges": list(ranges)}
    return column("quantile_values_to_be_between", name, quantile_ranges=quantile_ranges, **kwargs)


AGGREGATES: Cases = {
    "null_share": column("proportion_of_non_null_values_to_be_between", "n", min_value=0.9),
    "null_share_where": column("proportion_of_non_null_values_to_be_between", "n", min_value=0.9, **where("id > 6")),
    "max": column("max_to_be_between", "n", max_value=20),
    "max_strict": column("max_to_be_between", "id", max_value=39, strict_max=True),
    "max_nan": column("max_to_be_between", "d", max_value=20),
    "max_infinity": column("max_to_be_between", "x", max_value=20, **where("not isnan(x)")),
    "max_big": column("max_to_be_between", "big", max_value=2**53),
    "max_date": column("max_to_be_between", "day", max_value="2020-03-10"),
    "max_date_object": column("max_to_be_between", "day", max_value=date(2020, 3, 10)),
    "max_time": column("max_to_be_between", "at", min_value="2020-03-10"),
    "max_local_time": column("max_to_be_between", "local", max_value="2020-03-20T12:00:00"),
    "max_decimal": column("max_to_be_between", "price", max_value=20),
    "max_wide_decimal": column("max_to_be_between", "wide", max_value=10**20),
    "max_text": column("max_to_be_between", "text"),
    "max_right_to_left": column("max_to_be_between", "words"),
    "max_bool": column("max_to_be_between", "flag", max_value=True),
    "max_nested": column("max_to_be_between", "pair.x", max_value=1),
    "max_dotted": column("max_to_be_between", "a.b", max_value=2),
    "max_where": column("max_to_be_between", "n", max_value=0, **where("id < 9")),
    "max_unbounded": column("max_to_be_between", "n"),
    "min": column("min_to_be_between", "m", min_value=0, strict_min=True),
    "min_nan": column("min_to_be_between", "x", min_value=0),
    "min_time": column("min_to_be_between", "local", min_value="2018-01-01"),
    "min_text": column("min_to_be_between", "text"),
    "min_small": column("min_to_be_between", "small", min_value=-20, max_value=-20),
    "min_where_gx": column("min_to_be_between", "price", max_value=20, **where_gx('col("id") > 9')),
    "min_nowhere": column("min_to_be_between", "n", min_value=0, **where("false")),
    "min_all_null": column("min_to_be_between", "nothing", min_value=1),
    "mean": column("mean_to_be_between", "n", min_value=5, max_value=9),
    "mean_strict": column("mean_to_be_between", "same", min_value=7, strict_min=True),
    "mean_where": column("mean_to_be_between", "n", min_value=5, **where("flag")),
    "mean_where_object": column("mean_to_be_between", "n", min_value=5, row_condition=compare("key", "!=", "k1")),
    "mean_decimal": column("mean_to_be_between", "price", min_value=5),
    "mean_nan": column("mean_to_be_between", "d", min_value=5),
    "mean_big": column("mean_to_be_between", "big", min_value=5),
    "mean_nothing": column("mean_to_be_between", "nothing", min_value=5),
    "stdev": column("stdev_to_be_between", "m", min_value=1, max_value=2),
    "stdev_same": column("stdev_to_be_between", "same", min_value=0, max_value=0),
    "stdev_where": column("stdev_to_be_between", "n", max_value=9, **where("flag")),
    "stdev_of_one": column("stdev_to_be_between", "n", max_value=9, **where("id = 1")),
    "sum": column("sum_to_be_between", "n", min_value=0, max_value=10),
    "sum_big": column("sum_to_be_between", "big", min_value=0, **where("id < 2")),
    "sum_decimal": column("sum_to_be_between", "price", min_value=0),
    "sum_float": column("sum_to_be_between", "f", min_value=0, **where("not isnan(f)")),
    "sum_nothing": column("sum_to_be_between", "nothing", min_value=0),
    "median": column("median_to_be_between", "n", min_value=5, max_value=12),
    "median_where": column("median_to_be_between", "m", min_value=5, **where("flag")),
    "quantiles": quantiles("id", [5, 15], [25, 35]),
    "quantiles_fail": quantiles("n", [0, 1], [None, 5]),
    "quantiles_where": quantiles("m", [0, 100], [0, 100], **where("id > 9")),
    "divergence": column(
        "kl_divergence_to_be_less_than",
        "key",
        partition_object={"values": [f"k{i}" for i in range(7)], "weights": [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1]},
        threshold=0.01,
    ),
    "divergence_of_bins": column(
        "kl_divergence_to_be_less_than",
        "id",
        partition_object={"bins": [0, 10, 20, 40], "weights": [0.25, 0.25, 0.5]},
        threshold=0.1,
    ),
    "z_scores": column("value_z_scores_to_be_less_than", "id", threshold=1.5, double_sided=True),
    "z_scores_one_side": column("value_z_scores_to_be_less_than", "m", threshold=1, double_sided=False, mostly=0.5),
    "z_scores_same": column("value_z_scores_to_be_less_than", "same", threshold=1, double_sided=True),
    "z_scores_where": column("value_z_scores_to_be_less_than", "id", threshold=1, double_sided=True, **where("flag")),
    "outliers": values("to_not_be_outliers", "m"),
    "outliers_by_deviation": values("to_not_be_outliers", "n", method="std", multiplier=1.0, mostly=0.5),
    "outliers_where": values("to_not_be_outliers", "n", multiplier=0.1, **where("id > 9")),
}

DISTINCT: Cases = {
    "distinct_in_set": column("distinct_values_to_be_in_set", "key", value_set=["k1", "k2"]),
    "distinct_in_set_passes": column("distinct_values_to_be_in_set", "größe", value_set=[0, 1, 2, 3, 4, 5]),
    "distinct_in_set_with_null": column("distinct_values_to_be_in_set", "key", value_set=["k1", None]),
    "distinct_where": column("distinct_values_to_be_in_set", "n", value_set=[1, 2], **where("id = 11")),
    "distinct_contain": column("distinct_values_to_contain_set", "key", value_set=["k1", "k9"]),
    "distinct_contain_unicode": column("distinct_values_to_contain_set", "text", value_set=["日本語", "🎵 music"]),
    "distinct_equal": column("distinct_values_to_equal_set", "flag", value_set=[True, False]),
    "distinct_equal_fails": column("distinct_values_to_equal_set", "größe", value_set=[3, 4, 9]),
    "most_common": column("most_common_value_to_be_in_set", "key", value_set=["k1"]),
    "most_common_tied": column("most_common_value_to_be_in_set", "größe", value_set=[1, 2], ties_okay=True),
}

# Natively a count of distinct values changes the last digit of a deviation in the same suite: these are asked apart.
COUNTED: Cases = {
    "unique_count": column("unique_value_count_to_be_between", "key", min_value=8),
    "unique_count_nan": column("unique_value_count_to_be_between", "d", min_value=1, max_value=5),
    "unique_count_where": column("unique_value_count_to_be_between", "n", max_value=5, **where("flag")),
    "unique_share": column("proportion_of_unique_values_to_be_between", "key", min_value=0.1, max_value=0.2),
    "unique_share_nothing": column("proportion_of_unique_values_to_be_between", "nothing", min_value=0.1),
}

TABLE: Cases = {
    "row_count": table("row_count_to_be_between", min_value=1, max_value=30),
    "row_count_strict": table("row_count_to_be_between", min_value=40, strict_min=True),
    "row_count_equal": table("row_count_to_equal", value=40),
    "row_count_where": table("row_count_to_be_between", max_value=9, **where("n > 0")),
    "row_count_where_unicode": table("row_count_to_equal", value=4, **where("words = 'שלום עולם'")),
    "column_count": table("column_count_to_equal", value=25),
    "column_count_between": table("column_count_to_be_between", min_value=26),
    "column_exists": column("to_exist", "key"),
    "column_exists_there": column("to_exist", "id", column_index=0),
    "column_exists_elsewhere": column("to_exist", "größe", column_index=0),
    "column_misses": column("to_exist", "gone"),
    "columns": table("columns_to_match_set", column_set=["id", "key"], exact_match=False),
    "columns_exactly": table("columns_to_match_set", column_set=["id", "key", "gone"]),
    "columns_in_order": table("columns_to_match_ordered_list", column_list=["id", "key", "n"]),
    "of_type": values("to_be_of_type", "n", type_="IntegerType"),
    "of_type_decimal": values("to_be_of_type", "price", type_="DecimalType"),
    "of_another_type": values("to_be_of_type", "at", type_="DateType"),
    "in_types": values("to_be_in_type_list", "d", type_list=["LongType", "StringType"]),
    "in_types_passes": values("to_be_in_type_list", "tags", type_list=["ArrayType", "StringType"]),
    "of_sql_type": column("type_to_be", "at", type_="TimestampType"),
    "of_another_sql_type": column("type_to_be", "wide", type_="DoubleType"),
    "no_row_by_query": (
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "select id, text from {batch} where n > 25 order by id"},
    ),
    "no_row_by_query_passes": (
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "select id from {batch} where id < 0"},
    ),
}

COLUMN_CASES: Cases = {**AGGREGATES, **DISTINCT, **TABLE}

# What raises is judged alone: asked together, GX gives several rules the message of one of them.
RAISING: Cases = {
    "no_such_column": values("to_not_be_null", "gone"),
    "no_such_column_unique": values("to_be_unique", "gone"),
    "no_such_column_max": column("max_to_be_between", "gone", max_value=1),
    "no_such_column_in_pair": pair("to_be_equal", "n", "gone"),
    "no_such_column_in_record": columns("compound_columns_to_be_unique", "n", "gone"),
    "no_such_column_of_type": values("to_be_of_type", "gone", type_="LongType"),
    "no_such_column_distinct": column("distinct_values_to_be_in_set", "gone", value_set=[1]),
    "no_such_field": values("to_not_be_null", "pair.gone"),
    "no_such_column_in_condition": values("to_not_be_null", "n", **where("gone > 1")),
    "no_such_column_in_object": values("to_not_be_null", "n", row_condition=compare("gone", ">", 1)),
    "no_such_type": values("to_be_of_type", "n", type_="NoType"),
    "condition_is_no_sql": values("to_not_be_null", "n", **where("n >")),
    "cast_in_condition": values("to_not_be_null", "n", **where("cast(text as int) > 1")),
    "division_in_condition": table("row_count_to_equal", value=1, **where("id / (id - 7) > 1")),
    "bad_regex": values("to_match_regex", "text", regex="("),
    "bound_of_another_type": values("to_be_between", "text", min_value=1),
    "bound_of_an_array": values("to_be_between", "tags", min_value=1),
    "set_of_another_type": values("to_be_in_set", "n", value_set=["x"]),
    "unique_map": values("to_be_unique", "counts"),
    "compound_map": columns("compound_columns_to_be_unique", "id", "counts"),
    "mean_of_text": column("mean_to_be_between", "text", min_value=1),
    "mean_of_small": column("mean_to_be_between", "small", min_value=1),
    "sum_of_dates": column("sum_to_be_between", "day", min_value=1),
    "stdev_of_text": column("stdev_to_be_between", "text", min_value=1),
    "max_of_map": column("max_to_be_between", "counts", min_value=1),
    "max_against_day": column("max_to_be_between", "n", max_value="2020-03-09"),
    "quantiles_roughly": quantiles("id", [5, 15], [25, 35], allow_relative_error=0.1),
    "quantiles_of_text": quantiles("text", [0, 1], [0, 1]),
    "lengths_of_numbers": ("expect_column_value_lengths_to_equal", {"column": "tags", "value": 2}),
    "json_schema_of_no_json": values("to_match_json_schema", "text", json_schema={"type": "object"}),
    "strftime_of_dates": values("to_match_strftime_format", "day", strftime_format="%Y"),
    "sum_of_texts": columns("multicolumn_sum_to_equal", "text", "n", sum_total=1),
    "compound_dotted": columns("compound_columns_to_be_unique", "id", "a.b"),
    "query_is_no_sql": ("unexpected_rows_expectation", {"unexpected_rows_query": "select from {batch} where"}),
    # Great Expectations has nothing for these on Spark.
    "like_pattern": values("to_match_like_pattern", "text", like_pattern="p%"),
    "like_patterns": values("to_match_like_pattern_list", "text", like_pattern_list=["p%"]),
    "not_like_pattern": values("to_not_match_like_pattern", "text", like_pattern="p%"),
    "not_like_patterns": values("to_not_match_like_pattern_list", "text", like_pattern_list=["p%"]),
    "dateutil": values("to_be_dateutil_parseable", "text"),
    "other_table": table("row_count_to_equal_other_table", other_table_name="gone"),
    "other_source": (
        "expect_query_results_to_match_comparison",
        {"base_query": "select 1", "comparison_data_source_name": "gone", "comparison_query": "select 1"},
    ),
}
