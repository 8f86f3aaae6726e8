"""One row per event, whatever arrived twice, against DuckDB."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.windows import dedup
from tests.oracle import assert_same_rows

pytestmark = pytest.mark.spark

Row = dict[str, Any]

TYPES = {"string": pa.string(), "int": pa.int32()}
DEDUP = {"shop": "string", "item": "int", "minute": "int", "name": "string", "amount": "int"}


def frame_of(spark: SparkSession, rows: list[Row]) -> DataFrame:
    ddl = ", ".join(f"{name} {kind}" for name, kind in DEDUP.items())
    return spark.createDataFrame([tuple(row[name] for name in DEDUP) for row in rows], ddl)


@pytest.mark.parametrize(
    ("key", "order_by"),
    [
        (["shop"], ["minute", "name", "amount"]),
        (["shop", "item"], ["minute", "name", "amount"]),
        (["shop", "item", "minute"], ["amount", "name"]),
        (list(DEDUP), list(DEDUP)),
    ],
    ids=["one column", "two", "three", "exact duplicates"],
)
def test_dedup_keeps_the_smallest_row_of_each_key(spark: SparkSession, key: list[str], order_by: list[str]) -> None:
    """Null is a key like another, and comes before every value in the order."""
    rng = random.Random(10)
    rows: list[Row] = [
        {
            "shop": rng.choice(["X", "Y", None]),
            "item": rng.choice([1, 2, None]),
            "minute": rng.choice([None, *range(3)]),
            "name": rng.choice([None, "a", "b"]),
            "amount": rng.choice([None, -5, 5, 6]),
        }
        for _ in range(300)
    ]
    con = duckdb.connect(config={"threads": 1})
    con.from_arrow(pa.table({n: pa.array([r[n] for r in rows], TYPES[t]) for n, t in DEDUP.items()})).create("rows")
    order = ", ".join(f"{c} NULLS FIRST" for c in [*order_by, *(set(DEDUP) - set(order_by))])
    expected = f"FROM rows QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {order}) = 1"
    frame = frame_of(spark, rows)
    for shuffled in (frame, frame.repartition(7), frame.coalesce(1).orderBy(F.desc("amount"))):
        found = dedup(shuffled, key, order_by)
        assert [(f.name, f.dataType) for f in found.schema] == [(f.name, f.dataType) for f in frame.schema]
        # Columns that neither name nor order a row are not compared: any of the equals may stay.
        settled = [c for c in DEDUP if c in {*key, *order_by}]
        assert_same_rows(con, found.select(settled).toArrow(), f"SELECT {', '.join(settled)} FROM ({expected})", key)


def test_dedup_keeps_whole_rows(spark: SparkSession) -> None:
    """No row is made of the smallest values of several."""
    rows = [
        {"shop": "X", "item": 1, "minute": 2, "name": "a", "amount": 1},
        {"shop": "X", "item": 1, "minute": 1, "name": "b", "amount": None},
        {"shop": "X", "item": 1, "minute": 1, "name": "c", "amount": 0},
    ]
    found = dedup(frame_of(spark, rows), ["shop", "item"], ["minute", "name"]).toArrow().to_pylist()
    assert found == [rows[1]]


def test_dedup_of_nothing(spark: SparkSession) -> None:
    assert dedup(frame_of(spark, []), ["shop"], ["minute"]).count() == 0
