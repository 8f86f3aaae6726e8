"""Windows made from coarse tiles say what DuckDB says."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from content_signals.contract import Windowed
from content_signals.windows import finalize, present_keys, tile
from content_signals.windows.coarse import BLOCK_DAYS, LONG_DAYS, block_of, coarse_partials, coarsen, first_fine_day
from tests.window_oracle import (
    EDITS,
    FILTERS,
    FIRST,
    TARGETS,
    TYPES,
    Row,
    a_table,
    check,
    duck,
    frames,
    some_events,
    spark_frame,
    window,
)

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("uncached")]


def long_columns() -> list[Windowed]:
    """Each op over 200 days, and some short ones beside them."""
    a = {"where": FILTERS[0]}
    return [
        window("rows", "count", 200),
        window("amount", "sum", 200, "amount", **a),
        window("cheapest", "min", 200, "price"),
        window("last_of_names", "max", 200, "name"),
        window("mean_amount", "mean", 200, "amount"),
        window("share_a", "ratio", 200, over="kind = 'b' OR kind = 'a'", **a),
        window("latest", "last", 200, "name", order_by="minute", **a),
        window("names", "distinct", 200, "name"),
        window("names_up_to_16", "distinct", 200, "name", exact_to=16),
        window("numbers_up_to_64", "distinct", 200, "amount", exact_to=1024),
        window("names_roughly", "approx_distinct", 200, "name"),
        window("since", "days_since", 200, **a),
        window("rows_decayed", "count", 200, half_life_days=50, **a),
        window("amount_decayed", "sum", 200, "amount", half_life_days=2.5),
        window("rows_a", "count", 7, **a),
        window("editors", "approx_distinct", 100, "editor", of=EDITS),
    ]


def test_coarse_tiles_say_what_the_days_say(spark: SparkSession) -> None:
    table = a_table([c for c in long_columns() if c.name != "names"])  # sets of all values stay by day
    events = some_events(11, rows=1500, days=400)
    con = duck(events, [])
    tiles = tile(table, frames(spark, events)).cache()
    days = [FIRST + timedelta(n) for n in (300, 301, 331, 332, 399)]
    first = first_fine_day(table, days[0])
    assert days[0] - timedelta(28 + BLOCK_DAYS) < first <= days[0] - timedelta(27)
    fine, coarse = tiles.where(F.col("ds") >= first), coarsen(table, tiles.where(F.col("ds") < first)).cache()
    assert coarse.count() < tiles.where(F.col("ds") < first).count() / 3
    targets: list[Row] = [{"ds": d, "shop": s, "item": i} for d in days for s in "XY" for i in range(7)]
    con.execute("DROP TABLE targets")
    con.from_arrow(
        pa.table({n: pa.array([row[n] for row in targets], TYPES[kind]) for n, kind in TARGETS.items()})
    ).create("targets")
    actual = finalize(table, fine, spark_frame(spark, targets, TARGETS), days, coarse)
    assert check(table, actual, con) == len(targets)
    # Without targets: the keys that had a play in the last 28 days, with the same values.
    kept = finalize(table, fine, None, days, coarse)
    present = present_keys(table, fine, days)
    assert 30 < kept.count() == present.count() < len(targets)
    assert kept.exceptAll(finalize(table, fine, present, days, coarse)).count() == 0


def test_sets_of_all_values_stay_by_day() -> None:
    table = a_table(long_columns())
    assert {p.kind for p in coarse_partials(table)} == {"count", "sum", "min", "max", "last", "hll", "theta"}
    day = FIRST + timedelta(300)
    assert block_of(day - timedelta(199 + BLOCK_DAYS)) <= first_fine_day(table, day) <= day - timedelta(199)


@pytest.mark.parametrize("days", [LONG_DAYS, LONG_DAYS + 1])
def test_only_long_windows_have_coarse_tiles(days: int) -> None:
    table = a_table([window("rows", "count", days), window("names", "distinct", 400, "name")])
    assert bool(coarse_partials(table)) == (days > LONG_DAYS)
