"""Ingest: strict parsing, nothing lost, each bad input with its message."""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.errors import BrokenData, NotLanded, Temporary
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline import ingest as ingest_module
from content_signals.pipeline.ingest import ingest
from tests.landing import HEADER, held, write_catalogue, write_positions

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def landing(context) -> Path:
    return Path(context.settings.landing)


@pytest.fixture
def positions(context, spark):
    source = context.catalog.source("playlist_positions")
    return lambda *days, on=context: ingest(on, spark, source, list(days) or [DAY])


@pytest.fixture
def tracks(context, spark):
    source = context.catalog.source("catalogue_tracks")
    return lambda *days: ingest(context, spark, source, list(days) or [DAY])


def source_rows(context, name: str, *columns: str) -> list[tuple]:
    table = DeltaTable(context.lake.of(context.catalog.source(name)).path).to_pyarrow_dataset().to_table()
    return sorted(tuple(row[c] for c in columns) for row in table.to_pylist())


def aside(context, name: str = "playlist_positions") -> list[tuple]:
    table = DeltaTable(context.lake.malformed(context.catalog.source(name)).path).to_pyarrow_dataset().to_table()
    return sorted((str(r["ds"]), r["line_number"], r["raw"], r["reason"]) for r in table.to_pylist())


def many(day: date, count: int = 1000) -> list[str]:
    """Enough good rows that a few bad ones stay below 1 %."""
    return [f"{day},Big,{n},track{n}" for n in range(1, count + 1)]


def failure(outcome, day: date = DAY) -> str:
    assert outcome.exit_code == 65
    error = outcome.failed[day]
    assert isinstance(error, BrokenData)
    return str(error)


def test_good_rows_land_as_they_are(context, landing, positions):
    write_positions(
        landing, DAY, [f'{DAY},"Rock, Pop",1,a', f'{DAY},"He said ""hi""",2,b', f'{DAY},R\\B \\"x,3,c', f"{DAY},夜,4,d"]
    )
    outcome = positions()
    assert (outcome.rows_in, outcome.rows_out, outcome.quarantined, outcome.exit_code) == (4, 4, 0, 0)
    names = {
        row[0] for row in source_rows(context, "playlist_positions", "playlist", "position", "track_id", "observed")
    }
    assert names == {"Rock, Pop", 'He said "hi"', 'R\\B \\"x', "夜"}


def test_plain_csv_with_carriage_returns_and_byte_order_mark(context, landing, positions):
    write_positions(landing, DAY, [f"{DAY},P,1,a"], header="\ufeff" + HEADER, end="\r\n", gz=False)
    assert positions().exit_code == 0
    assert source_rows(context, "playlist_positions", "playlist", "track_id") == [("P", "a")]


def test_exact_duplicates_are_dropped_and_counted(context, landing, positions):
    write_positions(landing, DAY, [f"{DAY},P,1,a", f"{DAY},P,1,a", f"{DAY},P,2,a", f"{DAY},P,1,a"])
    outcome = positions()
    assert outcome.details["duplicates"] == 2
    assert source_rows(context, "playlist_positions", "position", "track_id") == [(1, "a"), (2, "a")]


BAD = {
    "not the 4 fields date, playlist, position, track_id": [f"{DAY},P,1", f"{DAY},P,1,a,b", "no commas"],
    "date is not the file's day": ["2020-03-02,P,1,a", ",P,1,a", "01/03/2020,P,1,a"],
    "playlist is empty": [f"{DAY},,1,a", f'{DAY}," ",1,a'],
    "position is not an integer of 1 or more": [
        f"{DAY},P,{value},a" for value in ("0", "-1", "1.0", "x", "", " 1", "+1", "1e2", "99999999999")
    ],
    "track_id is empty": [f"{DAY},P,1,", f"{DAY},P,1,  "],
    "blank line": [""],
    "not UTF-8": [b"2020-03-01,P\xff,1,a".decode("utf-8", "surrogateescape")],
}


def test_each_malformed_row_is_set_aside_with_line_text_and_reason(context, landing, positions):
    bad = [(line, reason) for reason, lines in BAD.items() for line in lines]
    good = many(DAY, 3000)
    lines = [*good[:1500], *[line for line, _ in bad], *good[1500:]]
    path = write_positions(landing, DAY, lines)
    outcome = positions()
    assert outcome.exit_code == 0, outcome.failed
    assert (outcome.quarantined, outcome.rows_out) == (len(bad), 3000)
    # The header is line 1, so the first malformed row is line 1502.
    expected = [(str(DAY), 1502 + n, reason) for n, (_, reason) in enumerate(bad)]
    assert [(day, number, reason) for day, number, _, reason in aside(context)] == expected
    raws = {number: raw for _, number, raw, _ in aside(context)}
    for n, (line, _) in enumerate(bad):
        data = line.encode("utf-8", "surrogateescape")
        assert raws[1502 + n] == (line if "\udcff" not in line else "0x" + data.hex().upper())
    table = DeltaTable(context.lake.malformed(context.catalog.source("playlist_positions")).path)
    assert set(table.to_pyarrow_dataset().to_table().column("file").to_pylist()) == {str(path)}


def test_line_numbers_hold_in_a_file_of_several_blocks(context, landing, positions, spark):
    lines = many(DAY, 5000)
    lines[3999] = f"{DAY},Big,zero,bad"
    write_positions(landing, DAY, lines, gz=False)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "10000")
    try:
        positions()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert [(number, raw) for _, number, raw, _ in aside(context)] == [(4001, f"{DAY},Big,zero,bad")]


def test_a_playlist_with_a_row_set_aside_is_not_observed(context, landing, positions):
    lines = [
        *many(DAY),
        *held(DAY, {"Hole": "ab", "Whole": "ab", "Rock, Pop": "a"}),
        f"{DAY},Hole,x,c",
        f"{DAY},Rock, Pop,2,d",
    ]
    lines = [line.replace("Rock, Pop,1", '"Rock, Pop",1') for line in lines]
    write_positions(landing, DAY, lines)
    assert positions().exit_code == 0
    observed = dict(source_rows(context, "playlist_positions", "playlist", "observed"))
    # The unquoted comma of the last line is understood well enough to know whose list has the hole.
    assert observed == {"Big": True, "Hole": False, "Whole": True, "Rock, Pop": False}


def test_more_than_one_percent_malformed_stops_the_day_and_keeps_the_rows(context, landing, positions):
    write_positions(landing, DAY, [*many(DAY, 98), f"{DAY},P,0,a", f"{DAY},P,0,b"])
    message = failure(positions())
    assert "2 of 100 rows are malformed (2.00%); at most 1.00% are allowed" in message
    assert "nothing was ingested" in message
    assert len(aside(context)) == 2
    assert Snapshot(context.lake.of(context.catalog.source("playlist_positions"))).days == []


def test_exactly_one_percent_passes(landing, positions):
    write_positions(landing, DAY, [*many(DAY, 99), f"{DAY},P,0,a"])
    assert positions().exit_code == 0


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("date,playlist,track_id,position", "found date, playlist, track_id, position"),
        ("date;playlist;position;track_id", "found date;playlist;position;track_id"),
        ("date,playlist,position", "found date, playlist, position"),
        (f"{DAY},P,1,a", f"found {DAY}, P, 1, a"),
    ],
)
def test_a_wrong_or_missing_header_stops_the_day(landing, positions, header, found):
    path = write_positions(landing, DAY, [f"{DAY},P,2,b"], header=header)
    message = failure(positions())
    assert str(path) in message
    assert "expected the columns date, playlist, position, track_id" in message
    assert found in message


@pytest.mark.parametrize("gz", [True, False])
def test_an_empty_file_stops_the_day(landing, positions, gz):
    path = write_positions(landing, DAY, [], gz=gz)
    path.write_bytes(b"")
    assert "the file is empty" in failure(positions())


def test_a_gzip_of_nothing_stops_the_day(landing, positions):
    path = write_positions(landing, DAY, [])
    path.write_bytes(gzip.compress(b""))
    assert "the file is empty" in failure(positions())


def test_a_header_without_rows_stops_the_day(landing, positions):
    write_positions(landing, DAY, [])
    assert "a header and no rows" in failure(positions())


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_gzip_stops_the_day(context, landing, positions, kept):
    import random

    noise = random.Random(7)
    path = write_positions(landing, DAY, [f"{DAY},P,{n},{noise.getrandbits(128):032x}" for n in range(1, 5000)])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    message = failure(positions())
    assert "cannot be read to its end" in message
    assert str(path) in message
    assert Snapshot(context.lake.of(context.catalog.source("playlist_positions"))).days == []


def test_a_gzip_with_flipped_bits_stops_the_day(landing, positions):
    path = write_positions(landing, DAY, many(DAY, 5000))
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 40):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    assert "cannot be read to its end" in failure(positions())


def test_something_that_is_no_gzip_stops_the_day(landing, positions):
    path = write_positions(landing, DAY, [])
    path.write_bytes(b"date,playlist,position,track_id\n2020-03-01,P,1,a\n")
    assert "not a gzip file" in failure(positions())


def test_no_file_names_the_paths_looked_for(landing, positions):
    with pytest.raises(
        NotLanded, match=r"playlists/daily/2020-03-01\.csv\.gz and .*playlists/daily/2020-03-01\.csv"
    ) as error:
        positions()
    assert error.value.exit_code == 66


def test_two_files_for_one_day_stop_it(landing, positions):
    write_positions(landing, DAY, [f"{DAY},P,1,a"])
    write_positions(landing, DAY, [f"{DAY},P,1,b"], gz=False)
    assert "two landing files claim the day" in failure(positions())


def test_in_a_range_the_other_days_go_on(context, landing, positions):
    days = [DAY + timedelta(days=n) for n in range(5)]
    write_positions(landing, days[0], [f"{days[0]},P,1,a"])
    write_positions(landing, days[1], [f"{days[1]},P,1,a"], header="x,y")
    # days[2] has not landed
    damaged = write_positions(landing, days[3], [f"{days[3]},P,{n},{n * 7919}" for n in range(1, 3000)])
    damaged.write_bytes(damaged.read_bytes()[:-200])
    write_positions(landing, days[4], [f"{days[4]},P,1,b"])
    outcome = positions(*days)
    assert outcome.days == [days[0], days[4]]
    assert set(outcome.failed) == {days[1], days[3]}
    assert set(outcome.skipped) == {days[2]}
    assert outcome.exit_code == 65


def test_a_corrected_file_replaces_the_day_and_empties_its_quarantine(context, landing, positions, new_run):
    write_positions(landing, DAY, [*many(DAY, 200), f"{DAY},P,0,a"])
    write_positions(landing, NEXT, [f"{NEXT},P,1,keep"])
    positions(DAY, NEXT)
    assert len(aside(context)) == 1
    write_positions(landing, DAY, [f"{DAY},P,1,a"])
    assert positions(DAY, on=new_run(context)).exit_code == 0
    assert aside(context) == []
    assert source_rows(context, "playlist_positions", "track_id") == [("a",), ("keep",)]


def test_the_same_file_again_has_the_same_digest(context, landing, positions, new_run):
    write_positions(landing, DAY, many(DAY, 50))
    source = context.lake.of(context.catalog.source("playlist_positions"))
    positions()
    first = Snapshot(source).stage(DAY)
    positions(on=new_run(context))
    again = Snapshot(source).stage(DAY)
    assert first.digest == again.digest
    assert first.fence < again.fence


CATALOGUE = [
    ("a", "Blue", "X", "al", "3:10", DAY),
    ("b", "Red", "Y", "al", "200", NEXT),
    ("b", "Red", "Y", "al", "200", NEXT),
]


def test_each_day_has_the_tracks_seen_by_then(context, landing, tracks):
    write_catalogue(landing, CATALOGUE)
    outcome = tracks(DAY, NEXT)
    assert source_rows(context, "catalogue_tracks", "ds", "track_id") == [(DAY, "a"), (NEXT, "a"), (NEXT, "b")]
    assert outcome.details["duplicates"] == 1


def test_a_day_before_the_first_track_was_seen_is_promoted_empty(context, landing, tracks):
    write_catalogue(
        landing, [*CATALOGUE, *((f"t{n}", "T", "A", "al", "1:00", NEXT) for n in range(200)), ("",) * 5 + (DAY,)]
    )
    before = DAY - timedelta(days=1)
    outcome = tracks(before, DAY)
    assert (outcome.days, outcome.failed, outcome.exit_code) == ([before, DAY], {}, 0)
    assert Snapshot(context.lake.of(context.catalog.source("catalogue_tracks"))).days == [before, DAY]
    assert source_rows(context, "catalogue_tracks", "ds", "track_id") == [(DAY, "a")]


def test_an_empty_catalogue_stops_the_day(landing, tracks):
    write_catalogue(landing, [])
    assert "it has no rows" in failure(tracks())


def test_too_many_malformed_rows_of_the_whole_catalogue_stop_the_day(landing, tracks):
    write_catalogue(landing, [*CATALOGUE, ("", "T", "A", "al", "1:00", DAY)])
    assert "1 of 4 rows are malformed (25.00%)" in failure(tracks())


def test_a_day_that_cannot_be_promoted_does_not_hide_the_others(landing, positions, monkeypatch):
    write_positions(landing, DAY, [f"{DAY},P,1,a"])
    write_positions(landing, NEXT, [f"{NEXT},P,1,a"])
    real = ingest_module.promote

    def promote(table, stage, files, **more):
        if stage.day == str(NEXT):
            raise Temporary("other runs won")
        return real(table, stage, files, **more)

    monkeypatch.setattr(ingest_module, "promote", promote)
    outcome = positions(DAY, NEXT)
    assert (outcome.days, set(outcome.failed), outcome.exit_code) == ([DAY], {NEXT}, 75)


def test_bad_catalogue_rows_are_set_aside(context, landing, tracks):
    good = [(f"t{n}", "T", "A", "al", "1:00", DAY) for n in range(400)]
    twice = ("t7", "Another title", "A", "al", "1:00", DAY)
    write_catalogue(landing, [*good, ("", "T", "A", "al", "1:00", DAY), ("u", "T", "A", "al", "1:00", None), twice])
    assert tracks().exit_code == 0
    reasons = [(number, reason) for _, number, _, reason in aside(context, "catalogue_tracks")]
    # Of two rows for one track, seen the same day, the smaller title stays.
    assert reasons == [
        (8, "another row of the same track is kept"),
        (401, "track_id is empty"),
        (402, "first_seen is empty"),
    ]


def test_a_catalogue_without_a_column_stops_the_day(landing, tracks):
    path = write_catalogue(landing, [])
    pq.write_table(pa.table({"track_id": ["a"], "title": ["T"], "first_seen": ["2020-03-01"]}), path)
    message = failure(tracks())
    assert "column artists, album_id, length, first_seen is missing or of another type" in message
    assert "found track_id string, title string, first_seen string" in message


def test_a_damaged_catalogue_stops_the_day(landing, tracks):
    path = write_catalogue(landing, CATALOGUE)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not readable Parquet" in failure(tracks())
