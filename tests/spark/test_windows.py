"""The windows engine, op by op, against DuckDB on random events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import reduce
from math import sqrt
from typing import get_args

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import Computed, Input, Op, Table, Windowed
from content_signals.errors import ContractError
from content_signals.windows import finalize, merge_tiles, tile
from tests.window_oracle import (
    EDITS,
    FEW,
    FIRST,
    KEY,
    PLAYS,
    SCHEMAS,
    STANDARD_ERROR,
    TABLE,
    TARGETS,
    Row,
    a_table,
    check,
    duck,
    everything,
    frames,
    some_events,
    some_targets,
    spark_frame,
    window,
)

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("uncached")]


# --- the whole engine on random events


@pytest.mark.parametrize(("table", "seed"), [(TABLE, 1), (FEW, 2), (FEW, 3)], ids=["all", "few", "few again"])
def test_every_op_gives_what_duckdb_gives(spark: SparkSession, table: Table, seed: int) -> None:
    events, targets = some_events(seed), some_targets(seed)
    actual = everything(spark, table, frames(spark, events), targets)
    assert check(table, actual, duck(events, targets)) == len(targets)


def test_the_table_of_this_test_covers_every_op() -> None:
    every = set(get_args(Op))
    assert {w.op for w in TABLE.windowed if w.where and not w.half_life_days} == every
    for table in (TABLE, FEW):
        assert {w.op for w in table.windowed if not w.half_life_days} == every
        assert {w.op for w in table.windowed if w.half_life_days} == {"count", "sum"}


def test_tiles_are_one_row_per_key_and_day(spark: SparkSession) -> None:
    events = some_events(3)
    tiles = tile(FEW, frames(spark, events))
    found = tiles.select("ds", *KEY).toArrow().to_pylist()
    wanted = {tuple(row[c] for c in ("ds", *KEY)) for rows in events.values() for row in rows}
    assert sorted(tuple(row.values()) for row in found) == sorted(wanted)


def test_however_events_are_split_the_merged_tiles_say_the_same(spark: SparkSession) -> None:
    events, targets = some_events(4, rows=200), some_targets(4)
    rng = random.Random(4)
    parts: list[dict[str, list[Row]]] = [{PLAYS: [], EDITS: []} for _ in range(3)]
    for table, rows in events.items():
        for row in rows:
            # The last part has no edits at all, and some days are whole in one part.
            part = 0 if row["ds"].day == 5 else rng.randrange(3 if table == PLAYS else 2)
            parts[part][table].append(row)
    a, b, c = (tile(FEW, frames(spark, part)).cache() for part in parts)

    def merged(*tiles: DataFrame) -> DataFrame:
        return merge_tiles(FEW, reduce(DataFrame.unionByName, tiles)).cache()

    ways: dict[str, DataFrame] = {
        "at once": merged(a, b, c),
        "first two first": merged(merged(a, b), c),
        "last two first": merged(a, merged(c, b)),
        "again": merged(merged(b, c, a)),
    }
    con = duck(events, targets)
    for way, tiles in ways.items():
        assert tiles.columns == a.columns, way
        assert tiles.count() == tiles.select("ds", *KEY).distinct().count(), way
        assert check(FEW, finalize(FEW, tiles, spark_frame(spark, targets, TARGETS)), con) == len(targets), way


def test_results_do_not_depend_on_partitioning(spark: SparkSession) -> None:
    events, targets = some_events(5), some_targets(5)
    con = duck(events, targets)
    shuffles: dict[str, Callable[[DataFrame], DataFrame]] = {
        "one": lambda frame: frame.coalesce(1),
        "scattered": lambda frame: frame.repartition(11),
        "sorted backwards": lambda frame: frame.orderBy(*(F.desc(c) for c in frame.columns)),
    }
    for way, shuffle in shuffles.items():
        tiles = tile(FEW, {table: shuffle(frame) for table, frame in frames(spark, events).items()})
        actual = finalize(FEW, shuffle(tiles).cache(), shuffle(spark_frame(spark, targets, TARGETS)))
        assert check(FEW, actual, con) == len(targets), way


# --- nothing there


def test_no_events_at_all_give_the_defaults(spark: SparkSession) -> None:
    targets = some_targets(6)[:5]
    nothing: dict[str, list[Row]] = {PLAYS: [], EDITS: []}
    assert tile(FEW, frames(spark, nothing)).count() == 0
    actual = everything(spark, FEW, frames(spark, nothing), targets)
    assert check(FEW, actual, duck(nothing, targets)) == len(targets)
    for row in actual.toArrow().to_pylist():
        assert {w.name: row[w.name] for w in FEW.windowed} == {w.name: w.default for w in FEW.windowed}


@pytest.mark.parametrize("empty", [PLAYS, EDITS])
def test_one_input_without_events(spark: SparkSession, empty: str) -> None:
    events, targets = some_events(7, rows=100) | {empty: []}, some_targets(7)
    actual = everything(spark, FEW, frames(spark, events), targets)
    assert check(FEW, actual, duck(events, targets)) == len(targets)


def test_no_targets_give_no_rows_of_the_right_types(spark: SparkSession) -> None:
    events = frames(spark, some_events(8, rows=20))
    some, none = (everything(spark, FEW, events, targets) for targets in (some_targets(8), []))
    assert none.count() == 0
    assert [(f.name, f.dataType) for f in none.schema] == [(f.name, f.dataType) for f in some.schema]


def test_only_the_inputs_of_windows_are_needed(spark: SparkSession) -> None:
    """A driver that no window reads, and that keeps no key, has no tiles."""
    table = Table(
        name="edits_only",
        version=1,
        driver=Input(PLAYS),
        key=KEY,
        columns=(
            Computed("coded", "int", about="Gives the rows"),
            Windowed("edits_7d", op="count", of=EDITS, days=7, about="A test"),
        ),
        owner="tests",
        about="A test",
        serve=False,
    )
    assert table.tiled_inputs == (EDITS,)
    events, targets = some_events(9), some_targets(9)
    actual = everything(spark, table, {EDITS: frames(spark, events)[EDITS]}, targets)
    assert check(table, actual, duck(events, targets)) == len(targets)


# --- by hand


def by_hand(
    spark: SparkSession, columns: Iterable[Windowed], plays: list[Row], targets: list[tuple[date, int]]
) -> dict[tuple[date, int], Row]:
    """Values of some columns for shop X, by (day, item)."""
    table = a_table(columns)
    full = [dict.fromkeys(SCHEMAS[PLAYS]) | {"shop": "X", "item": 1, "minute": 0} | row for row in plays]
    wanted: list[Row] = [{"ds": day, "shop": "X", "item": item} for day, item in targets]
    found = everything(spark, table, frames(spark, {PLAYS: full, EDITS: []}), wanted).toArrow().to_pylist()
    return {(row["ds"], row["item"]): {w.name: row[w.name] for w in table.windowed} for row in found}


@pytest.mark.parametrize("days", [1, 7, 400])
def test_a_window_ends_on_its_day_and_leaves_out_the_day_it_began_from(spark: SparkSession, days: int) -> None:
    """Item k has its one event k days before D: in (D - days, D] when 0 <= k < days."""
    day = FIRST + timedelta(500)
    ages = sorted({-1, 0, days - 1, days})
    columns = [
        window("count", "count", days),
        window("sum", "sum", days, "amount"),
        window("max", "max", days, "amount"),
        window("last", "last", days, "amount"),
        window("distinct", "distinct", days, "amount"),
        window("since", "days_since", days),
        window("decayed", "count", days, half_life_days=1),
    ]
    plays: list[Row] = [{"ds": day - timedelta(k), "item": k, "amount": 5} for k in ages]
    found = by_hand(spark, columns, plays, [(day, k) for k in ages])
    for k in ages:
        inside = {"count": 1, "sum": 5, "max": 5, "last": 5, "distinct": 1, "since": k}
        outside = {"count": 0, "sum": 0, "max": None, "last": None, "distinct": 0, "since": None}
        # Half of it goes every day: below 2^-30 the rounded weight is nothing, at 2^-31 it is rounded up to one.
        weight = 0.0 if k > 31 else max(2.0**-k, 2.0**-30)
        row = inside | {"decayed": weight} if 0 <= k < days else outside | {"decayed": 0.0}
        assert found[day, k] == row, f"an event {k} days old, window of {days}"


def test_last_takes_the_latest_row_that_has_a_value(spark: SparkSession) -> None:
    plays: list[Row] = [
        # item 1: the day decides before the minute
        {"ds": FIRST, "item": 1, "minute": 9, "name": "z", "amount": 9},
        {"ds": FIRST + timedelta(1), "item": 1, "minute": 1, "name": "b", "amount": 1},
        {"ds": FIRST + timedelta(1), "item": 1, "minute": 2, "name": "a", "amount": 0},
        # item 2: the largest among equals
        {"ds": FIRST, "item": 2, "minute": 3, "name": "a", "amount": -2},
        {"ds": FIRST, "item": 2, "minute": 3, "name": "c", "amount": -3},
        {"ds": FIRST, "item": 2, "minute": 3, "name": "b", "amount": -1},
        # item 3: the latest row has no value
        {"ds": FIRST, "item": 3, "minute": 1, "name": "old", "amount": 7},
        {"ds": FIRST + timedelta(1), "item": 3, "minute": 2, "name": None, "amount": None},
        # item 4: no row has one
        {"ds": FIRST, "item": 4, "minute": 1, "name": None, "amount": None},
        # item 5: a row without a minute comes before all others of its day
        {"ds": FIRST, "item": 5, "minute": None, "name": "z", "amount": 9},
        {"ds": FIRST, "item": 5, "minute": -1, "name": "a", "amount": 1},
    ]
    columns = [
        window("name", "last", 7, "name", order_by="minute"),
        window("amount", "last", 7, "amount", order_by="minute"),
        window("unordered", "last", 7, "name"),
    ]
    found = by_hand(spark, columns, plays, [(FIRST + timedelta(2), item) for item in range(1, 6)])
    assert {item: tuple(row.values()) for (_, item), row in found.items()} == {
        1: ("a", 0, "b"),
        2: ("c", -1, "c"),
        3: ("old", 7, "old"),
        4: (None, None, None),
        5: ("a", 1, "z"),
    }


def test_rows_without_a_value_count_as_rows_and_as_nothing_else(spark: SparkSession) -> None:
    columns = [
        window("count", "count", 7),
        window("since", "days_since", 7),
        window("decayed", "count", 7, half_life_days=2),
        window("sum", "sum", 7, "amount"),
        window("decayed_sum", "sum", 7, "amount", half_life_days=2),
        window("min", "min", 7, "amount"),
        window("mean", "mean", 7, "amount"),
        window("distinct", "distinct", 7, "amount"),
        window("approx", "approx_distinct", 7, "amount"),
    ]
    plays: list[Row] = [{"ds": FIRST, "amount": None}] * 2
    later = FIRST + timedelta(2)
    assert by_hand(spark, columns, plays, [(later, 1)])[later, 1] == {
        "count": 2,
        "since": 2,
        "decayed": 1.0,
        "sum": 0,
        "decayed_sum": 0.0,
        "min": None,
        "mean": None,
        "distinct": 0,
        "approx": 0,
    }


def test_decay_rounds_each_row_before_the_sum(spark: SparkSession) -> None:
    """2^30 * 2^(-28/50) = 728,321,402.49998; two rows weigh 1,456,642,804 / 2^30, not 1,456,642,805."""
    day = FIRST + timedelta(28)
    columns = [
        window("count", "count", 29, half_life_days=50),
        window("sum", "sum", 29, "amount", half_life_days=50),
    ]
    found = by_hand(spark, columns, [{"ds": FIRST, "amount": -3}, {"ds": FIRST, "amount": 1000}], [(day, 1)])
    assert found[day, 1] == {"count": 2 * 728321402 / 2**30, "sum": 997 * 728321402 / 2**30}


def test_approximate_counts_of_many_values(spark: SparkSession) -> None:
    """Far more values than buckets; half of each day's values are the next day's too."""
    column = window("users", "approx_distinct", 7, "big")
    table = a_table([column])
    sizes = {0: 1, 1: 100, 2: 3_000, 3: 30_000}
    days = 8
    rows = [
        spark.range(days * size).select(
            F.expr(f"date_add(DATE '{FIRST}', int(id div {size}))").alias("ds"),
            F.lit("X").alias("shop"),
            F.lit(item).alias("item"),
            F.expr(f"(id div {size}) * {max(1, size // 2)} + id % {size}").alias("big"),
        )
        for item, size in sizes.items()
    ]
    events = reduce(DataFrame.unionByName, rows)
    targets: list[Row] = [{"ds": FIRST + timedelta(days - 1), "shop": "X", "item": item} for item in sizes]
    found = everything(spark, table, {PLAYS: events, EDITS: frames(spark, {EDITS: []})[EDITS]}, targets).collect()
    assert len(found) == len(sizes)
    for row in found:
        size = sizes[row["item"]]
        exact = 6 * max(1, size // 2) + size  # the seven latest days overlap by half
        assert abs(row["users"] - exact) <= max(1, 3 * STANDARD_ERROR * exact), f"{row['users']} for {exact}"


def test_distinct_values_above_the_threshold_are_estimated(spark: SparkSession) -> None:
    """However the rows are split, one estimate, within four standard errors; at the threshold it is exact."""
    exact_to, days = 256, 4
    sizes = {0: exact_to // 4, 1: exact_to, 2: 20 * exact_to}  # new values of each day
    table = a_table([window("one_day", "distinct", 1, "big", exact_to=exact_to),
                     window("all_days", "distinct", days, "big", exact_to=exact_to)])  # fmt: skip
    events = reduce(
        DataFrame.unionByName,
        [
            spark.range(days * size).select(
                F.expr(f"date_add(DATE '{FIRST}', int(id div {size}))").alias("ds"),
                F.lit("X").alias("shop"),
                F.lit(item).alias("item"),
                F.expr(f"id * {10**12} - {item}").alias("big"),
            )
            for item, size in sizes.items()
        ],
    )
    none = frames(spark, {EDITS: []})[EDITS]
    targets: list[Row] = [{"ds": FIRST + timedelta(days - 1), "shop": "X", "item": item} for item in sizes]
    ways = [
        tile(table, {PLAYS: events, EDITS: none}),
        tile(table, {PLAYS: events.repartition(5).orderBy(F.desc("big")), EDITS: none}).repartition(3),
        merge_tiles(
            table,
            reduce(
                DataFrame.unionByName,
                [tile(table, {PLAYS: events.where(f"abs(hash(big)) % 3 = {n}"), EDITS: none}) for n in range(3)],
            ),
        ),
    ]
    first, *others = [
        {row["item"]: (row["one_day"], row["all_days"]) for row in finalize(table, tiles, wanted).collect()}
        for tiles, wanted in ((t, spark_frame(spark, targets, TARGETS)) for t in ways)
    ]
    assert others == [first, first]
    assert first[0] == (exact_to // 4, exact_to)
    assert first[1][0] == exact_to
    for found, size in ((first[1][1], sizes[1] * days), (first[2][0], sizes[2]), (first[2][1], sizes[2] * days)):
        assert abs(found - size) <= 4 / sqrt(exact_to) * size, f"{found} for {size}"


@pytest.mark.parametrize("exact_to", [0, 8, 100, 1 << 17])
def test_a_threshold_is_a_power_of_two(exact_to: int) -> None:
    with pytest.raises(ContractError, match="exact_to is a power of two from 16 to 65536"):
        window("refused", "distinct", 7, "big", exact_to=exact_to)


@pytest.mark.parametrize(
    "column",
    [
        window("refused", "sum", 7, "price"),
        window("refused", "sum", 7, "price", where="kind = 'a'"),
        window("refused", "sum", 7, "price", half_life_days=3),
        window("refused", "mean", 7, "price"),
    ],
    ids=["sum", "filtered", "decayed", "mean"],
)
def test_a_sum_of_doubles_is_refused(spark: SparkSession, column: Windowed) -> None:
    """It would depend on the order of the rows, and with it on partitions, retries and merges."""
    with pytest.raises(ContractError, match=r"plays_v1\.price is double"):
        tile(a_table([column]), frames(spark, {PLAYS: [], EDITS: []}))


def test_the_smallest_and_largest_of_doubles_are_fine(spark: SparkSession) -> None:
    columns = [window("min", "min", 7, "price"), window("max", "max", 7, "price"), window("last", "last", 7, "price")]
    plays: list[Row] = [{"ds": FIRST, "price": price} for price in (0.1, -0.3, None, 0.2)]
    assert by_hand(spark, columns, plays, [(FIRST, 1)])[FIRST, 1] == {"min": -0.3, "max": 0.2, "last": 0.2}
