"""Publish and read through the real Feast, a real Valkey and the real tables."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Int64
from pydantic import SecretStr
from typer.testing import CliRunner

from content_signals import cli
from content_signals.errors import NotLanded, Temporary, UnknownName, UsageError
from content_signals.features.offline import offline
from content_signals.features.registry import register
from content_signals.features.store import feast_environment, feature_store, online_client
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.publish import publish
from content_signals.settings import PROJECT
from tests.landing import held, write_catalogue, write_positions
from tests.online import online
from tests.settings import settings_in
from tests.spark.test_pipeline import build
from tests.stores import running_store
from tests.versions import LENGTH, with_services

FIRST = date(2020, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(2)]
STORY = [{"P": "abc", "Q": "ax"}, {"P": "abd", "Q": "ax"}]
POPULARITY = "track_popularity_v1"


@pytest.fixture(scope="module")
def platform(spark):
    """Two days of both served tables, built, and an online store."""
    from content_signals.catalog import catalog
    from content_signals.pipeline.context import Context

    with tempfile.TemporaryDirectory(prefix="cs-features-") as name:  # a socket's path must be short
        folder = Path(name)
        settings = settings_in(folder)
        context = Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)
        for day, playlists in zip(DAYS, STORY, strict=True):
            write_positions(folder / "landing", day, held(day, playlists))
        write_catalogue(folder / "landing", [("a", "Blue (Live)", "X, Y", "al", "3:10", FIRST)])
        for source in map(context.catalog.source, ("playlist_positions", "catalogue_tracks")):
            ingest(context, spark, source, DAYS)
        build(context, spark, DAYS, ["playlist_changes_v1", POPULARITY, "track_title_v1"])
        with running_store(settings):
            yield context


@pytest.fixture
def published(platform, spark):
    """The second day of both tables online, in a store that held nothing."""
    online_client(platform.settings).flushall()
    for name in (POPULARITY, "track_title_v1"):
        outcome = publish(platform, spark, platform.catalog.table(name), [DAYS[1]])
        assert outcome.rows_out == outcome.rows_in > 0
    return platform


def noon_after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)


@pytest.fixture
def command(platform, monkeypatch):
    """`content-signals features get` on the platform; what it prints."""
    for name, value in platform.settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["features", "get", *words])
        if done.exception:
            raise done.exception
        return done.stdout

    return run


@pytest.fixture
def get(published, command):
    """The same, once both tables are online."""
    return command


def rows_of(context, day: date) -> dict[str, dict]:
    table = DeltaTable(context.lake.of(context.catalog.table(POPULARITY)).path).to_pyarrow_dataset().to_table()
    return {row["track_id"]: row for row in table.to_pylist() if row["ds"] == day}


def test_what_is_served_is_what_the_table_says(published):
    rows = rows_of(published, DAYS[1])
    served = online(published.settings, "track_popularity", list(rows), noon_after(DAYS[1]))
    table = published.catalog.table(POPULARITY)
    for key, row in rows.items():
        assert {name: v.value for name, v in served[key].items()} == {f"{POPULARITY}:{n}": row[n] for n in table.values}
        assert list(served[key]) == [f"{POPULARITY}:{name}" for name in table.values]
        assert {v.status for v in served[key].values()} == {"present"}


def test_a_models_service_spans_families_with_pinned_versions(published):
    served = online(published.settings, "playlist_ranker_v1", ["a"], noon_after(DAYS[1]))
    values = {name: value.value for name, value in served["a"].items()}
    assert values["track_title_v1:is_live"] is True
    assert values["track_title_v1:duration_ms"] == 190_000
    assert values[f"{POPULARITY}:playlists_count"] == 2


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (noon_after(DAYS[1]), "present"),
        # Valid from midnight; the next day's value is due 24 hours later, and late 30 hours after that.
        (datetime(2020, 3, 3, tzinfo=UTC) + timedelta(hours=54), "present"),
        (datetime(2020, 3, 3, tzinfo=UTC) + timedelta(hours=54, seconds=1), "stale"),
        (datetime(2020, 3, 2, 23, tzinfo=UTC), "stale"),
    ],
)
def test_a_value_is_judged_at_the_moment_asked_for(published, moment, status):
    served = online(published.settings, "track_popularity", ["a"], moment)
    assert {value.status for value in served["a"].values()} == {status}
    assert status == "present" or {value.value for value in served["a"].values()} == {None}


def test_an_unknown_key_is_missing(published):
    served = online(published.settings, "track_popularity", ["?"], noon_after(DAYS[1]))
    assert {(value.status, value.value) for value in served["?"].values()} == {("missing", None)}


def test_an_unknown_service_is_answered_with_the_nearest(published):
    with pytest.raises(UnknownName, match="unknown feature service") as error:
        online(published.settings, "track_popularty", ["a"], noon_after(DAYS[1]))
    assert "track_popularity" in error.value.nearest


def test_an_older_day_is_not_published_over_a_newer_one(published, spark):
    outcome = publish(published, spark, published.catalog.table(POPULARITY), [DAYS[0]])
    assert (outcome.days, outcome.rows_out) == ([DAYS[1]], 0)
    assert outcome.skipped[DAYS[0]] == "the online store serves 2020-03-02, which is newer"


def test_of_a_range_the_newest_day_is_published(platform, spark):
    online_client(platform.settings).flushall()
    outcome = publish(platform, spark, platform.catalog.table(POPULARITY), DAYS)
    assert (outcome.days, list(outcome.skipped)) == ([DAYS[1]], [DAYS[0]])


def test_a_correction_with_the_same_event_time_lands(published, spark):
    landing, table = Path(published.settings.landing), published.catalog.table(POPULARITY)
    write_positions(landing, DAYS[1], held(DAYS[1], {"P": "dba", "Q": "ax"}))
    again = replace(published, run=start_run())
    try:
        ingest(again, spark, again.catalog.source("playlist_positions"), [DAYS[1]])
        build(again, spark, [DAYS[1]])
        assert publish(again, spark, table, [DAYS[1]]).rows_out == 2  # d and a changed places
        served = online(again.settings, "track_popularity", ["d"], noon_after(DAYS[1]))
        assert served["d"][f"{POPULARITY}:best_position"].value == 1
    finally:
        write_positions(landing, DAYS[1], held(DAYS[1], STORY[1]))
        back = replace(published, run=start_run())
        ingest(back, spark, back.catalog.source("playlist_positions"), [DAYS[1]])
        build(back, spark, [DAYS[1]])


def test_offline_as_of_a_past_day(published, spark):
    values = offline(feature_store(published.settings), "track_popularity", ["a", "x", "?"], noon_after(DAYS[0]))
    rows = rows_of(published, DAYS[0])
    for key in ("a", "x"):
        assert values[key][f"{POPULARITY}:playlists_count"] == rows[key]["playlists_count"]
        assert values[key][f"{POPULARITY}:best_position"] == rows[key]["best_position"]
    assert set(values["?"].values()) == {None}
    # Feast turns this on for the whole session; left on, `select` of a quoted name is a pattern for everybody after.
    assert spark.conf.get("spark.sql.parser.quotedRegexColumnNames", "false") == "false"


def test_the_command_reads_values_their_status_and_since_when(published, get):
    rows = rows_of(published, DAYS[1])
    moment = noon_after(DAYS[1]).isoformat()
    found = json.loads(get("track_popularity", "--keys", "a,?,x", "--as-of", moment, "--json"))
    names = published.catalog.table(POPULARITY).values
    assert [row["feature"] for row in found] == [f"{POPULARITY}:{name}" for name in names]
    for name, row in zip(names, found, strict=True):
        assert list(row) == ["feature", "a", "?", "x"]
        for key in ("a", "x"):
            assert row[key] == {
                "value": rows[key][name],
                "status": "present",
                "valid_from": "2020-03-03T00:00:00+00:00",
            }
            assert type(row[key]["value"]) is type(rows[key][name])
        assert row["?"] == {"value": None, "status": "missing", "valid_from": None}


def test_the_command_says_that_values_are_stale(get):
    as_json = json.loads(get("track_popularity", "--keys", "a", "--json"))  # as of today: years later
    stale = {"value": None, "status": "stale", "valid_from": "2020-03-03T00:00:00+00:00"}
    assert [row["a"] for row in as_json] == [stale] * len(as_json)
    printed = get("track_popularity", "--keys", "a,?,a").splitlines()
    assert printed[0].strip() == "track_popularity"
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in printed if line.startswith("│")]
    assert cells == [[row["feature"], "(stale)", "-"] for row in as_json]


def test_the_command_reads_offline_as_of_a_moment(published, get, spark):
    rows = rows_of(published, DAYS[0])
    asked = ("track_popularity", "--keys", "a,?", "--as-of", noon_after(DAYS[0]).isoformat(), "--offline")
    found = {row["feature"].split(":")[1]: row for row in json.loads(get(*asked, "--json"))}
    assert set(found) == set(published.catalog.table(POPULARITY).values)
    for name, row in found.items():
        assert row["a"] == {"value": rows["a"][name], "status": None, "valid_from": None}
        assert type(row["a"]["value"]) is type(rows["a"][name])
        assert row["?"] == {"value": None, "status": None, "valid_from": None}


def test_the_command_reads_what_is_computed_on_demand(published, get, monkeypatch, tmp_path):
    renamed = LENGTH.replace('[["duration_ms"]]', '[["duration_ms"]].with_name("seed")')
    service = "lengths = FeatureService(name='lengths', features=[length_v1])"
    with_services(tmp_path, monkeypatch, f"{renamed}{service}")
    register(feature_store(published.settings), published.settings)
    asked = (
        "lengths",
        "--keys",
        "track_id=a,?",
        "--keys",
        f"asked_ms=1,{2**53 + 1}",
        "--as-of",
        noon_after(DAYS[1]).isoformat(),
    )
    online_row, offline_row = (json.loads(get(*asked, *more, "--json"))[0] for more in ((), ("--offline",)))
    assert online_row["feature"] == offline_row["feature"] == "length_v1:mixed_ms"
    statuses = {key: (cell["value"], cell["status"]) for key, cell in online_row.items() if key != "feature"}
    assert statuses == {"a / 1": (190_000 ^ 1, "present"), f"? / {2**53 + 1}": (None, "missing")}
    assert {key: cell["value"] for key, cell in offline_row.items() if key != "feature"} == {
        "a / 1": 190_000 ^ 1,
        f"? / {2**53 + 1}": None,
    }
    with pytest.raises(UsageError, match="a value of asked_ms is int64"):
        get("lengths", "--keys", "track_id=a", "--keys", "asked_ms=much")


def test_the_command_wants_keys_and_a_moment(get):
    with pytest.raises(UsageError, match="no key given"):
        get("track_popularity", "--keys", ",")
    with pytest.raises(UsageError, match="'noon' is not a moment"):
        get("track_popularity", "--keys", "a", "--as-of", "noon")


def test_reading_leaves_no_settings_in_the_environment(published):
    feature_store(published.settings)
    assert not [name for name in os.environ if name.startswith("CONTENT_SIGNALS_")]


def test_plain_feast_reads_it(published, monkeypatch):
    for name, value in feast_environment(published.settings).items():
        monkeypatch.setenv(name, value)
    store = FeatureStore(repo_path=str(PROJECT / "feature_repo"))
    answer = store.get_online_features(
        features=store.get_feature_service("track_title"), entity_rows=[{"track_id": "a"}]
    )
    assert answer.to_dict()["artists_count"] == [2]
    served = {table.table for table in published.catalog.tables if table.serve}
    assert {view.name for view in store.list_feature_views()} == served
    assert store.get_feature_view(POPULARITY).batch_source.created_timestamp_column == "computed_at"


def test_a_table_that_is_not_served_or_not_promoted(platform, spark):
    with pytest.raises(UsageError, match="only feeds other tables"):
        publish(platform, spark, platform.catalog.table("playlist_changes"), [DAYS[0]])
    with pytest.raises(NotLanded, match="has been promoted"):
        publish(platform, spark, platform.catalog.table(POPULARITY), [date(2019, 1, 1)])


def test_a_store_that_does_not_answer_is_temporary(platform, spark, tmp_path):
    gone = platform.settings.model_copy(update={"online_store": SecretStr(f"unix://{tmp_path}/nobody.sock")})
    with pytest.raises(Temporary, match="does not answer"):
        publish(replace(platform, settings=gone), spark, platform.catalog.table(POPULARITY), [DAYS[1]])


@pytest.fixture(scope="module")
def both(platform, spark, tmp_path_factory) -> str:
    """A service about tracks and rooms, of which nothing is online."""
    publish(platform, spark, platform.catalog.table("track_title_v1"), [DAYS[1]])
    path = tmp_path_factory.mktemp("rooms") / "rooms.parquet"
    pq.write_table(pa.table({"room_id": ["x", "y"], "size": [1, 2], "event_ts": [noon_after(DAYS[0])] * 2}), path)
    room = Entity(name="room", join_keys=["room_id"], value_type=ValueType.STRING)
    source = SparkSource(name="rooms", path=str(path), file_format="parquet", timestamp_field="event_ts")
    rooms = FeatureView(name="rooms_v1", entities=[room], schema=[Field(name="size", dtype=Int64)], source=source)
    store = feature_store(platform.settings)
    tracks = store.get_feature_view("track_title_v1")
    store.apply([room, rooms, FeatureService(name="both", features=[rooms, tracks[["duration_ms"]]])])
    return "both"


@pytest.mark.parametrize(("where", "sizes"), [((), [None] * 3), (("--offline",), [2, 1, None])])
def test_a_service_about_two_entities_is_asked_for_a_key_of_each(both, get, where, sizes):
    """Rows are called as they were asked for, whichever column the service has first."""
    keys = ["--keys", "track_id=?,a,a", "--keys", "room_id=y,x,?"]
    told = get(both, *keys, "--as-of", noon_after(DAYS[1]).isoformat(), "--json", *where)
    found = {row.pop("feature"): {key: cell["value"] for key, cell in row.items()} for row in json.loads(told)}
    rows = ["? / y", "a / x", "a / ?"]
    assert found["rooms_v1:size"] == dict(zip(rows, sizes, strict=True))
    assert found["track_title_v1:duration_ms"] == dict(zip(rows, [None, 190_000, 190_000], strict=True))


@pytest.mark.parametrize("where", [(), ("--offline",)])
@pytest.mark.parametrize(
    ("keys", "error", "told"),
    [
        (["a"], UsageError, "service both is about"),
        (["track_id=a", "room_id=x,y"], UsageError, "as many keys of each column"),
        (["track_id=a", "flat_id=x"], UnknownName, "flat_id"),
        (["track_id=a", "x"], UsageError, "--keys x: a column and its keys"),
        (["track_id=a", "track_id=b"], UsageError, "each column once"),
        (["track_id=a,", "room_id=x,y"], UsageError, "a key is empty"),
        (["track_id=a / b,a", "room_id=c,b / c"], UsageError, "two rows would both be called a / b / c"),
    ],
)
def test_keys_that_do_not_fit_a_service_about_two_entities(both, command, where, keys, error, told):
    with pytest.raises(error, match=told):
        command(both, *(word for some in keys for word in ("--keys", some)), *where)
