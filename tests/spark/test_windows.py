"""The windows engine, op by op, against DuckDB on random events.

DuckDB sees the events and the contract's words about a window; the engine sees tiles. Nothing else is shared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import reduce
from math import sqrt
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import Computed, Input, Op, Table, Windowed
from content_signals.errors import ContractError
from content_signals.windows import finalize, merge_tiles, present_keys, tile
from content_signals.windows.coarse import (
    BLOCK_DAYS,
    LONG_DAYS,
    block_of,
    coarse_partials,
    coarsen,
    first_fine_day,
)
from tests.oracle import assert_same_rows

pytestmark = pytest.mark.spark

Row = dict[str, Any]
Events = Mapping[str, DataFrame]

PLAYS, EDITS = "plays_v1", "edits_v1"
KEY = ("shop", "item")
FIRST = date(2021, 1, 1)
DAYS = 90

# Spark type, Arrow type: both sides get the same rows, typed alike.
TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
}
SCHEMAS = {
    PLAYS: {
        "ds": "date",
        "shop": "string",
        "item": "int",
        "kind": "string",
        "amount": "int",
        "big": "bigint",
        "price": "double",
        "name": "string",
        "released": "date",
        "minute": "int",
    },
    EDITS: {"ds": "date", "shop": "string", "item": "int", "kind": "string", "amount": "int", "editor": "string"},
}
TARGETS = {"ds": "date", "shop": "string", "item": "int"}

FILTERS = ("kind = 'a'", "kind IS NULL", "amount < 0 AND kind <> 'b'", "kind = 'never there'")
# HyperLogLog over m buckets has a standard error of 1.04 / sqrt(m): Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog:
# the analysis of a near-optimal cardinality estimation algorithm" (2007). The contract says m = 2^12.
STANDARD_ERROR = 1.04 / sqrt(2**12)


def window(name: str, op: Op, days: int, column: str = "", of: str = PLAYS, **more: Any) -> Windowed:
    return Windowed(name, op=op, of=of, column=column, days=days, about="A test", **more)


def many_columns() -> list[Windowed]:
    """Every op, over several types, windows, filters and both inputs."""
    found: list[Windowed] = []

    def add(op: Op, column: str = "", *, days: Iterable[int] = (7,), of: str = PLAYS, **more: Any) -> None:
        for n in days:
            found.append(window(f"{op}_{column or 'rows'}_{n}d_{len(found)}", op, n, column, of, **more))

    add("count", days=(1, 7, 60))
    add("sum", "amount", days=(1, 28))
    add("sum", "big", days=(60,))
    for column in ("amount", "big", "price", "name", "released"):
        add("min", column, days=(28,))
        add("max", column)
        add("last", column, days=(28,), order_by="minute")
    add("last", "name", days=(60,))  # nothing orders the rows of a day
    add("mean", "amount", days=(28,))
    add("mean", "big")
    add("ratio", where=FILTERS[0], over="kind IS NOT NULL", days=(1, 28))
    add("ratio", where="amount > 0", over=FILTERS[2], days=(7,))  # not a share of them
    add("distinct", "name", days=(1, 60))
    add("distinct", "big", days=(2,))
    add("distinct", "released", days=(28,))
    for column in ("name", "big", "amount", "released"):
        add("distinct", column, days=(60,), exact_to=1024)
    add("distinct", "name", where=FILTERS[0], exact_to=16)
    add("approx_distinct", "name", days=(28,))
    add("days_since", days=(1, 60))
    add("count", days=(60,), half_life_days=3)
    add("sum", "amount", days=(60,), half_life_days=2.5)
    add("min", "price", where=FILTERS[0])
    add("max", "name", where=FILTERS[0])
    add("mean", "amount", where=FILTERS[0])
    add("distinct", "name", where=FILTERS[0])
    add("approx_distinct", "name", where=FILTERS[0])
    add("count", where=FILTERS[0], days=(60,), half_life_days=50)
    add("sum", "amount", where=FILTERS[0], days=(60,), half_life_days=50)
    for where in FILTERS:
        add("count", where=where)
        add("sum", "amount", where=where)
        add("last", "name", where=where, order_by="minute")
        add("days_since", where=where, days=(60,))
    add("count", of=EDITS, days=(1, 28))
    add("count", of=EDITS, where=FILTERS[0])  # the same filter and window as of the plays
    add("sum", "amount", of=EDITS, days=(28,))
    add("distinct", "editor", of=EDITS, days=(28,))
    add("last", "editor", of=EDITS, days=(28,))
    add("days_since", of=EDITS, days=(28,))
    add("count", of=EDITS, days=(28,), half_life_days=50)
    return found


def few_columns() -> list[Windowed]:
    """Each op once or twice, for the tests that build everything several times."""
    a = {"where": FILTERS[0]}
    return [
        window("rows", "count", 28),
        window("rows_a", "count", 7, **a),
        window("amount", "sum", 28, "amount", **a),
        window("cheapest", "min", 28, "price"),
        window("last_of_names", "max", 7, "name"),
        window("mean_amount", "mean", 28, "amount"),
        window("share_a", "ratio", 28, over="kind = 'b' OR kind = 'a'", **a),
        window("latest", "last", 60, "name", order_by="minute", **a),
        window("names", "distinct", 28, "name"),
        window("names_up_to_16", "distinct", 28, "name", exact_to=16),  # there are nine
        window("names_roughly", "approx_distinct", 28, "name"),
        window("since", "days_since", 60, **a),
        window("rows_decayed", "count", 60, half_life_days=50, **a),
        window("amount_decayed", "sum", 60, "amount", half_life_days=2.5),
        window("edits_a", "count", 28, of=EDITS, **a),
        window("editors", "distinct", 28, "editor", of=EDITS),
        window("editor", "last", 28, "editor", of=EDITS),
    ]


def a_table(columns: Iterable[Windowed]) -> Table:
    return Table(
        name="shop_items",
        version=1,
        driver=Input(PLAYS),
        inputs=(Input(EDITS),),
        key=KEY,
        keep_days=28,
        columns=(Computed("coded", "int", about="Not for the engine"), *columns),
        owner="tests",
        about="A test",
        serve=False,
    )


TABLE = a_table(many_columns())
FEW = a_table(few_columns())


# --- the same rows for both sides


def some_events(seed: int, rows: int = 400, days: int = DAYS) -> dict[str, list[Row]]:
    """Few keys and many ties; nulls in every column that is aggregated; some keys in one input alone."""
    rng = random.Random(seed)

    def maybe(value: Any, none: float = 0.15) -> Any:
        return None if rng.random() < none else value

    def common(items: range) -> Row:
        return {
            "ds": FIRST + timedelta(rng.randrange(days)),
            "shop": rng.choice("XY"),
            "item": rng.choice(items),
            "kind": maybe(rng.choice("aab")),
            "amount": maybe(rng.randint(-1000, 1000)),
        }

    plays = [
        common(range(4))
        | {
            "big": maybe(rng.randint(-(2**56), 2**56)),  # sums of these are not doubles
            "price": maybe(rng.uniform(-10, 10)),
            "name": maybe(rng.choice(["", "é", "日本", "z", "Z", *"mnopq"])),
            "released": maybe(FIRST - timedelta(rng.randrange(1000))),
            "minute": maybe(rng.randrange(3), 0.05),
        }
        for _ in range(rows)
    ]
    plays += [dict(row) for row in plays[:20]]  # the same event twice counts twice: de-duplication is another step
    edits = [common(range(2, 6)) | {"editor": maybe(rng.choice("klm"))} for _ in range(rows // 2)]
    return {PLAYS: plays, EDITS: edits}


def some_targets(seed: int) -> list[Row]:
    """Every key on a few days, some keys on days of their own, days before and after all events, unknown keys."""
    rng = random.Random(seed)
    all_keys = [(shop, item) for shop in "XY" for item in range(7)]  # 6 has no event
    found = {(FIRST + timedelta(n), *key) for n in (-1, 0, 1, 40, DAYS - 1, DAYS + 100) for key in all_keys}
    found |= {(FIRST + timedelta(rng.randrange(DAYS + 30)), *rng.choice(all_keys)) for _ in range(60)}
    return [dict(zip(TARGETS, values, strict=True)) for values in sorted(found)]


def spark_frame(spark: SparkSession, rows: list[Row], schema: Mapping[str, str]) -> DataFrame:
    ddl = ", ".join(f"{name} {kind}" for name, kind in schema.items())
    return spark.createDataFrame([tuple(row[name] for name in schema) for row in rows], ddl)


def frames(spark: SparkSession, events: Mapping[str, list[Row]]) -> dict[str, DataFrame]:
    return {table: spark_frame(spark, rows, SCHEMAS[table]) for table, rows in events.items()}


def duck(events: Mapping[str, list[Row]], targets: list[Row]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    for table, rows, schema in [(t, r, SCHEMAS[t]) for t, r in events.items()] + [("targets", targets, TARGETS)]:
        arrow = pa.table({name: pa.array([row[name] for row in rows], TYPES[kind]) for name, kind in schema.items()})
        con.from_arrow(arrow).create(table)
    return con


# --- what the contract says, in SQL


def aggregate(w: Windowed) -> str:
    """The column's value over `joined`, which holds for each target all earlier rows of the input."""
    within = f"ds IS NOT NULL AND age < {w.days}" + (f" AND ({w.where})" if w.where else "")
    rows = f"FILTER ({within})"
    over = f"FILTER (ds IS NOT NULL AND age < {w.days} AND ({w.over}))"
    present = f'FILTER ({within} AND "{w.column}" IS NOT NULL)'
    if w.half_life_days:
        weight = f"round(pow(2, 30) * pow(2, -age / {w.half_life_days}))::BIGINT"
        total = f"sum({weight}) {rows}" if w.op == "count" else f'sum({weight} * "{w.column}") {rows}'
        return f"coalesce({total}, 0)::BIGINT::DOUBLE / pow(2, 30)"
    latest_first = (
        f'"{w.column}" ORDER BY ds DESC, {f"{w.order_by} DESC NULLS LAST, " if w.order_by else ""}"{w.column}" DESC'
    )
    return {
        "count": f"count(*) {rows}",
        "sum": f'coalesce(sum("{w.column}") {rows}, 0)::BIGINT',
        "min": f'min("{w.column}") {rows}',
        "max": f'max("{w.column}") {rows}',
        "mean": f'(sum("{w.column}") {rows})::BIGINT::DOUBLE / count("{w.column}") {rows}',
        "ratio": f"count(*) {rows} / nullif(count(*) {over}, 0)",
        "last": f"(array_agg({latest_first}) {present})[1]",
        "distinct": f'count(DISTINCT "{w.column}") {rows}',
        "approx_distinct": f'count(DISTINCT "{w.column}") {rows}',
        "days_since": f"(min(age) {rows})::INTEGER",
    }[w.op]


def expected_sql(table: Table) -> str:
    """ds, key..., one column per Windowed column: for every target, straight from the events."""
    sides = []
    for name in dict.fromkeys(w.input_table for w in table.windowed):
        values = ", ".join(f'{aggregate(w)} AS "{w.name}"' for w in table.windowed if w.input_table == name)
        on = " AND ".join(f"e.{k} = t.{k}" for k in table.keys)
        target = ", ".join(f"t.{c} AS target_{c}" for c in ("ds", *table.keys))
        sides.append(
            f"""(SELECT {", ".join(f"target_{c} AS {c}" for c in ("ds", *table.keys))}, {values}
            FROM (SELECT {target}, date_diff('day', e.ds, t.ds) AS age, e.*
                  FROM targets t LEFT JOIN {name} e ON {on} AND e.ds <= t.ds) joined
            GROUP BY {", ".join(f"target_{c}" for c in ("ds", *table.keys))})"""
        )
    using = f"USING (ds, {', '.join(table.keys)})"
    joined = sides[0] + "".join(f" JOIN {side} {using}" for side in sides[1:])
    return f"SELECT ds, {', '.join(table.keys)}, {', '.join(w.name for w in table.windowed)} FROM {joined}"


def check(table: Table, actual: DataFrame, con: duckdb.DuckDBPyConnection) -> int:
    """Every column of every row equal, approximate ones within three standard errors (or one, of very few)."""
    names = [w.name for w in table.windowed]
    assert actual.columns == ["ds", *table.keys, *names]
    rows = actual.toArrow()
    approximate = [w.name for w in table.windowed if w.op == "approx_distinct"]
    expected = con.sql(expected_sql(table))
    compared = assert_same_rows(con, rows, expected, ("ds", *table.keys), ignore=approximate)
    con.from_arrow(rows).create("_rows")
    expected.create("_wanted")
    for name in approximate:
        off = con.execute(
            f"""SELECT ds, {", ".join(table.keys)}, a."{name}", e."{name}"
            FROM _rows a JOIN _wanted e USING (ds, {", ".join(table.keys)})
            WHERE (abs(a."{name}" - e."{name}") <= greatest(1, 3 * ? * e."{name}")) IS NOT TRUE ORDER BY ALL LIMIT 5""",
            [STANDARD_ERROR],
        ).fetchall()
        assert not off, f"{name} is too far off, or null; (ds, key..., actual, exact): {off}"
        assert rows.schema.field(name).type == pa.int64()
    con.execute("DROP TABLE _rows; DROP TABLE _wanted")
    return compared


# --- the whole engine on random events


@pytest.fixture(autouse=True)
def uncache(spark: SparkSession) -> Iterator[None]:
    yield
    spark.catalog.clearCache()


def everything(spark: SparkSession, table: Table, events: Events, targets: list[Row]) -> DataFrame:
    tiles = tile(table, events).cache()  # as in the lake: finalize reads tiles that are there
    return finalize(table, tiles, spark_frame(spark, targets, TARGETS))


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


# --- windows too long for a row a day


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
