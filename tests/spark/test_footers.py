"""Rules that footers may answer, on files of pyarrow and of Spark: the same as by Great Expectations alone."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from content_signals.lake.session import sized_for
from content_signals.quality.footers import Footers
from content_signals.quality.scan import Scanner
from tests.changes import rule, suite
from tests.quality_judged import UNCOMPILED, conf

DAY, EXACT = date(2020, 3, 1), 2**53
SCHEMA = (
    "n long, i int, big long, d double, f float, zero double, late double, price decimal(10,2), day date, at timestamp,"
    " text string, void long, ds date"
)
LONG = "x" * 5000
FIRST = {
    "n": [3, 1, None, 2, 5],
    "i": pa.array([7, 7, 7, 7, 7], pa.int32()),
    "big": [EXACT, EXACT + 1, 2**63 - 1, -(2**63), None],
    "d": [1.0, math.nan, 2.0, 3.0, None],
    "f": pa.array([0.1, 0.5, 0.25, None, 1.0], pa.float32()),
    "zero": [0.0, 1.0, 2.0, 3.0, 4.0],
    "late": [1.0, 2.0, 3.0, 4.0, 5.0],
    "price": pa.array([Decimal("1.50"), None, Decimal("2.25"), Decimal("9.99"), Decimal("0.01")], pa.decimal128(10, 2)),
    "day": pa.array([DAY, None, date(9999, 12, 31), DAY, DAY]),
    "at": pa.array([0, 1, 2**52, None, 3], pa.timestamp("us", "UTC")),
    "text": [LONG + "b", LONG + "a", "", None, "é"],
    "void": pa.array([None] * 5, pa.int64()),
}
# Another file: without one of the columns, with nulls alone in others, in groups of two rows.
SECOND = {name: values[:3] for name, values in FIRST.items() if name != "late"}
SECOND |= {"n": pa.array([None, None, None], pa.int64()), "zero": [-0.0, math.inf, 1.0]}


def between(name, low=None, high=None, **more):
    return rule("column_values_to_be_between", column=name, min_value=low, max_value=high, **more)


RULES = [
    rule("table_row_count_to_be_between", min_value=8, max_value=8),
    *[rule("column_values_to_not_be_null", column=name, mostly=0.5) for name in ("n", "d", "void", "late", "ds")],
    *[rule("column_values_to_be_null", column=name) for name in ("void", "n", "late")],
    *[rule("column_max_to_be_between", column=n, max_value=5) for n in ("n", "d", "zero", "void")],
    *[rule("column_min_to_be_between", column=n, min_value=0) for n in ("f", "big", "late")],
    rule("column_max_to_be_between", column="ds", max_value="2020-03-01"),
    rule("column_proportion_of_non_null_values_to_be_between", column="n", min_value=0.5),
    rule("column_values_to_be_in_set", column="i", value_set=[7]),
    rule("column_values_to_be_in_set", column="i", value_set=[7.0]),
    rule("column_values_to_be_in_set", column="i", value_set=[8]),
    between("n", 1, 5),
    between("n", 1, 5, strict_min=True),
    between("n", 0.5, 5.5, strict_max=True),
    between("n", 2, 5),
    between("n", None, 5.0),
    between("i", 7, 7),
    between("big", -(2**63), 2**63 - 1),
    between("big", -(2**63), float(2**63)),
    between("big", None, EXACT),
    between("big", None, 10**30),
    between("d", 1.0, None),
    between("d", 1, None, strict_min=True),
    between("d", None, 3.0),
    between("f", 0.1, None),
    between("f", 0.1, None, strict_min=True),
    between("f", 0, 1),
    between("zero", 0, None),
    between("zero", 0, None, strict_min=True),
    between("zero", None, math.inf),
    between("late", 1, 5),
    between("late", 1),
    between("void", 1, 2),
    between("price", 0, 10),
    between("day", "2020-03-01", "9999-12-31"),
    rule("column_value_lengths_to_be_between", column="text", max_value=5001),
    between("ds", "2020-03-01", "2020-03-01"),
]


@pytest.fixture(scope="module", autouse=True)
def quick(spark):
    """Few rows and many queries."""
    with sized_for(spark, 1), conf(spark, UNCOMPILED):
        yield


@pytest.fixture(scope="module", params=["pyarrow", "spark"])
def files(request, spark, tmp_path_factory):
    """The rows in two files of one writer."""
    home = tmp_path_factory.mktemp("files")
    for number, part in enumerate((FIRST, SECOND)):
        pq.write_table(pa.table(part), home / f"{number}.parquet", row_group_size=2)
    if request.param != "spark":
        return sorted(map(str, home.glob("*.parquet")))
    for number in range(2):
        read = spark.read.parquet(f"{home}/{number}.parquet")
        read.coalesce(1).write.parquet(f"{home}/by-spark/{number}")
    return sorted(map(str, home.glob("by-spark/*/*.parquet")))


def test_footers_change_no_answer(spark, files):
    inner = ", ".join(field for field in SCHEMA.split(", ") if field != "ds date")
    frame = spark.read.schema(inner).parquet(*files).withColumn("ds", F.lit(DAY))
    footers = Footers.of(files, ("ds", DAY))
    rules = suite(*RULES)
    native = Scanner(rules, "native").run(frame).to_json_dict()["results"]
    proved = Scanner(rules).run(frame, footers).to_json_dict()["results"]
    for expected, found in zip(native, proved, strict=True):
        assert outcome(found) == outcome(expected), expected["expectation_config"]["kwargs"]


def outcome(result):
    """What a rule gave, NaN as a word: it equals nothing, not even itself."""
    raised = result["exception_info"].get("raised_exception")
    return result["success"], repr(result["result"]), raised
