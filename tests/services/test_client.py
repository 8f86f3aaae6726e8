"""The client beside the SDK of Feast, and what that does not do: time to live, takedowns, last known values."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast import types as feast_types
from feast.value_type import ValueType
from pydantic import SecretStr

from content_signals.errors import BrokenData, Temporary, UnknownName, UsageError
from content_signals.features import client as client_module
from content_signals.features import encode
from content_signals.features.answer import Status
from content_signals.features.client import FeatureClient
from content_signals.features.online import View, Writer
from content_signals.features.store import feast_connection
from tests.services.conftest import BOTH_STORES

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
MOMENT = pa.timestamp("us", "UTC")
COLUMNS = {
    "whole": (pa.int64(), feast_types.Int64, [2**63 - 1, -(2**63), 0, None, 2**53 + 1]),
    "small": (pa.int32(), feast_types.Int32, [2**31 - 1, -(2**31), 0, None, 7]),
    "share": (pa.float64(), feast_types.Float64, [0.1, -math.inf, 0.0, None, math.nan]),
    "short": (pa.float32(), feast_types.Float32, [0.5, -math.inf, 0.0, None, 2.0**90]),
    "title": (pa.string(), feast_types.String, ["é🎧" * 100, "", "x" * 127, None, "x" * 128]),
    "raw": (pa.binary(), feast_types.Bytes, [b"\0\xff", b"x" * 300, b"y", None, b"z"]),
    "live": (pa.bool_(), feast_types.Bool, [True, False, True, None, False]),
    "since": (MOMENT, feast_types.UnixTimestamp, [NOW, datetime(1969, 7, 20, tzinfo=UTC), MIDNIGHT, None, NOW]),
    "wholes": (pa.list_(pa.int64()), feast_types.Array(feast_types.Int64), [[1, -1], [2**63 - 1], [0], None, []]),
    "vector": (pa.list_(pa.float32()), feast_types.Array(feast_types.Float32), [[0.5] * 384, [1.0], [0.0], None, []]),
    "words": (pa.list_(pa.string()), feast_types.Array(feast_types.String), [["a", "é"], [""], ["b"], None, []]),
    "raws": (pa.list_(pa.binary()), feast_types.Array(feast_types.Bytes), [[b"\0", b""], [b"a"], [b"b"], None, []]),
    "smalls": (pa.list_(pa.int32()), feast_types.Array(feast_types.Int32), [[1, -(2**31)], [0], [7], None, []]),
    "shares": (
        pa.list_(pa.float64()),
        feast_types.Array(feast_types.Float64),
        [[0.1, -math.inf], [0.0], [1], None, []],
    ),
    "flags": (pa.list_(pa.bool_()), feast_types.Array(feast_types.Bool), [[True, False], [False], [True], None, []]),
    "moments": (pa.list_(MOMENT), feast_types.Array(feast_types.UnixTimestamp), [[NOW, MIDNIGHT], [NOW], [], None, []]),
}
KEYS = [f"track{n}" for n in range(5)]
TTL = timedelta(hours=54)


def view_of(name: str, features: dict, entity: Entity, ttl: timedelta | None = TTL) -> FeatureView:
    schema = [
        Field(name=entity.join_key, dtype=feast_types.String),
        *(Field(name=n, dtype=t) for n, (_, t, _) in features.items()),
    ]
    source = FileSource(name=f"{name}_source", path="none", timestamp_field="event_ts")
    return FeatureView(name=name, entities=[entity], schema=schema, source=source, ttl=ttl)


TRACK = Entity(name="track", join_keys=["track_id"], value_type=ValueType.STRING)
ARTIST = Entity(name="artist", join_keys=["artist_id"], value_type=ValueType.STRING)
EVERYTHING = view_of("track_v1", COLUMNS, TRACK)
SECOND = view_of("track_v2", {name: COLUMNS[name] for name in ("whole", "share")}, TRACK)
FAME = view_of("artist_v1", {"whole": COLUMNS["whole"]}, ARTIST, ttl=None)


@pytest.fixture
def feast(store, store_settings, tmp_path):
    """Three views and some services over them, in a registry and a store of their own."""
    connection = feast_connection(store_settings.online_store.get_secret_value())
    config = RepoConfig(
        project="content_signals",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{tmp_path}/registry.db", "cache_ttl_seconds": 1},
        online_store={"type": "redis", "connection_string": connection},
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    services = [
        FeatureService(name="everything", features=[EVERYTHING]),
        FeatureService(name="two_views", features=[EVERYTHING[["title", "live"]], SECOND]),
        FeatureService(name="two_entities", features=[SECOND[["share"]], FAME]),
        FeatureService(name="family", features=[EVERYTHING[["whole"]]]),
    ]
    made.apply([TRACK, ARTIST, EVERYTHING, SECOND, FAME, *services])
    return made


@pytest.fixture
def client(feast, store_settings):
    """A client of a service, closed after the test."""
    made: list[FeatureClient] = []

    def connect(service: str = "everything", **options) -> FeatureClient:
        settings = options.pop("settings", store_settings)
        made.append(FeatureClient(service, settings, store=feast, **options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def write(store_settings):
    """Write the rows of a view."""

    def run(view: FeatureView = EVERYTHING, keys=KEYS, event_ts=MIDNIGHT, mode="put") -> None:
        names = [feature.name for feature in view.features]
        url = store_settings.online_store.get_secret_value()
        target = View(url, "content_signals", view.name, view.entity_columns[0].name, tuple(names))
        moments = pa.array([event_ts] * len(keys), MOMENT)
        columns = {target.join_key: pa.array(keys), "event_ts": moments, "computed_at": moments}
        columns |= {name: pa.array(COLUMNS[name][2][: len(keys)], COLUMNS[name][0]) for name in names}
        with Writer(target) as writer:
            assert writer.write(pa.record_batch(columns), mode)["written"] == len(keys)

    return run


@BOTH_STORES
def test_every_type_as_the_sdk_reads_it(feast, client, write):
    write()
    found = client().get(KEYS, NOW)
    for name, (_, _, values) in COLUMNS.items():
        asked = {"features": [f"track_v1:{name}"], "entity_rows": [{"track_id": key} for key in KEYS]}
        sdk = feast.get_online_features(**asked).to_dict()[name]
        ours = [row[f"track_v1:{name}"] for row in found.dicts()]
        if name == "since":  # the SDK says None only of the null; seconds are what the store keeps
            assert ours == values
        elif name == "share":  # and NaN is null
            assert ours == sdk == [*values[:-1], None]
        else:
            assert ours == sdk, name
            assert name in ("wholes", "vector", "words") or ours == values


def test_types_are_exact(client, write):
    write()
    found = client().get(KEYS, NOW)
    whole = found["whole"]
    assert (whole.dtype, list(whole.mask), int(whole[4])) == (np.int64, [False] * 3 + [True, False], 2**53 + 1)
    for name, (kind, _, _) in COLUMNS.items():
        got = found.arrow().schema.field(f"track_v1:{name}").type
        seconds = {"since": pa.timestamp("s", "UTC"), "moments": pa.list_(pa.timestamp("s", "UTC"))}
        assert got == seconds.get(name, kind)
    frame = found.pandas()
    assert frame["track_v1:whole"][4] == 2**53 + 1
    assert frame["track_v1:whole"].isna().tolist() == [False] * 3 + [True, False]
    assert list(frame["track_id"]) == KEYS


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        (MIDNIGHT, Status.PRESENT),
        (MIDNIGHT + TTL, Status.PRESENT),
        (MIDNIGHT + TTL + timedelta(microseconds=1), Status.STALE),
        (MIDNIGHT - timedelta(microseconds=1), Status.STALE),
    ],
)
def test_time_to_live_is_judged(client, write, as_of, status):
    write()
    found = client().get(KEYS, as_of)
    assert set(found.status("whole")) == {status}
    assert found["whole"].mask.all() == (status is Status.STALE)
    assert found["whole"].data[0] == (0 if status is Status.STALE else 2**63 - 1)  # nor is it under the mask
    kept = client(keep_stale=True).get(KEYS, as_of)
    assert set(kept.status("track_v1")) == {status}
    assert list(kept["whole"].mask) == [False] * 3 + [True, False]


def test_age_is_since_the_row_became_valid(client, write):
    write(keys=KEYS[:1])
    age = client().get(KEYS[:2], NOW).age("whole")
    assert age[0] == 12 * 3600
    assert math.isnan(age[1])


@BOTH_STORES
def test_missing_gone_and_taken_down(client, write):
    write(keys=KEYS[:3])
    write(keys=KEYS[1:2], event_ts=MIDNIGHT + timedelta(hours=1), mode="gone")
    write(keys=KEYS[2:3], event_ts=MIDNIGHT + timedelta(hours=1), mode="take")
    found = client().get(KEYS[:4], NOW)
    assert list(found.status("whole")) == [Status.PRESENT, Status.MISSING, Status.TAKEN_DOWN, Status.MISSING]
    assert list(found["whole"].mask) == [False, True, True, True]
    cells = found.cells()
    assert cells[0]["track_v1:whole"].valid_from == MIDNIGHT
    assert (cells[3]["track_v1:whole"].value, cells[3]["track_v1:whole"].valid_from) == (None, None)


def test_a_service_over_two_views_and_one_over_two_entities(client, write):
    write()
    write(SECOND, keys=KEYS[:2])
    write(FAME, keys=["a0", "a1"], event_ts=datetime(2020, 1, 1, tzinfo=UTC))
    found = client("two_views").get(KEYS[:3], NOW)
    assert found.names == ("track_v1:title", "track_v1:live", "track_v2:whole", "track_v2:share")
    assert list(found.status("track_v1")) == [Status.PRESENT] * 3
    assert list(found.status("track_v2")) == [Status.PRESENT] * 2 + [Status.MISSING]
    both = client("two_entities").get({"artist_id": ["a1", "a0", "?"], "track_id": KEYS[:3]}, NOW)
    assert list(both.status("artist_v1")) == [Status.PRESENT] * 2 + [Status.MISSING]  # good for ever
    assert both.arrow().column("artist_v1:whole").to_pylist() == [-(2**63), 2**63 - 1, None]
    assert both.arrow().column("track_v2:share").to_pylist()[:2] == [0.1, -math.inf]


def test_some_features_only(client, write):
    write()
    found = client(features=["title", "track_v1:live"]).get(KEYS[:2], NOW)
    assert found.names == ("track_v1:title", "track_v1:live")
    assert found.dicts()[1] == {"track_v1:title": "", "track_v1:live": False}


def test_no_key_and_the_same_key_twice(client, write):
    write()
    assert len(client().get([], NOW)) == 0
    assert client().get([], NOW).arrow().num_rows == 0
    twice = client().get([KEYS[1], KEYS[1]], NOW)
    assert list(twice["whole"]) == [-(2**63)] * 2


def test_what_is_not_known_is_answered_with_the_nearest(client):
    with pytest.raises(UnknownName, match="unknown feature service 'everythin'") as error:
        client("everythin")
    assert error.value.nearest[0] == "everything"
    with pytest.raises(UnknownName, match="unknown feature of service everything 'titel'") as error:
        client(features=["titel"])
    assert "track_v1:title" in str(error.value)
    with pytest.raises(UnknownName, match="two_views 'whole_'"):
        client("two_views", features=["whole_"])
    with pytest.raises(UnknownName, match="key column of service everything 'trackid'") as error:
        client().get({"trackid": KEYS})
    assert "track_id" in str(error.value)
    with pytest.raises(UnknownName, match="unknown feature 'nothing'"):
        client().get([], NOW)["nothing"]


def test_keys_that_do_not_fit(client):
    with pytest.raises(UsageError, match="is about track_id, artist_id"):
        client("two_entities").get(KEYS)
    with pytest.raises(UsageError, match="5 of track_id, 1 of artist_id"):
        client("two_entities").get({"track_id": KEYS, "artist_id": ["a"]})
    with pytest.raises(UsageError, match="5 of track_id, no of artist_id"):
        client("two_entities").get({"track_id": KEYS})
    with pytest.raises(UsageError, match="a key of track_id is a text, not 7"):
        client().get([7])
    with pytest.raises(UsageError, match="has no time zone"):
        client().get(KEYS, datetime(2026, 3, 2))  # noqa: DTZ001


@BOTH_STORES
def test_a_text_is_no_list_of_keys(client):
    features = client()
    with pytest.raises(UsageError, match="keys are a list, not the text 'abc'"):
        features.get("abc")


def test_a_forked_process_follows_the_registry_too(client, write):
    """A thread does not survive a fork: the child starts its own when it is asked first."""
    write()
    features = client()
    names = features.get(["a"]).names

    def asked() -> None:
        features.get(["a"])
        followed = any(thread.name.startswith("plan of") and thread.is_alive() for thread in threading.enumerate())
        os._exit(0 if followed and features.get(["a"]).names == names else 1)

    child = multiprocessing.get_context("fork").Process(target=asked)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert features.get(["a"]).names == names


def test_asynchronously(client, write):
    write()

    async def read() -> list:
        one = client()
        found = await asyncio.gather(*(one.aget(KEYS, NOW) for _ in range(20)))
        await one.aclose()
        return found

    expected = client().get(KEYS, NOW).dicts()
    for found in asyncio.run(read()):
        assert repr(found.dicts()) == repr(expected)


def test_every_event_loop_has_connections_of_its_own(client, write):
    write()
    one, expected = client(connections=2), repr(client().get(KEYS, NOW).dicts())
    found: list[str] = []

    async def read() -> None:
        found.extend([repr((await one.aget(KEYS, NOW)).dicts()) for _ in range(5)])

    for _ in range(4):  # a loop that has ended, as each of these has, takes its connections along
        asyncio.run(read())
    threads = [threading.Thread(target=asyncio.run, args=(read(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 35


@pytest.mark.parametrize("feature", COLUMNS)
def test_a_cell_of_another_type_is_no_value(client, write, store, feature):
    write()
    other = pa.array(["x"]) if COLUMNS[feature][0] != pa.string() else pa.array([1.5])
    [name] = encode.entity_keys(pa.array(KEYS[:1]), "track_id", "content_signals").to_pylist()
    store.hset(name, encode.field_name("track_v1", feature), encode.values(other)[0].as_py())
    with pytest.raises(BrokenData, match=f"track_v1:{feature}: the store holds {other.type}, not"):
        client().get(KEYS, NOW)
    if COLUMNS[feature][0] == pa.float64():  # of as many bytes as a double
        store.hset(name, encode.field_name("track_v1", feature), encode.values(pa.array(["7 bytes"]))[0].as_py())
        with pytest.raises(BrokenData, match="not a floating-point number"):
            client().get(KEYS, NOW)


def test_many_threads_share_a_client(client, write):
    write()
    one, wrong = client(connections=4), []

    def read(key: str, value: object) -> None:
        wrong.extend(1 for _ in range(100) if one.get([key], NOW).dicts()[0]["track_v1:title"] != value)

    titles = COLUMNS["title"][2]
    threads = [threading.Thread(target=read, args=pair) for pair in zip(KEYS * 2, titles * 2, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_store_that_does_not_answer(client, write, store_settings):
    settings = store_settings.model_copy(update={"online_store": SecretStr("redis://user:hunter2@127.0.0.1:1")})
    with pytest.raises(Temporary, match="the online store does not answer") as error:
        client(settings=settings, timeout=0.5).get(KEYS)
    assert "hunter2" not in str(error.value)


def test_a_store_that_is_slow_is_given_up_and_the_next_answer_is_the_right_one(client, write, store):
    write()
    one = client("family", timeout=0.2)
    assert one.get(KEYS[:1], NOW)["whole"][0] == 2**63 - 1
    store.client_pause(600)
    started = time.monotonic()
    with pytest.raises(Temporary, match="Timeout"):
        one.get(KEYS[:1], NOW)
    assert time.monotonic() - started < 0.5
    store.client_unpause()
    assert one.get(KEYS[1:2], NOW)["whole"][0] == -(2**63)


def test_last_known_values_are_the_callers_choice_and_say_so(client, write, store):
    write(keys=KEYS[:2])
    one = client("family", timeout=0.2, last_known=2)
    one.get(["?", KEYS[0], KEYS[1]], NOW)
    store.client_pause(600)
    found = one.get([KEYS[0], KEYS[1], "?"], MIDNIGHT + 2 * TTL)
    store.client_unpause()
    assert list(found.status("whole")) == [Status.LAST_KNOWN, Status.LAST_KNOWN, Status.UNAVAILABLE]
    assert list(found["whole"][:2]) == [2**63 - 1, -(2**63)]
    assert found.age("whole")[0] == 2 * TTL.total_seconds()


def test_a_flip_is_followed_within_a_second_and_never_mixed(feast, client, write):
    """A service is moved from one version to the other and back while it is read all the time."""
    write()
    write(SECOND, event_ts=MIDNIGHT + timedelta(hours=1))
    one, seen, ended = client("family"), [], threading.Event()

    def read() -> None:
        while not ended.is_set():
            found = one.get(KEYS[:2], NOW)
            seen.append((found.names, {len(found.dicts()[0])}))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(4):
            view = (SECOND, EVERYTHING)[n % 2]
            feast.apply([FeatureService(name="family", features=[view[["whole"]]])])
            until(lambda name=f"{view.name}:whole": one.names == (name,))
    finally:
        ended.set()
        reader.join()
    assert {names for names, _ in seen} == {("track_v1:whole",), ("track_v2:whole",)}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 1.0
    while not holds():
        assert time.monotonic() < deadline, "the change was not followed"
        time.sleep(0.01)


def test_a_registry_that_is_gone_leaves_the_service_as_it_was(client, write, feast, monkeypatch):
    write()
    one, asked = client("family", refresh=0.05), []
    with monkeypatch.context() as gone:
        gone.setattr(feast.registry, "read_engine", Gone(asked))
        until(lambda: len(asked) > 2)
        assert one.get(KEYS[:1], NOW)["whole"][0] == 2**63 - 1
    feast.apply([FeatureService(name="family", features=[SECOND[["whole"]]])])
    until(lambda: one.names == ("track_v2:whole",))


class Gone:
    """A registry's engine that gives no connection."""

    def __init__(self, asked: list) -> None:
        self.connect = lambda: asked.append(1) or 1 / 0


def test_a_view_that_changes_under_its_service_is_followed(client, write, feast):
    write()
    one = client("family")
    assert one.get(KEYS[:1], NOW).status("whole")[0] == Status.PRESENT
    feast.apply([view_of("track_v1", COLUMNS, TRACK, ttl=timedelta(hours=1))])
    until(lambda: one.get(KEYS[:1], NOW).status("whole")[0] == Status.STALE)


def test_a_service_that_has_not_changed_is_not_made_a_plan_of_again(client, feast, monkeypatch):
    checked, planned = [], []
    count(monkeypatch, "registered", checked)
    count(monkeypatch, "service_plan", planned)
    client("two_views", refresh=0.02)
    until(lambda: len(checked) > 5)
    assert len(planned) == 2  # at the start, and when the registry was first looked at


def count(monkeypatch, name: str, calls: list) -> None:
    own = getattr(client_module, name)
    monkeypatch.setattr(client_module, name, lambda *given: calls.append(1) or own(*given))


def test_plans_that_read_the_same_are_equal(client):
    plan = client("two_views")._plan
    assert plan == replace(plan)
    assert plan.places[1][2] == 4  # time, version and two features of the first view
