"""Play events: files to source table to signals, every row against DuckDB's own reading of the same files."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.layout import LakeTable
from content_signals.lake.ranges import Ranges
from content_signals.lake.snapshot import Snapshot
from content_signals.local.events import EventRates, generate_events
from content_signals.pipeline import event_source
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.rebuild import rebuild
from content_signals.quality.baseline import Baseline
from tests import event_oracle
from tests.landing import an_event, write_event_table, write_events
from tests.oracle import assert_same_rows

pytestmark = pytest.mark.spark

DAY = date(2020, 3, 1)
DAYS = [DAY + timedelta(days=n) for n in range(3)]
RATES = EventRates(duplicate=0.05, late=0.05, delayed=0.1, malformed=0.008)
MOMENT = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("event_id", "kind", "track_id"), pa.string()),
        **dict.fromkeys(("user_id", "ms_played"), pa.int64()),
        **dict.fromkeys(("event_ts", "ingest_ts"), MOMENT),
    }
)


@pytest.fixture
def landing(context) -> Path:
    return Path(context.settings.landing)


@pytest.fixture
def source(context):
    return context.catalog.source("play_events")


@pytest.fixture
def events(context, spark, source):
    return lambda *days, on=context: ingest(on, spark, source, list(days) or [DAY])


def many(day: date, count: int = 1000) -> list[dict]:
    """Enough good events that a few bad ones stay below 1 %."""
    return [an_event(day, event_id=f"e{n}", track_id=f"t{n % 7}", user_id=n) for n in range(1, count + 1)]


def table(rows: list[dict]) -> pa.Table:
    times = {n: lambda text: text and datetime.fromisoformat(text) for n in ("event_ts", "ingest_ts")}
    typed = [{n: times[n](v) if n in times else v for n, v in row.items()} for row in rows]
    return pa.Table.from_pylist(typed, schema=SCHEMA)


def lake_rows(path: str) -> pa.Table:
    return DeltaTable(path).to_pyarrow_dataset().to_table()


def kept(context, *columns: str) -> list[tuple]:
    rows = lake_rows(context.lake.of(context.catalog.source("play_events")).path).to_pylist()
    return sorted(tuple(row[c] for c in columns) for row in rows)


def aside(context) -> list[tuple]:
    rows = lake_rows(context.lake.malformed(context.catalog.source("play_events")).path).to_pylist()
    return sorted((row["ds"], row["line_number"], row["raw"], row["reason"], row["file"]) for row in rows)


def digests(context) -> dict[date, str]:
    return Snapshot(context.lake.of(context.catalog.source("play_events"))).digests(DAYS)


def failure(outcome, day: date = DAY) -> str:
    assert outcome.exit_code == 65
    error = outcome.failed[day]
    assert isinstance(error, BrokenData)
    return str(error)


# --- good files


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
@pytest.mark.parametrize("big", [False, True], ids=["few", "many"])
def test_generated_files_equal_duckdbs_reading(context, landing, events, source, file_format, big, monkeypatch):
    if big:
        monkeypatch.setattr(event_source, "SMALL_ROWS", 1000)
        monkeypatch.setattr("content_signals.lake.ranges.ROWS_PER_FILE", 300)
    made = generate_events(landing, rows=3000, days=DAYS, seed=3, format=file_format, rates=RATES)
    outcome = events(*DAYS)
    assert (outcome.exit_code, outcome.rows_in) == (0, sum(made.rows.values()))
    assert (outcome.rows_out, outcome.quarantined) == (3000, sum(made.malformed.values()))
    assert outcome.details["duplicates"] == sum(made.duplicates.values()) > 100

    con = duckdb.connect()
    event_oracle.load(con, landing, DAYS)
    found = lake_rows(context.lake.of(source).path)
    assert assert_same_rows(con, found, "play_events_v1", event_oracle.EVENTS_KEY, ignore=("run_id",)) == 3000
    bad = con.execute("SELECT ds, line_number, raw FROM event_lines WHERE NOT good ORDER BY ALL").fetchall()
    assert len(bad) == outcome.quarantined > 15
    assert [(day, line) for day, line, *_ in aside(context)] == [(day, line) for day, line, _ in bad]
    assert {(day, file) for day, *_, file in aside(context)} <= {(d, str(p)) for d, p in made.paths.items()}
    if file_format == "jsonl":
        assert [raw for _, _, raw, *_ in aside(context)] == [raw for *_, raw in bad]
    if big:
        for day in DAYS:
            assert one_file_a_track(context.lake.of(source), day) >= 3


def one_file_a_track(table: LakeTable, day: date) -> int:
    """How many files a day has, after looking that they are sorted and that no track lies within the bounds of two."""
    paths = [f"{table.path}/{file.path}" for file in Snapshot(table).files_by_day[day]]
    tracks = [pq.read_table(path, columns=["track_id"], partitioning=None)["track_id"].to_pylist() for path in paths]
    assert all(found == sorted(found) for found in tracks)
    bounds = sorted((found[0], found[-1]) for found in tracks)
    assert all(last < first for (_, last), (first, _) in pairwise(bounds))
    return len(tracks)


def test_a_range_may_hold_every_format(context, landing, events, new_run):
    generate_events(landing, rows=900, days=DAYS[:1], seed=1, format="jsonl", rates=RATES)
    generate_events(landing, rows=900, days=DAYS[1:], seed=1, format="parquet", rates=RATES)
    generate_events(landing, rows=900, days=DAYS[2:], seed=2, format="jsonl", rates=RATES)
    plain = landing / "events" / "play_events" / f"{DAYS[2]}.jsonl"
    plain.with_suffix(".jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert events(*DAYS).days == DAYS
    con = duckdb.connect()
    event_oracle.load(con, landing, DAYS)
    found = lake_rows(context.lake.of(context.catalog.source("play_events")).path)
    assert assert_same_rows(con, found, "play_events_v1", event_oracle.EVENTS_KEY, ignore=("run_id",)) > 2000
    bad = con.execute("SELECT ds, line_number FROM event_lines WHERE NOT good ORDER BY ALL").fetchall()
    assert [(day, line) for day, line, *_ in aside(context)] == bad
    together = digests(context)
    for day in DAYS:  # again, and each by itself
        assert events(day, on=new_run(context)).exit_code == 0
    assert digests(context) == together
    assert [(day, line) for day, line, *_ in aside(context)] == bad


def test_of_an_event_that_arrives_again_the_first_is_kept(context, landing, events):
    first, second = f"{DAY}T10:00:05Z", f"{DAY}T10:00:06Z"
    write_events(
        landing,
        DAY,
        [
            an_event(DAY, ingest_ts=second, ms_played=1),
            an_event(DAY, ingest_ts=first, ms_played=2),
            an_event(DAY, ingest_ts=first, ms_played=2),
            an_event(DAY, ingest_ts=first, ms_played=3),
            an_event(DAY, track_id="t2", ingest_ts=second, ms_played=4),
        ],
    )
    outcome = events()
    # The id of an event counts within its track.
    assert kept(context, "track_id", "event_id", "ms_played") == [("t1", "e1", 2), ("t2", "e1", 4)]
    assert (outcome.rows_in, outcome.details["duplicates"]) == (5, 3)
    assert any("3 duplicates dropped" in line for line in context.said)


def test_an_event_counts_on_the_day_it_arrived(context, landing, events):
    moments = [
        f"{DAY - timedelta(days=7)}T00:00:00Z",
        f"{DAY}T23:59:59.999999Z",
        f"{DAY} 01:00:00",
        f"{DAY}T01:00:00+01:00",
    ]
    write_events(landing, DAY, [an_event(DAY, event_id=f"e{n}", event_ts=at) for n, at in enumerate(moments)])
    write_events(landing, DAYS[1], [an_event(DAYS[1], event_id="e0")])
    assert events(*DAYS[:2]).exit_code == 0
    found = [(ds, event_id, f"{at:%d %H:%M}") for ds, event_id, at in kept(context, "ds", "event_id", "event_ts")]
    assert found == [
        (DAY, "e0", "23 00:00"),
        (DAY, "e1", "01 23:59"),
        (DAY, "e2", "01 01:00"),
        (DAY, "e3", "01 00:00"),
        (DAYS[1], "e0", "02 10:00"),
    ]


def test_text_is_taken_as_it_comes(context, landing, events):
    lines = [
        "\ufeff" + json.dumps(an_event(DAY, event_id="夜", more={"nested": [1, {"a": "}{"}]})),
        an_event(DAY, user_id=-1),
    ]
    write_events(landing, DAY, lines, end="\r\n")
    assert events().exit_code == 0
    assert kept(context, "event_id", "user_id") == [("e1", -1), ("夜", 7)]


def test_what_wrote_the_parquet_file_may_have_other_names_for_its_types(context, landing, events):
    rows = table(many(DAY, 5))
    rows = rows.set_column(1, "kind", rows["kind"].combine_chunks().dictionary_encode())
    rows = rows.set_column(2, "track_id", rows["track_id"].cast(pa.large_string()))
    rows = rows.set_column(5, "event_ts", rows["event_ts"].cast(pa.timestamp("ms", "Europe/Berlin"), safe=False))
    write_event_table(landing, DAY, rows.append_column("more", pa.array(range(5))))
    assert events().exit_code == 0
    assert len(kept(context, "event_id")) == 5


# --- rows set aside


def a(**changes: object) -> str:
    return json.dumps(an_event(DAY, **changes))


def without(name: str) -> str:
    return json.dumps({n: v for n, v in an_event(DAY).items() if n != name})


BAD = {
    "not UTF-8": [a().encode().replace(b"t1", b"t\xff").decode("utf-8", "surrogateescape")],
    "blank line": ["", "  "],
    "not a JSON object": [
        "garbage",
        "null",
        "5",
        f"[{a()}]",
        a()[:100],
        a() + a(event_id="lost"),
        a() + "," + a(event_id="lost"),
        a() + " more",
        a() + "}",
        a().replace('"', "'"),
        a(user_id=float("nan")),
    ],
    "event_id is empty": [without("event_id"), a(event_id=""), a(event_id=" "), a(event_id=None), "{}"],
    "kind is not play, skip or save": [without("kind"), a(kind="rewind"), a(kind="Play"), a(kind="")],
    "track_id is empty": [without("track_id"), a(track_id=""), a(track_id=None)],
    "user_id is not a whole number": [without("user_id"), *(a(user_id=v) for v in ("7", 1.5, 10**30, [1], None, True))],
    "ms_played is not a whole number of 0 or more": [
        without("ms_played"),
        *(a(ms_played=value) for value in (-1, "long", 1.0, None)),
    ],
    "event_ts is not a time": [
        without("event_ts"),
        *(a(event_ts=v) for v in ("2020-13-01T00:00:00Z", "2020", str(DAY), "10:00:00", 1583020800, "", None)),
    ],
    "ingest_ts is not a time": [without("ingest_ts"), a(ingest_ts="2020-03-01T25:61:00Z"), a(ingest_ts=1583020800)],
    "ingest_ts is not on the file's day": [a(ingest_ts="2020-03-02T00:00:00Z"), a(ingest_ts="2020-02-29T23:59:59Z")],
    "event_ts is after the file's day": [a(event_ts="2020-03-02T00:00:00Z")],
    "event_ts is more than 7 days before the file's day": [a(event_ts="2020-02-22T23:59:59.999999Z")],
}


def test_each_malformed_line_is_set_aside_with_line_text_and_reason(context, landing, events):
    bad = [(line, reason) for reason, lines in BAD.items() for line in lines]
    twice = [*bad, *bad]  # the same line again is another row that is lost
    good = many(DAY, 12_000)
    path = write_events(landing, DAY, [*good[:600], *[line for line, _ in twice], *good[600:]])
    outcome = events()
    assert outcome.exit_code == 0, outcome.failed
    assert (outcome.rows_out, outcome.quarantined, outcome.rows_in) == (12_000, len(twice), 12_000 + len(twice))
    found = aside(context)
    assert [(line, reason) for _, line, _, reason, _ in found] == [(601 + n, r) for n, (_, r) in enumerate(twice)]
    for (line, _), (*_, raw, _, file) in zip(twice, found, strict=True):
        data = line.encode("utf-8", "surrogateescape")
        assert raw == (line if "\udcff" not in line else "0x" + data.hex().upper())
        assert file == str(path)


def test_each_malformed_row_of_a_parquet_file_is_set_aside(context, landing, events):
    bad = [
        ({"event_id": None}, "event_id is empty"),
        ({"kind": None}, "kind is not play, skip or save"),
        ({"track_id": " "}, "track_id is empty"),
        ({"user_id": None}, "user_id is not a whole number"),
        ({"ms_played": -1}, "ms_played is not a whole number of 0 or more"),
        ({"event_ts": None}, "event_ts is not a time"),
        ({"ingest_ts": None}, "ingest_ts is not a time"),
        ({"ingest_ts": "2020-03-02T00:00:00+00:00"}, "ingest_ts is not on the file's day"),
        ({"event_ts": "2020-02-22T00:00:00+00:00"}, "event_ts is more than 7 days before the file's day"),
    ]
    good = many(DAY, 2000)
    rows = table([*good[:600], *[an_event(DAY, **changes) for changes, _ in bad], *good[600:]])
    write_event_table(landing, DAY, rows, row_group_size=250)
    assert events().quarantined == len(bad)
    found = aside(context)
    assert [(line, reason) for _, line, _, reason, _ in found] == [(601 + n, r) for n, (_, r) in enumerate(bad)]
    # Moments with all their digits.
    assert json.loads(found[4][2]) == an_event(DAY, ms_played=-1)


def test_text_of_a_parquet_file_that_is_not_utf8_is_set_aside(context, landing, events):
    rows = table(many(DAY, 200))
    names = pa.array([f"e{n}".encode() + (b"\xff" if n == 7 else b"") for n in range(200)]).view(pa.string())
    write_event_table(landing, DAY, rows.set_column(0, "event_id", names))
    assert (events().quarantined, len(kept(context, "event_id"))) == (1, 199)
    ((_, line, raw, reason, _),) = aside(context)
    assert (line, reason, json.loads(raw)["event_id"]) == (8, "not UTF-8", "e7\ufffd")


def test_line_numbers_hold_in_a_file_of_several_blocks(context, landing, events, spark):
    lines = [json.dumps(row) for row in many(DAY, 3000)]
    for place in (0, 1999, 2999):
        lines[place] = f"bad {place}"
    write_events(landing, DAY, lines)
    write_events(landing, DAYS[1], [an_event(DAYS[1]), *many(DAYS[1], 300), "bad too"])
    spark.conf.set("spark.sql.files.maxPartitionBytes", "50000")
    try:
        assert events(*DAYS[:2]).exit_code == 0
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert [(day, line, raw) for day, line, raw, *_ in aside(context)] == [
        (DAY, 1, "bad 0"),
        (DAY, 2000, "bad 1999"),
        (DAY, 3000, "bad 2999"),
        (DAYS[1], 302, "bad too"),
    ]


def test_more_than_one_percent_malformed_stops_the_day_and_keeps_the_rows(context, landing, events):
    write_events(landing, DAY, [*many(DAY, 98), "x", "x"])
    write_events(landing, DAYS[1], ["x"] * 50)
    write_events(landing, DAYS[2], [*many(DAYS[2], 99), "x"])
    outcome = events(*DAYS)
    assert "2 of 100 rows are malformed (2.00%); at most 1.00% are allowed" in failure(outcome)
    assert "50 of 50 rows are malformed" in failure(outcome, DAYS[1])
    assert outcome.days == [DAYS[2]]
    assert (outcome.rows_in, outcome.quarantined) == (250, 53)
    assert len(aside(context)) == 53
    assert Snapshot(context.lake.of(context.catalog.source("play_events"))).days == [DAYS[2]]


def test_a_corrected_file_replaces_the_day_and_empties_its_quarantine(context, landing, events, new_run):
    write_events(landing, DAY, [*many(DAY, 200), "x"])
    events()
    assert len(aside(context)) == 1
    write_events(landing, DAY, [an_event(DAY)])
    assert events(on=new_run(context)).exit_code == 0
    assert aside(context) == []
    assert kept(context, "event_id") == [("e1",)]


# --- files that stop their day


def damaged(path: Path, at: float = 0.5, count: int = 400) -> None:
    data = bytearray(path.read_bytes())
    for place in range(int(len(data) * at), int(len(data) * at) + count):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))


def test_no_file_names_the_paths_looked_for(landing, events):
    with pytest.raises(
        NotLanded, match=r"2020-03-01\.parquet and .*2020-03-01\.jsonl and .*2020-03-01\.jsonl\.gz"
    ) as e:
        events()
    assert e.value.exit_code == 66


def test_two_files_for_one_day_stop_it(landing, events):
    write_events(landing, DAY, [an_event(DAY)])
    write_events(landing, DAY, [an_event(DAY)], gz=True)
    assert "two landing files claim the day" in failure(events())


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["nothing", "gzip of nothing"])
def test_an_empty_file_stops_the_day(landing, events, content):
    write_events(landing, DAY, [], gz=bool(content)).write_bytes(content)
    assert "the file is empty" in failure(events())


def test_a_parquet_file_without_rows_stops_the_day(landing, events):
    write_event_table(landing, DAY, table([]))
    assert "it has no rows" in failure(events())


def test_something_that_is_no_gzip_stops_the_day(landing, events):
    write_events(landing, DAY, [], gz=True).write_bytes(a().encode())
    assert "not a gzip file" in failure(events())


@pytest.mark.parametrize("kept_share", [0.3, 0.999])
def test_a_truncated_gzip_stops_the_day(context, landing, events, kept_share):
    path = write_events(landing, DAY, many(DAY, 3000), gz=True)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept_share)])
    message = failure(events())
    assert "cannot be read to its end" in message
    assert str(path) in message
    assert Snapshot(context.lake.of(context.catalog.source("play_events"))).days == []


def test_a_truncated_parquet_file_stops_the_day(landing, events):
    path = write_event_table(landing, DAY, table(many(DAY)))
    path.write_bytes(path.read_bytes()[:-20])
    assert "not readable Parquet" in failure(events())


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "none"])
def test_a_parquet_file_with_flipped_bits_stops_the_day(landing, events, codec):
    # What is not compressed can be decoded even so: only a checksum tells.
    path = write_event_table(
        landing, DAY, table(many(DAY, 5000)), compression=codec, write_page_checksum=codec == "none"
    )
    damaged(path, at=0.3, count=40)
    assert "cannot be read to its end" in failure(events())


def test_a_parquet_file_of_another_schema_stops_the_day(landing, events):
    rows = table(many(DAY, 5)).drop_columns(["kind"])
    rows = rows.set_column(3, "ms_played", rows["ms_played"].cast(pa.string()))
    rows = rows.set_column(4, "event_ts", rows["event_ts"].cast(pa.timestamp("ns", "UTC")))
    write_event_table(landing, DAY, rows)
    message = failure(events())
    assert "column kind, ms_played, event_ts is missing or of another type" in message
    assert "expected event_id string, kind string, track_id string, user_id int64, ms_played int64, event_ts" in message
    assert "ms_played string, event_ts timestamp[ns, tz=UTC]" in message


def test_in_a_range_the_other_days_go_on(context, landing, events):
    days = [DAY + timedelta(days=n) for n in range(6)]
    write_events(landing, days[0], many(days[0]))
    write_events(landing, days[1], many(days[1]), gz=True)
    damaged(landing / "events" / "play_events" / f"{days[1]}.jsonl.gz", count=40)
    # days[2] has not landed
    damaged(write_event_table(landing, days[3], table(many(days[3], 5000))), at=0.01, count=9000)
    write_event_table(landing, days[4], table(many(days[4])))
    write_events(landing, days[5], [])
    outcome = events(*days)
    assert outcome.days == [days[0], days[4]]
    assert set(outcome.failed) == {days[1], days[3], days[5]}
    assert set(outcome.skipped) == {days[2]}
    assert outcome.exit_code == 65
    assert len(kept(context, "event_id")) == 2000


# --- how it is done


def test_the_input_is_read_once_and_moved_once(landing, source, spark, capsys):
    ranges = Ranges(tuple(DAYS), "track_id", ("M",))
    for file_format in ("jsonl", "parquet"):
        made = generate_events(landing, rows=100, days=DAYS, seed=1, format=file_format)
        paths = {day: str(path) for day, path in made.paths.items()}
        for laid_out in (None, ranges):
            rows = event_source.events(spark, source, paths, laid_out)
            rows.sortWithinPartitions("track_id", "event_id").explain()
            plan = capsys.readouterr().out
            assert [plan.count(f"{word} ") for word in ("FileScan", "Exchange")] == [1, 1], plan
            assert laid_out is None or plan.count("Sort ") == 1, plan


def test_files_lie_by_track_and_readers_see_no_trace_of_rows_set_aside(context, landing, events, source, spark):
    generate_events(landing, rows=3000, days=DAYS, seed=3, format="jsonl", rates=RATES)
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    try:
        events(*DAYS)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "2")
    lake_table = context.lake.of(source)
    delta = DeltaTable(lake_table.path)
    assert [field.name for field in delta.schema().fields] == [*source.values, "run_id", "ds"]
    for path in Snapshot(lake_table).files():
        tracks = pq.read_table(path, columns=["track_id"], partitioning=None)["track_id"].to_pylist()
        assert tracks == sorted(tracks)
    statistics = {name.split(".", 1)[1] for name in delta.get_add_actions(flatten=True).schema.names if "." in name}
    assert statistics <= {*source.values, "run_id", "ds"}
    before = kept(context, *source.values)
    delta.optimize.compact()
    assert kept(context, *source.values) == before


# --- signals


def test_engagement_equals_the_recompute(context, spark, landing, events, new_run, monkeypatch):
    # Gaps, so that days lie just inside and just outside of every window.
    days = [DAY + timedelta(days=n) for n in (0, 1, 2, 6, 7, 8, 27, 28, 35, 63, 420)]
    generate_events(landing, rows=6000, days=days, seed=5, format="jsonl", tracks=150, rates=RATES)
    events(*days)
    # Days so far apart are not like the days before them.
    monkeypatch.setattr(Baseline, "before", lambda *_: [])
    outcome = rebuild(context, spark, {"track_engagement_v1": days})
    assert (outcome.exit_code, outcome.verdict, outcome.days) == (0, "passed", days)
    con = duckdb.connect()
    event_oracle.load(con, landing, days)
    found = lake_rows(context.lake.of(context.catalog.table("track_engagement")).path)
    assert assert_same_rows(con, found, "track_engagement_v1", event_oracle.ENGAGEMENT_KEY) > 1000
    assert con.execute("SELECT count(*) FROM track_engagement_v1 WHERE skip_ratio_1d IS NULL").fetchall() > [(10,)]
    monkeypatch.setattr("content_signals.pipeline.extract.FEW_KEYS", 50)
    monkeypatch.setattr("content_signals.lake.ranges.ROWS_PER_FILE", 40)
    one_day = rebuild(new_run(context), spark, {"track_engagement_v1": days[-1:]})
    assert one_day.exit_code == 0
    assert one_file_a_track(context.lake.of(context.catalog.table("track_engagement")), days[-1]) >= 3
    again = lake_rows(context.lake.of(context.catalog.table("track_engagement")).path)
    assert assert_same_rows(con, again, "track_engagement_v1", event_oracle.ENGAGEMENT_KEY) > 1000


def test_a_corrected_day_reaches_a_long_window_through_its_block(context, spark, landing, events, new_run):
    days = [DAY + timedelta(days=n) for n in (0, 10, 40, 200)]
    table = context.catalog.table("track_engagement")

    def check() -> int:
        con = duckdb.connect()
        event_oracle.load(con, landing, days)
        found = lake_rows(context.lake.of(table).path)
        wanted = f"SELECT * FROM track_engagement_v1 WHERE ds = DATE '{days[-1]}'"
        return assert_same_rows(con, found, wanted, event_oracle.ENGAGEMENT_KEY)

    generate_events(landing, rows=2000, days=days, seed=5, format="jsonl", tracks=100)
    events(*days)
    assert rebuild(context, spark, {table.table: days[-1:]}).exit_code == 0
    assert check() > 50
    coarse = Snapshot(context.lake.coarse_tiles(table))
    assert len(coarse.days) == 2
    before = {day: coarse.fence(day) for day in coarse.days}
    generate_events(landing, rows=500, days=days[1:2], seed=6, format="jsonl", tracks=100)
    events(days[1], on=new_run(context))
    assert rebuild(new_run(context), spark, {table.table: days[-1:]}).exit_code == 0
    assert check() > 50
    after = Snapshot(context.lake.coarse_tiles(table))
    assert [after.fence(day) == fence for day, fence in before.items()] == [False, True]
