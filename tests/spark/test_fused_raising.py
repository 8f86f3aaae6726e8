"""Rules that raise, and result formats: our engines say what Great Expectations alone says, on rows from files."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from content_signals.quality.scan import COUNTS_AND_SAMPLES
from tests.quality_cases import CASES, RAISING
from tests.quality_frames import FILES, SCHEMA
from tests.quality_judged import COMPILED, UNCOMPILED, attempt, conf, scanned, scanner_of, staged

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2


FORMATS = [
    {"result_format": "BOOLEAN_ONLY"},
    {"result_format": "BASIC", "partial_unexpected_count": 3, "include_unexpected_rows": True},
    {"result_format": "COMPLETE", "return_unexpected_index_query": False},
    {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]},
    {"result_format": "SUMMARY", "partial_unexpected_count": 0},
    COUNTS_AND_SAMPLES,
]
IN_EVERY_FORMAT = [
    "not_null_passes",
    "not_null_fails",
    "between_where",
    "between_big",
    "in_set_unicode",
    "unique_passes",
    "unique_fails",
    "compound_fails",
    "pair_or_equal",
    "sum_of_columns",
    "max_where",
    "distinct_in_set",
    "increasing_where",
    "no_row_by_query",
    "row_count_where",
]
COMPILED_CASES = [*IN_EVERY_FORMAT, "mean", "sum_decimal", "regex", "lengths", "z_scores", "json_schema", "pair_where"]


@pytest.fixture(scope="module")
def rows(spark, tmp_path_factory):
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        yield staged(spark, tmp_path_factory.mktemp("raising"), SCHEMA, FILES)


@pytest.fixture(scope="module")
def natively(rows):
    """Case -> what GX alone says, of some cases."""
    return scanned({name: CASES[name] for name in COMPILED_CASES}, "native", rows.frame)


@pytest.mark.parametrize("case", RAISING)
def test_a_rule_that_raises_says_what_it_says_natively(rows, case):
    native = attempt(case, RAISING, "native", rows.frame)
    assert '"raised_exception": true' in native or native.startswith("raised")
    assert attempt(case, RAISING, "footers", *rows) == native


@pytest.mark.parametrize("result_format", FORMATS, ids=lambda one: "-".join(map(str, one.values())))
def test_every_result_format(rows, result_format):
    cases = {name: CASES[name] for name in IN_EVERY_FORMAT}
    native = scanned(cases, "native", rows.frame, result_format=result_format)
    assert scanned(cases, "footers", *rows, result_format=result_format) == native


def test_compiled_queries(spark, rows, natively):
    cases = {name: CASES[name] for name in COMPILED_CASES}
    with conf(spark, COMPILED):
        found = scanned(cases, "fused", *rows)
    assert found == {name: natively[name] for name in cases}


def test_a_rule_that_raises_leaves_the_others_answered(rows, natively):
    cases = {name: CASES[name] for name in IN_EVERY_FORMAT}
    raising = {name: RAISING[name] for name in ("no_such_column", "bad_regex", "mean_of_text")}
    found = scanned(cases | raising, "footers", *rows)
    assert {name: found[name] for name in cases} == {name: natively[name] for name in cases}
    assert all('"raised_exception": true' in found[name] for name in raising)


def test_a_day_with_another_schema_is_prepared_anew(rows):
    cases = {name: CASES[name] for name in ("between_fails", "mean", "not_null_fails")}
    other = rows.frame.select(F.col("n").cast("double"), "key")
    scanner = scanner_of(cases, "fused")
    for frame in (rows.frame, other, rows.frame):
        assert scanned(cases, "fused", frame, scanner=scanner) == scanned(cases, "native", frame)
