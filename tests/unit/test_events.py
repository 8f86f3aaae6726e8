"""The generated play events: their formats, what is planted in them, and that one seed gives one folder."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from content_signals import cli
from content_signals.day import day_range
from content_signals.errors import UsageError
from content_signals.local.events import EventRates, GeneratedEvents, generate_events
from content_signals.local.events_sql import ARTIST_TRACKS, MALFORMED
from content_signals.local.landing import generate_landing

FIRST = date(2024, 1, 1)  # a Monday
DAYS = day_range(FIRST, FIRST + timedelta(days=4))
ROWS = 20_000
COLUMNS = ["event_id", "kind", "track_id", "user_id", "ms_played", "event_ts", "ingest_ts"]
FORMATS = ("parquet", "jsonl")
# What is right, said once more and in other words than the generator's.
VALID = (
    "length(event_id) = 32 AND kind IN ('play', 'skip', 'save') AND track_id IS NOT NULL AND ms_played >= 0"
    " AND event_ts IS NOT NULL"
)


def small(folder: Path, seed: int = 7, **change: object) -> GeneratedEvents:
    arguments: dict[str, object] = {"rows": ROWS, "days": DAYS} | change
    return generate_events(folder, seed=seed, **arguments)  # type: ignore[arg-type]


def read(events: GeneratedEvents) -> duckdb.DuckDBPyConnection:
    """A database with the rows of all Parquet files as `rows` and those that are right as `good`."""
    db = duckdb.connect(config={"threads": 1})  # less work than starting threads
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"""
        CREATE TABLE rows AS SELECT *, parse_filename(filename, true)::DATE AS day
        FROM read_parquet('{events.folder}/events/play_events/*.parquet', filename = true)""")
    db.execute(f"CREATE VIEW good AS SELECT * FROM rows WHERE {VALID}")
    return db


def lines(events: GeneratedEvents, day: date) -> list[str]:
    return events.paths[day].read_text("utf-8").splitlines()


def fault(line: str) -> str | None:
    """What is wrong with a line of JSON, as a strict reader finds it."""
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return "cut off"
    if "track_id" not in event:
        return "missing track_id"
    if not isinstance(event["ms_played"], int):
        return "ms_played not a number"
    if event["kind"] not in ("play", "skip", "save"):
        return "unknown kind"
    if not event["event_id"]:
        return "empty event_id"
    try:
        datetime.fromisoformat(event["event_ts"])
    except ValueError:
        return "bad timestamp"
    return None


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> GeneratedEvents:
    return small(tmp_path_factory.mktemp("parquet"))


@pytest.fixture(scope="module")
def db(made: GeneratedEvents) -> duckdb.DuckDBPyConnection:
    return read(made)


@pytest.fixture(scope="module")
def made_lines(tmp_path_factory: pytest.TempPathFactory) -> GeneratedEvents:
    return small(tmp_path_factory.mktemp("jsonl"), format="jsonl", rates=EventRates(malformed=0.003))


def value(db: duckdb.DuckDBPyConnection, query: str) -> Any:
    (found,) = db.execute(query).fetchone() or (None,)
    return found


@pytest.mark.parametrize("file_format", FORMATS)
def test_one_seed_one_folder(tmp_path: Path, file_format: str) -> None:
    first, second = (small(tmp_path / name, format=file_format, days=DAYS[:2]) for name in "ab")
    assert digest(first.folder) == digest(second.folder)
    assert (first.rows, first.duplicates, first.late) == (second.rows, second.duplicates, second.late)
    other = small(tmp_path / "c", seed=8, format=file_format, days=DAYS[:2])
    assert not set(digest(other.folder).values()) & set(digest(first.folder).values())
    assert other.artist_tracks == first.artist_tracks


def test_a_file_a_day_and_nothing_else(made: GeneratedEvents, made_lines: GeneratedEvents) -> None:
    for events, end in ((made, "parquet"), (made_lines, "jsonl")):
        assert list(digest(events.folder)) == [f"events/play_events/{day}.{end}" for day in DAYS]
        assert [path.name for path in events.folder.iterdir()] == ["events"]
        assert list(events.paths.values()) == [events.folder / name for name in digest(events.folder)]


def test_parquet_columns_and_types(made: GeneratedEvents) -> None:
    schema = pq.read_schema(made.paths[FIRST])
    assert schema.names == COLUMNS
    moment = "timestamp[us, tz=UTC]"
    assert [str(field.type) for field in schema] == ["string", "string", "string", "int64", "int64", moment, moment]


def test_counts_are_what_the_files_hold(made: GeneratedEvents, db: duckdb.DuckDBPyConnection) -> None:
    found = db.execute(f"""
        SELECT day, count(*), count(*) FILTER (WHERE {VALID}) - count(DISTINCT event_id) FILTER (WHERE {VALID}),
            count(*) FILTER (WHERE event_ts::DATE < day), count(*) FILTER (WHERE NOT ({VALID}))
        FROM rows GROUP BY day ORDER BY day""").fetchall()
    assert found == [(day, made.rows[day], made.duplicates[day], made.late[day], made.malformed[day]) for day in DAYS]


def test_exactly_the_rows_asked_for_are_valid_and_unique(made: GeneratedEvents, db: duckdb.DuckDBPyConnection) -> None:
    assert value(db, "SELECT count(DISTINCT event_id) FROM good") == ROWS
    assert value(db, "SELECT count(*) FROM good") == ROWS + sum(made.duplicates.values())


def test_faults_follow_their_rates(made: GeneratedEvents) -> None:
    assert sum(made.duplicates.values()) == pytest.approx(0.005 * ROWS, rel=0.3)
    assert sum(made.late.values()) == pytest.approx(0.005 * ROWS, rel=0.3)
    assert sum(made.malformed.values()) == pytest.approx(0.0005 * ROWS, abs=len(DAYS))


def test_a_duplicate_differs_in_its_arrival_only(db: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT DISTINCT count(*), count(DISTINCT (kind, track_id, user_id, ms_played, event_ts, day)),
            count(DISTINCT ingest_ts), max(ingest_ts) - min(ingest_ts) BETWEEN INTERVAL 1 SECOND AND INTERVAL 10 MINUTE
        FROM good GROUP BY event_id HAVING count(*) > 1"""
    assert db.execute(query).fetchall() == [(2, 1, 2, True)]


def test_files_are_in_the_order_of_arrival_and_events_are_not(
    made: GeneratedEvents, db: duckdb.DuckDBPyConnection
) -> None:
    for day in DAYS[:2]:
        table = pq.read_table(made.paths[day], columns=["ingest_ts", "event_ts", "event_id"]).to_pydict()
        order = list(zip(table["ingest_ts"], table["event_id"], strict=True))
        assert order == sorted(order)
        assert {moment.date() for moment in table["ingest_ts"]} == {day}
        happened = [moment for moment in table["event_ts"] if moment]
        assert sum(one > other for one, other in pairwise(happened)) > len(happened) / 5
    assert value(db, "SELECT count(*) FROM good WHERE event_ts > ingest_ts") == 0


def test_events_take_minutes_some_hours_and_late_ones_days(db: duckdb.DuckDBPyConnection) -> None:
    on_the_day = "FROM good WHERE event_ts::DATE = day"
    assert value(db, f"SELECT max(ingest_ts - event_ts) {on_the_day}") < timedelta(hours=4, minutes=11)
    slow = f"SELECT avg((ingest_ts - event_ts > INTERVAL 16 MINUTE)::INT) {on_the_day}"
    assert value(db, slow) == pytest.approx(0.0094, abs=0.003)
    ages = db.execute(
        "SELECT day - event_ts::DATE, count(*) FROM good WHERE event_ts::DATE < day GROUP BY 1"
    ).fetchall()
    assert {age for age, _ in ages} == {1, 2, 3}


def test_values_of_each_kind(db: duckdb.DuckDBPyConnection) -> None:
    kinds = {
        kind: (share, low, high)
        for kind, share, low, high in db.execute(
            f"SELECT kind, count(*) / {ROWS}, min(ms_played), max(ms_played) FROM good GROUP BY kind"
        ).fetchall()
    }
    assert kinds["play"][0] == pytest.approx(0.8, abs=0.02)
    assert kinds["skip"][0] == pytest.approx(0.15, abs=0.01)
    assert 30_000 <= kinds["play"][1] < kinds["play"][2] < 360_000
    assert 0 <= kinds["skip"][1] < kinds["skip"][2] < 30_000
    assert kinds["save"][1:] == (0, 0)
    assert value(db, "SELECT count(*) FROM good WHERE NOT regexp_full_match(track_id, '[0-9A-Za-z]{22}')") == 0
    assert value(db, "SELECT min(user_id) > 0 AND max(user_id) < 2::BIGINT ** 53 FROM good") is True


def test_one_artist_has_a_fifth_and_one_track_a_twentieth(made: GeneratedEvents, db: duckdb.DuckDBPyConnection) -> None:
    plays = Counter(dict(db.execute("SELECT track_id, count(DISTINCT event_id) FROM good GROUP BY 1").fetchall()))
    assert len(set(made.artist_tracks)) == ARTIST_TRACKS
    assert sum(plays[track] for track in made.artist_tracks) / ROWS == pytest.approx(0.2, abs=0.01)
    assert plays.most_common(1)[0][0] == made.artist_tracks[0]
    assert plays[made.artist_tracks[0]] / ROWS == pytest.approx(0.05, abs=0.01)


def test_tracks_and_users_are_zipf_like(tmp_path: Path) -> None:
    db = read(small(tmp_path, rows=100_000, tracks=5000, days=[FIRST]))
    for column, top, least, most in (("track_id", 50, 0.28, 0.38), ("user_id", 33, 0.1, 0.25)):
        counts = [n for (n,) in db.execute(f"SELECT count(*) n FROM good GROUP BY {column} ORDER BY n DESC").fetchall()]
        assert least < sum(counts[:top]) / sum(counts) < most, column
        assert counts[0] > 20 * counts[len(counts) // 2], column
    # From the artist's tracks on down, half the rank is about twice the plays.
    query = "SELECT count(*) n FROM good GROUP BY track_id ORDER BY n DESC"
    plays = [n for (n,) in db.execute(query).fetchall()]
    assert sum(plays[100:200]) / sum(plays[200:400]) == pytest.approx(1.05, abs=0.15)


def test_draws_of_one_row_do_not_hang_together(db: duckdb.DuckDBPyConnection) -> None:
    late = "(event_ts::DATE < day)::INT"
    for one, other in (
        ("(kind = 'play')::INT", "epoch_us(ingest_ts)"),
        ("user_id", "hash(track_id)"),
        (late, "user_id"),
        (late, "(kind = 'save')::INT"),
        ("ms_played", "epoch_us(ingest_ts)"),
    ):
        assert abs(value(db, f"SELECT corr({one}, {other}) FROM good WHERE day = '{FIRST}'")) < 0.06, (one, other)


def test_even_has_no_hot_track(tmp_path: Path) -> None:
    events = small(tmp_path, even=True, days=[FIRST])
    assert events.artist_tracks == ()
    counts = [n for (n,) in read(events).execute("SELECT count(*) FROM good GROUP BY track_id").fetchall()]
    assert len(counts) == 1000
    assert max(counts) < 3 * ROWS / 1000


def test_malformed_parquet_rows_are_wrong_in_turn(tmp_path: Path) -> None:
    db = read(small(tmp_path, rates=EventRates(malformed=0.003)))
    rows = db.execute(f"SELECT event_id, kind, track_id, ms_played, event_ts FROM rows WHERE NOT ({VALID})").fetchall()
    kinds = Counter[str]()
    for event_id, kind, track_id, ms_played, event_ts in rows:
        wrong = (track_id is None, kind == "rewind", ms_played < 0, event_id == "", event_ts is None)
        (place,) = [n for n, is_so in enumerate(wrong) if is_so]
        kinds[MALFORMED["parquet"][place]] += 1
    assert kinds == dict.fromkeys(MALFORMED["parquet"], 12)


def test_malformed_lines_are_wrong_in_turn(made_lines: GeneratedEvents) -> None:
    kinds = Counter[str]()
    for day in DAYS:
        faults = [kind for kind in map(fault, lines(made_lines, day)) if kind]
        assert len(faults) == made_lines.malformed[day]
        kinds.update(faults)
    assert kinds == dict.fromkeys(MALFORMED["jsonl"], 10)


def test_lines_hold_the_events_of_the_parquet_files(made: GeneratedEvents, made_lines: GeneratedEvents) -> None:
    for day in DAYS[:2]:
        written = lines(made_lines, day)
        assert len(written) == made_lines.rows[day]
        good = [json.loads(line) for line in written if not fault(line)]
        assert [list(event) for event in good] == [COLUMNS] * len(good)
        assert all(event["event_ts"].endswith("Z") and event["ingest_ts"].endswith("Z") for event in good)
        for event in good:
            event |= {name: datetime.fromisoformat(event[name]) for name in ("event_ts", "ingest_ts")}
        ids = {event["event_id"] for event in good}
        known = [row for row in pq.read_table(made.paths[day]).to_pylist() if row["event_id"] in ids]
        assert good == known


def test_days_follow_the_week(tmp_path: Path) -> None:
    events = small(tmp_path, rows=70_000, days=day_range(FIRST, FIRST + timedelta(days=6)))
    rows = list(events.rows.values())
    assert rows.index(max(rows)) == 4
    assert max(rows) < 1.25 * min(rows)


def test_a_row_a_day_is_enough_and_a_small_file_has_no_malformed_row(tmp_path: Path) -> None:
    events = small(tmp_path, rows=len(DAYS), rates=EventRates(malformed=0.0099))
    assert events.malformed == dict.fromkeys(DAYS, 0)
    assert value(read(events), "SELECT count(DISTINCT event_id) FROM good") == len(DAYS)
    assert set(events.rows) == set(DAYS)


def test_a_day_is_replaced_in_whichever_format_it_was(tmp_path: Path) -> None:
    small(tmp_path, rows=100)
    kept = digest(tmp_path)[f"events/play_events/{DAYS[1]}.parquet"]
    small(tmp_path, rows=100, days=[FIRST], format="jsonl")
    names = digest(tmp_path)
    assert f"events/play_events/{FIRST}.jsonl" in names
    assert f"events/play_events/{FIRST}.parquet" not in names
    assert names[f"events/play_events/{DAYS[1]}.parquet"] == kept


def test_a_folder_with_a_quote_in_its_name(tmp_path: Path) -> None:
    assert small(tmp_path / "it's", rows=100).paths[FIRST].exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": []}, "no days"),
        ({"rows": 4}, "do not fill 5 days"),
        ({"rows": 0}, "do not fill"),
        ({"tracks": 39}, "too few"),
        ({"tracks": 0, "even": True}, "too few"),
        ({"format": "csv"}, "unknown format"),
    ],
)
def test_impossible_requests_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(tmp_path, **change)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [{"malformed": 0.01}, {"duplicate": -0.1}, {"late": 1.5}])
def test_impossible_rates_are_refused(rate: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(rate))):
        EventRates(**rate)
    with pytest.raises(UsageError, match="together"):
        EventRates(duplicate=0.6, late=0.6)


def test_the_command_writes_to_the_landing_folder_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    monkeypatch.setenv("CONTENT_SIGNALS_LANDING", str(landing))
    words = ["generate", "events", "--rows", "200", "--days", "2", "--format", "jsonl"]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    assert "2 days" in done.output
    assert len(digest(landing)) == 2
    few = partial(generate_landing, tracks=400, playlists=12, tracks_per_playlist=20)
    monkeypatch.setattr("content_signals.local.landing.generate_landing", few)
    done = CliRunner().invoke(cli.app, ["generate", "landing", str(tmp_path / "other"), "--days", "2"])
    assert done.exit_code == 0, done.output
    assert len(digest(tmp_path / "other")) == 3


def test_the_command_leaves_a_linked_landing_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "landing").symlink_to(own)
    for landing in (str(tmp_path / "landing"), "s3://bucket/landing"):
        monkeypatch.setenv("CONTENT_SIGNALS_LANDING", landing)
        for command in ("events", "landing"):
            done = CliRunner().invoke(cli.app, ["generate", command, "--days", "2"])
            assert isinstance(done.exception, UsageError)
    assert list(own.iterdir()) == []
