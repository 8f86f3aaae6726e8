"""What a version leaves in the store goes a week after a flip ended it, unless somebody reads it; nothing else goes."""

from __future__ import annotations

import struct
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mmh3
import pyarrow as pa
import pytest
from pydantic import SecretStr

from content_signals.errors import Refused, UsageError
from content_signals.features import encode, sweep
from content_signals.features import lease as lease_module
from content_signals.features.client import FeatureClient
from content_signals.features.lease import Lease
from content_signals.features.live import leave_again
from content_signals.features.online import Writer
from content_signals.features.registry import register
from content_signals.features.served import Marker, Promoted, Served
from content_signals.features.store import feature_store, online_client
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.cleanup import clean_retired
from content_signals.pipeline.context import Context
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.takedown import take_down, view_of
from tests.services.conftest import BOTH_STORES
from tests.versions import FAMILY, LENGTH, with_services, with_versions

pytestmark = BOTH_STORES

REASON, PROJECT = "measured better on the golden set", "content_signals"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = [f"track{n:02}" for n in range(40)]
TYPES = {"boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(), "string": pa.string()}


@pytest.fixture(scope="module")
def flipped(store_settings, tmp_path_factory) -> tuple[Context, Path, bytes]:
    """A registry in which version 1 was live first, then 2, now 3; the file it is in, and what that holds."""
    folder = tmp_path_factory.mktemp("flipped")
    changes = {"lake": str(folder / "lake"), "registry": SecretStr(f"sqlite:///{folder}/registry.db")}
    settings = store_settings.model_copy(update=changes)
    with pytest.MonkeyPatch.context() as patched, closing(online_client(settings)) as client:
        with_versions(patched, 1)
        register(feature_store(settings), settings)
        known = with_versions(patched, 1, 2, 3, 4)
        context = Context(settings, Lake(settings.lake), known, start_run(), lambda _: None)
        for version in (1, 2, 3):
            put_online(context, client, version, KEYS[:2])
        flip_family(at(context, START - timedelta(days=30)), FAMILY, 2, REASON, "ranking")
        flip_family(at(context, START), FAMILY, 3, REASON, "ranking")
    return context, folder / "registry.db", (folder / "registry.db").read_bytes()


@pytest.fixture
def platform(store, flipped, monkeypatch) -> Context:
    """Versions 1 to 4 online, 3 is live, nobody has flipped to 4; a key is taken down. What is said is kept."""
    made, registry, content = flipped
    registry.write_bytes(content)
    said: list[str] = []
    context = replace(made, catalog=with_versions(monkeypatch, 1, 2, 3, 4), say=said.append)
    object.__setattr__(context, "said", said)
    for version in (1, 2, 3, 4):
        put_online(context, store, version, KEYS if version < 3 else KEYS[10:])
    take_down(context, "track", KEYS[20], "asked for by the label", "legal")
    return context


def at(context: Context, moment: datetime) -> Context:
    """The same at another time."""
    return replace(context, run=replace(context.run, now=moment))


def days(context: Context, number: float) -> Context:
    """The same, so many days after version 3 went live."""
    return at(context, START + timedelta(days=number))


def put_online(context: Context, store, version: int, keys: list[str]) -> None:
    """Rows of some keys as a publication leaves them; the last key has left the table."""
    table = context.catalog.table(f"{FAMILY}_v{version}")
    types = context.catalog.types(table)
    columns = {name: pa.nulls(len(keys), TYPES[types[name]]) for name in table.values}
    columns["artists_count"] = pa.array([version] * len(keys), pa.int32())
    moments = pa.array([START - timedelta(hours=1)] * len(keys))
    rows = pa.record_batch({"track_id": pa.array(keys), **columns, "event_ts": moments, "computed_at": moments})
    with Writer(view_of(context, table)) as writer:
        writer.write(rows)
        writer.write(rows[-1:], "gone")
    marker = Marker(store, PROJECT, table.table)
    marker.begin("run", Promoted(1, "2026-03-01"))
    marker.end("run", Promoted(1, "2026-03-01"), "", Served())


def everything(store) -> dict[bytes, dict[bytes, bytes]]:
    """All hashes of tracks, whole."""
    return {name: store.hgetall(name) for name in store.scan_iter(encode.key_prefix("track_id") + b"*")}


def without(found: dict[bytes, dict[bytes, bytes]], context: Context, version: int) -> dict[bytes, dict[bytes, bytes]]:
    """The same without a version's fields, by Feast's rule of how a field is called, and ours of the version's."""
    view = f"{FAMILY}_v{version}"
    names = [*context.catalog.table(view).values, "_version"]
    fields = {struct.pack("<I", mmh3.hash(f"{view}:{name}", signed=False)) for name in names} | {f"_ts:{view}".encode()}
    left = {name: {f: value for f, value in cells.items() if f not in fields} for name, cells in found.items()}
    return {name: cells for name, cells in left.items() if cells}


def test_a_version_is_cleaned_after_its_grace_and_nothing_else_is_touched(platform, store):
    [other] = encode.entity_keys(pa.array([KEYS[0]]), "track_id", "other_project").to_pylist()
    store.hset(other, f"_ts:{FAMILY}_v2", b"theirs")
    before = everything(store)
    assert clean_retired(days(platform, 6.99), 7).details == {}
    assert everything(store) == before
    outcome = clean_retired(days(platform, 7), 7)
    assert outcome.details == {f"{FAMILY}_v2": {"keys_cleaned": len(KEYS)}}
    ours = {name: cells for name, cells in before.items() if name != other}
    assert everything(store) == {**without(ours, platform, 2), other: before[other]}
    assert Marker(store, PROJECT, f"{FAMILY}_v2").read() == Served()
    assert f"{FAMILY}_v2: retired since 2026-03-01; the fields of 40 keys are removed" in platform.said
    with FeatureClient("playlist_ranker_v1", platform.settings) as client:
        assert client.get([KEYS[20]]).status(f"{FAMILY}_v1:is_live") == ["taken down"]


def test_a_version_that_a_service_pins_stays_and_so_does_a_new_one(platform, store):
    clean_retired(days(platform, 365), 7)
    fields = {field for cells in everything(store).values() for field in cells}
    assert {f"_ts:{FAMILY}_v{version}".encode() in fields for version in (1, 3, 4)} == {True}
    assert f"_ts:{FAMILY}_v2".encode() not in fields
    assert f"{FAMILY}_v1: not live any more, and kept: playlist_ranker_v1 reads it" in platform.said


def test_a_version_that_a_view_on_demand_is_made_of_stays_while_a_service_reads_that(platform, monkeypatch, tmp_path):
    service = "lengths = FeatureService(name='lengths', features=[length_v1])"
    with_services(tmp_path, monkeypatch, f"del playlist_ranker_v1\n{LENGTH}{service}")
    feature_store(platform.settings).delete_feature_service("playlist_ranker_v1")
    clean_retired(days(platform, 365), 7)
    assert f"{FAMILY}_v1: not live any more, and kept: lengths reads it" in platform.said
    feature_store(platform.settings).delete_feature_service("lengths")
    with_services(tmp_path, monkeypatch, f"del playlist_ranker_v1\n{LENGTH}")
    clean_retired(days(platform, 366), 7)
    clean_retired(days(platform, 372.1), 7)
    assert any(line.startswith(f"{FAMILY}_v1: retired since") for line in platform.said)


def test_the_time_of_grace_begins_when_the_last_reader_has_gone(platform, store, monkeypatch):
    name = f"_ts:{FAMILY}_v1".encode()
    clean_retired(days(platform, 365), 7)
    feature_store(platform.settings).delete_feature_service("playlist_ranker_v1")
    monkeypatch.setattr("content_signals.pipeline.cleanup.register", lambda *_: None)  # or it would be back
    clean_retired(days(platform, 366), 7)
    assert any(name in cells for cells in everything(store).values())
    clean_retired(days(platform, 372.1), 7)
    assert not any(name in cells for cells in everything(store).values())


def test_again_it_does_nothing_and_does_not_look_through_the_store(platform, store, monkeypatch):
    clean_retired(days(platform, 7), 7)
    before = everything(store)
    monkeypatch.setattr("content_signals.pipeline.cleanup.rows", lambda *_: pytest.fail("looked"))
    assert clean_retired(days(platform, 8), 7).details == {}
    assert everything(store) == before


def test_rows_that_no_record_tells_of_are_cleaned_too(platform, store):
    store.delete(f"content_signals:served:{PROJECT}:{FAMILY}_v2")
    before = everything(store)
    clean_retired(days(platform, 7), 7)
    assert everything(store) == without(before, platform, 2)


class Killed(BaseException):
    """In place of a signal, which leaves nobody to clean up after."""


def test_killed_in_the_middle_it_is_run_again(platform, store, monkeypatch):
    before, write, times = everything(store), Writer.write, []

    def some(self, batch, mode="put"):
        times.append(mode)
        if times.count("clear") == 3:
            raise Killed
        return write(self, batch, mode)

    with monkeypatch.context() as killed:
        killed.setattr(sweep, "_SCAN", 7)
        killed.setattr(lease_module, "SECONDS", 1.0)
        killed.setattr(Lease, "_release", lambda self: None)  # it has to run out
        killed.setattr(Writer, "write", some)
        with pytest.raises(Killed):
            clean_retired(days(platform, 7), 7)
    half = everything(store)
    assert half not in (before, without(before, platform, 2))
    with pytest.raises(Refused, match="is not in the online store; it was live until 2026-03-01, then cleaned up"):
        flip_family(days(platform, 7), FAMILY, 2, REASON, "ranking")
    clean_retired(days(platform, 7), 7)
    assert everything(store) == without(before, platform, 2)


def test_within_the_grace_a_rollback_serves_at_once_and_the_grace_of_the_other_begins(platform, store):
    clean_retired(days(platform, 6), 7)
    flip_family(days(platform, 6), FAMILY, None, "it was worse after all", "ranking")
    assert left(platform) == {f"{FAMILY}_v1", f"{FAMILY}_v3"}  # what is live again has not left
    with FeatureClient(FAMILY, platform.settings) as client:
        assert int(client.get([KEYS[0]], START)["artists_count"][0]) == 2
    before = everything(store)
    clean_retired(days(platform, 12), 7)  # version 2 left long ago, and came back
    assert everything(store) == before
    clean_retired(days(platform, 13), 7)
    assert everything(store) == without(before, platform, 3)


def test_after_it_a_rollback_is_refused_and_says_what_to_run(platform, store):
    clean_retired(days(platform, 7), 7)
    with pytest.raises(Refused, match="then cleaned up") as error:
        flip_family(days(platform, 8), FAMILY, None, "it was worse after all", "ranking")
    assert f"publish_features --table {FAMILY}_v2 --day D --full, then flip again" in str(error.value)
    put_online(platform, store, 2, KEYS)
    leave_again(feature_store(platform.settings), FAMILY, f"{FAMILY}_v2", days(platform, 8).run.now)
    before = everything(store)
    clean_retired(days(platform, 14.99), 7)
    assert everything(store) == before
    clean_retired(days(platform, 15), 7)
    assert everything(store) == without(before, platform, 2)


def test_it_waits_for_a_publication_and_sees_a_flip_meanwhile(platform, store):
    before = everything(store)
    with Lease(store, PROJECT, f"{FAMILY}_v2").held(print):
        cleaning = threading.Thread(target=clean_retired, args=(days(platform, 7), 7))
        cleaning.start()
        waited_for(lambda: f"{FAMILY}_v2: waiting for another run to end" in "".join(platform.said))
        flip_family(days(platform, 7), FAMILY, 2, REASON, "ranking")
    cleaning.join()
    assert everything(store) == before


def test_while_it_cleans_nobody_publishes_the_version_nor_flips_to_it(platform, store, monkeypatch):
    write, found = Writer.write, []

    def during(self, batch, mode="put"):
        if mode == "clear" and not found:
            with pytest.raises(Refused):
                flip_family(days(platform, 7), FAMILY, 2, REASON, "ranking")
            found.append(Lease(store, PROJECT, f"{FAMILY}_v2")._take())
        return write(self, batch, mode)

    monkeypatch.setattr(Writer, "write", during)
    clean_retired(days(platform, 7), 7)
    assert found == [False]


def test_of_a_view_without_a_contract_the_grace_begins_when_that_is_seen(platform, store, monkeypatch):
    without_4 = replace(platform, catalog=with_versions(monkeypatch, 1, 2, 3))
    with_versions(monkeypatch, 1, 2, 3)
    before = without(everything(store), platform, 2)
    clean_retired(days(without_4, 10), 7)
    assert everything(store) == before
    with_versions(monkeypatch, 1, 2, 3, 4)
    clean_retired(days(platform, 12), 7)  # somebody has defined it again
    with_versions(monkeypatch, 1, 2, 3)
    clean_retired(days(without_4, 13), 7)
    clean_retired(days(without_4, 19.99), 7)
    assert everything(store) == before
    clean_retired(days(without_4, 20), 7)
    assert everything(store) == without(before, platform, 4)


def test_of_a_family_without_any_contract_every_version_goes_but_those_that_a_model_reads(platform, store, monkeypatch):
    """Nobody publishes it, and a takedown does not find it: its own service is no reason to go on serving it."""
    monkeypatch.setattr("content_signals.pipeline.cleanup.register", lambda *_: None)  # the model's pin is of version 1
    none = replace(platform, catalog=with_versions(monkeypatch))
    before = without(everything(store), platform, 2)
    clean_retired(days(none, 10), 7)
    assert f"{FAMILY}_v4: no contract serves it; removed once that was so for 7 days and unread" in platform.said
    put_online(platform, store, 4, KEYS[10:])  # by somebody who has the contract
    clean_retired(days(none, 16.99), 7)
    clean_retired(days(none, 17), 7)
    assert everything(store) == without(before, platform, 3)
    clean_retired(days(none, 24), 7)
    assert everything(store) == without(without(before, platform, 3), platform, 4)
    assert f"{FAMILY}_v3: retired since 2026-03-11; the fields of 30 keys are removed" in platform.said


def test_every_version_that_a_flip_ended_has_its_own_time(platform, store):
    flip_family(days(platform, 5), FAMILY, 4, REASON, "ranking")
    before = everything(store)
    clean_retired(days(platform, 7), 7)
    assert everything(store) == without(before, platform, 2)
    clean_retired(days(platform, 12), 7)
    assert everything(store) == without(without(before, platform, 2), platform, 3)


def test_a_flip_from_before_versions_had_times_counts(platform, store):
    registry = feature_store(platform.settings)
    service = registry.get_feature_service(FAMILY)
    for name in [name for name in service.tags if name.startswith("left_live:")]:
        del service.tags[name]
    registry.apply([service])
    before = everything(store)
    clean_retired(days(platform, 7), 7)
    assert everything(store) == without(before, platform, 2)


def test_a_registration_forgets_no_time(platform):
    tags = feature_store(platform.settings).get_feature_service(FAMILY).tags
    assert left(platform) == {f"{FAMILY}_v1", f"{FAMILY}_v2"}
    register(feature_store(platform.settings), platform.settings)
    assert feature_store(platform.settings).get_feature_service(FAMILY).tags == tags


def test_a_grace_of_no_days_is_refused(platform, store):
    with pytest.raises(UsageError, match="--after-days 0"):
        clean_retired(days(platform, 7), 0)


def left(context: Context) -> set[str]:
    """Versions of which the registry has noted when they left."""
    tags = feature_store(context.settings).get_feature_service(FAMILY).tags
    return {name.removeprefix("left_live:") for name in tags if name.startswith("left_live:")}


def waited_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
