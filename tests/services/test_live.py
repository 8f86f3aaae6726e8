"""Versions of a family: what follows live moves in one step and back, what pins its versions never does."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pydantic import SecretStr

from content_signals.catalog import Catalog
from content_signals.errors import Refused, UnknownName, UsageError
from content_signals.features.client import FeatureClient
from content_signals.features.live import live_tables
from content_signals.features.online import Writer
from content_signals.features.registry import register
from content_signals.features.served import Marker, Promoted, Served
from content_signals.features.store import feature_store, online_client
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.context import Context
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.takedown import view_of
from tests.servers import postgres
from tests.versions import FAMILY, LENGTH, with_services, with_versions

REASON = "measured better on the golden set"
MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL that is started when a test asks for it."""
    started = []

    def url() -> str:
        if not started:
            context = postgres()
            started.append((context, context.__enter__()))
        return started[0][1]

    yield url
    for context, _ in started:
        context.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "postgres"])
def registry(request, tmp_path, server) -> str:
    """URL of an empty registry."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    import psycopg

    address = server().replace("+psycopg", "")
    name = f"registry_{tmp_path.name.replace('-', '_').lower()}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return server().rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def platform(store, store_settings, registry, monkeypatch, tmp_path) -> Context:
    """Both versions of the family online, registered while the first was the only one."""
    url = SecretStr(registry)
    settings = store_settings.model_copy(update={"registry": url, "lake": str(tmp_path / "lake")})
    with_versions(monkeypatch, 1)
    register(feature_store(settings), settings)
    known = with_versions(monkeypatch, 1, 2)
    context = Context(settings, Lake(settings.lake), known, start_run(), lambda _: None)
    for version in (1, 2):
        put_online(context, version)
    return context


def put_online(context: Context, version: int) -> None:
    table = context.catalog.table(f"{FAMILY}_v{version}")
    kinds = {"boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(), "string": pa.string()}
    types = context.catalog.types(table)
    columns = {name: pa.nulls(1, kinds[types[name]]) for name in table.values}
    columns["artists_count"] = pa.array([version], pa.int32())
    stamps = {"event_ts": pa.array([MOMENT]), "computed_at": pa.array([MOMENT])}
    with Writer(view_of(context, table)) as writer:
        writer.write(pa.record_batch({"track_id": pa.array(["a"]), **columns, **stamps}))
    marker = Marker(online_client(context.settings), "content_signals", table.table)
    marker.begin("run", Promoted(1, "2026-03-01"))
    marker.end("run", Promoted(1, "2026-03-01"), "", Served())


def views_of(context: Context) -> dict[str, list[str]]:
    services = feature_store(context.settings).list_feature_services()
    return {service.name: [p.name for p in service.feature_view_projections] for service in services}


def test_a_new_version_is_live_for_nobody_until_it_is_flipped_to(platform):
    register(feature_store(platform.settings), platform.settings)
    assert views_of(platform)[FAMILY] == [f"{FAMILY}_v1"]
    done = flip_family(platform, FAMILY, 2, REASON, "ranking")
    assert (done.before, done.after, done.services) == (f"{FAMILY}_v1", f"{FAMILY}_v2", (FAMILY,))
    register(feature_store(platform.settings), platform.settings)  # what a publication does moves nothing
    assert views_of(platform)[FAMILY] == [f"{FAMILY}_v2"]
    assert f"{FAMILY}_v1" in views_of(platform)["playlist_ranker_v1"]  # pinned
    service = feature_store(platform.settings).get_feature_service(FAMILY)
    assert (service.tags["flipped_by"], service.tags["flipped_because"]) == ("ranking", REASON)
    back = flip_family(platform, FAMILY, None, "it was worse after all", "ranking")
    assert back.after == f"{FAMILY}_v1"
    services = feature_store(platform.settings).list_feature_services()
    assert live_tables(services, platform.catalog)[FAMILY].table == f"{FAMILY}_v1"


def test_the_contract_of_the_live_version_cannot_be_removed(platform, monkeypatch):
    flip_family(platform, FAMILY, 2, REASON, "ranking")
    with_versions(monkeypatch, 1)
    with pytest.raises(
        UsageError, match=rf"{FAMILY}_v2 is live and has no contract any more(.|\n)*features flip {FAMILY}"
    ):
        register(feature_store(platform.settings), platform.settings)
    assert views_of(platform)[FAMILY] == [f"{FAMILY}_v2"]


def test_readers_at_full_speed_see_one_version_or_the_other_during_ten_flips(platform):
    register(feature_store(platform.settings), platform.settings)
    seen, failed, ended = [], [], threading.Event()
    with FeatureClient(FAMILY, platform.settings) as client:

        def read() -> None:
            while not ended.is_set():
                try:
                    found = client.get(["a"])
                    views = {name.split(":")[0] for name in found.names}
                    seen.append((views.pop() if len(views) == 1 else "mixed", int(found["artists_count"][0])))
                except Exception as error:
                    failed.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            for n in range(10):
                to = 2 if n % 2 == 0 else 1
                flip_family(platform, FAMILY, to, REASON, "ranking")
                deadline = time.monotonic() + 1
                while seen[-1][1] != to:
                    assert time.monotonic() < deadline, "a reader did not follow within a second"
                    time.sleep(0.005)
        finally:
            ended.set()
            for reader in readers:
                reader.join()
    assert failed == []
    assert set(seen) == {(f"{FAMILY}_v1", 1), (f"{FAMILY}_v2", 2)}


def test_what_cannot_be_flipped_to_moves_nothing(platform, monkeypatch):
    register(feature_store(platform.settings), platform.settings)
    before = views_of(platform)
    with pytest.raises(UsageError, match="has no version 3, only 1, 2"):
        flip_family(platform, FAMILY, 3, REASON, "ranking")
    with pytest.raises(UnknownName, match="unknown served family 'track_titel'"):
        flip_family(platform, "track_titel", 2, REASON, "ranking")
    with pytest.raises(UsageError, match="is the live version"):
        flip_family(platform, FAMILY, 1, REASON, "ranking")
    with pytest.raises(UsageError, match="at least 10 characters"):
        flip_family(platform, FAMILY, 2, "because", "ranking")
    with pytest.raises(UsageError, match="was never flipped"):
        flip_family(platform, FAMILY, None, REASON, "ranking")
    online_client(platform.settings).delete(f"content_signals:served:content_signals:{FAMILY}_v2")
    with pytest.raises(Refused, match="is not in the online store"):
        flip_family(platform, FAMILY, 2, REASON, "ranking")
    assert views_of(platform) == before


def test_a_view_read_twice_has_a_name_each_time(platform, monkeypatch, tmp_path):
    seed = "views['track_title_v1'].with_name('seed').with_join_key_map({'track_id': 'seed_id'})"
    service = f"pairs = FeatureService(name='pairs', features=[views['track_title_v1'], {seed}])"
    with_services(tmp_path, monkeypatch, service)
    with pytest.raises(UsageError, match="service pairs: it reads track_title_v1 more than once") as error:
        register(feature_store(platform.settings), platform.settings)
    assert error.value.state == "nothing was registered"
    assert "with_name" in error.value.next_step


@pytest.mark.parametrize("second", ["views['track_title_v2']", "views['track_title_v2'].with_name('next')"])
def test_a_flip_makes_no_two_views_of_a_service_one(platform, monkeypatch, tmp_path, second):
    """Of a service that follows live and reads two versions of a family side by side: nobody moves."""
    service = (
        "both = FeatureService(name='both', tags={'follow': 'live'}, "
        f"features=[views['track_title_v1'][['duration_ms']], {second}[['duration_ms']]])"
    )
    with_services(tmp_path, monkeypatch, service)
    before = views_of(platform)
    with pytest.raises(UsageError, match=f"service both: it reads {FAMILY}_v"):
        flip_family(platform, FAMILY, 2, REASON, "ranking")
    assert views_of(platform) == before


def test_a_models_service_that_follows_live_moves_too_or_nothing_does(platform, monkeypatch, tmp_path):
    service = (
        'follower = FeatureService(name="follower", tags={"follow": "live"}, '
        'features=[views["track_title_v1"][["artists_count"]].with_name("own"), '
        'views["track_title_v1"][["duration_ms"]].with_name("seed").with_join_key_map({"track_id": "seed_id"}), '
        'views["track_popularity_v1"][["best_position"]]])'
    )
    with_services(tmp_path, monkeypatch, service)
    register(feature_store(platform.settings), platform.settings)
    done = flip_family(platform, FAMILY, 2, REASON, "ranking")
    assert set(done.services) == {FAMILY, "follower"}
    assert views_of(platform)["follower"] == [f"{FAMILY}_v2", f"{FAMILY}_v2", "track_popularity_v1"]
    seed = feature_store(platform.settings).get_feature_service("follower").feature_view_projections[1]
    assert (seed.name_alias, seed.join_key_map) == ("seed", {"track_id": "seed_id"})
    assert [feature.name for feature in seed.features] == ["duration_ms"]
    flip_family(platform, FAMILY, 1, REASON, "ranking")
    table = platform.catalog.table(f"{FAMILY}_v2")
    fewer = replace(table, columns=tuple(c for c in table.columns if c.name != "artists_count"))
    others = [t for t in platform.catalog.tables if t.table != table.table]
    changed = Catalog([*platform.catalog.sources, *others, fewer])
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: changed)
    with pytest.raises(UsageError, match="follower follows live and reads what track_title_v2 does not have"):
        flip_family(replace(platform, catalog=changed), FAMILY, 2, REASON, "ranking")
    assert views_of(platform)[FAMILY] == [f"{FAMILY}_v1"]


def test_a_service_with_a_view_on_demand_names_its_versions(platform, monkeypatch, tmp_path):
    """Following, it would read two versions in one call, or hold up flips and ways back."""
    follower = (
        "follower = FeatureService(name='follower', tags={'follow': 'live'}, "
        "features=[length_v1, views['track_popularity_v1'][['best_position']]])"
    )
    before = views_of(platform)
    with_services(tmp_path, monkeypatch, f"{LENGTH}{follower}")
    with pytest.raises(UsageError, match="follows live, and length_v1, computed on demand, is made of") as error:
        register(feature_store(platform.settings), platform.settings)
    assert "pin its versions" in error.value.next_step
    assert views_of(platform) == before
    with_services(tmp_path, monkeypatch, f"{LENGTH}{follower.replace('live', 'pinned')}")
    for version in (2, 1):
        assert set(flip_family(platform, FAMILY, version, REASON, "ranking").services) == {FAMILY}
        assert views_of(platform)["follower"] == ["length_v1", "track_popularity_v1"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("pairs = list(", "math.floor(1.5)\n    pairs = list("),
            "view length_v1, .*, uses math, which stands outside",
        ),
        (("None in pair", "is_empty(pair)"), "view length_v1, .*, uses is_empty, which stands outside"),
        (('rows["asked_ms"]', 'rows["track_id"]'), "view length_v1, .*, fails on values .*: KeyError: 'track_id'"),
        (('"track_title_v1"][["duration_ms"]]', '"track_title_v1"][["duration_ms"]].with_name("a:b")'), "'a:b', which"),
    ],
)
def test_a_view_on_demand_that_nobody_could_compute_is_refused(platform, monkeypatch, tmp_path, change, told):
    """As soon as it is written, and by name: whoever wrote it can mend it."""
    before = views_of(platform)
    service = "lengths = FeatureService(name='lengths', features=[length_v1])"
    with_services(tmp_path, monkeypatch, f"import math\n{LENGTH.replace(*change)}{service}")
    with pytest.raises(UsageError, match=told) as error:
        register(feature_store(platform.settings), platform.settings)
    assert error.value.state == "nothing was registered"
    assert views_of(platform) == before


def test_a_view_on_demand_is_registered_once_whatever_names_it_has_and_not_without_one(platform, monkeypatch, tmp_path):
    service = "lengths = FeatureService(name='lengths', features=[other])"
    with_services(tmp_path, monkeypatch, f"{LENGTH}other = length_v1.with_name('other')\nagain = length_v1\n{service}")
    register(feature_store(platform.settings), platform.settings)
    assert views_of(platform)["lengths"] == ["length_v1"]
    with_services(
        tmp_path, monkeypatch, f"{LENGTH}kept = [length_v1]\ndel length_v1\n{service.replace('other', 'kept[0]')}"
    )
    with pytest.raises(UsageError, match="service lengths reads length_v1, which is in no variable"):
        register(feature_store(platform.settings), platform.settings)


def test_a_view_on_demand_is_registered_anew_when_its_function_has_changed(platform, monkeypatch, tmp_path):
    service = "lengths = FeatureService(name='lengths', features=[length_v1])"
    with_services(tmp_path, monkeypatch, f"{LENGTH}{service}")
    store = feature_store(platform.settings)

    def written() -> tuple[datetime, str]:
        register(feature_store(platform.settings), platform.settings)
        view = store.registry.get_on_demand_feature_view("length_v1", store.project)
        return view.last_updated_timestamp, view.feature_transformation.udf_string

    first, text = written()
    assert "^" in text
    assert written() == (first, text)  # a publication does not write what is there
    with_services(tmp_path, monkeypatch, f"{LENGTH.replace('^', '& 7 |')}{service}")
    assert "|" in written()[1]
