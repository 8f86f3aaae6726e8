"""The online store after any sequence of days, rebuilds, late days and broken publications: what the table says."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from content_signals.errors import BrokenData, NotLanded, Temporary, UnknownName, UsageError
from content_signals.features import encode
from content_signals.features.offline import offline
from content_signals.features.online import View, Writer
from content_signals.features.served import Marker, Promoted
from content_signals.features.store import feature_store, online_client
from content_signals.lake.layout import start_run
from content_signals.lake.receipts import receipts_of
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline import publish as step
from content_signals.pipeline.check_online import check_online
from content_signals.pipeline.context import Context
from content_signals.pipeline.takedown import give_back, take_down
from tests.faults.good_days import TITLE, good_rows
from tests.lake import promoted
from tests.spark.publish.days import ALL, DAYS, KEYS, Days, said_by, served, view_of


def test_a_first_load_then_only_what_changed(platform, days, send):
    days.build(DAYS[0], ALL[:30])
    assert send() == {"read": 30, "written": 30, "stale": 0, "tombstoned": 0, "unchanged": 0, "read_back": 30}
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])
    days.build(DAYS[0], ALL[5:35], changed=ALL[5:8])  # 3 changed, 22 as they were, 5 new, 5 gone
    assert send() == {"read": 35, "written": 8, "stale": 0, "tombstoned": 5, "unchanged": 22, "read_back": 30}
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])


def test_a_restated_day_with_equal_values_writes_nothing(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    client = online_client(platform.settings)
    before = client.info("commandstats")["cmdstat_hset"]["calls"]
    days.build(DAYS[0], ALL, changed=[])
    assert send()["unchanged"] == KEYS
    # What the store keeps of leases and publications, and no row.
    assert client.info("commandstats")["cmdstat_hset"]["calls"] - before <= 12 < KEYS


@pytest.fixture
def no_broadcast(spark):
    """As where one side is large: both are shuffled."""
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    yield
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")


@pytest.mark.parametrize("hashed", [True, False])
def test_keys_set_aside_in_a_restated_day_stay_as_they_were_served(
    platform, days, send, table, no_broadcast, monkeypatch, hashed
):
    monkeypatch.setattr(step, "HASHED", 1_000_000 if hashed else 0)
    days.build(DAYS[0], ALL)
    send()
    before = served(platform)
    aside = pa.Table.from_pylist([days.rows[DAYS[0]][key] for key in ALL[:3]], good_rows(TITLE, DAYS[0], 1).schema)
    promoted(platform.lake.quarantine(table), DAYS[0], aside, run_id="run-aside", fence=1)
    days.build(DAYS[0], ALL[3:], changed=[])  # nothing else has changed
    assert send() == {"read": 37, "written": 0, "stale": 0, "tombstoned": 0, "unchanged": 37, "read_back": 37}
    assert served(platform) == before
    days.build(DAYS[0], ALL[5:], changed=ALL[5:6])
    assert send() == {"read": 37, "written": 1, "stale": 0, "tombstoned": 2, "unchanged": 34, "read_back": 35}
    assert served(platform) == said_by(platform, days.rows[DAYS[0]]) | {key: before[key] for key in ALL[:3]}


def test_a_key_that_was_set_aside_and_then_left_is_not_served(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    before = served(platform)
    for day in DAYS[1:3]:
        days.set_aside(platform, day, ALL[:2])
        days.build(day, ALL[2:])
        assert send()["tombstoned"] == 0
        assert {key: served(platform)[key] for key in ALL[:2]} == {key: before[key] for key in ALL[:2]}
    days.set_aside(platform, DAYS[2], ALL[:1])
    days.build(DAYS[2], ALL[2:], changed=[])  # the same day once more, without the second of them
    assert send() == {"read": 39, "written": 0, "stale": 0, "tombstoned": 1, "unchanged": 38, "read_back": 38}
    days.build(DAYS[3], ALL[3:])
    assert send()["tombstoned"] == 2
    assert served(platform) == said_by(platform, days.rows[DAYS[3]])


@pytest.mark.parametrize("seed", range(3))
def test_keys_are_set_aside_in_any_sequence(platform, days, send, seed):
    chance, newest, expected = random.Random(seed), 0, dict.fromkeys(ALL)
    for act in ["first", *chance.choices(["next", "rebuild", "full", "forget"], k=7)]:
        newest += act == "next" and newest < len(DAYS) - 1
        keys = chance.sample(ALL, chance.randint(1, KEYS))
        rows, aside = keys[len(keys) // 3 :], keys[: len(keys) // 3]
        days.set_aside(platform, DAYS[newest], aside)
        days.build(DAYS[newest], rows, changed=chance.sample(ALL, 10))
        if act == "forget":
            Marker(online_client(platform.settings), "content_signals", TITLE).forget()
        counts = send(full=act == "full")
        assert counts["read"] == sum(counts[n] for n in ("written", "stale", "tombstoned", "unchanged"))
        expected = said_by(platform, days.rows[DAYS[newest]]) | {key: expected[key] for key in aside}
        assert served(platform) == expected, act


def test_published_again_nothing_is_read(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    assert send() == {"read": KEYS, "written": 0, "stale": 0, "tombstoned": 0, "unchanged": KEYS, "read_back": 0}
    assert "serves version" in platform.said[-1]
    assert len(receipts_of(platform.lake.receipts(platform.catalog.table(TITLE)))) == 1


def test_a_key_that_left_is_not_served_and_comes_back(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL[1:])
    assert send()["tombstoned"] == 1
    assert served(platform)[ALL[0]] is None
    days.build(DAYS[2], ALL)
    assert send()["written"] == KEYS
    assert served(platform) == said_by(platform, days.rows[DAYS[2]])


def test_a_key_that_left_and_returns_within_a_day(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[0], ALL[1:], changed=[])
    send()
    days.build(DAYS[0], ALL, changed=[])
    assert send()["written"] == 1
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])


def test_a_late_day_changes_nothing_that_is_served(platform, days, send):
    days.build(DAYS[1], ALL)
    send()
    days.build(DAYS[0], ALL[:3])
    assert send(DAYS[0])["unchanged"] == KEYS
    assert served(platform) == said_by(platform, days.rows[DAYS[1]])


def test_a_day_without_rows_takes_every_key_away(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], [])
    assert send()["tombstoned"] == KEYS
    assert set(served(platform).values()) == {None}


@pytest.mark.parametrize("lost", ["store", "versions"])
def test_what_nobody_remembers_is_looked_up_in_the_store(platform, days, send, lost):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL[2:])
    if lost == "store":
        online_client(platform.settings).flushall()
    else:  # vacuumed since
        for path in Path(days.table.path).glob("data/run-00001-*/ds=*/*.parquet"):
            path.unlink()
    counts = send()
    assert (counts["written"], counts["tombstoned"]) == (KEYS - 2, 0 if lost == "store" else 2)
    assert served(platform) == said_by(platform, days.rows[DAYS[1]])
    assert not list(Path(platform.settings.lake).rglob("online_keys*"))


def test_a_full_republication_mends_what_was_changed_by_hand(platform, days, send):
    days.build(DAYS[0], ALL[1:])
    send()
    view, client = view_of(platform), online_client(platform.settings)
    names = encode.entity_keys(pa.array(ALL), "track_id", view.project).to_pylist()
    client.hset(names[0], mapping={view.time_field: b"\x08\x01", view.feature_fields[0]: b"\x38\x01"})
    client.hdel(names[1], view.feature_fields[0])
    assert send()["written"] == 0
    assert send(full=True)["written"] == KEYS - 1
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])


def begin_and_die(context: Context, days: Days, share: float) -> None:
    """A publication of the newest day that gets as far as a share of its rows."""
    snapshot = Snapshot(days.table)
    day = snapshot.days[-1]
    client = online_client(context.settings)
    Marker(client, "content_signals", TITLE).begin(start_run().run_id, Promoted(snapshot.version, str(day)))
    rows = list(days.rows[day].values())
    some = pa.Table.from_pylist(rows[: int(len(rows) * share)], good_rows(TITLE, day, 1).schema)
    with Writer(view_of(context)) as writer:
        for batch in some.to_batches():
            writer.write(batch)


def test_rows_of_a_publication_that_died_do_not_stay(platform, days, send):
    days.build(DAYS[0], ALL[:20])
    send()
    days.build(DAYS[0], ALL, changed=ALL[:20])
    begin_and_die(platform, days, 1.0)
    days.build(DAYS[0], ALL[:20], changed=ALL[:20])
    assert send()["tombstoned"] == 20
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])
    assert send()["written"] == 0  # it is settled


@pytest.mark.parametrize("seed", range(3))
def test_every_key_is_what_the_table_says_after_any_sequence(platform, days, send, seed):
    chance = random.Random(seed)
    newest = 0
    days.build(DAYS[0], ALL)
    for _ in range(8):
        act = chance.choice(["next", "rebuild", "late", "die", "forget", "full"])
        keys = chance.sample(ALL, chance.randint(0, KEYS))
        if act == "next" and newest < len(DAYS) - 1:
            newest += 1
            days.build(DAYS[newest], keys)
        elif act == "rebuild":
            days.build(DAYS[newest], keys, changed=chance.sample(ALL, 10))
        elif act == "late":
            days.build(DAYS[chance.randint(0, newest)], keys, changed=chance.sample(ALL, 10))
        elif act == "die":
            begin_and_die(platform, days, chance.random())
            continue
        elif act == "forget":
            Marker(online_client(platform.settings), "content_signals", TITLE).forget()
        counts = send(full=act == "full")
        assert counts["read"] == sum(counts[n] for n in ("written", "stale", "tombstoned", "unchanged"))
        assert served(platform) == said_by(platform, days.rows[DAYS[newest]]), act


def test_a_store_that_was_filled_from_another_lake_is_filled_anew(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    shutil.rmtree(platform.settings.lake)
    other = Days(platform)
    other.build(DAYS[0], ALL[5:])  # the same version of the same day, in other words
    assert send()["tombstoned"] == 5
    assert served(platform) == said_by(platform, other.rows[DAYS[0]])


def test_a_store_that_is_emptied_in_the_middle_is_noticed(platform, days, send, monkeypatch):
    days.build(DAYS[0], ALL)
    client, check = online_client(platform.settings), step.Publication._check
    monkeypatch.setattr(step.Publication, "_check", lambda self, name: (check(self, name), client.flushall()))
    with pytest.raises(Temporary, match="has lost its records"):
        send()
    monkeypatch.undo()
    assert send()["written"] == KEYS


def test_a_receipt_says_what_was_published(platform, days, send, table):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL[1:])
    send()
    first, second = receipts_of(platform.lake.receipts(table))
    assert (first.before, second.before) == (None, first.version)
    assert (second.view, second.day, second.run_id) == (TITLE, DAYS[1], "run-00002")
    assert (second.read, second.written, second.tombstoned) == (KEYS, KEYS - 1, 1)
    assert {f"{days.table.path}/{name}" for name in second.files} == set(Snapshot(days.table).files([DAYS[1]]))
    assert second.version == DeltaTable(days.table.path).version()


def test_a_store_that_is_full_ends_temporary_and_the_next_run_completes(platform, days, send):
    days.build(DAYS[0], ALL)
    client = online_client(platform.settings)
    client.config_set("maxmemory", 1)
    with pytest.raises(Temporary, match="the online store fails: OutOfMemoryError"):
        send()
    client.config_set("maxmemory", 0)
    assert send()["written"] == KEYS
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])


def test_a_sample_that_reads_back_otherwise_is_an_error(platform, days, send, monkeypatch):
    days.build(DAYS[0], ALL)
    monkeypatch.setattr(step, "send", lambda view, changes, ticket: online_free(changes))
    with pytest.raises(Temporary, match="sampled rows are not served as written") as error:
        send()
    assert "sends all of them again" in str(error.value)


def online_free(changes) -> step.Sent:
    """As `send` would count, with nothing written but the versions."""
    rows = changes.rows.toArrow()
    view = View(ENVIRONMENT["url"], "content_signals", TITLE, "track_id", ())
    with Writer(view) as writer:
        for batch in rows.to_batches():
            writer.write(batch)
    return step.Sent(rows.num_rows, rows.num_rows, by_mode={("put", "written"): rows.num_rows})


ENVIRONMENT: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _environment(platform):
    ENVIRONMENT["url"] = platform.settings.online_store.get_secret_value()


def test_what_feast_alone_can_write_goes_through_feast(platform, days, send, monkeypatch):
    monkeypatch.setattr("content_signals.features.encode.FEAST", "0.0.1")
    days.build(DAYS[0], ALL)
    assert send()["written"] == KEYS
    assert any("through Feast's own API, slower: Feast is" in line for line in platform.said)
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])


REASON = "the label asked for it"


def test_what_is_taken_down_is_gone_and_stays_gone(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    take_down(platform, "track", ALL[0], REASON, "legal")
    assert served(platform) == said_by(platform, {k: v for k, v in days.rows[DAYS[0]].items() if k != ALL[0]})
    days.build(DAYS[1], ALL)
    assert send()["tombstoned"] == 1  # newer values do not bring it back
    assert served(platform)[ALL[0]] is None
    online_client(platform.settings).flushall()
    assert send()["tombstoned"] == 1  # nor does a store that knows nothing
    assert served(platform)[ALL[0]] is None


def test_what_is_taken_down_cannot_be_read_offline(platform, days, send, spark):
    days.build(DAYS[0], ALL)
    send()
    moment = datetime(DAYS[0].year, DAYS[0].month, DAYS[0].day + 1, 12, tzinfo=UTC)
    read = partial(offline, feature_store(platform.settings), "track_title", ALL[:2], moment)
    assert all(read()[key][f"{TITLE}:title_length_chars"] is not None for key in ALL[:2])
    take_down(platform, "track", ALL[0], REASON, "legal")
    assert set(read()[ALL[0]].values()) == {None}
    assert read()[ALL[1]][f"{TITLE}:title_length_chars"] is not None
    give_back(replace(platform, run=start_run()), "track", ALL[0], REASON, "legal")
    assert read()[ALL[0]][f"{TITLE}:title_length_chars"] is not None


def test_what_is_given_back_is_served_again(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    take_down(platform, "track", ALL[0], REASON, "legal")
    give_back(replace(platform, run=start_run()), "track", ALL[0], REASON, "legal")
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])
    give_back(replace(platform, run=start_run()), "track", ALL[0], REASON, "legal")  # again: the same
    assert served(platform) == said_by(platform, days.rows[DAYS[0]])
    with pytest.raises(NotLanded, match="was never taken down"):
        give_back(replace(platform, run=start_run()), "track", ALL[1], REASON, "legal")


def test_a_takedown_names_something_known_and_a_reason(platform):
    with pytest.raises(UnknownName, match="unknown entity 'trak'"):
        take_down(platform, "trak", ALL[0], REASON, "legal")
    with pytest.raises(UsageError, match="at least 10 characters"):
        take_down(platform, "track", ALL[0], "why not", "legal")
    assert taken_down(platform.lake, "track") == {}


def test_a_row_that_others_wrote_with_a_newer_time_is_left_and_no_failure(platform, days, send):
    days.build(DAYS[0], ALL)
    view, client = view_of(platform), online_client(platform.settings)
    [name] = encode.entity_keys(pa.array(ALL[:1]), "track_id", view.project).to_pylist()
    later = encode.times(pa.array([datetime(2030, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")))[0].as_py()
    client.hset(name, mapping={view.time_field: later, view.feature_fields[0]: b""})
    assert send() == {"read": 40, "written": 39, "stale": 1, "tombstoned": 0, "unchanged": 0, "read_back": 40}


def test_a_check_finds_what_is_served_otherwise_and_says_why(platform, days, send, spark, table):
    with pytest.raises(NotLanded, match="does not say what it holds"):
        check_online(platform, spark, table)
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL[1:])
    send()
    checked = check_online(replace(platform, run=start_run()), spark, table)
    assert checked.details["causes"] == {"ttl": KEYS - 1}  # years old, and nothing else
    view, client = view_of(platform), online_client(platform.settings)
    names = encode.entity_keys(pa.array(ALL), "track_id", view.project).to_pylist()
    client.delete(names[5])
    take_down(platform, "track", ALL[6], REASON, "legal")
    with pytest.raises(BrokenData, match=f"1 of .* keys are served otherwise.* 1 failed write.*{ALL[5]}") as error:
        check_online(replace(platform, run=start_run()), spark, table)
    assert f"publish_features --table {TITLE}" in str(error.value)
    assert any(f"{ALL[6]}: taken down" in line for line in platform.said)
    send(full=True)
    days.build(DAYS[2], ALL[:9])  # promoted, and not published
    late = check_online(replace(platform, run=start_run()), spark, table)
    assert late.details["causes"]["late data"] == KEYS - 2  # one is taken down
