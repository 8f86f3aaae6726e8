"""A served table of ten features with a day of many rows, promoted, for the benchmarks of the online store."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import duckdb

from benchmarks.promoted_day import folder_of, promote_files
from content_signals.catalog import Catalog, catalog
from content_signals.contract import DAY, Column, Computed, Entity, Input, Source, Table
from content_signals.lake.layout import Lake, start_run

THE_DAY = date(2026, 3, 1)
VALID_FROM = datetime(2026, 3, 2, tzinfo=UTC)
FILE_ROWS = 1_000_000
TYPES = {
    **{f"d{n}": "double" for n in range(5)},
    **{f"i{n}": "bigint" for n in range(3)},
    **{f"s{n}": "string" for n in range(2)},
}
_DELTA = {"double": "double", "bigint": "long", "string": "string"}

SOURCE = Source(
    name="bench_source", version=1, format="csv", landing=("bench/{day}.csv",), key=("track_id",), owner="benchmarks",
    about="Nothing lands here.", columns=(Column("track_id", "string", about="Track"),),
)  # fmt: skip
TABLE = Table(
    name="bench", version=1, entity=Entity("track", "track_id", about="A track"), driver=Input(SOURCE.table),
    columns=tuple(Computed(name, kind, about=f"A {kind}") for name, kind in TYPES.items()),  # type: ignore[arg-type]
    owner="benchmarks", about="Ten features.",
)  # fmt: skip
CATALOG = Catalog([*catalog().sources, *catalog().tables, SOURCE, TABLE])


def promote_day(lake: Lake, rows: int, salt: int, day: date = THE_DAY) -> None:
    """Stage and promote a day with values that differ with `salt`, computed just now."""
    table, run = lake.of(TABLE), start_run()
    home, valid_from = folder_of(table, run, day), datetime.combine(day + timedelta(days=1), time.min, UTC)
    home.mkdir(parents=True)
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for number, first in enumerate(range(0, rows, FILE_ROWS)):
        con.execute(
            f"COPY (SELECT printf('track:%016d', i) AS track_id, {_values(salt)},"
            f" TIMESTAMPTZ '{valid_from}' AS event_ts, TIMESTAMPTZ '{run.now}' AS computed_at, '{run.run_id}' AS run_id"
            f" FROM range({first}, {min(rows, first + FILE_ROWS)}) t(i))"
            f" TO '{home}/part-{number}.parquet' (FORMAT parquet, COMPRESSION snappy)"
        )
    kinds = {"track_id": "string", **{name: _DELTA[kind] for name, kind in TYPES.items()}}
    kinds |= {"event_ts": "timestamp", "computed_at": "timestamp", "run_id": "string", DAY: "date"}
    promote_files(table, run, day, kinds, salt)


def _values(salt: int) -> str:
    """Every value new with every salt; a hundredth of the doubles null; one string of few values, one of many."""
    mixed = f"hash(i + {salt * 1_000_003})"
    doubles = [f"CASE WHEN (i + {n}) % 100 > 0 THEN ({mixed} >> {n}) % 1000003 / 7.0 END AS d{n}" for n in range(5)]
    longs = [f"CAST(({mixed} >> {8 * n}) % {10 ** (3 * n + 3)} AS BIGINT) AS i{n}" for n in range(3)]
    strings = [f"'genre ' || ({mixed} % 40) AS s0", f"'title ' || {mixed} AS s1"]
    return ", ".join([*doubles, *longs, *strings])
