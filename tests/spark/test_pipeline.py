"""Extract, promote, rebuild: every value against the DuckDB recompute, whatever the order in which days landed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Windowed
from content_signals.errors import NotLanded, Superseded, Temporary
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.promote import promote
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import read_stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.stale import stale_days
from jobs import rebuild_signals
from tests import oracle
from tests.landing import held, write_positions
from tests.settings import settings_in

FIRST = date(2020, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
# What each playlist holds each day; a day without the playlist is one on which it was not observed.
STORY = [
    {"P": "abc", "Q": "ax"},
    {"P": "abd", "Q": "ax", "Z": "z"},
    {"P": "bd", "Z": "zy"},
    {"P": "bdc", "Q": "x"},
    {"P": "bdc", "Q": "xa", "Z": "y"},
    {"P": "a", "Q": "xab", "Z": "yz"},
]
TABLES = ("playlist_changes_v1", "track_popularity_v1")
# Others are made of these too: not here.
KNOWN = Catalog(map(catalog().any, ("playlist_positions_v1", "catalogue_tracks_v1", *TABLES)))
KEYS = {"playlist_changes_v1": oracle.CHANGES_KEY, "track_popularity_v1": oracle.POPULARITY_KEY}


def write_story(folder: Path) -> None:
    for day, playlists in zip(DAYS, STORY, strict=True):
        write_positions(folder, day, held(day, playlists))


@pytest.fixture
def context(context) -> Context:
    return replace(context, catalog=KNOWN)


@pytest.fixture
def landing(context) -> Path:
    folder = Path(context.settings.landing)
    write_story(folder)
    return folder


@pytest.fixture
def ingested(context, spark, landing):
    return lambda *days, on=context: ingest(on, spark, on.catalog.source("playlist_positions"), days)


@pytest.fixture(scope="module")
def fresh(spark, tmp_path_factory) -> Context:
    """A lake of all the days, built as one range after all of them had landed."""
    settings = settings_in(tmp_path_factory.mktemp("fresh"))
    made = Context(settings, Lake(settings.lake), KNOWN, start_run(), lambda _: None)
    write_story(Path(settings.landing))
    ingest(made, spark, made.catalog.source("playlist_positions"), DAYS)
    build(made, spark, DAYS)
    return made


@pytest.fixture
def built(context, landing, fresh) -> None:
    """The test's own lake is a copy of the fresh one."""
    shutil.copytree(fresh.settings.lake, context.settings.lake)


def build(context, spark, days, tables=TABLES) -> None:
    """Extract and promote, without a verdict: rules are another test's business."""
    for name in tables:
        table = context.catalog.table(name)
        for day in extract(context, spark, table, list(days)).days:
            stage = read_stage(context.lake.of(table), day, context.run.run_id)
            promote(context.lake.of(table), stage, stage.files)


def rebuild_stale(context) -> Outcome:
    """Extract, validate and promote what `content-signals stale` lists, as the job does."""
    return rebuild_signals.work(context, rebuild_signals.arguments().parse_args(["--stale"]), [])


def test_a_day_names_the_versions_it_was_made_from(fresh):
    for name in TABLES:
        table = fresh.catalog.table(name)
        stage = Snapshot(fresh.lake.of(table)).stage(DAYS[-1])
        paths = {read.table: fresh.lake.of(fresh.catalog.any(read.table)).path for read in table.all_inputs}
        assert stage.read_at == {name: DeltaTable(path).version() for name, path in paths.items()}


def test_a_rebuild_leaves_out_what_it_is_told_and_what_is_made_from_it(context):
    full = replace(context, catalog=catalog())
    asked = rebuild_signals.arguments().parse_args
    whole = rebuild_signals._plan(full, asked(["--tables", "playlist_changes"]), DAYS)
    assert whole == dict.fromkeys(["playlist_changes_v1", "track_neighbours_v1", "track_popularity_v1"], DAYS)
    words = ["--tables", "playlist_changes", "--without", "track_neighbours_v1"]
    assert rebuild_signals._plan(full, asked(words), DAYS) == dict.fromkeys(TABLES, DAYS)
    words = ["--tables", "playlist_changes,track_title", "--without", "playlist_changes"]
    assert list(rebuild_signals._plan(full, asked(words), DAYS)) == ["track_title_v1"]


def rows(context, name: str):
    return DeltaTable(context.lake.of(context.catalog.any(name)).path).to_pyarrow_dataset().to_table()


def assert_equals_recompute(context, landing: Path, days=DAYS) -> None:
    con = duckdb.connect()
    oracle.load(con, landing, days)
    for name in TABLES:
        assert oracle.assert_same_rows(con, rows(context, name), f"SELECT * FROM {name}", KEYS[name]) > 0


def digests(context, name: str) -> dict[date, str]:
    return Snapshot(context.lake.of(context.catalog.any(name))).digests(DAYS)


def test_a_range_equals_the_recompute(context, landing, built):
    assert_equals_recompute(context, landing)
    assert stale_days(context) == []


def test_day_by_day_equals_the_range(context, spark, landing, ingested, new_run):
    for day in DAYS:
        run = new_run(context)
        ingested(day, on=run)
        build(run, spark, [day])
    assert_equals_recompute(context, landing)
    assert stale_days(context) == []


def test_a_day_that_lands_last(context, spark, landing, ingested, new_run, fresh):
    late = DAYS[2]
    ingested(*[day for day in DAYS if day != late])
    build(context, spark, DAYS)
    ingested(late, on=new_run(context))
    listed = [(entry.table, entry.day, entry.state) for entry in stale_days(context)]
    # The late day itself; the next observation of what was observed on it (P and Z, not Q); the windows from there on.
    assert listed == [
        ("playlist_changes_v1", late, "missing"),
        ("playlist_changes_v1", DAYS[3], "stale"),
        ("playlist_changes_v1", DAYS[4], "stale"),
        ("track_popularity_v1", late, "missing"),
        ("track_popularity_v1", DAYS[3], "stale"),
        ("track_popularity_v1", DAYS[4], "stale"),
        ("track_popularity_v1", DAYS[5], "stale"),
    ]
    done = rebuild_stale(new_run(context))
    assert (done.exit_code, done.verdict) == (0, "passed")
    assert [(name, report["days"]) for name, report in done.details["tables"].items()] == [
        (TABLES[0], 3),
        (TABLES[1], 4),
    ]
    assert {name: digests(context, name) for name in TABLES} == {name: digests(fresh, name) for name in TABLES}
    assert_equals_recompute(context, landing)
    assert stale_days(context) == []


def test_a_corrected_day(context, landing, ingested, built, new_run):
    write_positions(landing, DAYS[1], held(DAYS[1], {"P": "ab", "Q": "axq", "Z": "z"}))
    ingested(DAYS[1], on=new_run(context))
    entries = stale_days(context)
    assert (
        {(e.table, e.day) for e in entries}
        == {
            *(("playlist_changes_v1", day) for day in DAYS[1:4]),  # Q is observed next on the fourth day
            *(("track_popularity_v1", day) for day in DAYS[1:]),
        }
    )
    done = rebuild_stale(new_run(context))
    assert (done.exit_code, done.days) == (0, DAYS[1:])
    assert_equals_recompute(context, landing)
    assert stale_days(context) == []


def test_a_file_delivered_again_unchanged_makes_nothing_stale(context, ingested, built, new_run):
    ingested(DAYS[1], on=new_run(context))
    assert stale_days(context) == []
    assert rebuild_stale(new_run(context)).days == []


def test_rebuilding_gives_the_same_rows_and_keeps_computed_at(context, spark, built, new_run):
    before = {name: (digests(context, name), rows(context, name).sort_by("ds")) for name in TABLES}
    build(new_run(context), spark, DAYS)
    for name in TABLES:
        digest, table = before[name]
        assert digests(context, name) == digest
        again = rows(context, name)
        assert set(again.column("computed_at").to_pylist()) == set(table.column("computed_at").to_pylist())
        assert set(again.column("run_id").to_pylist()) != set(table.column("run_id").to_pylist())


def test_only_changed_rows_get_a_new_computed_at(context, spark, landing, ingested, new_run):
    ingested(*DAYS[:2])
    build(context, spark, DAYS[:2])
    write_positions(landing, DAYS[1], held(DAYS[1], {"P": "abe", "Q": "ax", "Z": "z"}))
    again = new_run(context)
    ingested(DAYS[1], on=again)
    build(again, spark, [DAYS[1]])
    when = {
        r["track_id"]: r["computed_at"] for r in rows(context, "track_popularity").to_pylist() if r["ds"] == DAYS[1]
    }
    assert {track for track, at in when.items() if at == again.run.now} == {"e"}


def test_superseded_rows_move_to_the_history(context, spark, landing, ingested, built, new_run):
    history = {name: context.lake.of(context.catalog.table(name)).history.path for name in TABLES}
    build(new_run(context), spark, DAYS)
    assert not any(DeltaTable.is_deltatable(path) for path in history.values())  # nothing has changed
    before = {name: rows(context, name) for name in TABLES}
    write_positions(landing, DAYS[1], held(DAYS[1], {"P": "abe", "Q": "a", "Z": "z"}))
    corrected = new_run(context)
    ingested(DAYS[1], on=corrected)
    build(corrected, spark, DAYS)
    for name in TABLES:
        con = duckdb.connect()
        con.register("before", before[name])
        con.register("after", rows(context, name))
        con.register("kept", kept := DeltaTable(history[name]).to_pyarrow_dataset().to_table())
        assert set(kept.column("superseded_at").to_pylist()) == {corrected.run.now}
        gone = """SELECT * EXCLUDE (run_id, computed_at) FROM before
                  EXCEPT SELECT * EXCLUDE (run_id, computed_at) FROM after"""
        # Every row that is not there any more, as it was, and with when it was known from and by which run.
        assert con.execute(f"SELECT count(*) FROM ({gone})").fetchone()[0] == kept.num_rows > 0
        same = "SELECT * EXCLUDE (superseded_at) FROM kept"
        assert con.execute(f"({same}) EXCEPT SELECT * FROM before").fetchall() == []


def test_a_day_reads_its_own_rows_and_tiles_of_earlier_days(context, spark, landing, ingested, new_run):
    ingested(*DAYS)
    build(context, spark, DAYS[:5])
    changes = context.lake.of(context.catalog.table("playlist_changes"))
    build(new_run(context), spark, DAYS[5:], ["playlist_changes_v1"])
    # With the rows of earlier days gone from under their tables, the last day can only be made from tiles.
    positions = context.lake.of(context.catalog.source("playlist_positions"))
    for table in (changes, positions):
        for file in Snapshot(table).files(DAYS[:5]):
            Path(file).unlink()
    build(new_run(context), spark, DAYS[5:], ["track_popularity_v1"])
    con = duckdb.connect()
    oracle.load(con, landing, DAYS)
    expected = f"SELECT * FROM track_popularity_v1 WHERE ds = DATE '{DAYS[5]}'"
    last = rows(context, "track_popularity").filter(pc.field("ds") == DAYS[5])
    assert oracle.assert_same_rows(con, last, expected, oracle.POPULARITY_KEY) > 0


def test_a_column_added_to_a_live_table(context, spark, landing, built, new_run):
    table = context.catalog.table("track_popularity")
    more = Windowed(
        "playlists_lost_3d", op="count", of="playlist_changes_v1", where="change = 'removed'", days=3, about="x"
    )
    also = Windowed("q_changes_7d", op="count", of="playlist_changes_v1", where="playlist = 'Q'", days=7, about="x")
    wider = replace(table, columns=(*table.columns, more, also))
    others = [t for t in context.catalog.tables if t.table != table.table]
    grown = replace(new_run(context), catalog=Catalog([*context.catalog.sources, *others, wider]))
    build(grown, spark, DAYS[5:], ["track_popularity_v1"])
    read = rows(context, "track_popularity").to_pylist()
    assert {row["playlists_lost_3d"] is None for row in read if row["ds"] < DAYS[5]} == {True}
    # Filled by a rebuild of the range; tiles that lack the new partial are made again.
    build(replace(new_run(context), catalog=grown.catalog), spark, DAYS, ["track_popularity_v1"])
    con = duckdb.connect()
    oracle.load(con, landing, DAYS)
    con.register("actual", rows(context, "track_popularity"))
    wrong = con.execute(
        """SELECT count(*) FROM actual a WHERE
           playlists_lost_3d IS DISTINCT FROM (SELECT count(*) FROM playlist_changes_v1 c WHERE c.track_id = a.track_id
             AND c.change = 'removed' AND c.ds <= a.ds AND c.ds > a.ds - 3)
           OR q_changes_7d IS DISTINCT FROM (SELECT count(*) FROM playlist_changes_v1 c WHERE c.track_id = a.track_id
             AND c.playlist = 'Q' AND c.ds <= a.ds AND c.ds > a.ds - 7)"""
    ).fetchone()[0]
    assert wrong == 0
    assert {"playlists_lost_3d", "q_changes_7d"} <= set(rows(context, "track_popularity").column_names)


def test_a_zombie_that_finishes_late_changes_nothing(context, spark, landing, ingested, new_run):
    ingested(*DAYS[:2])
    zombie = new_run(context)
    table = context.catalog.table("playlist_changes")
    extract(zombie, spark, table, DAYS[:2])
    build(new_run(context), spark, DAYS[:2], ["playlist_changes_v1"])
    before = rows(context, "playlist_changes")
    stage = read_stage(context.lake.of(table), DAYS[1], zombie.run.run_id)
    with pytest.raises(Superseded):
        promote(context.lake.of(table), stage, stage.files)
    assert rows(context, "playlist_changes").equals(before)


def test_a_day_that_has_not_landed(context, spark, landing, ingested):
    ingested(DAYS[0])
    with pytest.raises(NotLanded, match="playlist_positions_v1 2020-03-02 has not been promoted") as error:
        extract(context, spark, context.catalog.table("playlist_changes"), [DAYS[1]])
    assert error.value.exit_code == 66
    outcome = extract(context, spark, context.catalog.table("playlist_changes"), DAYS[:2])
    assert (outcome.days, list(outcome.skipped), outcome.exit_code) == ([DAYS[0]], [DAYS[1]], 0)


def test_another_input_that_is_not_there_yet_is_waited_for(context, spark, landing, ingested):
    ingested(DAYS[0])
    build(context, spark, DAYS[:1], ["playlist_changes_v1"])
    table = context.catalog.table("track_popularity")
    late = replace(table, inputs=(*table.inputs, replace(table.inputs[0], table="catalogue_tracks_v1", where="")))
    with pytest.raises(Temporary, match="catalogue_tracks_v1 2020-03-01 has not been promoted yet") as error:
        extract(context, spark, late, DAYS[:1])
    assert error.value.exit_code == 75


def test_a_first_observation_has_no_changes_but_its_day_is_promoted(context, spark, landing, ingested):
    ingested(DAYS[0])
    build(context, spark, DAYS[:1])
    assert Snapshot(context.lake.of(context.catalog.table("playlist_changes"))).days == [DAYS[0]]
    assert rows(context, "track_popularity").num_rows == 4
