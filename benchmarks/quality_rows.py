"""Rows and rules of the quality benchmark: 12 columns, 20 rules, and what DuckDB is asked to answer each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

FILES = 8
# `i` counts; every h is a hash of it of its own. One label in 33 is missing, all else is as the rules want it.
COLUMNS = """
    i AS event_id,
    DATE '2026-03-01' + (i % 28)::INTEGER AS day,
    TIMESTAMPTZ '2026-03-01 00:00:00+00' + to_seconds(h1 % 2419200) AS event_ts,
    'T' || lpad(upper(to_base((h2 % 1000000)::BIGINT, 36)), 10, '0') AS track_id,
    left(md5((h3 % 100000)::VARCHAR), 22) AS artist_id,
    ['DE', 'FR', 'US', 'GB', 'JP', 'BR', 'IN', 'SE', 'NL', 'ES'][1 + (h1 % 10)::INTEGER] AS country,
    ['play', 'skip', 'save'][1 + (h2 % 3)::INTEGER] AS kind,
    (1 + h3 % 900)::INTEGER AS plays,
    (h1 % (1 + h3 % 900))::INTEGER AS skips,
    (h2 % 600000)::BIGINT AS ms_played,
    (h3 % 1000003) / 1000003.0::DOUBLE AS score,
    CASE WHEN h1 % 33 <> 0 THEN 'label ' || (h3 % 5000)::VARCHAR END AS label
"""
COUNTRIES = ["DE", "FR", "US", "GB", "JP", "BR", "IN", "SE", "NL", "ES", "IT", "PL"]
REGEX = "^T[0-9A-Z]{10}$"

Rule = tuple[str, dict[str, Any], str]


def _not_null(column: str, **kwargs: Any) -> Rule:
    sql = f"count(*) FILTER ({column} IS NULL)"
    return "expect_column_values_to_not_be_null", {"column": column, **kwargs}, sql


def _between(column: str, least: float, greatest: float) -> Rule:
    sql = f"count(*) FILTER ({column} NOT BETWEEN {least} AND {greatest})"
    kwargs = {"column": column, "min_value": least, "max_value": greatest}
    return "expect_column_values_to_be_between", kwargs, sql


def _aggregate(name: str, column: str, least: float, greatest: float, sql: str) -> Rule:
    kwargs = {"column": column, "min_value": least, "max_value": greatest}
    return f"expect_column_{name}_to_be_between", kwargs, sql


ROW_COUNT: Rule = ("expect_table_row_count_to_be_between", {"min_value": 1}, "count(*)")
MAX = _aggregate("max", "plays", 1, 1000, "max(plays)")
MIN = _aggregate("min", "plays", 1, 1000, "min(plays)")
NOT_NULL = [_not_null(name) for name in ("event_id", "day", "event_ts", "track_id", "artist_id", "plays")]
WHOLE = [_between("plays", 1, 1000), _between("ms_played", 0, 600_000)]

RULES: list[Rule] = [
    *NOT_NULL,
    _not_null("label", mostly=0.9),
    *WHOLE,
    _between("score", 0.0, 1.0),
    (
        "expect_column_values_to_be_in_set",
        {"column": "country", "value_set": COUNTRIES},
        f"count(*) FILTER (country NOT IN ({', '.join(map(repr, COUNTRIES))}))",
    ),
    (
        "expect_column_value_lengths_to_equal",
        {"column": "artist_id", "value": 22},
        "count(*) FILTER (length(artist_id) <> 22)",
    ),
    (
        "expect_column_values_to_match_regex",
        {"column": "track_id", "regex": REGEX},
        f"count(*) FILTER (NOT regexp_matches(track_id, '{REGEX}'))",
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "plays", "column_B": "skips", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
        "count(*) FILTER (plays < skips)",
    ),
    ROW_COUNT,
    MAX,
    MIN,
    _aggregate("mean", "plays", 400, 500, "avg(plays)"),
    _aggregate("stdev", "score", 0.2, 0.4, "stddev_samp(score)"),
    _aggregate("sum", "ms_played", 0, 1e15, "sum(ms_played)::DOUBLE"),
]
# What footers prove whole.
FOOTERS: list[Rule] = [*NOT_NULL, *WHOLE, ROW_COUNT, MAX, MIN]


def suite(rules: list[Rule]) -> dict[str, Any]:
    """The suite in GX's own form."""
    return {"name": "benchmark", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs, _ in rules]}


def write_rows(con: duckdb.DuckDBPyConnection, rows: int, folder: Path) -> list[str]:
    """The Parquet files, of as many rows each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [str(folder / f"part-{number}.parquet") for number in range(FILES)]
    for number, file in enumerate(files):
        first, last = rows * number // FILES, rows * (number + 1) // FILES
        con.execute(f"""COPY (
            SELECT {COLUMNS} FROM (SELECT i, hash(i) AS h1, hash(i + {rows}) AS h2, hash(i + 2 * {rows}) AS h3
                                   FROM range({first}, {last}) AS t(i))) TO '{file}' (FORMAT parquet)""")
    return files


def asked_of_duckdb(con: duckdb.DuckDBPyConnection, files: list[str], rules: list[Rule]) -> dict[str, tuple[bool, Any]]:
    """The number or value of each rule, with one query; DuckDB judges nothing."""
    expressions = ", ".join(sql for _, _, sql in rules)
    values = con.execute(f"SELECT {expressions} FROM read_parquet({files})").fetchall()[0]
    return {name_of(kind, kwargs): (True, value) for (kind, kwargs, _), value in zip(rules, values, strict=True)}


Found = dict[str, tuple[bool, Any]]


def name_of(kind: str, kwargs: dict[str, Any]) -> str:
    """A rule's name: GX gives results in an order of its own."""
    return f"{kind}({kwargs.get('column') or kwargs.get('column_A', '')})"


def observed(result: Any) -> Found:
    """Of each rule: success, and the number of unexpected rows or the value observed; None when not told."""
    return {
        name_of(one.expectation_config.type, one.expectation_config.kwargs): (
            bool(one.success),
            one.result.get("unexpected_count", one.result.get("observed_value")),
        )
        for one in result.results
    }


def assert_same(side: str, found: Found, floor: Found) -> None:
    """A side's numbers are those of DuckDB; sums of doubles may differ as the order of summing does.

    Raises:
        AssertionError: with the first that is not.
    """
    assert found.keys() == floor.keys(), f"{side}: {found.keys() ^ floor.keys()}"
    for rule, (_, wanted) in floor.items():
        success, value = found[rule]
        assert success, f"{side}: {rule} failed"
        assert value is None or abs(value - wanted) <= 1e-9 * abs(wanted), f"{side}: {rule}: {value}, {wanted}"
