"""The whole way of a table to its readers on servers that are not embedded: Debian's redis-server and PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from content_signals.catalog import catalog
from content_signals.features import publish as step
from content_signals.features.client import FeatureClient
from content_signals.features.store import feature_store, online_client
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.receipts import receipts_of
from content_signals.pipeline.check_online import check_online
from content_signals.pipeline.context import Context
from content_signals.pipeline.publish import publish
from content_signals.pipeline.takedown import take_down
from tests.faults.good_days import FIRST, TITLE, good_rows
from tests.lake import promoted
from tests.servers import postgres, redis_server
from tests.settings import settings_in

KEYS, NEXT = 60, FIRST + timedelta(days=1)
SERVICE = "track_title"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, SecretStr]]:
    with redis_server() as store, postgres() as registry:
        yield {"online_store": SecretStr(store), "registry": SecretStr(registry)}


@pytest.fixture
def platform(servers, tmp_path: Path) -> Context:
    settings = settings_in(tmp_path).model_copy(update=servers)
    online_client(settings).flushall()
    return Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)


@pytest.fixture
def send(platform, spark):
    """Promotes and publishes a day."""
    table = platform.catalog.table(TITLE)

    def run(day, rows):
        promoted(platform.lake.of(table), day, rows, run_id=f"run-{day}")
        return publish(replace(platform, run=start_run()), spark, table, [day]).details

    return run


def test_what_is_published_is_read_checked_and_taken_down(platform, spark, send):
    table = platform.catalog.table(TITLE)
    assert send(FIRST, good_rows(TITLE, FIRST, KEYS))["written"] == KEYS
    gone = good_rows(TITLE, NEXT, KEYS).slice(1)
    first = good_rows(TITLE, NEXT, KEYS)["track_id"][0].as_py()
    counts = send(NEXT, gone)
    assert (counts["written"], counts["tombstoned"], counts["read_back"] > 0) == (KEYS - 1, 1, True)
    keys = good_rows(TITLE, NEXT, KEYS)["track_id"].to_pylist()
    asked = [{"track_id": key} for key in keys]
    store = feature_store(platform.settings)
    by_feast = store.get_online_features(store.get_feature_service(SERVICE), asked).to_dict()
    with FeatureClient(SERVICE, platform.settings, keep_stale=True) as client:
        answer = client.get(keys)
    for name in table.values:
        wanted = [None, *gone[name].to_pylist()]
        assert by_feast[name] == wanted
        assert answer.arrow()[f"{TITLE}:{name}"].to_pylist() == wanted
    assert check_online(replace(platform, run=start_run()), spark, table).exit_code == 0
    take_down(platform, "track", keys[1], "asked by the label", "legal")
    with FeatureClient(SERVICE, platform.settings, keep_stale=True) as client:
        answer = client.get(keys[:3])
    assert answer.status(table.values[0]).tolist() == ["missing", "taken down", "stale"]
    assert [receipt.day for receipt in receipts_of(platform.lake.receipts(table))] == [FIRST, NEXT]
    assert first == keys[0]


def test_a_worker_that_is_killed_while_it_sends(platform, spark, send, monkeypatch):
    """Spark on one machine gives a task one try: the publication ends in an error, and the next one completes it."""
    write = step._write

    def dying(view, ticket, batches):
        for _ in write(view, ticket, batches):  # sent, and nobody heard of it
            os.kill(os.getpid(), signal.SIGKILL)
            yield

    rows = good_rows(TITLE, FIRST, KEYS)
    with monkeypatch.context() as patch:
        patch.setattr(step, "_write", dying)
        with pytest.raises(Exception, match="Python worker exited unexpectedly"):
            send(FIRST, rows)
    table = platform.catalog.table(TITLE)
    assert receipts_of(platform.lake.receipts(table)) == []
    counts = publish(replace(platform, run=start_run()), spark, table, [FIRST]).details
    assert counts["read"] == KEYS == sum(counts[how] for how in ("written", "stale", "tombstoned", "unchanged"))
    with FeatureClient(SERVICE, platform.settings, keep_stale=True) as client:
        answer = client.get(rows["track_id"].to_pylist()).arrow()
    assert all(answer[f"{TITLE}:{name}"].to_pylist() == rows[name].to_pylist() for name in table.values)
    assert check_online(replace(platform, run=start_run()), spark, table).exit_code == 0
