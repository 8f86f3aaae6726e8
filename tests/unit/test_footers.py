"""What Parquet footers prove, against the rows themselves."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from great_expectations.validator.metric_configuration import MetricConfiguration
from pyspark.sql.types import DoubleType, LongType, StructType

from content_signals.errors import BrokenData
from content_signals.quality.footers import ColumnFacts, Footers
from content_signals.quality.proofs import proved

NAN, INFINITY = math.nan, math.inf
DAY = date(2020, 3, 1)


@pytest.fixture
def footers(tmp_path):
    """Footers of some files, each given as its columns; groups of two rows unless said otherwise."""

    def of(*files, day=None, group=2, **options):
        paths = [f"{tmp_path}/{n}.parquet" for n in range(len(files))]
        for path, columns in zip(paths, files, strict=True):
            table = columns if isinstance(columns, pa.Table) else pa.table(columns)
            pq.write_table(table, path, row_group_size=group, **options)
        return Footers.of(paths, day)

    return of


def longs(*values):
    return {"n": pa.array(values, pa.int64())}


def doubles(*values):
    return {"n": pa.array(values, pa.float64())}


def test_no_files():
    assert (Footers.of([]).rows, Footers.of([]).columns) == (0, {})
    assert Footers.of([], ("ds", DAY)).columns == {}


@pytest.mark.parametrize(
    ("files", "facts"),
    [
        ([longs(3, 1, 2)], ColumnFacts(0, 1, 3, bounded=True)),
        ([longs(3, None), longs(None, 5, None)], ColumnFacts(3, 3, 5, bounded=True)),
        ([longs(None, None, 7)], ColumnFacts(2, 7, 7, bounded=True)),  # a group of nulls alone
        ([longs(None), longs(None, None)], ColumnFacts(3, bounded=True)),
        ([longs(), longs(4)], ColumnFacts(0, 4, 4, bounded=True)),  # a file without a row
        ([longs()], ColumnFacts(0, bounded=True)),
        ([longs(-(2**63), 2**63 - 1)], ColumnFacts(0, -(2**63), 2**63 - 1, bounded=True)),
        ([doubles(-INFINITY, INFINITY)], ColumnFacts(0, -INFINITY, INFINITY, bounded=True)),
        ([doubles(NAN, NAN), doubles(1.0)], ColumnFacts(0)),  # of NaN alone there are no bounds
        ([{"n": pa.array([DAY, None])}], ColumnFacts(1, DAY, DAY, bounded=True)),
        ([{"n": pa.array([Decimal("1.50"), Decimal("2.25")])}], ColumnFacts(0, Decimal("1.50"), Decimal("2.25"), True)),
    ],
)
def test_facts(footers, files, facts):
    assert footers(*files).columns["n"] == facts


def test_a_column_that_a_file_lacks_has_no_facts(footers):
    found = footers({"n": [1, 2], "m": [1, 2]}, longs(3))
    assert (found.rows, set(found.columns)) == (3, {"n"})


def test_nothing_is_known_of_what_is_inside_an_array_a_map_or_a_struct(footers):
    nested = {
        "s": pa.array([{"x": 1}, None]),
        "l": pa.array([[1, 2], []]),
        "m": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        "n": [1, 2],
    }
    assert set(footers(nested).columns) == {"n"}


def test_without_statistics_only_the_rows_are_known(footers):
    found = footers(longs(1, 2, 3), write_statistics=False)
    assert (found.rows, found.columns["n"]) == (3, ColumnFacts(None))


def test_a_moment_python_has_no_value_of_is_unknown(footers):
    late = {
        "n": pa.array([3_000_000], pa.int32()).cast(pa.date32()),
        "t": pa.array([10**18], pa.timestamp("us", "UTC")),
    }
    assert set(footers(late).columns.values()) == {ColumnFacts(0)}
    moment = datetime(2020, 3, 1, tzinfo=UTC)
    assert footers({"t": pa.array([moment])}).columns["t"].nulls == 0


def test_the_day_is_that_of_the_folder(footers):
    other = {"n": [1], "ds": pa.array([date(1999, 1, 1)])}
    assert footers(other, day=("ds", DAY)).columns["ds"] == ColumnFacts(0, DAY, DAY, bounded=True)
    assert "ds" not in footers(longs(), day=("ds", DAY)).columns


@pytest.mark.parametrize("half", [b"", b"PAR1", None])
def test_half_a_file_is_broken_data(tmp_path, half):
    path = tmp_path / "half.parquet"
    pq.write_table(pa.table(longs(*range(1000))), path)
    path.write_bytes(path.read_bytes()[:-100] if half is None else half)
    with pytest.raises(BrokenData, match=r"half\.parquet cannot be read"):
        Footers.of([str(path)])
    with pytest.raises(BrokenData, match="cannot be read"):
        Footers.of([f"{tmp_path}/none.parquet"])


def ask(found: Footers, name: str, kind=None, **arguments):
    """The value of a metric of the column `n`, None where it is not proved."""
    domain = {"column": "n", **arguments.pop("domain", {})}
    metric = MetricConfiguration(name, domain, arguments or None)
    return proved(found, StructType().add("n", kind or LongType()), metric)


def between(found: Footers, kind=None, **bounds) -> bool:
    bounds = {"min_value": None, "max_value": None, "strict_min": False, "strict_max": False} | bounds
    return ask(found, "column_values.between.unexpected_count", kind, **bounds) == 0


def test_what_is_proved_of_integers_is_so():
    """Against every row, with bounds at, beside and between the values, as integers and as floats."""
    dice = random.Random(5)
    proofs = 0
    for _ in range(2000):
        values = [dice.choice([None, dice.randint(-3, 3)]) for _ in range(dice.randint(1, 4))]
        held = [value for value in values if value is not None]
        facts = ColumnFacts(len(values) - len(held), min(held, default=None), max(held, default=None), bounded=True)
        low, high = (dice.choice([None, dice.randint(-4, 4), dice.randint(-8, 8) / 2]) for _ in range(2))
        strict = {"strict_min": dice.random() < 0.5, "strict_max": dice.random() < 0.5}
        inside = all(
            (low is None or (value > low if strict["strict_min"] else value >= low))
            and (high is None or (value < high if strict["strict_max"] else value <= high))
            for value in held
        )
        found = Footers(len(values), {"n": facts})
        proved_so = between(found, min_value=low, max_value=high, **strict)
        assert inside or not proved_so, (values, low, high, strict)
        assert proved_so or not inside or not held or (low is None and high is None), "an easy proof is missed"
        proofs += proved_so
        assert ask(found, "column_values.nonnull.unexpected_count") == len(values) - len(held)
        assert ask(found, "column_values.null.unexpected_count") == len(held)
        assert ask(found, "column.min") == min(held, default=None)
        one = ask(found, "column_values.in_set.unexpected_count", value_set=[0, 1])
        assert one is None or set(held) <= {0, 1}
    assert proofs > 200


def test_of_doubles_nothing_is_proved_that_nan_would_break(footers):
    found = footers(doubles(1.0, NAN, 3.0, 2.0))
    assert not between(found, DoubleType(), max_value=5)
    assert not between(found, DoubleType(), min_value=0, max_value=5)
    assert between(found, DoubleType(), min_value=1), "NaN is greater than any number, to Spark"
    assert not between(found, DoubleType(), min_value=1, strict_min=True)
    assert [ask(found, name, DoubleType()) for name in ("column.min", "column.max")] == [None, None]


def test_the_sign_of_zero_proves_nothing_wrong(footers):
    found = footers(doubles(0.0, 1.0))  # its footer says -0.0
    assert between(found, DoubleType(), min_value=0)
    assert not between(found, DoubleType(), min_value=0, strict_min=True)


@pytest.mark.parametrize("bound", [2.0**53, float(2**53 + 2), NAN, INFINITY, -INFINITY])
def test_beyond_2_to_the_53_a_float_proves_nothing_of_integers(bound):
    found = Footers(2, {"n": ColumnFacts(0, 2**53, 2**53 + 1, bounded=True)})
    assert not between(found, min_value=-bound)
    assert not between(found, max_value=bound)
    assert between(found, min_value=2**53, max_value=2**53 + 1), "integers are exact"


def test_beyond_2_to_the_53_an_integer_proves_nothing_of_doubles():
    """Spark makes a double of the bound: 2^53 + 3 is 2^53 + 4 then."""
    found = Footers(1, {"n": ColumnFacts(0, float(2**53 + 4), float(2**53 + 4), bounded=True)})
    assert not between(found, DoubleType(), min_value=2**53 + 3, strict_min=True)
    assert between(found, DoubleType(), min_value=2**52, strict_min=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"domain": {"row_condition": "n > 1"}},
        {"domain": {"filter_conditions": ["n > 1"]}},
        {"min_value": True},
        {"min_value": "1"},
        {"min_value": 0, "something_else": 3},
        {},
    ],
)
def test_what_is_asked_in_another_way_is_not_proved(arguments):
    found = Footers(2, {"n": ColumnFacts(0, 1, 2, bounded=True)})
    assert not between(found, **arguments)


def test_no_row_proves_the_row_count_alone():
    found = Footers(0, {"n": ColumnFacts(0, bounded=True)})
    assert ask(found, "table.row_count", domain={"column": None}) == 0
    assert ask(found, "column_values.nonnull.unexpected_count") is None
    assert ask(found, "column.max") is None
