"""Training sets by Feast on Spark: the oracle's answer, and DuckDB's to the byte, whatever the session is set to."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from feast import FeatureService, FeatureStore
from typer.testing import CliRunner

from content_signals import cli
from content_signals.catalog import catalog
from content_signals.errors import Refused, Temporary
from content_signals.features.registry import register
from content_signals.features.store import feature_store
from content_signals.features.training import TrainingSet, training_set, training_set_from
from content_signals.lake.maintain import maintain
from content_signals.lake.manifests import manifest, manifests, pinned
from content_signals.lake.takedowns import TAKEN_DOWN, Takedown, add_takedown
from tests.faults.good_days import schema_of
from tests.lake import promoted
from tests.settings import settings_in
from tests.training_oracle import DAYS, FIRST, KEYS, MOMENT, SERVICE, TITLE, TTL, Row, Story, asked, expected, tell
from tests.versions import LENGTH, with_services

DURATION = f"{TITLE}__duration_ms"
AT = datetime(2026, 3, 2, 3, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    made = settings_in(tmp_path)
    register(feature_store(made), made)
    return made


@pytest.fixture
def story(settings) -> Story:
    return Story(settings)


@pytest.fixture
def both(spark, settings):
    """A training set by Feast on Spark, which is DuckDB's in rows, order, values, types and nulls; no file is left."""

    def made(rows, mode="event", service=SERVICE, **more) -> pa.Table:
        sets = [
            training_set(rows, service, mode, engine=engine, settings=settings, keep=False, **more)
            for engine in ("spark", "duckdb")
        ]
        found = sets[0].arrow()
        assert found.equals(sets[1].arrow())
        assert found.num_rows == rows.num_rows
        assert not list(Path(settings.lake).glob("_training/*"))
        return found

    return made


def moments(*times: datetime | None) -> pa.Array:
    return pa.array(times, MOMENT)


@pytest.mark.parametrize("mode", ["event", "known"])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_is_the_oracles(story, both, seed, mode):
    """Rows built late, again, left out, put back, and days emptied; unknown, null and repeated keys; int64's edges."""
    chance = random.Random(seed)
    tell(story, chance)
    rows = asked(story, chance)
    found = both(rows, mode)
    assert found.column(DURATION).to_pylist() == expected(story, rows, mode)
    assert found.column("label").equals(rows.column("label"))


@pytest.mark.parametrize("mode", ["event", "known"])
def test_one_view_by_two_columns_under_names_of_the_services_own(story, settings, both, mode):
    """Of a pair of tracks, each under its own name; of the whole pair a key is taken down, and a set is made again."""
    chance = random.Random(3)
    tell(story, chance)
    store = feature_store(settings)
    view, own = store.get_feature_view(TITLE)[["duration_ms"]], "Own_1"
    seed = view.with_name("seed").with_join_key_map({"track_id": "Seed_Id"})
    store.apply([FeatureService(name="pairs", features=[view.with_name(own), seed])])
    rows = asked(story, chance)
    keys = [chance.choice([*KEYS, "?", None]) for _ in range(rows.num_rows)]
    rows = rows.append_column("Seed_Id", pa.array(keys, pa.string()))
    found = both(rows, mode, "pairs")
    seeds = rows.set_column(rows.column_names.index("track_id"), "track_id", rows.column("Seed_Id"))
    assert found.column(f"{own}__duration_ms").to_pylist() == expected(story, rows, mode)
    assert found.column("seed__duration_ms").to_pylist() == expected(story, seeds, mode)
    add_takedown(story.lake, "track", Takedown("a", TAKEN_DOWN, "asked to", "legal", AT))
    without = both(rows, mode, "pairs")
    for name, column in ((f"{own}__duration_ms", "track_id"), ("seed__duration_ms", "Seed_Id")):
        kept = zip(found.column(name).to_pylist(), rows.column(column).to_pylist(), strict=True)
        assert without.column(name).to_pylist() == [None if key == "a" else value for value, key in kept]
    made = training_set(rows, "pairs", mode, settings=settings)
    pins = [pin["table"] for pin in manifest(story.lake, made.name)["pins"]]
    assert sorted(set(pins)) == sorted(pins)  # each once
    for engine in ("duckdb", "spark"):
        assert training_set_from(made.name, settings, engine=engine).arrow().equals(without)
    add_takedown(story.lake, "track", Takedown("b", TAKEN_DOWN, "asked to", "legal", AT))
    with pytest.raises(Refused, match="1 of its keys were taken down since"):
        training_set_from(made.name, settings)


@pytest.mark.parametrize("mode", ["event", "known"])
def test_what_is_computed_on_demand_is_the_same_by_either_engine(story, settings, both, mode, monkeypatch, tmp_path):
    service = "lengths = FeatureService(name='lengths', features=[length_v1])"
    with_services(tmp_path, monkeypatch, f"{LENGTH}{service}")
    register(feature_store(settings), settings)
    chance = random.Random(5)
    tell(story, chance)
    rows = asked(story, chance)
    rows = rows.append_column("asked_ms", pa.array(range(rows.num_rows), pa.int64()))
    found = both(rows, mode, "lengths")
    assert found.column_names == [*rows.column_names, "length_v1__mixed_ms"]
    pairs = zip(expected(story, rows, mode), range(rows.num_rows), strict=True)
    values = [None if value is None else value ^ number for value, number in pairs]
    assert found.column("length_v1__mixed_ms").to_pylist() == values


def test_what_is_made_of_the_question_alone_asks_no_engine(story, settings, both, monkeypatch, tmp_path):
    view = (
        '@on_demand_feature_view(sources=[asked], mode="python", schema=[Field(name="twice", dtype=Int64)])\n'
        "def twice_v1(rows):\n"
        '    return {"twice": [value * 2 for value in rows["asked_ms"]]}\n\n'
    )
    service = "twice = FeatureService(name='twice', features=[twice_v1])"
    with_services(tmp_path, monkeypatch, f"{LENGTH}{view}{service}")
    register(feature_store(settings), settings)
    rows = pa.table({"label": [1, 2, 3], "asked_ms": [5, 2**53 + 1, -1], "event_timestamp": moments(AT, None, AT)})
    assert both(rows, service="twice").column("twice_v1__twice").to_pylist() == [10, 2**54 + 2, -2]


def test_what_was_known_survives_corrections_and_a_deleted_day(story, both):
    chance = random.Random(7)
    tell(story, chance)
    last = max(row.computed_at for row in story.rows)
    rows = asked(story, chance)
    early = rows.filter(pc.less_equal(rows.column("event_timestamp"), pa.scalar(last, MOMENT)))
    before = both(early, "known")
    for day in DAYS[:4]:
        story.build(day, dict.fromkeys(KEYS[:3], 77), last + timedelta(hours=1))
    story.build(DAYS[2], {}, last + timedelta(hours=2))
    assert both(early, "known").equals(before)
    assert expected(story, early, "event") != before.column(DURATION).to_pylist()


def test_a_manifest_gives_duckdbs_bytes_by_either_engine_after_rebuilds_and_vacuum(spark, story, settings, tmp_path):
    chance = random.Random(1)
    tell(story, chance)
    made = training_set(asked(story, chance), SERVICE, "known", engine="spark", settings=settings)
    made.write(f"{tmp_path}/first.parquet")
    at = max(row.computed_at for row in story.rows) + timedelta(hours=1)
    for day in DAYS:
        story.build(day, dict.fromkeys(KEYS, 5), at)
    for table in (story.table, story.table.history):
        assert maintain(table, before=DAYS[-1], retention_hours=0, keep=pinned(story.lake, table.name))
    training_set_from(made.name, settings).write(f"{tmp_path}/duckdb.parquet")
    frame = training_set_from(made.name, settings, engine="spark").spark(spark)
    kept = f"{settings.lake}/_training/{made.name}/rows.parquet"  # what the frame reads; it goes when it is released
    assert frame.inputFiles() == [f"file://{kept}"]
    assert Path(kept).read_bytes() == Path(f"{tmp_path}/duckdb.parquet").read_bytes()
    assert Path(kept).read_bytes() == Path(f"{tmp_path}/first.parquet").read_bytes()
    add_takedown(story.lake, "track", Takedown("a", TAKEN_DOWN, "the label asked for it", "legal", at))
    with pytest.raises(Refused, match="were taken down since"):
        training_set_from(made.name, settings, engine="spark")
    assert [one["name"] for one in manifests(story.lake)] == [made.name]
    assert [path.name for path in Path(settings.lake).glob("_training/*")] == [made.name]


@pytest.mark.parametrize("mode", ["event", "known"])
def test_rows_of_equal_event_time_are_told_apart_by_when_they_were_computed_and_equal_ones_are_one(story, both, mode):
    rows = [Row("a", FIRST, AT + timedelta(hours=n), n) for n in (2, 0, 1)] + [Row("b", FIRST, AT, 7)] * 2
    promoted(story.table, FIRST, story.frame(rows), run_id="run-00001", fence=1)
    story.rows = rows
    times = [AT + timedelta(minutes=30 + 60 * n) for n in range(-1, 4)]
    entities = pa.table({"track_id": [*"aaaaa", *"bbbbb"], "event_timestamp": moments(*times, *times)})
    assert both(entities, mode).column(DURATION).to_pylist() == expected(story, entities, mode)


def test_a_service_of_two_tables_at_a_named_version_without_what_is_taken_down_or_a_new_column(story, both, settings):
    """The other table has a time to live of its own; its first file lacks a column that the second has."""
    popularity = story.lake.of(catalog().table("track_popularity_v1"))
    schema = schema_of("track_popularity_v1")

    def build(day: date, run: int, *drop: str) -> None:
        names = ["a", "b", "c"]
        known = {
            "track_id": names,
            "playlists_count": [run, 2**53 + run, None],
            "event_ts": [datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)] * 3,
            "computed_at": [AT] * 3,
            "run_id": ["run"] * 3,
        }
        rows = pa.table({f.name: pa.array(known.get(f.name, [None] * 3), f.type) for f in schema}, schema=schema)
        promoted(popularity, day, rows.drop_columns(list(drop)), run_id=f"run-{run:05}", fence=run)

    build(FIRST, 1, "best_position")
    build(DAYS[1], 2)
    story.build(FIRST, {"a": 1, "b": 2, "c": None}, AT)
    version = DeltaTable(story.table.path).version()
    story.build(FIRST, {"a": 3, "b": 4, "c": 5}, AT + timedelta(hours=1))
    add_takedown(story.lake, "track", Takedown("a", TAKEN_DOWN, "the label asked for it", "legal", AT))
    keys = ["a", "b", "c", "b"]
    when = moments(AT, AT, AT, AT + timedelta(days=1))
    entities = pa.table({"event_timestamp": when, "track_id": keys, "weight": pa.array([1, 2, 3, 4], pa.uint8())})
    found = both(entities, service="playlist_ranker_v1", at_versions={TITLE: version})
    assert found.column(DURATION).to_pylist() == [None, 2, None, 2]
    assert found.column("track_popularity_v1__playlists_count").to_pylist() == [None, 2**53 + 1, None, 2**53 + 2]
    assert found.schema.field("track_popularity_v1__best_position").type == schema.field("best_position").type
    assert found.schema.field("weight").type == pa.uint8()


def test_entity_rows_of_no_moment_of_none_at_all_and_to_the_nanosecond(story, both):
    story.build(FIRST, {"a": 2**63 - 1}, AT)
    precise = [int(AT.timestamp()) * 10**9 + 999, -(10**9), None]
    when = pa.array(precise, pa.timestamp("ns", "America/New_York"))
    entities = pa.table({"track_id": ["a"] * 3, "event_timestamp": when})
    assert both(entities).column(DURATION).to_pylist() == [2**63 - 1, None, None]
    assert both(entities.slice(2), "known").column(DURATION).to_pylist() == [None]
    assert both(entities.slice(3)).schema.field(DURATION).type == pa.int64()


@pytest.mark.parametrize(("ttl", "wanted"), [(None, [1, 1, 1]), (10_500_000, [1, 1, None])])
def test_a_time_to_live_of_half_a_second_and_none(spark, story, settings, ttl, wanted):
    story.build(FIRST, {"a": 1}, datetime(2026, 3, 2, tzinfo=UTC))
    good = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=10, microseconds=500_000)
    when = moments(good - timedelta(seconds=1), good, good + timedelta(microseconds=1))
    entities = pa.table({"track_id": ["a"] * 3, "event_timestamp": when})
    made = training_set(entities, SERVICE, engine="spark", settings=settings, keep=False)
    plan = made._question.plan
    plan = replace(plan, views=tuple(replace(view, ttl=ttl) for view in plan.views))
    for engine in ("spark", "duckdb"):
        changed = TrainingSet(made._platform, replace(made._question, plan=plan), "", engine)
        assert changed.arrow().column(DURATION).to_pylist() == wanted


def settings_of(session) -> dict[str, str]:
    return {row["key"]: row["value"] for row in session.sql("set").collect()}


def views_of(session) -> set[str]:
    return {table.name for table in session.catalog.listTables()}


# Where the machine's clock shows less, the last moment would leave rows out; where it shows more, the first one.
@pytest.mark.parametrize(("zone", "after"), [("America/New_York", timedelta(hours=3)), ("Asia/Tokyo", TTL)])
def test_neither_the_sessions_settings_nor_the_machines_zone_change_it_and_it_changes_none(
    spark, story, both, monkeypatch, zone, after
):
    session = spark.newSession()
    changes = {
        "spark.sql.session.timeZone": "Asia/Kolkata",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.parser.quotedRegexColumnNames": "false",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.parquet.outputTimestampType": "INT96",
    }
    for name, value in changes.items():
        session.conf.set(name, value)
    session.sql("select 'a' as track_id, 99L as duration_ms").createOrReplaceTempView(TITLE)  # not to be read
    session.sql("select 1 as kept").createOrReplaceTempView("entity_dataframe")
    before, views = settings_of(session), views_of(spark)
    story.build(FIRST, {"a": 1}, AT)
    rows = pa.table({"track_id": ["a"], "event_timestamp": moments(story.rows[0].event_ts + after)})
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    session.createDataFrame([], "active int")  # makes it the active session
    try:
        assert type(session).getActiveSession() is session
        assert both(rows, "known").column(DURATION).to_pylist() == [1]
        assert type(session).getActiveSession() is session
    finally:
        monkeypatch.undo()
        time.tzset()
        spark.createDataFrame([], "active int")
    assert settings_of(session) == before
    assert views_of(session) == {TITLE, "entity_dataframe"}
    assert session.table("entity_dataframe").columns == ["kept"]
    assert views_of(spark) == views


def test_an_answer_from_another_threads_session_is_refused_and_nothing_is_left(spark, story, settings, monkeypatch):
    story.build(FIRST, {"a": 1}, AT)
    entities = pa.table({"track_id": ["a"], "event_timestamp": moments(AT)})
    theirs = SimpleNamespace(to_spark_df=lambda: spark.range(1))
    monkeypatch.setattr(FeatureStore, "get_historical_features", lambda *_, **__: theirs)
    with pytest.raises(Temporary, match="the Spark session of another thread"):
        training_set(entities, SERVICE, engine="spark", settings=settings, keep=False).arrow()
    assert type(spark).getActiveSession() is spark
    assert not list(Path(settings.lake).glob("_training/*"))


def test_a_frame_without_a_manifest_is_the_sessions_own_and_leaves_no_file(spark, story, settings):
    story.build(FIRST, {"a": 2**63 - 1, "b": -(2**63)}, AT)
    keys, weights = ["a", "?", "b", None], pa.array([1, 2, 3, 255], pa.uint8())
    entities = pa.table({"weight": weights, "track_id": keys, "event_timestamp": moments(AT, AT, AT, AT)})
    frame = training_set(entities, SERVICE, engine="spark", settings=settings, keep=False).spark(spark)
    frame.createOrReplaceTempView("training_rows")
    try:
        read = spark.sql(f"select {DURATION}, weight, event_timestamp from training_rows")
        assert [tuple(row)[:2] for row in read.collect()] == [(2**63 - 1, 1), (None, 2), (-(2**63), 3), (None, 255)]
        assert dict(read.dtypes) == {DURATION: "bigint", "weight": "smallint", "event_timestamp": "timestamp"}
        assert read.toArrow().column("event_timestamp").to_pylist() == [AT] * 4
    finally:
        spark.catalog.dropTempView("training_rows")
    assert not list(Path(settings.lake).glob("_training/*"))


def test_the_command_takes_the_engine(spark, story, settings, tmp_path, monkeypatch):
    story.build(FIRST, {"a": 1}, AT)
    pq.write_table(pa.table({"track_id": ["a"], "event_timestamp": moments(AT + TTL)}), f"{tmp_path}/labels.parquet")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["training", *words])
        if done.exception:
            raise done.exception
        return done.stdout

    labels, engine = ("--entities", f"{tmp_path}/labels.parquet"), ("--engine", "spark")
    name = run("make", SERVICE, *labels, *engine, "--to", f"{tmp_path}/one.parquet").split("manifest ")[1].strip()
    run("again", name, "--to", f"{tmp_path}/two.parquet")
    assert Path(f"{tmp_path}/one.parquet").read_bytes() == Path(f"{tmp_path}/two.parquet").read_bytes()
