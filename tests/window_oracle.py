"""What a contract says about a window, in SQL over random events; and the engine's answer compared with it.

DuckDB sees the events and the contract's words about a window; the engine sees tiles. Nothing else is shared.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from math import sqrt
from typing import Any

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from content_signals.contract import Computed, Input, Op, Table, Windowed
from content_signals.windows import finalize, tile
from tests.oracle import assert_same_rows

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


def everything(spark: SparkSession, table: Table, events: Events, targets: list[Row]) -> DataFrame:
    tiles = tile(table, events).cache()  # as in the lake: finalize reads tiles that are there
    return finalize(table, tiles, spark_frame(spark, targets, TARGETS))
