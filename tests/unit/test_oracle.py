"""The oracle against landings small enough to work out by hand: every value here was computed on paper."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import oracle

D1, D2, D3, D4 = (date(2020, 3, n) for n in (1, 2, 3, 4))
HEADER = "date,playlist,position,track_id"
FIXED = 2**30

Rows = dict[str, list[str]]  # playlist -> its tracks from the top


class Landing:
    """A landing folder, and the oracle's tables made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.con = duckdb.connect(config={"threads": 1})  # less work than starting threads
        (folder / "playlists" / "daily").mkdir(parents=True)

    def lines(self, day: date, *lines: str, header: str = HEADER, end: str = "\n") -> None:
        text = "".join(line + end for line in (header, *lines))
        (self.folder / f"playlists/daily/{day}.csv.gz").write_bytes(gzip.compress(text.encode()))

    def day(self, day: date, playlists: Rows, *more: str) -> None:
        good = [f"{day},{name},{n},{t}" for name, tracks in playlists.items() for n, t in enumerate(tracks, 1)]
        self.lines(day, *good, *more)

    def load(self, days: Sequence[date] | None = None, max_malformed_ratio: float = 1.0) -> Landing:
        oracle.load(self.con, self.folder, days, max_malformed_ratio=max_malformed_ratio)
        return self

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.sql(sql).fetchall()

    def changes(self, day: date | None = None) -> list[tuple[Any, ...]]:
        where = f"WHERE ds = '{day}'" if day else ""
        return self.rows(f"SELECT ds, playlist, track_id, change FROM playlist_changes_v1 {where} ORDER BY ALL")

    def track(self, day: date, track: str) -> dict[str, Any] | None:
        found = self.con.sql(f"FROM track_popularity_v1 WHERE ds = '{day}' AND track_id = '{track}'")
        rows = found.to_arrow_table().to_pylist()
        assert len(rows) <= 1
        return rows[0] if rows else None

    def value(self, day: date, track: str, column: str) -> Any:
        row = self.track(day, track)
        assert row is not None, f"{track} has no row on {day}"
        return row[column]


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


# --- landing files


def test_a_plain_day_is_read_as_it_stands(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"], "Q": ["a"]})
    landing.load()
    assert landing.rows("SELECT ds, playlist, position, track_id, observed FROM positions ORDER BY ALL") == [
        (D1, "P", 1, "a", True),
        (D1, "P", 2, "b", True),
        (D1, "Q", 1, "a", True),
    ]
    assert landing.rows("SELECT ds, rows_in, malformed, duplicates, rows_out FROM landed") == [(D1, 3, 0, 0, 3)]


def test_quotes_are_rfc_4180_and_a_backslash_is_a_character(landing: Landing) -> None:
    landing.lines(
        D1,
        f'{D1},"Young, Wild & Free",1,a',
        f'{D1},"Say ""Hi""",1,b',
        rf"{D1},chill\DnB,1,c",
        rf'{D1},"ends in \",1,d',
        f'"{D1}","P","2","e"',
    )
    landing.load()
    assert landing.rows("SELECT playlist, position, track_id FROM positions ORDER BY track_id") == [
        ("Young, Wild & Free", 1, "a"),
        ('Say "Hi"', 1, "b"),
        (r"chill\DnB", 1, "c"),
        ("ends in \\", 1, "d"),
        ("P", 2, "e"),
    ]
    assert landing.rows("SELECT * FROM rejects") == []


MALFORMED: list[tuple[str, str, str | None]] = [  # line, reason, the playlist it belongs to
    (f"{D1},P,0,a", "position", "P"),
    (f"{D1},P,-1,a", "position", "P"),
    (f"{D1},P,1.0,a", "position", "P"),
    (f"{D1},P,one,a", "position", "P"),
    (f"{D1},P,,a", "position", "P"),
    (f"{D1},P,2147483648,a", "position", "P"),  # beyond an int
    (f"{D1},P,1,", "empty track_id", "P"),
    (f"{D1},,1,a", "empty playlist", ""),
    (f"{D2},P,1,a", "date", "P"),
    (",P,1,a", "date", "P"),
    (f"{D1},P,1", "3 fields", "P"),
    (f"{D1},P", "2 fields", "P"),
    ("garbage", "1 fields", None),
    ("", "1 fields", None),  # a blank line between others
    (f"{D1},Young, Wild,1,a", "5 fields", "Young, Wild"),  # a comma not quoted
    (f"{D1},A, B, C,1,a", "6 fields", "A, B, C"),
    (f'{D1},"A, B", C,1,a', "5 fields", "A, B, C"),
    (f'{D1},"P,1,a', "quoting", "P"),  # never closed
    (f'{D1},P "x,1,a', "quoting", "P x"),  # a quote inside a bare field
]


def test_malformed_rows_are_set_aside_and_named(landing: Landing) -> None:
    landing.lines(D1, f"{D1},Z,1,z", *(line for line, *_ in MALFORMED), f"{D1},Z,2,y")
    landing.load()
    found = landing.rows("SELECT line_number, raw, reason, playlist FROM rejects ORDER BY line_number")
    assert found == [(number, *row) for number, row in enumerate(MALFORMED, 3)]  # line 1 is the header, 2 is good
    assert landing.rows("SELECT playlist, position, track_id, observed FROM positions ORDER BY ALL") == [
        ("Z", 1, "z", True),
        ("Z", 2, "y", True),
    ]
    bad = len(MALFORMED)
    assert landing.rows("SELECT rows_in, malformed, duplicates, rows_out FROM landed") == [(bad + 2, bad, 0, 2)]


def test_a_row_set_aside_leaves_its_playlist_unobserved_that_day_alone(landing: Landing) -> None:
    landing.day(D1, {"P": ["a"], "Q": ["a"]}, f"{D1},P,x,b")
    landing.day(D2, {"P": ["a"], "Q": ["a"]})
    landing.load()
    assert landing.rows("SELECT ds, playlist, observed FROM positions ORDER BY ALL") == [
        (D1, "P", False),
        (D1, "Q", True),
        (D2, "P", True),
        (D2, "Q", True),
    ]


def test_exact_duplicates_are_dropped_and_counted(landing: Landing) -> None:
    landing.lines(D1, f"{D1},P,1,a", f"{D1},P,1,a", f'{D1},"P",1,a', f"{D1},P,2,a")
    landing.load()
    assert landing.rows("SELECT position FROM positions ORDER BY ALL") == [(1,), (2,)]
    assert landing.rows("SELECT rows_in, duplicates, rows_out FROM landed") == [(4, 2, 2)]


def test_line_ends_may_be_crlf(landing: Landing) -> None:
    landing.lines(D1, f"{D1},P,1,a", f"{D1},P,2,b", end="\r\n")
    landing.load()
    assert landing.rows("SELECT track_id FROM positions ORDER BY ALL") == [("a",), ("b",)]


def test_a_plain_csv_is_read_too(landing: Landing) -> None:
    (landing.folder / f"playlists/daily/{D1}.csv").write_text(f"{HEADER}\n{D1},P,1,a")  # and no last line end
    landing.load()
    assert landing.rows("SELECT ds, track_id FROM positions") == [(D1, "a")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "header"),
        (gzip.compress(b""), "header"),
        (gzip.compress(f"{HEADER}\n{D1},P,1,a\n".encode() * 100)[:-20], "gzip"),
        (b"no gzip at all", "gzip"),
        (gzip.compress(f"{D1},P,1,a\n".encode()), "header"),
        (gzip.compress(b"date,playlist,track_id,position\n"), "header"),
        (gzip.compress(f"{HEADER},more\n".encode()), "header"),
    ],
    ids=["no bytes", "empty gzip", "truncated", "not gzip", "no header", "other order", "one more column"],
)
def test_a_broken_file_stops_its_day_and_no_other(landing: Landing, content: bytes, reason: str) -> None:
    landing.day(D2, {"P": ["a"]})
    (landing.folder / f"playlists/daily/{D1}.csv.gz").write_bytes(content)
    landing.load()
    (stopped,) = landing.rows("SELECT ds, reason FROM stopped")
    assert stopped[0] == D1
    assert stopped[1].startswith(reason)
    assert landing.rows("SELECT ds FROM landed") == [(D2,)]


@pytest.mark.parametrize(("bad", "stops"), [(1, False), (2, True)])
def test_more_than_one_percent_of_malformed_rows_stops_the_day(landing: Landing, bad: int, stops: bool) -> None:
    good = {"P": [f"t{n}" for n in range(100 - bad)]}
    landing.day(D1, good, *[f"{D1},Q,0,x"] * bad)
    landing.load(max_malformed_ratio=0.01)
    assert landing.rows("SELECT count(*) FROM stopped") == [(int(stops),)]
    assert landing.rows("SELECT count(*) FROM positions") == [(0 if stops else 100 - bad,)]
    assert landing.rows("SELECT count(*) FROM rejects") == [(0 if stops else bad,)]


def test_only_the_days_asked_for_have_landed(landing: Landing) -> None:
    for day in (D1, D2, D3):
        landing.day(day, {"P": [f"t{day.day}"]})
    landing.load([D1, D3, D4])
    assert landing.rows("SELECT ds FROM landed ORDER BY ds") == [(D1,), (D3,)]
    assert landing.changes() == [(D3, "P", "t1", "removed"), (D3, "P", "t3", "added")]


# --- playlist_changes_v1


def test_the_first_observation_yields_no_changes(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"]})
    landing.day(D2, {"P": ["a", "b"], "Q": ["c"]})
    assert landing.load().changes() == []


def test_what_came_and_what_went(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"]})
    landing.day(D2, {"P": ["c", "b"]})
    assert landing.load().changes() == [(D2, "P", "a", "removed"), (D2, "P", "c", "added")]


def test_added_then_removed_then_added(landing: Landing) -> None:
    for day, tracks in ((D1, ["a"]), (D2, ["a", "b"]), (D3, ["a"]), (D4, ["b", "a"])):
        landing.day(day, {"P": tracks})
    assert landing.load().changes() == [(D2, "P", "b", "added"), (D3, "P", "b", "removed"), (D4, "P", "b", "added")]


def test_a_playlist_absent_a_day_yields_nothing_then_the_difference_to_its_latest_day(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"], "Q": ["z"]})
    landing.day(D2, {"Q": ["z"]})
    landing.day(D3, {"P": ["b", "c"], "Q": ["z"]})
    assert landing.load().changes() == [(D3, "P", "a", "removed"), (D3, "P", "c", "added")]


def test_a_day_not_landed_has_no_rows_and_the_next_compares_across_it(landing: Landing) -> None:
    landing.day(D1, {"P": ["a"]})
    landing.day(D3, {"P": ["b"]})
    landing.load()
    assert landing.changes() == [(D3, "P", "a", "removed"), (D3, "P", "b", "added")]
    assert landing.rows("SELECT DISTINCT ds FROM track_popularity_v1 ORDER BY ds") == [(D1,), (D3,)]


def test_a_playlist_day_not_observed_is_as_if_the_playlist_were_absent(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"]})
    landing.day(D2, {"P": ["a"]}, f"{D2},P,second,b")  # b is there, but its row cannot be read: no removal
    landing.day(D3, {"P": ["a", "c"]})
    landing.load()
    assert landing.changes() == [(D3, "P", "b", "removed"), (D3, "P", "c", "added")]
    assert landing.track(D2, "a") is None
    assert landing.value(D3, "a", "distinct_playlists_28d") == 1


def test_a_first_day_not_observed_is_no_first_observation(landing: Landing) -> None:
    landing.day(D1, {"P": ["a"]}, f"{D1},P,0,b")
    landing.day(D2, {"P": ["c"]})
    landing.day(D3, {"P": ["d"]})
    assert landing.load().changes() == [(D3, "P", "c", "removed"), (D3, "P", "d", "added")]


def test_a_track_twice_in_a_playlist_counts_once_at_its_best(landing: Landing) -> None:
    landing.day(D1, {"P": ["x"]})
    landing.day(D2, {"P": ["x", "a", "b", "a"]})
    landing.day(D3, {"P": ["a"]})
    landing.load()
    assert landing.changes(D2) == [(D2, "P", "a", "added"), (D2, "P", "b", "added")]
    assert landing.changes(D3) == [(D3, "P", "b", "removed"), (D3, "P", "x", "removed")]
    assert landing.value(D2, "a", "playlists_count") == 1
    assert landing.value(D2, "a", "best_position") == 2
    assert landing.value(D2, "a", "mean_position") == 2.0


# --- track_popularity_v1


def test_every_column_of_a_small_history(landing: Landing) -> None:
    landing.day(D1, {"P": ["a", "b"], "Q": ["b"], "R": ["a"]})
    landing.day(D2, {"P": ["b", "c"], "Q": ["b", "a"], "R": ["a"]})  # P: -a +c; Q: +a
    landing.day(D3, {"P": ["c"], "Q": ["c", "b", "a"]})  # P: -b; Q: +c; R absent
    landing.load()
    assert landing.track(D3, "a") == {
        "track_id": "a",
        "playlists_count": 1,  # Q; R was not observed
        "best_position": 3,
        "mean_position": 3.0,
        "playlists_added_1d": 0,
        "playlists_added_7d": 1,  # Q on the 2nd
        "playlists_added_28d": 1,
        "playlists_removed_1d": 0,
        "playlists_removed_7d": 1,  # P on the 2nd
        "playlists_removed_28d": 1,
        "distinct_playlists_28d": 3,  # P and R on the 1st, Q
        "decayed_adds_50d": 1058959303 / FIXED,
        "days_since_added": 1,
        "ds": D3,
    }
    assert landing.track(D3, "c") == {
        "track_id": "c",
        "playlists_count": 2,
        "best_position": 1,
        "mean_position": 1.0,
        "playlists_added_1d": 1,
        "playlists_added_7d": 2,
        "playlists_added_28d": 2,
        "playlists_removed_1d": 0,
        "playlists_removed_7d": 0,
        "playlists_removed_28d": 0,
        "distinct_playlists_28d": 2,
        "decayed_adds_50d": (FIXED + 1058959303) / FIXED,
        "days_since_added": 0,
        "ds": D3,
    }
    assert landing.track(D1, "b") == {
        "track_id": "b",
        "playlists_count": 2,
        "best_position": 1,
        "mean_position": 1.5,  # 2 in P, 1 in Q
        **dict.fromkeys((f"playlists_{c}_{n}d" for c in ("added", "removed") for n in (1, 7, 28)), 0),
        "distinct_playlists_28d": 2,
        "decayed_adds_50d": 0.0,
        "days_since_added": None,
        "ds": D1,
    }


def test_a_removed_track_stays_28_days_with_nulls_for_its_place(landing: Landing) -> None:
    for n in range(32):
        landing.day(D1 + timedelta(n), {"P": ["a", "b"] if n == 0 else ["a"]})
    landing.load()
    removed = D2
    row = landing.track(removed, "b")
    assert row is not None
    assert (row["playlists_count"], row["best_position"], row["mean_position"]) == (0, None, None)
    assert (row["playlists_removed_1d"], row["days_since_added"], row["decayed_adds_50d"]) == (1, None, 0.0)
    assert landing.value(removed + timedelta(27), "b", "playlists_removed_28d") == 1
    assert landing.track(removed + timedelta(28), "b") is None


@pytest.mark.parametrize("days", [7, 28])
def test_the_edges_of_a_window(landing: Landing, days: int) -> None:
    """A change on E is in the window of D = E + days - 1, and no more in that of E + days."""
    added = D2
    for day in (D1, added, added + timedelta(days - 1), added + timedelta(days)):
        landing.day(day, {"P": ["x"] if day == D1 else ["x", "a"]})
    landing.load()
    column = f"playlists_added_{days}d"
    assert landing.value(added, "a", column) == 1
    assert landing.value(added + timedelta(days - 1), "a", column) == 1
    assert landing.value(added + timedelta(days), "a", column) == 0


def test_the_edges_of_the_distinct_playlists(landing: Landing) -> None:
    landing.day(D1, {"P": ["a"], "Q": ["a"]})
    for days in (27, 28):  # P lets go of it after the first day, so its change keeps no row alive but Q does
        landing.day(D1 + timedelta(days), {"P": ["x"], "Q": ["a"]})
    landing.load()
    assert landing.value(D1 + timedelta(27), "a", "distinct_playlists_28d") == 2
    assert landing.value(D1 + timedelta(28), "a", "distinct_playlists_28d") == 1


def test_the_edges_of_the_decay_and_of_days_since(landing: Landing) -> None:
    added = D2
    for day in (D1, added, added + timedelta(399), added + timedelta(400)):
        landing.day(day, {"P": ["x"] if day == D1 else ["x", "a"]})
    landing.load()
    assert landing.value(added + timedelta(399), "a", "decayed_adds_50d") == 4252854 / FIXED
    assert landing.value(added + timedelta(399), "a", "days_since_added") == 399
    assert landing.value(added + timedelta(400), "a", "decayed_adds_50d") == 0.0
    assert landing.value(added + timedelta(400), "a", "days_since_added") is None


def test_each_addition_is_rounded_before_the_sum(landing: Landing) -> None:
    """2^30 * 2^(-28/50) = 728,321,402.49998: two of them are 1,456,642,804, not the rounded 1,456,642,805."""
    later = D2 + timedelta(28)
    landing.day(D1, {"P": ["x"], "Q": ["x"]})
    for day in (D2, later):
        landing.day(day, {"P": ["x", "a"], "Q": ["x", "a"]})
    landing.load()
    assert landing.value(D2, "a", "decayed_adds_50d") == 2.0
    assert landing.value(later, "a", "decayed_adds_50d") == 1456642804 / FIXED


def test_no_weight_lies_so_near_a_half_that_doubles_could_round_it_otherwise() -> None:
    """So the rounded weights do not hang on the machine's pow(): 2^30 * 2^(-k/50) in 60 digits and in doubles agree."""
    with localcontext() as context:
        context.prec = 60
        exact = [FIXED * Decimal(2) ** (Decimal(-k) / 50) for k in range(400)]
        # Doubles of this size are 2^-23 apart.
        assert all(abs(w % 1 - Decimal("0.5")) > 100 * Decimal(2) ** -23 for w in exact)
        rounded = [int(w.to_integral_value()) for w in exact]
    query = "SELECT round(pow(2, 30) * pow(2, -k / 50))::BIGINT FROM range(400) t(k) ORDER BY k"
    assert [w for (w,) in duckdb.connect().execute(query).fetchall()] == rounded


def test_the_column_types_are_those_of_the_issue(landing: Landing) -> None:
    landing.day(D1, {"P": ["a"]})
    landing.load()
    bigint = ["playlists_count", *(f"playlists_{c}_{n}d" for c in ("added", "removed") for n in (1, 7, 28))]
    assert dict(landing.rows("SELECT column_name, column_type FROM (DESCRIBE track_popularity_v1)")) == {
        "track_id": "VARCHAR",
        **dict.fromkeys([*bigint, "distinct_playlists_28d"], "BIGINT"),
        "best_position": "INTEGER",
        "mean_position": "DOUBLE",
        "decayed_adds_50d": "DOUBLE",
        "days_since_added": "INTEGER",
        "ds": "DATE",
    }


def test_the_catalogue_of_a_day_holds_what_was_seen_by_then(landing: Landing) -> None:
    texts = {name: ["?"] * 4 for name in ("title", "artists", "album_id", "length")}
    tracks = pa.table({"track_id": ["a", "b", "c", "d"], **texts, "first_seen": [D1, D2, D3, None]})
    pq.write_table(tracks, landing.folder / "playlists" / "tracks.parquet")
    found = oracle.catalogue(landing.con, landing.folder, D2)
    assert found.columns == ["track_id", "title", "artists", "album_id", "length", "first_seen"]
    assert sorted(row[0] for row in found.fetchall()) == ["a", "b"]


# --- comparing


KEY = ("ds", "k")
EXPECTED = """SELECT * FROM (VALUES
    (DATE '2020-03-01', 'a', 1, 0.5::DOUBLE), (DATE '2020-03-01', 'b', NULL, NULL)) v(ds, k, n, x)"""


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def arrow(con: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    table: pa.Table = con.sql(sql).to_arrow_table()
    return table


def test_equal_rows_pass_in_any_order_and_are_counted(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = arrow(con, f"SELECT *, 'r1' AS run_id FROM ({EXPECTED}) ORDER BY k DESC")
    assert oracle.assert_same_rows(con, table, EXPECTED, KEY) == 2
    pq.write_table(table.slice(0, 1), tmp_path / "1.parquet")
    pq.write_table(table.slice(1, 1), tmp_path / "2.parquet")
    assert oracle.assert_same_rows(con, sorted(tmp_path.glob("*.parquet")), EXPECTED, KEY) == 2
    assert oracle.assert_same_rows(con, table.to_reader(), con.sql(EXPECTED), KEY) == 2


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (f"{EXPECTED} WHERE k = 'a'", r"1 are missing(.|\n)*missing +ds=2020-03-01 k=b  n None, x None"),
        (
            f"{EXPECTED} UNION ALL SELECT DATE '2020-03-02', 'c', 7, 1",
            r"should not be there +ds=2020-03-02 k=c  n 7, x 1.0",
        ),
        (f"SELECT ds, k, n + 1 AS n, x FROM ({EXPECTED})", r"1 have other values(.|\n)*k=a  n 2 \(expected 1\)$"),
        (f"SELECT ds, k, coalesce(n, 0) AS n, x FROM ({EXPECTED})", r"k=b  n 0 \(expected None\)"),
        (f"SELECT ds, k, n, x + 1e-16 AS x FROM ({EXPECTED})", r"x 0.5000000000000001 \(expected 0.5\)"),
        (f"SELECT ds, k, n::BIGINT AS n, x FROM ({EXPECTED})", "n: BIGINT, expected INTEGER"),
        (f"SELECT ds, k, n FROM ({EXPECTED})", "x: no column, expected DOUBLE"),
        (f"SELECT *, 1 AS y FROM ({EXPECTED})", "y: INTEGER, expected no column"),
        (
            f"{EXPECTED} UNION ALL {EXPECTED} WHERE k = 'a'",
            "actual rows hold a key more than once:\n  ds=2020-03-01 k=a: 2",
        ),
    ],
    ids=["missing", "extra", "value", "null", "last bit", "type", "column gone", "column new", "key twice"],
)
def test_a_difference_is_told(con: duckdb.DuckDBPyConnection, actual: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        oracle.assert_same_rows(con, arrow(con, actual), EXPECTED, KEY)
    assert oracle.assert_same_rows(con, arrow(con, EXPECTED), EXPECTED, KEY) == 2  # nothing is left behind


def test_null_keys_zero_signs_and_nan(con: duckdb.DuckDBPyConnection) -> None:
    def one(value: str) -> str:
        return f"SELECT NULL::DATE AS ds, NULL::VARCHAR AS k, {value}::DOUBLE AS x"

    assert oracle.assert_same_rows(con, arrow(con, one("'NaN'")), one("'NaN'"), KEY) == 1
    with pytest.raises(AssertionError, match=r"x -0.0 \(expected 0.0\)"):
        oracle.assert_same_rows(con, arrow(con, one("-0.0")), one("0.0"), KEY)


def test_a_tolerance_is_for_doubles_alone(con: duckdb.DuckDBPyConnection) -> None:
    near = f"SELECT ds, k, n, x + 0.001 AS x FROM ({EXPECTED})"
    assert oracle.assert_same_rows(con, arrow(con, near), EXPECTED, KEY, tolerance=0.01) == 2
    with pytest.raises(AssertionError, match="1 have other values"):
        oracle.assert_same_rows(con, arrow(con, near), EXPECTED, KEY, tolerance=0.0001)
    gone = f"SELECT ds, k, n, NULL::DOUBLE AS x FROM ({EXPECTED})"
    with pytest.raises(AssertionError, match="1 have other values"):
        oracle.assert_same_rows(con, arrow(con, gone), EXPECTED, KEY, tolerance=0.01)


def test_many_differences_are_counted_and_a_few_named(con: duckdb.DuckDBPyConnection) -> None:
    expected = "SELECT range AS k, 1 AS n FROM range(100)"
    with pytest.raises(AssertionError, match="100 have other values") as error:
        oracle.assert_same_rows(con, arrow(con, "SELECT range AS k, 2 AS n FROM range(100)"), expected, ("k",), limit=3)
    assert str(error.value).count("other values  ") == 3
