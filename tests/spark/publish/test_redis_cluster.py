"""A Redis Cluster behind Feast: publications go through its API, and its SDK reads what the tables have."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import duckdb
import pytest
import redis
from deltalake import DeltaTable
from pydantic import SecretStr

from content_signals.errors import Temporary, UsageError
from content_signals.features import fallback
from content_signals.features.client import FeatureClient
from content_signals.features.store import feature_store, online_client
from content_signals.inspection.explanation import explain
from content_signals.inspection.features import feature_rows
from content_signals.lake.layout import start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.check_online import check_online
from content_signals.pipeline.cleanup import clean_retired
from content_signals.pipeline.context import Context
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.publish import publish
from content_signals.pipeline.takedown import give_back, take_down
from tests.faults.good_days import FIRST, POPULARITY, TITLE, good_rows
from tests.lake import promoted
from tests.servers import free_port, redis_cluster
from tests.spark.publish.days import ALL, DAYS, KEYS
from tests.stores import point_feast
from tests.versions import FAMILY, with_versions

PASSWORD, REASON = "not-for-others", "the label asked for it"
FEATURE = f"{TITLE}:catalogue_age_days"
Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[redis.Redis]]:
    with redis_cluster(PASSWORD) as nodes:
        yield nodes


@pytest.fixture
def point(cluster, platform, monkeypatch, tmp_path):
    """Points Feast at the cluster, or at another port; the settings name another store."""
    monkeypatch.setenv("CLUSTER_PASSWORD", PASSWORD)

    def run(port: int = port_of(cluster[0]), **more: str) -> None:  # of one node: it knows the others
        where = {"type": "redis", "redis_type": "redis_cluster"}
        where["connection_string"] = f"'127.0.0.1:{port},password=${{CLUSTER_PASSWORD}}'"
        point_feast(monkeypatch, tmp_path, **where, **more)

    return run


@pytest.fixture(autouse=True)
def pointed(cluster, point) -> None:
    """Nothing is in the cluster, and Feast is pointed at it."""
    for node in cluster:
        node.flushall()
        node.config_set("maxmemory", 0)
    point()


def port_of(node: redis.Redis) -> int:
    return node.connection_pool.connection_kwargs["port"]


def now(context: Context) -> Context:
    return replace(context, run=start_run())


def asked(context: Context, view: str) -> dict[str, Any]:
    names = [f"{view}:{name}" for name in context.catalog.table(view).values]
    return {"features": names, "entity_rows": [{"track_id": key} for key in ALL]}


def served(context: Context, view: str = TITLE) -> Rows:
    """Every key -> its values, as plain Feast serves them."""
    return by_key(feature_store(context.settings).get_online_features(**asked(context, view)).to_dict())


def by_key(answer: dict[str, list[Any]]) -> Rows:
    keys = answer.pop("track_id")
    return {key: {name: values[place] for name, values in answer.items()} for place, key in enumerate(keys)}


def in_table(context: Context, day: date, view: str = TITLE) -> Rows:
    """Every key that a day has -> its values, as DuckDB reads the files of the Delta table."""
    contract = context.catalog.table(view)
    files = DeltaTable(context.lake.of(contract).path).file_uris(file_pruning_predicate=[("ds", "=", str(day))])
    query = f"select track_id, {', '.join(contract.values)} from read_parquet(?)"
    found = duckdb.execute(query, [files]).fetchall()
    return {key: dict(zip(contract.values, values, strict=True)) for key, *values in found}


def nothing(context: Context, view: str = TITLE) -> dict[str, None]:
    return dict.fromkeys(context.catalog.table(view).values)


def publish_popularity(context: Context, spark: Any) -> None:
    table = context.catalog.table(POPULARITY)
    promoted(context.lake.of(table), FIRST, good_rows(POPULARITY, FIRST, KEYS))
    assert publish(now(context), spark, table, [FIRST]).rows_out == KEYS


def test_all_views_of_a_key_are_served_from_one_slot(platform, cluster, spark, days, send):
    days.build(FIRST, ALL)
    counts = send()
    assert (counts["read"], counts["written"], counts["stale"], counts["read_back"]) == (KEYS, KEYS, 0, KEYS)
    told = "through Feast's own API, slower: the online store is of redis_type redis_cluster"
    assert f"{TITLE}: {told}" in platform.said
    publish_popularity(platform, spark)
    for view in (TITLE, POPULARITY):
        assert served(platform, view) == in_table(platform, FIRST, view)
        by_loop = asyncio.run(feature_store(platform.settings).get_online_features_async(**asked(platform, view)))
        assert by_key(by_loop.to_dict()) == in_table(platform, FIRST, view)
    hashes = [name for node in cluster for name in node.scan_iter()]
    assert len(hashes) == len(set(hashes)) == KEYS
    for node in cluster:
        own = list(node.scan_iter())
        assert own
        for name in own:
            slot = node.execute_command("CLUSTER KEYSLOT", name)
            assert name.decode() in node.execute_command("CLUSTER GETKEYSINSLOT", slot, KEYS)
            assert {f"_ts:{view}".encode() for view in (TITLE, POPULARITY)} <= set(node.hkeys(name))


@pytest.mark.parametrize("whatever_time", [False, True])
def test_days_a_correction_and_a_key_that_left(platform, point, days, send, whatever_time):
    point(skip_dedup=str(whatever_time).lower())
    days.build(DAYS[0], ALL)
    send()
    before = in_table(platform, DAYS[0])
    days.build(DAYS[1], ALL[1:])
    counts = send()
    assert (counts["written"], counts["tombstoned"]) == (KEYS - 1, 0)
    first = in_table(platform, DAYS[1])
    assert served(platform) == before | first  # the key that left stays
    days.build(DAYS[1], ALL[1:], changed=ALL[1:4])
    corrected = in_table(platform, DAYS[1])
    assert [key for key in ALL[1:] if corrected[key] != first[key]] == ALL[1:4]
    for full in (False, True):
        counts = send(full=full)
        taken = (KEYS - 1, 0) if whatever_time else (KEYS - 4, 3)
        assert (counts["written"], counts["stale"]) == taken
        assert served(platform) == before | (corrected if whatever_time else first)
    said = any("3 keys serve other values, e.g. track00001" in line for line in platform.said)
    assert said is not whatever_time
    days.build(DAYS[2], ALL)
    send()
    assert served(platform) == in_table(platform, DAYS[2])
    send(DAYS[0])
    assert served(platform) == in_table(platform, DAYS[2])


def test_what_is_taken_down_is_null_until_it_is_given_back(platform, spark, days, send):
    days.build(DAYS[0], ALL)
    send()
    publish_popularity(platform, spark)
    for key in ALL[1:3]:
        take_down(now(platform), "track", key, REASON, "legal")
    for view in (TITLE, POPULARITY):
        null = dict.fromkeys(ALL[1:3], nothing(platform, view))
        assert served(platform, view) == in_table(platform, FIRST, view) | null
    days.build(DAYS[1], ALL[1:2])
    assert send()["read"] == 0
    days.build(DAYS[1], [key for key in ALL if key != ALL[2]])
    send()
    send(full=True)
    null = dict.fromkeys(ALL[1:3], nothing(platform))
    assert served(platform) == in_table(platform, DAYS[1]) | null
    for key in ALL[1:3]:
        give_back(now(platform), "track", key, REASON, "legal")
    assert served(platform) == in_table(platform, DAYS[1]) | {ALL[2]: nothing(platform)}
    assert served(platform, POPULARITY) == in_table(platform, FIRST, POPULARITY)
    days.build(DAYS[2], ALL)
    send()
    assert served(platform) == in_table(platform, DAYS[2])


def test_what_is_taken_down_meanwhile_is_not_written(platform, point, days, send, table, monkeypatch):
    point(skip_dedup="true")
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL)
    monkeypatch.setattr(fallback, "BATCH_ROWS", 10)
    asked = []

    def gone() -> Collection[str]:
        asked.append(None)
        if len(asked) == 2:
            take_down(now(platform), "track", ALL[15], REASON, "legal")
        return taken_down(platform.lake, "track")

    files = Snapshot(platform.lake.of(table)).files([DAYS[1]])
    written = fallback.publish_files(feature_store(platform.settings), table, files, gone)
    assert (len(asked), written.sent, written.served) == (KEYS / 10, KEYS - 1, KEYS - 1)
    assert served(platform) == in_table(platform, DAYS[1]) | {ALL[15]: nothing(platform)}


def test_what_reads_our_own_bytes_refuses_it_and_explain_asks_feast(platform, spark, days, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[0], ALL)
    assert send()["stale"] == KEYS
    reads = "reads one Redis or Valkey; the online store is of redis_type redis_cluster"
    with pytest.raises(UsageError, match=f"FeatureClient {reads}") as refused:
        FeatureClient(FAMILY, platform.settings)
    assert refused.value.next_step == "read through Feast's own SDK"
    with pytest.raises(UsageError, match=f"FeatureClient {reads}"):
        feature_rows(platform, FAMILY, ALL[:1], datetime.now(UTC), offline=False)
    with pytest.raises(UsageError, match=f"check_online {reads}"):
        check_online(now(platform), spark, platform.catalog.table(TITLE))
    told = explain(now(platform), "track", ALL[0], FEATURE, datetime.now(UTC))
    old, new = served(platform)[ALL[0]], in_table(platform, DAYS[0])[ALL[0]]
    assert old != new
    assert told["online now"]["value"] == old["catalogue_age_days"]
    assert told["online now"]["status"] == "as Feast serves it: the online store is of redis_type redis_cluster"
    assert told["published"]["value"] == new["catalogue_age_days"]


def test_a_flip_moves_readers_and_what_it_retired_stays(platform, spark, monkeypatch, tmp_path):
    registry = SecretStr(f"sqlite:///{tmp_path}/registry.db")
    settings = platform.settings.model_copy(update={"registry": registry})
    context = replace(platform, settings=settings, catalog=with_versions(monkeypatch, 1, 2))
    old, new = (context.catalog.table(f"{FAMILY}_v{number}") for number in (1, 2))
    for table, day in ((old, DAYS[0]), (new, DAYS[1])):
        promoted(context.lake.of(table), day, good_rows(TITLE, day, KEYS))
        publish(now(context), spark, table, [day])

    def live() -> Rows:
        store = feature_store(context.settings)
        keys = [{"track_id": key} for key in ALL]
        return by_key(store.get_online_features(store.get_feature_service(FAMILY), keys).to_dict())

    assert live() == in_table(context, DAYS[1], new.table)
    flip_family(now(context), FAMILY, 1, "measured better on the golden set", "ranking")
    assert live() == in_table(context, DAYS[0], old.table)
    later = start_run()
    clean_retired(replace(context, run=replace(later, now=later.now + timedelta(days=30))), 7)
    assert platform.said[-1] == "nothing is cleaned up: the online store is of redis_type redis_cluster"
    assert served(context, new.table) == in_table(context, DAYS[1], new.table)


def test_a_node_that_refuses_rows_and_a_cluster_that_does_not_answer(platform, cluster, point, days, send):
    days.build(DAYS[0], ALL)
    cluster[1].config_set("maxmemory", 1)
    with pytest.raises(Temporary, match="the online store fails: OutOfMemoryError") as failed:
        send()
    assert failed.value.next_step == "publish the day again: it sends what is missing"
    cluster[1].config_set("maxmemory", 0)
    assert send()["written"] == KEYS
    assert served(platform) == in_table(platform, DAYS[0])
    point(free_port())
    days.build(DAYS[1], ALL)
    takes_down = partial(take_down, now(platform), "track", ALL[0], REASON, "legal")
    for use in (send, takes_down, partial(explain, now(platform), "track", ALL[0], FEATURE, datetime.now(UTC))):
        with pytest.raises(Temporary, match="the online store fails: RedisClusterException"):
            use()
    point()
    takes_down()
    assert served(platform) == in_table(platform, DAYS[0]) | {ALL[0]: nothing(platform)}
    send()
    assert served(platform) == in_table(platform, DAYS[1]) | {ALL[0]: nothing(platform)}


def test_a_publication_that_has_lost_its_lease_is_refused(platform, days, spark, table, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL)
    lease = f"content_signals:writing:content_signals:{TITLE}"

    def loses(line: str) -> None:
        if "through Feast's own API" in line:
            online_client(platform.settings).hset(lease, "holder", "another run")

    with pytest.raises(Temporary, match="LeaseLost: another run has taken over"):
        publish(replace(now(platform), say=loses), spark, table, [DAYS[1]])
    assert served(platform) == in_table(platform, DAYS[0])
    online_client(platform.settings).delete(lease)
    send()
    assert served(platform) == in_table(platform, DAYS[1])


def test_the_store_of_the_settings_is_none_of_its_nodes(platform, cluster, spark, days, table):
    days.build(DAYS[0], ALL)
    for node in cluster:
        url = SecretStr(f"redis://:{PASSWORD}@127.0.0.1:{port_of(node)}")
        context = replace(now(platform), settings=platform.settings.model_copy(update={"online_store": url}))
        with pytest.raises(UsageError, match="online_store of the settings is a node of a Redis Cluster"):
            publish(context, spark, table, [DAYS[0]])
        assert node.dbsize() == 0
