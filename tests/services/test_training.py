"""Training sets beside a brute-force oracle: ties, late rows, corrections, withdrawn rows, ttl, nulls, repetitions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from content_signals import cli
from content_signals.catalog import Catalog, catalog
from content_signals.errors import Refused, UnknownName, UsageError
from content_signals.features import training_duckdb
from content_signals.features.registry import register
from content_signals.features.store import feature_store
from content_signals.features.training import training_set, training_set_from
from content_signals.lake.maintain import maintain
from content_signals.lake.manifests import manifest, pinned, release
from content_signals.lake.purge import purge
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import GIVEN_BACK, TAKEN_DOWN, Takedown, add_takedown
from content_signals.settings import PROJECT
from tests.lake import promoted
from tests.settings import settings_in
from tests.training_oracle import DAYS, FIRST, KEYS, MOMENT, SERVICE, TITLE, Row, Story, asked, expected, tell


@pytest.fixture
def settings(tmp_path: Path):
    made = settings_in(tmp_path)
    register(feature_store(made), made)
    return made


@pytest.fixture
def story(settings) -> Story:
    return Story(settings)


@pytest.mark.parametrize("mode", ["event", "known"])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_is_the_oracles(story, settings, seed, mode):
    chance = random.Random(seed)
    tell(story, chance)
    rows = asked(story, chance)
    for name in ("_place", "_event", "_since", "_hash", "_hash_track_id", "_v0", "v0", "found", "e"):  # anybody's
        rows = rows.append_column(name, rows.column("label"))
    found = training_set(rows, SERVICE, mode, settings=settings, keep=False).arrow()
    assert found.column(f"{TITLE}__duration_ms").to_pylist() == expected(story, rows, mode)
    in_utc = rows.set_column(2, "event_timestamp", rows.column("event_timestamp").cast(MOMENT))
    assert found.select(rows.column_names).equals(in_utc)  # all of them, in order


@pytest.mark.parametrize("mode", ["event", "known"])
def test_files_that_duckdb_does_not_open_itself_give_the_same(story, settings, monkeypatch, mode):
    """As those of an object store: read through Arrow, by whatever numbers them alike in each reading."""
    chance = random.Random(3)
    tell(story, chance)
    rows = asked(story, chance)
    plain = Snapshot.files
    monkeypatch.setattr(Snapshot, "files", lambda *given: [f"file://{path}" for path in plain(*given)])
    found = training_set(rows, SERVICE, mode, settings=settings, keep=False).arrow()
    assert found.column(f"{TITLE}__duration_ms").to_pylist() == expected(story, rows, mode)
    for table in (story.table, story.table.history):  # written again by a purge, in types of another kind
        purge(table, "track_id", ["b"])
    purged = training_set(rows, SERVICE, mode, settings=settings, keep=False).arrow()
    without = [None if key == "b" else value for key, value in zip(rows.column("track_id").to_pylist(),
               expected(story, rows, mode), strict=True)]  # fmt: skip
    assert purged.column(f"{TITLE}__duration_ms").to_pylist() == without
    assert any(value is not None for value in without)


def test_a_row_has_one_place_however_many_rows_its_files_have(tmp_path):
    """What is found by one reading of the files is fetched by another: by many threads, and in any order."""
    files = []
    for number in range(3):
        files.append(str(tmp_path / f"{number}.parquet"))
        values = pa.array(range(number * 300_000, (number + 1) * 300_000))
        pq.write_table(pa.table({"value": values}), files[-1], row_group_size=20_000)
    with duckdb.connect(config={"threads": 8}) as connection:  # which share open files
        for listed in (files, *[[f"file://{file}" for file in files]] * 5):
            relation, _ = training_duckdb.source(connection, listed)
            light = f"(select _place, value from {relation} where value % 7 = 3)"
            counts = f"count(*), count(distinct a._place), count(*) filter (a.value <> b.value) from {light} a"
            found = connection.execute(f"select {counts} join {relation} b using (_place)").fetchall()
            assert found == [(128_571, 128_571, 0)], listed[0]


def test_what_was_known_does_not_change_with_what_is_built_later(story, settings):
    """The point of it: labels of a past day get the features a model would have had then."""
    chance = random.Random(7)
    tell(story, chance)
    last = max(row.computed_at for row in story.rows)
    rows = asked(story, chance)
    early = rows.filter(pa.compute.less_equal(rows.column("event_timestamp"), pa.scalar(last, MOMENT)))
    before = training_set(early, SERVICE, "known", settings=settings, keep=False).arrow()
    at = last + timedelta(hours=1)
    for day in DAYS[:4]:
        story.build(day, dict.fromkeys(KEYS[:3], 77), at)
    after = training_set(early, SERVICE, "known", settings=settings, keep=False).arrow()
    assert after.equals(before)
    assert not training_set(early, SERVICE, "event", settings=settings, keep=False).arrow().equals(before)


@pytest.mark.parametrize("mode", ["event", "known"])
def test_rows_of_equal_event_time_are_told_apart_by_when_they_were_computed(story, settings, mode):
    """Nothing of ours writes such a table; plain files may hold it all the same."""
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    rows = [Row("a", FIRST, at + timedelta(hours=n), n) for n in (2, 0, 1)]
    promoted(story.table, FIRST, story.frame(rows), run_id="run-00001", fence=1)
    story.rows = rows
    times = [at + timedelta(minutes=30 + 60 * n) for n in range(-1, 4)]
    entities = pa.table({"track_id": ["a"] * len(times), "event_timestamp": pa.array(times, MOMENT)})
    found = training_set(entities, SERVICE, mode, settings=settings, keep=False).arrow()
    assert found.column(f"{TITLE}__duration_ms").to_pylist() == expected(story, entities, mode)


def test_a_manifest_gives_the_same_bytes_after_rebuilds_and_upkeep(story, settings, tmp_path):
    chance = random.Random(1)
    tell(story, chance)
    made = training_set(asked(story, chance), SERVICE, "known", settings=settings)
    made.write(f"{tmp_path}/first.parquet")
    at = max(row.computed_at for row in story.rows) + timedelta(hours=1)
    for day in DAYS:
        story.build(day, dict.fromkeys(KEYS, 5), at)
    for table in (story.table, story.table.history):
        assert maintain(table, before=DAYS[-1], retention_hours=0, keep=pinned(story.lake, table.name))
    training_set_from(made.name, settings).write(f"{tmp_path}/again.parquet")
    assert Path(f"{tmp_path}/again.parquet").read_bytes() == Path(f"{tmp_path}/first.parquet").read_bytes()
    record = manifest(story.lake, made.name)
    assert record["used"][0]["version"] < DeltaTable(story.table.path).version()
    release(story.lake, made.name)
    maintain(story.table, before=DAYS[-1], retention_hours=0, keep=pinned(story.lake, story.table.name))
    with pytest.raises(UnknownName, match="unknown manifest"):
        training_set_from(made.name, settings)
    old = Snapshot(story.table, record["used"][0]["version"]).files()
    assert not all(Path(file).exists() for file in old)


def test_a_replay_of_odd_columns_without_the_contract_gives_the_same_bytes(story, settings, tmp_path, monkeypatch):
    """Seconds are milliseconds in a file; a retired version's contract may be gone, its files are pinned."""
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1, "b": 2}, at)
    odd = {
        "seconds": pa.array([0, None], pa.timestamp("s")),
        "time": pa.array([1, None], pa.time32("s")),
        "kind": pa.array(["x", None]).dictionary_encode(),
        "large": pa.array(["x", None], pa.large_string()),
        "vector": pa.array([[1.5], None], pa.list_(pa.float32())),
    }
    moments = pa.array([at + timedelta(hours=1), datetime(1, 1, 1, tzinfo=UTC)], MOMENT)
    entities = pa.table({"track_id": ["a", "b"], "event_timestamp": moments, **odd})
    made = training_set(entities, SERVICE, "known", settings=settings)
    made.write(str(tmp_path / "made.parquet"))
    assert made.arrow().column(f"{TITLE}__duration_ms").to_pylist() == [1, None]
    left = Catalog([one for one in (*catalog().sources, *catalog().tables) if one.table != TITLE])
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: left)
    training_set_from(made.name, settings).write(str(tmp_path / "again.parquet"))
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "made.parquet").read_bytes()
    add_takedown(story.lake, "track", Takedown("a", TAKEN_DOWN, "the label asked for it", "legal", at))
    with pytest.raises(Refused, match=r"e\.g\. track a"):
        training_set_from(made.name, settings)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_known_survives_vacuum(story, settings, seed):
    chance = random.Random(seed)
    tell(story, chance)
    rows = asked(story, chance)
    for table in (story.table, story.table.history):
        maintain(table, before=DAYS[-1], retention_hours=0, keep=frozenset())
    for mode in ("event", "known"):
        found = training_set(rows, SERVICE, mode, settings=settings, keep=False).arrow()
        assert found.column(f"{TITLE}__duration_ms").to_pylist() == expected(story, rows, mode)


def test_a_version_can_be_named(story, settings):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1}, at)
    version = DeltaTable(story.table.path).version()
    story.build(FIRST, {"a": 2}, at + timedelta(hours=1))
    entities = pa.table({"track_id": ["a"], "event_timestamp": pa.array([at + timedelta(hours=2)], MOMENT)})
    read = [
        training_set(entities, SERVICE, settings=settings, keep=False, at_versions=versions).arrow()
        for versions in ({TITLE: version}, None)
    ]
    assert [table.column(f"{TITLE}__duration_ms").to_pylist() for table in read] == [[1], [2]]
    with pytest.raises(UnknownName, match="unknown table of service track_title 'track_titel_v1'"):
        training_set(entities, SERVICE, settings=settings, at_versions={"track_titel_v1": 1})
    with pytest.raises(UsageError, match="version 99 cannot be read"):
        training_set(entities, SERVICE, settings=settings, at_versions={TITLE: 99})


def test_an_earlier_version_is_asked_with_the_history_it_had(story, settings):
    """What was superseded later is in the table there, and what came later is not known of."""
    at, hour = datetime(2026, 3, 2, 3, tzinfo=UTC), timedelta(hours=1)
    versions = []
    for number in range(3):
        story.build(FIRST, {"a": number + 1}, at + number * hour)
        versions.append(DeltaTable(story.table.path).version())
        time.sleep(0.005)  # commits are told apart by the millisecond
    moments = pa.array([at + hour / 2, at + 1.5 * hour, at + 3 * hour], MOMENT)
    entities = pa.table({"track_id": ["a"] * 3, "event_timestamp": moments})
    known = [
        training_set(entities, SERVICE, "known", settings=settings, keep=False, at_versions={TITLE: version}).arrow()
        for version in versions
    ]
    found = [table.column(f"{TITLE}__duration_ms").to_pylist() for table in known]
    assert found == [[1, 1, 1], [1, 2, 2], [1, 2, 3]]


def test_a_set_that_cannot_be_written_leaves_what_was_there(story, settings, tmp_path, monkeypatch):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1}, at)
    entities = pa.table({"track_id": ["a"], "event_timestamp": pa.array([at], MOMENT)})
    made = training_set(entities, SERVICE, settings=settings, keep=False)
    target = tmp_path / "out" / "rows.parquet"
    made.write(str(target))
    before = target.read_bytes()

    full = "select if(range < 150000, range, error('no space left on device')) as row from range(200000)"
    monkeypatch.setattr(training_duckdb, "query", lambda *_: full)
    with pytest.raises(duckdb.Error, match="no space left"):
        made.write(str(target))
    assert (target.read_bytes(), [path.name for path in target.parent.iterdir()]) == (before, ["rows.parquet"])


def test_what_is_taken_down_is_left_out_and_a_replay_of_it_is_refused(story, settings):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1, "b": 2}, at)
    moments = pa.array([at + timedelta(hours=1)] * 2, MOMENT)
    entities = pa.table({"track_id": ["a", "b"], "event_timestamp": moments})
    made = training_set(entities, SERVICE, "known", settings=settings)
    add_takedown(story.lake, "track", Takedown("a", TAKEN_DOWN, "the label asked for it", "legal", at))
    found = training_set(entities, SERVICE, "known", settings=settings, keep=False).arrow()
    assert found.column(f"{TITLE}__duration_ms").to_pylist() == [None, 2]
    with pytest.raises(
        Refused, match=r"1 of its keys were taken down since, e.g. track a: the label asked for it \(legal"
    ):
        training_set_from(made.name, settings)


def test_what_was_left_out_from_the_first_stays_left_out(story, settings, tmp_path):
    """Neither a takedown before the set nor the key's return afterwards changes a byte of a replay."""
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1, "b": 2, "c": 3}, at)
    for key in "ac":  # c is in no row of the set
        add_takedown(story.lake, "track", Takedown(key, TAKEN_DOWN, "the label asked for it", "legal", at))
    moments = pa.array([at + timedelta(hours=1)] * 2, MOMENT)
    made = training_set(pa.table({"track_id": ["a", "b"], "event_timestamp": moments}), SERVICE, settings=settings)
    made.write(str(tmp_path / "made.parquet"))
    assert made.arrow().column(f"{TITLE}__duration_ms").to_pylist() == [None, 2]
    assert manifest(story.lake, made.name)["left_out"] == {TITLE: ["a"]}
    for action in (None, GIVEN_BACK):
        if action:
            add_takedown(story.lake, "track", Takedown("a", action, "it was a mistake", "legal", at))
        training_set_from(made.name, settings).write(str(tmp_path / "again.parquet"))
        assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "made.parquet").read_bytes()
    add_takedown(story.lake, "track", Takedown("b", TAKEN_DOWN, "the label asked for it", "legal", at))
    with pytest.raises(Refused, match=r"1 of its keys were taken down since, e\.g\. track b"):
        training_set_from(made.name, settings)


def test_columns_that_files_do_not_have_yet_are_null(story, settings):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    rows = story.frame([Row("a", FIRST, at, 1)]).drop_columns(["artists_count"])
    promoted(story.table, FIRST, rows, run_id="run-00001", fence=1)
    entities = pa.table({"track_id": ["a"], "event_timestamp": pa.array([at + timedelta(hours=1)], MOMENT)})
    with_column = story.frame([Row("a", DAYS[1], at + timedelta(days=1), 2)])
    promoted(story.table, DAYS[1], with_column, run_id="run-00002", fence=2)
    found = training_set(entities, SERVICE, settings=settings, keep=False).arrow()
    assert found.column(f"{TITLE}__duration_ms").to_pylist() == [1]
    assert found.schema.field(f"{TITLE}__artists_count").type == pa.int32()


def test_entities_that_cannot_be_asked_about(story, settings):
    story.build(FIRST, {"a": 1}, datetime(2026, 3, 2, 3, tzinfo=UTC))
    when = pa.array([datetime(2026, 3, 2, tzinfo=UTC)], MOMENT)
    wrong = {
        "lack event_timestamp; they have track_id": {"track_id": ["a"]},
        "track_id is int64; keys are strings": {"track_id": [1], "event_timestamp": when},
        "not a timestamp with a time zone": {"track_id": ["a"], "event_timestamp": pa.array([0], pa.timestamp("us"))},
        f"a column {TITLE}__Is_Live, which": {"track_id": ["a"], "event_timestamp": when, f"{TITLE}__Is_Live": [True]},
        "a column _PLACE_0, which is a feature's name, or one that is used here": {
            "track_id": ["a"], "event_timestamp": when, "_PLACE_0": [True]
        },
    }  # fmt: skip
    for told, columns in wrong.items():
        with pytest.raises(UsageError, match=told):
            training_set(pa.table(columns), SERVICE, settings=settings)
    right = pa.table({"track_id": ["a"], "event_timestamp": when})
    with pytest.raises(UnknownName, match="unknown mode 'knwon'"):
        training_set(right, SERVICE, "knwon", settings=settings)
    with pytest.raises(UnknownName, match="unknown engine 'polars'"):
        training_set(right, SERVICE, engine="polars", settings=settings)
    with pytest.raises(UnknownName, match="unknown feature service 'track_titel'"):
        training_set(pa.table({"track_id": ["a"], "event_timestamp": when}), "track_titel", settings=settings)


def test_columns_that_differ_in_nothing_but_case_are_refused(story, settings):
    at = pa.array([datetime(2026, 3, 2, tzinfo=UTC)], MOMENT)
    rows = pa.table({"track_id": ["a"], "event_timestamp": at, "Track_ID": ["b"]})
    with pytest.raises(UsageError, match="the columns track_id and Track_ID, which SQL does not tell apart"):
        training_set(rows, SERVICE, settings=settings, keep=False)


def test_no_rows_and_a_pandas_frame(story, settings, tmp_path):
    story.build(FIRST, {"a": 2**53 + 1}, datetime(2026, 3, 2, 3, tzinfo=UTC))
    moment = datetime(2026, 3, 2, 7, tzinfo=timezone(timedelta(hours=2)))
    entities = pa.table({"track_id": ["a", None], "event_timestamp": pa.array([moment] * 2, MOMENT)})
    none = training_set(entities.slice(0, 0), SERVICE, settings=settings, keep=False)
    assert none.arrow().num_rows == 0
    frame = training_set(entities.to_pandas(), SERVICE, settings=settings, keep=False).pandas()
    assert frame[f"{TITLE}__duration_ms"].tolist()[0] == 2**53 + 1
    assert frame[f"{TITLE}__duration_ms"].isna().tolist() == [False, True]
    training_set(entities, SERVICE, settings=settings, keep=False).write(f"{tmp_path}/rows.parquet")
    assert pq.read_table(f"{tmp_path}/rows.parquet").num_rows == 2


def test_the_command_makes_a_set_lists_it_makes_it_again_and_releases_it(story, settings, tmp_path, monkeypatch):
    story.build(FIRST, {"a": 1}, datetime(2026, 3, 2, 3, tzinfo=UTC))
    entities = {"track_id": ["a"], "event_timestamp": pa.array([datetime(2026, 3, 2, 4, tzinfo=UTC)], MOMENT)}
    pq.write_table(pa.table(entities), f"{tmp_path}/labels.parquet")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["training", *words])
        if done.exception:
            raise done.exception
        return done.stdout

    labels = f"{tmp_path}/labels.parquet"
    said = run("make", SERVICE, "--entities", labels, "--mode", "known", "--to", f"{tmp_path}/one.parquet")
    name = said.split("manifest ")[1].strip()
    assert json.loads(run("list", "--json"))[0]["name"] == name
    run("again", name, "--to", f"{tmp_path}/two.parquet")
    assert Path(f"{tmp_path}/one.parquet").read_bytes() == Path(f"{tmp_path}/two.parquet").read_bytes()
    run("release", name)
    assert json.loads(run("list", "--json")) == []
    with pytest.raises(UsageError, match="is not TABLE=VERSION"):
        run("make", SERVICE, "--entities", labels, "--to", "x", "--at", "nonsense")
    with pytest.raises(UsageError, match="there is no file"):
        run("make", SERVICE, "--entities", f"{tmp_path}/none.parquet", "--to", "x")


def test_moments_to_the_nanosecond_and_before_1970(story, settings):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1}, at)
    precise = pa.array([int(at.timestamp()) * 10**9 + 999, -(10**9)], pa.timestamp("ns", "UTC"))
    entities = pa.table({"track_id": ["a", "a"], "event_timestamp": precise})
    for mode in ("event", "known"):
        found = training_set(entities, SERVICE, mode, settings=settings, keep=False).arrow()
        assert found.column(f"{TITLE}__duration_ms").to_pylist() == [1, None]


def test_a_file_in_the_working_folder_and_a_history_without_a_new_column(story, settings, tmp_path, monkeypatch):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    rows = story.frame([Row("a", FIRST, at, 1)]).drop_columns(["artists_count"])
    old = rows.append_column("superseded_at", pa.array([at + timedelta(hours=1)], MOMENT))
    write_deltalake(
        story.table.history.path, old.append_column("ds", pa.array([FIRST])), mode="append", partition_by=["ds"]
    )
    story.build(FIRST, {"a": 2}, at + timedelta(hours=1))
    monkeypatch.chdir(tmp_path)
    moments = pa.array([at, at + timedelta(hours=2)], MOMENT)
    entities = pa.table({"track_id": ["a", "a"], "event_timestamp": moments})
    training_set(entities, SERVICE, "known", settings=settings, keep=False).write("rows.parquet")
    assert pq.read_table("rows.parquet").column(f"{TITLE}__duration_ms").to_pylist() == [1, 2]


def test_files_that_are_not_kept_are_told_before_anything_is_written(story, settings):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    story.build(FIRST, {"a": 1}, at)
    for file in Snapshot(story.table).files():
        Path(file).unlink()
    entities = pa.table({"track_id": ["a"], "event_timestamp": pa.array([at], MOMENT)})
    with pytest.raises(UsageError, match="files of version 1 are not kept any more"):
        training_set(entities, SERVICE, settings=settings)


def test_neither_spark_nor_feast_is_loaded_to_import_it():
    names = "{'pyspark', 'feast'} & sys.modules.keys()"
    check = f"import sys, content_signals.features.training; assert not {names}, {names}"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=PROJECT)
