"""Our engines give what Great Expectations alone gives: every expectation of its core, on everything odd in a column.

Whole results are compared, as text: success, counts, percentages, samples, observed values, exceptions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import great_expectations.expectations.core as core
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from content_signals.quality.scan import COUNTS_AND_SAMPLES
from tests.quality_cases import ALL, CASES, COUNTED, RAISING, TOGETHER
from tests.quality_frames import FILES, NOTHING_KNOWN, SCHEMA
from tests.quality_judged import COMPILED, ENGINES, SUMMARY, UNCOMPILED, attempt, conf, scanned, scanner_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of row conditions as text, in GX 2


class Staged(NamedTuple):
    """A frame and the files it reads."""

    frame: DataFrame
    files: list[str]


@pytest.fixture(scope="module")
def staged(spark, tmp_path_factory):
    """Name -> rows in files: many, none, and some of which nothing but the key is known."""
    found = {}
    with sized_for(spark, 40), conf(spark, UNCOMPILED):
        for name, parts in {"rows": FILES, "empty": [[]], "nothing known": [NOTHING_KNOWN]}.items():
            home = tmp_path_factory.mktemp("staged") / name
            for number, rows in enumerate(parts):
                spark.createDataFrame(rows, SCHEMA).coalesce(1).write.parquet(f"{home}/{number}")
            files = sorted(str(path) for path in home.glob("*/*.parquet"))
            found[name] = Staged(spark.read.schema(SCHEMA).parquet(*files), files)
            if name != "rows":  # from memory a query takes half the time
                found[name] = Staged(spark.createDataFrame(found[name].frame.toArrow(), SCHEMA), files)
        yield found


@pytest.fixture(scope="module")
def natively(staged):
    """Frame, result format -> what GX alone says of every case, asked once."""
    known: dict[str, dict[str, str]] = {}

    def judge(name: str, result_format: dict[str, Any] = SUMMARY) -> dict[str, str]:
        key = name + repr(result_format)
        if key not in known:
            frame = staged[name].frame
            known[key] = {
                case: text
                for cases in (TOGETHER, COUNTED)
                for case, text in scanned(cases, "native", frame, result_format=result_format).items()
            }
        return known[key]

    return judge


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def ours(staged, engine):
    """Frame -> what an engine of ours says. One scanner: what it keeps of one frame must fit the next."""
    scanner = scanner_of(CASES, engine)
    return {name: scanned(CASES, engine, *frame, scanner=scanner) for name, frame in staged.items()}


def test_every_expectation_of_the_core_is_a_case():
    classes = [one for one in vars(core).values() if isinstance(one, type)]
    types = {one.expectation_type for one in classes}
    # This one has a class that says it is abstract, and GX leaves it out of a suite.
    assert types - {""} == {kind for kind, _ in ALL.values()}


@pytest.mark.parametrize("frame", ["rows", "empty", "nothing known"])
@pytest.mark.parametrize("case", CASES)
def test_a_rule_is_judged_as_natively(natively, ours, frame, case):
    assert ours[frame][case] == natively(frame)[case]


@pytest.mark.parametrize("case", RAISING)
def test_a_rule_that_raises_says_what_it_says_natively(staged, case):
    native = attempt(case, RAISING, "native", staged["rows"].frame)
    assert '"raised_exception": true' in native or native.startswith("raised")
    assert attempt(case, RAISING, "footers", *staged["rows"]) == native


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


@pytest.mark.parametrize("result_format", FORMATS, ids=lambda one: "-".join(map(str, one.values())))
def test_every_result_format(staged, result_format):
    cases = {name: CASES[name] for name in IN_EVERY_FORMAT}
    native = scanned(cases, "native", staged["rows"].frame, result_format=result_format)
    assert scanned(cases, "footers", *staged["rows"], result_format=result_format) == native


def test_compiled_queries(spark, staged, natively):
    cases = {name: CASES[name] for name in [*IN_EVERY_FORMAT, "mean", "sum_decimal", "regex", "lengths", "z_scores"]}
    with conf(spark, COMPILED):
        found = scanned(cases, "fused", *staged["rows"])
    assert found == {name: natively("rows")[name] for name in cases}


def test_a_rule_that_raises_leaves_the_others_answered(staged, natively):
    cases = {name: CASES[name] for name in IN_EVERY_FORMAT}
    raising = {name: RAISING[name] for name in ("no_such_column", "bad_regex", "mean_of_text")}
    found = scanned(cases | raising, "footers", *staged["rows"])
    assert {name: found[name] for name in cases} == {name: natively("rows")[name] for name in cases}
    assert all('"raised_exception": true' in found[name] for name in raising)


def test_a_day_with_another_schema_is_prepared_anew(staged):
    cases = {name: CASES[name] for name in ("between_fails", "mean", "not_null_fails")}
    rows = staged["rows"].frame
    other = rows.select(F.col("n").cast("double"), "key")
    scanner = scanner_of(cases, "fused")
    for frame in (rows, other, rows):
        assert scanned(cases, "fused", frame, scanner=scanner) == scanned(cases, "native", frame)
