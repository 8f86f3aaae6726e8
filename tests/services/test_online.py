"""Newest wins, whatever the order: the writer beside a model of the rule, on a real store."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import redis
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from content_signals.features import encode, online
from content_signals.features.lease import Lease
from content_signals.features.online import View, Writer
from tests.services.conftest import BOTH_STORES

pytestmark = BOTH_STORES

START = datetime(2024, 5, 1, tzinfo=UTC)
MOMENT = pa.timestamp("us", "UTC")
FEATURES = ("plays", "title", "share")


@pytest.fixture
def view(store_settings, store):
    return View(store_settings.online_store.get_secret_value(), "project", "track_v1", "track_id", FEATURES)


@pytest.fixture(params=["in transactions", "with a lease"])
def ticket(request, store, view):
    """None, or what a publication that holds the view's lease shows."""
    if request.param == "in transactions":
        yield None
        return
    with Lease(store, view.project, view.name).held(print) as held_ticket:
        yield held_ticket


def batch(rows: list[tuple[str, int, int, int | None]]) -> pa.RecordBatch:
    """Rows of key, event hour, computed-at minute and a number that all features follow."""
    keys, hours, minutes, numbers = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.record_batch(
        {
            "track_id": pa.array(keys, pa.string()),
            "event_ts": pa.array([START + timedelta(hours=h) for h in hours], MOMENT),
            "computed_at": pa.array([START + timedelta(minutes=m, microseconds=7) for m in minutes], MOMENT),
            "plays": pa.array(numbers, pa.int64()),
            "title": pa.array([None if n is None else str(n) for n in numbers], pa.string()),
            "share": pa.array([None if n is None else n / 7 for n in numbers], pa.float64()),
        }
    )


def held(store: redis.Redis, view: View, key: str) -> tuple[bytes | None, list[bytes | None]]:
    """Event time and features of a key, as the store has them."""
    [name] = encode.entity_keys(pa.array([key]), view.join_key, view.project).to_pylist()
    time, *values = store.hmget(name, [view.time_field, *view.feature_fields])
    return time, values


def message(moment: datetime) -> bytes:
    made = Timestamp()
    made.FromDatetime(moment)
    return made.SerializeToString()


def expected(rows: pa.RecordBatch, place: int) -> tuple[bytes, list[bytes]]:
    values = [encode.values(rows.column(name)).to_pylist()[place] for name in FEATURES]
    return message(rows.column("event_ts")[place].as_py()), values


NUMBER = st.integers(0, 3)
STEP = st.tuples(
    st.sampled_from(["put", "put", "put", "gone", "take", "give"]),
    st.sampled_from("abc"),
    NUMBER,
    NUMBER,
    st.integers(0, 99),
)


class Model:
    """The rule: a key has the row of the greatest (event time, computed_at); what is taken down stays until given."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, int, int, int]] = {}

    def step(self, mode: str, key: str, hour: int, minute: int, number: int) -> str:
        state, *times = self.rows.get(key, ("none", -1, -1, 0))[:3]
        if mode == "give":
            if state != "take":
                return "stale"
            del self.rows[key]
            return "written"
        if state == "take" and mode != "take":
            return "taken down"
        if mode != "take" and [hour, minute] < times:
            return "stale"
        self.rows[key] = (mode, hour, minute, number)
        return "written"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=25))
def test_the_store_holds_what_the_rule_says_whatever_the_order(store, view, ticket, steps):
    for key in store.scan_iter(encode.key_prefix("track_id") + b"*"):
        store.delete(key)
    model = Model()
    with Writer(view, ticket) as writer:
        for mode, *row in steps:
            assert writer.write(batch([tuple(row)]), mode) == Counter([model.step(mode, *row)])
    for key in "abc":
        if key not in model.rows:
            assert held(store, view, key) == (None, [None] * 3)
            continue
        mode, hour, minute, number = model.rows[key]
        time, values = expected(batch([(key, hour, minute, number)]), 0)
        assert held(store, view, key) == (time, values if mode == "put" else [None] * 3)


def test_rows_of_one_batch_follow_the_rule_too(store, view, ticket):
    rows = batch([("a", 1, 0, 1), ("a", 2, 0, 2), ("a", 1, 5, 3), ("b", 1, 0, 4)])
    with Writer(view, ticket) as writer:
        assert writer.write(rows) == {"written": 3, "stale": 1}
    assert held(store, view, "a") == expected(rows, 1)


@pytest.mark.parametrize("rows", [0, 1, online._CHUNK - 1, online._CHUNK, online._CHUNK + 1, 2 * online._CHUNK + 3])
def test_batches_of_every_size(store, view, ticket, rows):
    given_rows = batch([(f"k{n}", 1, 0, n if n % 5 else None) for n in range(rows)])
    before = store.dbsize()
    with Writer(view, ticket) as writer:
        assert writer.write(given_rows).total() == rows
        assert writer.write(given_rows) == ({"written": rows} if rows else {})  # again: the same
    assert [held(store, view, f"k{n}") for n in range(rows)] == [expected(given_rows, n) for n in range(rows)]
    assert store.dbsize() == before + rows


def test_a_row_that_plain_feast_wrote_is_replaced_by_a_newer_one_and_not_by_an_older(store, view):
    [name] = encode.entity_keys(pa.array(["a"]), view.join_key, view.project).to_pylist()
    feasts = {view.time_field: message(START + timedelta(hours=5, microseconds=3)), view.feature_fields[0]: b"feast"}
    with Writer(view) as writer:
        for before in (batch([("a", 4, 0, 1)]), None):  # over one of ours, and over nothing
            store.flushall()
            if before:
                writer.write(before)
            store.hset(name, mapping=feasts)
            assert writer.write(batch([("a", 5, 9, 2)])) == {"stale": 1}
            assert held(store, view, "a")[1][0] == b"feast"
            assert writer.write(batch([("a", 6, 0, 3)])) == {"written": 1}
            assert held(store, view, "a") == expected(batch([("a", 6, 0, 3)]), 0)


def test_what_was_taken_down_stays_so_though_plain_feast_writes_it(store, view):
    [name] = encode.entity_keys(pa.array(["a"]), view.join_key, view.project).to_pylist()
    with Writer(view) as writer:
        writer.write(batch([("a", 4, 0, 1)]), "take")
        store.hset(
            name, mapping={view.time_field: message(START + timedelta(hours=9)), view.feature_fields[0]: b"feast"}
        )
        assert writer.write(batch([("a", 10, 0, 2)])) == {"taken down": 1}


def test_views_of_one_entity_leave_each_other_alone(store, view):
    other = View(view.url, view.project, "track_v2", view.join_key, FEATURES)
    with Writer(view) as first, Writer(other) as second:
        first.write(batch([("a", 2, 0, 1)]))
        second.write(batch([("a", 1, 0, 2)]))
        first.write(batch([("a", 3, 0, 0)]), "take")
    assert held(store, view, "a")[1] == [None] * 3
    assert held(store, other, "a") == expected(batch([("a", 1, 0, 2)]), 0)


def test_two_publishers_at_once_end_with_the_newest(store, view):
    keys = [f"k{n}" for n in range(400)]
    older, newer = (batch([(key, hour, 0, hour) for key in keys]) for hour in (1, 2))
    counts: list[Counter[str]] = []

    def publish(rows: pa.RecordBatch) -> None:
        with Writer(view) as writer:
            counts.extend(writer.write(rows) for _ in range(5))

    threads = [threading.Thread(target=publish, args=(rows,)) for rows in (newer, older)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts, Counter()).total() == 10 * len(keys)
    assert all(held(store, view, key) == expected(newer, n) for n, key in enumerate(keys))


def test_a_lost_connection_is_no_error(store, view, ticket):
    with Writer(view, ticket) as writer:
        writer.write(batch([("a", 1, 0, 1)]))
        store.client_kill_filter(_type="normal", skipme=True)
        assert writer.write(batch([("a", 3, 0, 3)])) == {"written": 1}
    assert held(store, view, "a") == expected(batch([("a", 3, 0, 3)]), 0)


def test_what_the_store_refuses_is_raised(store, view):
    [name] = encode.entity_keys(pa.array(["a"]), view.join_key, view.project).to_pylist()
    store.set(name, "no hash")
    with Writer(view) as writer, pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        writer.write(batch([("a", 1, 0, 1)]))


def test_a_store_that_is_gone_is_an_error(view, monkeypatch):
    monkeypatch.setattr(online, "_WAITS", (0.0, 0.0))
    nowhere = View("redis://127.0.0.1:1", view.project, view.name, view.join_key, FEATURES)
    with Writer(nowhere) as writer, pytest.raises(redis.ConnectionError):
        writer.write(batch([("a", 1, 0, 1)]))


def test_a_time_that_cannot_be_compared_is_refused(view):
    row = batch([("a", 1, 0, 1)]).set_column(1, "event_ts", pa.array([datetime(1969, 12, 31, tzinfo=UTC)], MOMENT))
    with Writer(view) as writer, pytest.raises(ValueError, match="before 1970"):
        writer.write(row)


def test_a_key_that_is_null_is_refused(view):
    row = batch([("a", 1, 0, 1)]).set_column(0, "track_id", pa.array([None], pa.string()))
    with Writer(view) as writer, pytest.raises(ValueError, match="track_id is null in 1 rows"):
        writer.write(row)


def test_the_address_of_the_store_does_not_print(view):
    assert view.url not in repr(view)
