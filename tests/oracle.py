"""An independent recompute in DuckDB of the tables of issue 3, sections 3 and 4, from a landing folder.

It is written from the issue's text alone and shares no code with the package, so that agreement means something: every
table is stated as the set of rows the issue describes, never day by day, and no tile or earlier result is reused.

    con = duckdb.connect()
    oracle.load(con, landing, days)                     # tables: positions, rejects, playlist_changes_v1, ...
    oracle.assert_same_rows(con, files, "SELECT * FROM playlist_changes_v1 WHERE ds = '2020-03-02'", KEY)
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

HEADER = ["date", "playlist", "position", "track_id"]
LANDED_AS = ("playlists/daily/{day}.csv.gz", "playlists/daily/{day}.csv")
CATALOGUE = "playlists/tracks.parquet"
# Columns the platform adds to every table; they say how a row was made, not what it says.
STAMPS = ("event_ts", "computed_at", "run_id")

CHANGES_KEY = ("ds", "playlist", "track_id")
POPULARITY_KEY = ("ds", "track_id")
POSITIONS_KEY = ("ds", "playlist", "position", "track_id")


class Stops(Exception):
    """The day's file cannot be used at all."""


def landed_days(landing: Path) -> list[date]:
    """The days with a file, in order."""
    names = (p.name.split(".")[0] for p in (landing / "playlists" / "daily").glob("*.csv*"))
    return sorted({date.fromisoformat(name) for name in names})


def load(
    con: duckdb.DuckDBPyConnection,
    landing: Path | str,
    days: Iterable[date] | None = None,
    *,
    max_malformed_ratio: float = 0.01,
) -> None:
    """Make all the tables as if these days (default: all) had landed and no others.

    Args:
        con: the tables are made in it, and replaced when they are there.
        landing: folder that holds `playlists/daily/`.
        days: a day without a file is a day that has not landed.
        max_malformed_ratio: a day with a larger share of malformed rows stops; tiny landings need a larger one.

    Tables:
        stopped(ds, file, reason): days that broke off; nothing of them is in any other table.
        landed(ds, file, rows_in, malformed, duplicates, rows_out)
        rejects(ds, file, line_number, raw, reason, playlist): rows set aside; the header is line 1.
        positions(ds, playlist, position, track_id, observed)
        playlist_changes_v1, track_popularity_v1: every column of section 4.
    """
    landing = Path(landing)
    wanted = landed_days(landing) if days is None else sorted(set(days))
    _read_files(con, landing, wanted)
    _parse(con, max_malformed_ratio)
    con.execute(_POSITIONS)
    con.execute(_CHANGES)
    con.execute(_POPULARITY)


def catalogue(con: duckdb.DuckDBPyConnection, landing: Path | str, day: date) -> duckdb.DuckDBPyRelation:
    """`catalogue_tracks` of a day: the tracks seen on or before it."""
    return con.sql(
        """SELECT track_id, title, artists, album_id, length, first_seen
        FROM read_parquet($file) WHERE first_seen <= $day""",
        params={"file": str(Path(landing) / CATALOGUE), "day": day},
    )


def assert_same_rows(
    con: duckdb.DuckDBPyConnection,
    actual: pa.Table | pa.RecordBatchReader | duckdb.DuckDBPyRelation | str | Path | Sequence[str | Path],
    expected: duckdb.DuckDBPyRelation | str,
    key: Sequence[str],
    *,
    ignore: Collection[str] = STAMPS,
    tolerance: float = 0.0,
    limit: int = 5,
) -> int:
    """Fail, naming the first rows that differ, unless both hold the same rows; return how many rows were compared.

    Every column counts: one that is on one side only, or has another type there, is a failure.

    Args:
        con: where `expected` lives.
        actual: an Arrow table or reader, Parquet files, or a relation or SELECT of `con`.
        expected: a relation, or a table name or SELECT.
        key: columns that name a row; null is a value like another.
        ignore: columns that are left out on both sides.
        tolerance: how far doubles may lie apart; 0: the same bits (though one NaN is as good as another).
        limit: how many rows a failure names.
    """
    _materialize(con, "_actual", actual)
    _materialize(con, "_expected", expected)
    types = _same_columns(con, key, ignore)
    for side in ("_actual", "_expected"):
        _assert_key_is_unique(con, side, key, limit)

    same = {name: _same_value(name, kind, tolerance) for name, kind in types.items() if name not in key}
    joined = " AND ".join(f'a."{k}" IS NOT DISTINCT FROM e."{k}"' for k in key)
    flags = "".join(f', {condition} AS "same {name}"' for name, condition in same.items())
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE _pairs AS
        SELECT a.here AS in_actual, e.here AS in_expected, {_pick("a", "e", key)}{flags},
               {", ".join([*(f'a."{n}" AS "actual {n}", e."{n}" AS "expected {n}"' for n in same), "1"])}
        FROM (SELECT *, true AS here FROM _actual) a FULL JOIN (SELECT *, true AS here FROM _expected) e ON {joined}"""
    )
    all_same = " AND ".join(["in_actual", "in_expected", *(f'"same {name}"' for name in same)])
    differing = con.sql(
        f"SELECT * FROM _pairs WHERE ({all_same}) IS NOT TRUE ORDER BY {_names(key)} LIMIT {int(limit)}"
    ).to_arrow_table()
    missing, unexpected, different, compared = con.execute(
        f"""SELECT count(*) FILTER (in_actual IS NULL), count(*) FILTER (in_expected IS NULL),
                   count(*) FILTER (in_actual AND in_expected AND ({all_same}) IS NOT TRUE), count(*) FROM _pairs"""
    ).fetchall()[0]
    for table in ("_actual", "_expected", "_pairs"):
        con.execute(f"DROP TABLE {table}")
    if differing.num_rows:
        told = "\n".join(_tell(row, key, list(same)) for row in differing.to_pylist())
        raise AssertionError(
            f"of {compared:,} rows {missing:,} are missing, {unexpected:,} should not be there and {different:,} have "
            f"other values; the first by ({', '.join(key)}):\n{told}"
        )
    return int(compared)


# ---------------------------------------------------------------------------------------------------------------------
# Landing files. What stops a whole day is decided here, rows in SQL.


def _read_files(con: duckdb.DuckDBPyConnection, landing: Path, days: Sequence[date]) -> None:
    texts: list[tuple[date, str, str]] = []
    stopped: list[tuple[date, str, str]] = []
    for day in days:
        found = [p for p in (landing / pattern.format(day=day) for pattern in LANDED_AS) if p.exists()]
        if not found:
            continue
        try:
            texts.append((day, str(found[0]), _body(found[0])))
        except Stops as error:
            stopped.append((day, str(found[0]), str(error)))
    for table, last, rows in (("_files", "body", texts), ("stopped", "reason", stopped)):
        columns = {"ds": pa.date32(), "file": pa.string(), last: pa.large_string()}
        arrow = pa.table({n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(columns.items())})
        con.register("_arrow", arrow)
        con.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM _arrow")
        con.unregister("_arrow")


def _body(file: Path) -> str:
    """The text after the header."""
    data = file.read_bytes()
    if file.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Stops(f"gzip: {error}") from error
    header, _, body = data.decode("utf-8").partition("\n")
    found = next(csv.reader([header.removesuffix("\r")], strict=True), [])
    if found != HEADER:
        raise Stops(f"header: expected {HEADER}, found {found}")
    return body


def _parse(con: duckdb.DuckDBPyConnection, max_malformed_ratio: float) -> None:
    con.execute(_PARSED)
    con.execute(
        """INSERT INTO stopped
        SELECT ds, file, format('malformed: {} of {} rows', count(reason), count(*)) FROM _parsed
        GROUP BY ds, file HAVING count(reason) > $ratio * count(*)""",
        {"ratio": max_malformed_ratio},
    )
    con.execute("DELETE FROM _parsed WHERE ds IN (SELECT ds FROM stopped)")


# A line is a record. RFC 4180: a field is either bare, and then holds neither quote nor comma, or quoted from its first
# to its last character, with quotes inside it doubled. The comma put before the line makes all fields look alike.
# A malformed row belongs to the playlist that its fields name: the second; when commas inside the name were not
# quoted, so that there are more than four, the second up to the third from the end. Where the quoting itself is
# broken there are no fields, and what lies between the commas, without the quotes, has to do.
_PARSED = r"""
CREATE OR REPLACE TABLE _parsed AS
WITH lines AS (
    SELECT ds, file, 1 + generate_subscripts(rows, 1) AS line_number, unnest(rows) AS ended
    FROM (SELECT ds, file, string_split(regexp_replace(body, '\n$', ''), chr(10)) AS rows FROM _files WHERE body <> '')
), raws AS (
    SELECT ds, file, line_number, regexp_replace(ended, '\r$', '') AS raw FROM lines
), split AS (
    SELECT *, CASE
        WHEN NOT contains(raw, '"') THEN string_split(raw, ',')
        WHEN regexp_full_match(',' || raw, '(,("([^"]|"")*"|[^",]*))*') THEN list_transform(
            regexp_extract_all(',' || raw, ',("(?:[^"]|"")*"|[^",]*)', 1),
            lambda f: CASE WHEN starts_with(f, '"') THEN replace(substr(f, 2, length(f) - 2), '""', '"') ELSE f END)
        END AS fields
    FROM raws
), judged AS (
    SELECT *, CASE
        WHEN fields IS NULL THEN 'quoting'
        WHEN len(fields) <> 4 THEN format('{} fields', len(fields))
        WHEN fields[1] <> strftime(ds, '%Y-%m-%d') THEN 'date'
        WHEN fields[2] = '' THEN 'empty playlist'
        WHEN NOT regexp_full_match(fields[3], '[0-9]+') THEN 'position'
        WHEN coalesce(try_cast(fields[3] AS INTEGER), 0) < 1 THEN 'position'
        WHEN fields[4] = '' THEN 'empty track_id'
        END AS reason, coalesce(fields, string_split(replace(raw, '"', ''), ',')) AS parts
    FROM split
)
SELECT ds, file, line_number, raw, reason,
       CASE WHEN len(parts) > 4 THEN array_to_string(parts[2:len(parts) - 2], ',') ELSE parts[2] END AS playlist,
       CASE WHEN reason IS NULL THEN fields[3]::INTEGER END AS position,
       CASE WHEN reason IS NULL THEN fields[4] END AS track_id
FROM judged
"""

# ---------------------------------------------------------------------------------------------------------------------
# Section 3

_POSITIONS = """
CREATE OR REPLACE TABLE rejects AS
SELECT ds, file, line_number, raw, reason, playlist FROM _parsed WHERE reason IS NOT NULL;

CREATE OR REPLACE TABLE positions AS
SELECT DISTINCT ds, playlist, position, track_id,
       NOT EXISTS (FROM rejects r WHERE r.ds = p.ds AND r.playlist = p.playlist) AS observed
FROM _parsed p WHERE reason IS NULL;

CREATE OR REPLACE TABLE landed AS
SELECT f.ds, f.file, coalesce(rows_in, 0) AS rows_in, coalesce(malformed, 0) AS malformed,
       coalesce(rows_in - malformed - rows_out, 0) AS duplicates, coalesce(rows_out, 0) AS rows_out
FROM _files f
LEFT JOIN (SELECT ds, count(*) AS rows_in, count(reason) AS malformed FROM _parsed GROUP BY ds) USING (ds)
LEFT JOIN (SELECT ds, count(*) AS rows_out FROM positions GROUP BY ds) USING (ds)
WHERE f.ds NOT IN (SELECT ds FROM stopped);

DROP TABLE _parsed;
DROP TABLE _files;
"""

# ---------------------------------------------------------------------------------------------------------------------
# Section 4

_CHANGES = """
-- A track standing twice in a playlist counts once, at its best position.
CREATE OR REPLACE TABLE holdings AS
SELECT ds, playlist, track_id, min(position) AS best_position
FROM positions WHERE observed GROUP BY ds, playlist, track_id;

CREATE OR REPLACE TABLE observations AS
SELECT ds, playlist, lag(ds) OVER (PARTITION BY playlist ORDER BY ds) AS earlier
FROM (SELECT DISTINCT ds, playlist FROM holdings);

CREATE OR REPLACE TABLE playlist_changes_v1 AS
SELECT now.playlist, now.track_id, 'added' AS change, now.ds
FROM observations o JOIN holdings now ON now.playlist = o.playlist AND now.ds = o.ds
WHERE o.earlier IS NOT NULL AND NOT EXISTS (
    FROM holdings h WHERE h.playlist = o.playlist AND h.track_id = now.track_id AND h.ds = o.earlier)
UNION ALL
SELECT before.playlist, before.track_id, 'removed' AS change, o.ds
FROM observations o JOIN holdings before ON before.playlist = o.playlist AND before.ds = o.earlier
WHERE NOT EXISTS (
    FROM holdings h WHERE h.playlist = o.playlist AND h.track_id = before.track_id AND h.ds = o.ds);
"""

# `changed` and `held` are joined to each landed day whose window they lie in. All the windows look back, so a row's own
# day and later ones are the only candidates.
_POPULARITY = """
CREATE OR REPLACE TABLE track_popularity_v1 AS
WITH present AS (
    SELECT ds, track_id, count(*) AS playlists_count, min(best_position) AS best_position,
           sum(best_position)::BIGINT::DOUBLE / count(*) AS mean_position
    FROM holdings GROUP BY ds, track_id
), changed AS (
    SELECT day.ds, c.track_id, date_diff('day', c.ds, day.ds) AS age, c.change
    FROM landed day JOIN playlist_changes_v1 c ON c.ds <= day.ds AND c.ds > day.ds - 400
), windows AS (
    SELECT ds, track_id,
           count(*) FILTER (change = 'added' AND age < 1) AS playlists_added_1d,
           count(*) FILTER (change = 'added' AND age < 7) AS playlists_added_7d,
           count(*) FILTER (change = 'added' AND age < 28) AS playlists_added_28d,
           count(*) FILTER (change = 'removed' AND age < 1) AS playlists_removed_1d,
           count(*) FILTER (change = 'removed' AND age < 7) AS playlists_removed_7d,
           count(*) FILTER (change = 'removed' AND age < 28) AS playlists_removed_28d,
           count(*) FILTER (age < 28) > 0 AS recent,
           sum(round(pow(2, 30) * pow(2, -age / 50))::BIGINT) FILTER (change = 'added') AS decayed,
           min(age) FILTER (change = 'added') AS days_since_added
    FROM changed GROUP BY ds, track_id
), held AS (
    SELECT day.ds, h.track_id, count(DISTINCT h.playlist) AS distinct_playlists_28d
    FROM landed day JOIN holdings h ON h.ds <= day.ds AND h.ds > day.ds - 28
    GROUP BY day.ds, h.track_id
)
SELECT track_id,
       coalesce(playlists_count, 0) AS playlists_count, best_position, mean_position,
       coalesce(playlists_added_1d, 0) AS playlists_added_1d,
       coalesce(playlists_added_7d, 0) AS playlists_added_7d,
       coalesce(playlists_added_28d, 0) AS playlists_added_28d,
       coalesce(playlists_removed_1d, 0) AS playlists_removed_1d,
       coalesce(playlists_removed_7d, 0) AS playlists_removed_7d,
       coalesce(playlists_removed_28d, 0) AS playlists_removed_28d,
       coalesce(distinct_playlists_28d, 0) AS distinct_playlists_28d,
       coalesce(decayed, 0)::BIGINT::DOUBLE / pow(2, 30) AS decayed_adds_50d,
       days_since_added::INTEGER AS days_since_added,
       ds
FROM present FULL JOIN windows USING (ds, track_id) LEFT JOIN held USING (ds, track_id)
WHERE playlists_count IS NOT NULL OR recent;
"""

# ---------------------------------------------------------------------------------------------------------------------
# Comparing


def _materialize(con: duckdb.DuckDBPyConnection, name: str, rows: Any) -> None:
    if isinstance(rows, str) and not rows.endswith(".parquet"):
        rows = con.sql(rows if rows.lstrip().upper().startswith(("SELECT", "FROM", "WITH")) else f'FROM "{rows}"')
    elif isinstance(rows, str | Path):
        rows = con.read_parquet(str(rows))
    elif isinstance(rows, Sequence):
        rows = con.read_parquet([str(file) for file in rows])
    elif not isinstance(rows, duckdb.DuckDBPyRelation):
        rows = con.from_arrow(rows)
    con.execute(f"DROP TABLE IF EXISTS {name}")  # an earlier comparison may have failed half-way
    rows.create(name)


def _same_columns(con: duckdb.DuckDBPyConnection, key: Sequence[str], ignore: Collection[str]) -> dict[str, str]:
    actual, expected = (
        {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {side}").fetchall() if name not in ignore}
        for side in ("_actual", "_expected")
    )
    assert set(key) <= set(expected), f"key {tuple(key)} is not in the expected columns {list(expected)}"
    told = [
        f"{n}: {actual.get(n, 'no column')}, expected {expected.get(n, 'no column')}"
        for n in {**expected, **actual}
        if actual.get(n) != expected.get(n)
    ]
    assert not told, "columns differ: " + "; ".join(told)
    return expected


def _assert_key_is_unique(con: duckdb.DuckDBPyConnection, side: str, key: Sequence[str], limit: int) -> None:
    twice = con.execute(
        f"SELECT {_names(key)}, count(*) FROM {side} GROUP BY {_names(key)} HAVING count(*) > 1 "
        f"ORDER BY {_names(key)} LIMIT {int(limit)}"
    ).fetchall()
    told = "\n".join(f"  {_tell_key(dict(zip(key, row, strict=False)), key)}: {row[-1]} rows" for row in twice)
    assert not twice, f"the {side.strip('_')} rows hold a key more than once:\n{told}"


def _same_value(name: str, kind: str, tolerance: float) -> str:
    a, e = f'a."{name}"', f'e."{name}"'
    if kind not in ("DOUBLE", "FLOAT"):
        return f"{a} IS NOT DISTINCT FROM {e}"
    if tolerance:
        return f"({a} IS NOT DISTINCT FROM {e} OR coalesce(abs({a} - {e}) <= {tolerance!r}, false))"
    # SQL takes 0.0 and -0.0 for equal.
    return f"({a} IS NOT DISTINCT FROM {e} AND signbit({a}) IS NOT DISTINCT FROM signbit({e}))"


def _pick(a: str, e: str, key: Sequence[str]) -> str:
    return ", ".join(f'CASE WHEN {a}.here THEN {a}."{k}" ELSE {e}."{k}" END AS "{k}"' for k in key)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{c}"' for c in columns)


def _tell_key(row: dict[str, Any], key: Sequence[str]) -> str:
    return " ".join(f"{k}={row[k]!s}" for k in key)


def _tell(row: dict[str, Any], key: Sequence[str], columns: Sequence[str]) -> str:
    name = _tell_key(row, key)
    if not row["in_expected"]:
        return f"  should not be there  {name}  " + ", ".join(f"{c} {row[f'actual {c}']!r}" for c in columns)
    if not row["in_actual"]:
        return f"  missing              {name}  " + ", ".join(f"{c} {row[f'expected {c}']!r}" for c in columns)
    wrong = [c for c in columns if not row[f"same {c}"]]
    told = ", ".join(f"{c} {row[f'actual {c}']!r} (expected {row[f'expected {c}']!r})" for c in wrong)
    return f"  other values         {name}  {told}"
