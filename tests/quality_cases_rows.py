"""Rules that judge rows: name -> rule. What they are judged on is in tests/quality_frames.py."""

from __future__ import annotations

from datetime import date

from tests.quality_frames import INFINITY
from tests.quality_rules import Cases, both, columns, compare, either, is_null, pair, values, where, where_gx

POSITIVE_WITH_KEY = both(compare("n", ">", 0), is_null("key", False))
EITHER_MISSING, BOTH_MISSING = "either_value_is_missing", "both_values_are_missing"
ANY_MISSING, ALL_MISSING = "any_value_is_missing", "all_values_are_missing"
GREATER = "a_to_be_greater_than_b"
COMPOUND, IN_RECORD = "compound_columns_to_be_unique", "select_column_values_to_be_unique_within_record"
SUM, EQUAL = "multicolumn_sum_to_equal", "multicolumn_values_to_be_equal"

NULLS: Cases = {
    "not_null_passes": values("to_not_be_null", "id"),
    "not_null_fails": values("to_not_be_null", "key"),
    "not_null_mostly": values("to_not_be_null", "key", mostly=0.5),
    "not_null_mostly_all": values("to_not_be_null", "id", mostly=1.0),
    "not_null_mostly_none": values("to_not_be_null", "nothing", mostly=0.0),
    "not_null_where": values("to_not_be_null", "n", **where("id > 20")),
    "not_null_where_gx": values("to_not_be_null", "n", **where_gx('col("id") > 20')),
    "not_null_where_object": values("to_not_be_null", "m", row_condition=POSITIVE_WITH_KEY),
    "not_null_where_null": values("to_not_be_null", "m", **where("flag")),
    "not_null_where_unicode": values("to_not_be_null", "n", **where("text in ('日本語', '🎵 music')")),
    "not_null_where_right_to_left": values("to_not_be_null", "n", row_condition=compare("words", "==", "مرحبا")),
    "not_null_where_apostrophe": values("to_not_be_null", "n", row_condition=compare("words", "==", "it's")),
    "not_null_where_quotes": values("to_not_be_null", "n", row_condition=compare("words", "!=", 'say "hi"')),
    "not_null_where_either": values(
        "to_not_be_null", "n", row_condition=either(is_null("key"), compare("id", "IN", [1, 6, 12]))
    ),
    "not_null_where_date": values("to_not_be_null", "n", **where("day > date'2020-03-10'")),
    "not_null_where_subquery_of_nothing": values("to_not_be_null", "n", **where("size(tags) > 1")),
    "not_null_nowhere": values("to_not_be_null", "n", **where("id < 0")),
    "not_null_nan": values("to_not_be_null", "d"),
    "not_null_dotted": values("to_not_be_null", "a.b"),
    "not_null_unicode_name": values("to_not_be_null", "größe"),
    "not_null_nested": values("to_not_be_null", "pair.y"),
    "not_null_struct": values("to_not_be_null", "pair"),
    "not_null_array": values("to_not_be_null", "tags"),
    "not_null_map": values("to_not_be_null", "counts"),
    "not_null_binary": values("to_not_be_null", "raw"),
    "not_null_decimal": values("to_not_be_null", "wide"),
    "not_null_nothing": values("to_not_be_null", "nothing"),
    "null_passes": values("to_be_null", "nothing"),
    "null_fails": values("to_be_null", "key"),
    "null_mostly": values("to_be_null", "n", mostly=0.1),
    "null_where": values("to_be_null", "day", **where("id % 10 = 9")),
    "null_nan": values("to_be_null", "x"),
}

BOUNDS: Cases = {
    "between_passes": values("to_be_between", "id", min_value=0, max_value=100),
    "between_fails": values("to_be_between", "n", min_value=0, max_value=10),
    "between_one": values("to_be_between", "n", min_value=3, max_value=3),
    "between_min": values("to_be_between", "n", min_value=-9),
    "between_strict_min": values("to_be_between", "n", min_value=-9, strict_min=True),
    "between_strict_max": values("to_be_between", "m", max_value=63, strict_max=True),
    "between_strict": values("to_be_between", "id", min_value=0, max_value=39, strict_min=True, strict_max=True),
    "between_mostly": values("to_be_between", "n", min_value=0, mostly=0.6),
    "between_mostly_just": values("to_be_between", "id", min_value=4, mostly=0.9),
    "between_whole_by_fraction": values("to_be_between", "n", min_value=-0.5, max_value=9.5),
    "between_small": values("to_be_between", "small", min_value=-20, max_value=0),
    "between_big": values("to_be_between", "big", min_value=-(2**63), max_value=2**53),
    "between_big_by_float": values("to_be_between", "big", max_value=float(2**53)),
    "between_double": values("to_be_between", "d", min_value=-4, max_value=3),
    "between_zeros": values("to_be_between", "d", min_value=0.0),
    "between_nan_min": values("to_be_between", "d", min_value=-4),
    "between_nan_max": values("to_be_between", "d", max_value=1e301),
    "between_infinities": values("to_be_between", "x", min_value=-1e308, max_value=1e308),
    "between_infinite_bounds": values("to_be_between", "x", min_value=-INFINITY, max_value=INFINITY),
    "between_float": values("to_be_between", "f", min_value=0.5, max_value=2),
    "between_decimal": values("to_be_between", "price", min_value=1.75, max_value=50),
    "between_wide_decimal": values("to_be_between", "wide", min_value=10**20, strict_min=True),
    "between_dates": values("to_be_between", "day", min_value="2020-03-02", max_value="2020-03-15"),
    "between_date_objects": values("to_be_between", "day", min_value=date(2020, 3, 2), strict_min=True),
    "between_times": values("to_be_between", "at", min_value="2020-03-01T00:30:00", max_value="2020-03-12T00:00:00"),
    "between_times_by_day": values("to_be_between", "at", max_value="2020-03-10"),
    "between_local_times": values("to_be_between", "local", min_value="2019-01-01", strict_min=True),
    "between_where": values("to_be_between", "n", min_value=0, **where("key = 'k1' or flag")),
    "between_where_gx": values("to_be_between", "n", min_value=0, **where_gx('col("key").notNull()')),
    "between_where_same": values("to_be_between", "n", min_value=0, max_value=9, **where("n > 3")),
    "between_nowhere": values("to_be_between", "n", min_value=0, **where("false")),
    "between_all_null": values("to_be_between", "nothing", min_value=1),
    "between_dotted": values("to_be_between", "a.b", min_value=1),
    "between_nested": values("to_be_between", "pair.x", min_value=1),
    "between_unicode_name": values("to_be_between", "größe", min_value=1),
}

SETS: Cases = {
    "in_set_passes": values("to_be_in_set", "key", value_set=[f"k{i}" for i in range(7)]),
    "in_set_fails": values("to_be_in_set", "key", value_set=["k1", "k2"]),
    "in_set_mostly": values("to_be_in_set", "key", value_set=["k1", "k2"], mostly=0.2),
    "in_set_unicode": values("to_be_in_set", "text", value_set=["日本語", "🎵 music", ""]),
    "in_set_right_to_left": values("to_be_in_set", "words", value_set=["שלום עולם", "\u200f", "é", "👩‍👩‍👧"]),
    "in_set_quotes": values("to_be_in_set", "words", value_set=["it's", 'say "hi"', "back\\slash"]),
    "in_set_bool": values("to_be_in_set", "flag", value_set=[True]),
    "in_set_with_null": values("to_be_in_set", "key", value_set=["k1", None]),
    "in_set_doubles": values("to_be_in_set", "d", value_set=[0.0, 1.5]),
    "in_set_decimals": values("to_be_in_set", "price", value_set=[0, 1.75, 3.5]),
    "in_set_dates": values("to_be_in_set", "day", value_set=["2020-03-01", "2020-03-02"]),
    "in_set_where": values("to_be_in_set", "n", value_set=[1, 2], **where("id between 10 and 14")),
    "in_set_empty": values("to_be_in_set", "key", value_set=[]),
    "in_set_nothing": values("to_be_in_set", "nothing", value_set=[1]),
    "not_in_set_passes": values("to_not_be_in_set", "key", value_set=["x"]),
    "not_in_set_fails": values("to_not_be_in_set", "n", value_set=[1, 2, 3]),
    "not_in_set_with_null": values("to_not_be_in_set", "key", value_set=["k1", None]),
}

TEXTS: Cases = {
    "regex": values("to_match_regex", "text", regex="^[a-z]+$"),
    "regex_mostly": values("to_match_regex", "key", regex="^k[0-5]$", mostly=0.5),
    "regex_unicode": values("to_match_regex", "text", regex=r"^\p{IsHan}+$|🎵"),
    "regex_where": values("to_match_regex", "key", regex="^k1$", **where_gx('col("id") < 9')),
    "regex_binary": values("to_match_regex", "raw", regex="1"),
    "not_regex": values("to_not_match_regex", "text", regex="ï|語"),
    "not_regex_right_to_left": values("to_not_match_regex", "words", regex="[\u0590-\u05ff]"),
    "regex_list": values("to_match_regex_list", "text", regex_list=["^p", "^U"], match_on="any"),
    "regex_list_all": values("to_match_regex_list", "text", regex_list=["^p", "n$"], match_on="all"),
    "not_regex_list": values("to_not_match_regex_list", "text", regex_list=["^p", "c"]),
    "lengths": ("expect_column_value_lengths_to_be_between", {"column": "text", "min_value": 1, "max_value": 5}),
    "lengths_strict": (
        "expect_column_value_lengths_to_be_between",
        {"column": "words", "min_value": 1, "max_value": 9, "strict_min": True, "strict_max": True},
    ),
    "length": ("expect_column_value_lengths_to_equal", {"column": "key", "value": 2}),
    "length_mostly": ("expect_column_value_lengths_to_equal", {"column": "words", "value": 1, "mostly": 0.1}),
    "json": values("to_be_json_parseable", "text"),
    "json_objects": values("to_be_json_parseable", "words"),
    "json_schema": values("to_match_json_schema", "words", json_schema={"type": "object"}, **where("words like '{%'")),
    "strftime": values("to_match_strftime_format", "key", strftime_format="k%d"),
}

UNIQUE: Cases = {
    "unique_passes": values("to_be_unique", "id"),
    "unique_fails": values("to_be_unique", "text"),
    "unique_mostly": values("to_be_unique", "n", mostly=0.5),
    "unique_nan_and_zeros": values("to_be_unique", "d"),
    "unique_decimal": values("to_be_unique", "wide"),
    "unique_time": values("to_be_unique", "local"),
    "unique_array": values("to_be_unique", "tags"),
    "unique_struct": values("to_be_unique", "pair"),
    "unique_binary": values("to_be_unique", "raw"),
    "unique_where": values("to_be_unique", "day", **where("id < 15")),
    "unique_nowhere": values("to_be_unique", "key", **where("id < 0")),
    "unique_all_null": values("to_be_unique", "nothing"),
    "unique_dotted": values("to_be_unique", "a.b"),
    "unique_nested": values("to_be_unique", "pair.x"),
    "compound_passes": columns(COMPOUND, "id", "key"),
    "compound_fails": columns(COMPOUND, "key", "flag"),
    "compound_any_missing": columns(COMPOUND, "key", "flag", ignore_row_if=ANY_MISSING),
    "compound_never_ignored": columns(COMPOUND, "n", "m", ignore_row_if="never", **where("id > 3")),
    "compound_nan": columns(COMPOUND, "d", "f"),
    "compound_mostly": columns(COMPOUND, "day", "flag", mostly=0.3),
    "increasing": values("to_be_increasing", "id"),
    "increasing_strictly": values("to_be_increasing", "n", strictly=True),
    "increasing_dates": values("to_be_increasing", "day"),
    "increasing_where": values("to_be_increasing", "größe", **where("id < 8")),
    "decreasing": values("to_be_decreasing", "id"),
    "decreasing_strictly": values("to_be_decreasing", "d", strictly=True, mostly=0.2),
    "unique_in_record": columns(IN_RECORD, "n", "m", "id"),
    "unique_in_record_ignoring": columns(IN_RECORD, "n", "m", ignore_row_if=ANY_MISSING),
    "unique_in_record_where": columns(IN_RECORD, "n", "größe", **where("id > 9")),
}

SEVERAL: Cases = {
    "pair_greater": pair(GREATER, "m", "n"),
    "pair_or_equal": pair(GREATER, "m", "n", or_equal=True, ignore_row_if=EITHER_MISSING),
    "pair_both_missing": pair(GREATER, "m", "n", ignore_row_if=BOTH_MISSING),
    "pair_where": pair(GREATER, "id", "n", ignore_row_if="neither", **where_gx('col("id") >= 12')),
    "pair_mostly": pair(GREATER, "m", "n", mostly=0.2, ignore_row_if=EITHER_MISSING),
    "pair_nan": pair(GREATER, "d", "f"),
    "pair_times": pair(GREATER, "at", "local", or_equal=True),
    "pair_other_types": pair(GREATER, "wide", "d"),
    "pair_equal": pair("to_be_equal", "n", "m"),
    "pair_equal_missing": pair("to_be_equal", "n", "m", ignore_row_if=EITHER_MISSING),
    "pair_equal_nan": pair("to_be_equal", "d", "d"),
    "pair_equal_where": pair("to_be_equal", "n", "größe", **where("id > 9")),
    "pair_in_set": pair("to_be_in_set", "key", "flag", value_pairs_set=[["k1", True], ["k2", None]]),
    "pair_nowhere": pair("to_be_equal", "n", "m", **where("false")),
    "sum_of_columns": columns(SUM, "n", "m", sum_total=20),
    "sum_ignoring": columns(SUM, "n", "m", sum_total=20, ignore_row_if=ANY_MISSING),
    "sum_of_doubles": columns(SUM, "d", "f", "n", sum_total=1.5, mostly=0.1),
    "values_of_columns_equal": columns(EQUAL, "n", "m"),
    "values_of_columns_equal_where": columns(EQUAL, "n", "m", ignore_row_if=ALL_MISSING, **where("flag is null")),
}

ROW_CASES: Cases = {**NULLS, **BOUNDS, **SETS, **TEXTS, **UNIQUE, **SEVERAL}
