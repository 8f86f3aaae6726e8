"""Every cause of a difference between the store and the table, sown on purpose: each is named right."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from content_signals.features import encode
from content_signals.features.comparison import Cause, compare, fetch, lines_of
from content_signals.features.online import View, Writer, versions
from tests.services.test_online import FEATURES, MOMENT, START, batch

KINDS = [4, 2, 5]  # whole number, text, double
DAY = timedelta(days=1)


@pytest.fixture
def view(store_settings, store):
    return View(store_settings.online_store.get_secret_value(), "project", "track_v1", "track_id", FEATURES)


def name_of(view: View, key: str) -> bytes:
    return encode.entity_keys(pa.array([key]), view.join_key, view.project).to_pylist()[0]


def write(view: View, rows: pa.RecordBatch, mode: str = "put") -> None:
    with Writer(view) as writer:
        writer.write(rows, mode)


def causes(store, view, keys, published, now=None, down=(), at=None, redefined=False) -> dict[str, Cause]:
    """Key -> cause, of rows as they were published and as the table has them now."""
    then = lines_of(view, pa.Table.from_batches([published]))
    today = then if now is None else lines_of(view, pa.Table.from_batches([now]))
    moment = START + timedelta(hours=3) if at is None else at
    found = compare(
        view,
        KINDS,
        keys,
        fetch(store, view, keys),
        then,
        today,
        dict.fromkeys(down),
        at=int(moment.timestamp() * 1e6),
        ttl=int(DAY.total_seconds() * 1e6),
        redefined=redefined,
    )
    return {one.key: one.cause for one in found}


def test_what_is_served_as_it_was_published_is_no_difference(store, view):
    rows = batch([("a", 1, 0, 1), ("b", 1, 0, None)])
    write(view, rows)
    assert causes(store, view, ["a", "b", "?"], rows) == {}


def test_late_data(store, view):
    rows = batch([("a", 1, 0, 1), ("b", 1, 0, 1)])
    write(view, rows)
    now = batch([("a", 1, 5, 2), ("b", 1, 0, 1), ("c", 1, 0, 3)])
    assert causes(store, view, ["a", "b", "c"], rows, now) == {"a": Cause.LATE, "c": Cause.LATE}


def test_a_key_that_left_since_it_was_published_is_late_data_too(store, view):
    rows = batch([("a", 1, 0, 1)])
    write(view, rows)
    assert causes(store, view, ["a"], rows, batch([])) == {"a": Cause.LATE}


def test_time_to_live(store, view):
    rows = batch([("a", 1, 0, 1)])
    write(view, rows)
    end = START + timedelta(hours=1) + DAY
    assert causes(store, view, ["a"], rows, at=end) == {}
    assert causes(store, view, ["a"], rows, at=end + timedelta(microseconds=1)) == {"a": Cause.TTL}


def test_failed_writes(store, view):
    write(view, batch([("old", 0, 0, 1), ("left", 1, 0, 1), ("lost", 1, 0, 1)]))
    store.delete(name_of(view, "lost"))
    rows = batch([("old", 1, 0, 2), ("lost", 1, 0, 1), ("never", 1, 0, 1)])
    found = causes(store, view, ["old", "left", "lost", "never"], rows)
    assert found == dict.fromkeys(["old", "left", "lost", "never"], Cause.FAILED)


def test_taken_down(store, view):
    rows = batch([("a", 1, 0, 1), ("b", 1, 0, 1)])
    write(view, rows)
    write(view, batch([("a", 2, 0, 0)]), "take")
    assert causes(store, view, ["a", "b"], rows, down=["a", "b"]) == {"a": Cause.TAKEN_DOWN, "b": Cause.FAILED}


@pytest.mark.parametrize(
    ("feature", "cell", "cause"),
    [
        ("plays", encode.values(pa.array([1.0]))[0].as_py(), Cause.COERCED),  # as pandas makes of it beside a null
        ("plays", encode.values(pa.array(["1"]))[0].as_py(), Cause.COERCED),
        ("share", encode.values(pa.array([1 / 7], pa.float32()))[0].as_py(), Cause.COERCED),
        ("plays", encode.values(pa.array([2]))[0].as_py(), Cause.OTHERS),
        ("title", encode.values(pa.array(["one"]))[0].as_py(), Cause.OTHERS),
        ("title", b"", Cause.OTHERS),
    ],
)
def test_other_values_under_the_same_version(store, view, feature, cell, cause):
    rows = batch([("a", 1, 0, 1)])
    write(view, rows)
    store.hset(name_of(view, "a"), encode.field_name(view.name, feature), cell)
    assert causes(store, view, ["a"], rows) == {"a": cause}


def test_whole_numbers_that_lost_their_last_digits(store, view):
    rows = batch([("a", 1, 0, 2**53 + 1)])
    write(view, rows)
    store.hset(name_of(view, "a"), view.feature_fields[0], encode.values(pa.array([2**53]))[0].as_py())
    assert causes(store, view, ["a"], rows) == {"a": Cause.COERCED}


def test_a_definition_that_has_changed(store, view):
    rows = batch([("a", 1, 0, 1)])
    narrow = View(view.url, view.project, view.name, view.join_key, FEATURES[:2])
    write(narrow, rows)
    assert causes(store, view, ["a"], rows, redefined=True) == {"a": Cause.DEFINITION}


def test_a_field_that_was_lost_is_a_failed_write(store, view):
    rows = batch([("a", 1, 0, 1)])
    write(view, rows)
    store.hdel(name_of(view, "a"), view.feature_fields[0])
    assert causes(store, view, ["a"], rows) == {"a": Cause.FAILED}


@pytest.mark.parametrize(("was", "should"), [(1_000_001, 1_000_000), (2**24 + 1, 2**24), (2**40, 2**40 + 2**18)])
def test_whole_numbers_close_to_each_other_are_other_values(store, view, was, should):
    rows = batch([("a", 1, 0, should)])
    write(view, rows)
    store.hset(name_of(view, "a"), view.feature_fields[0], encode.values(pa.array([was]))[0].as_py())
    assert causes(store, view, ["a"], rows) == {"a": Cause.OTHERS}


def test_what_nothing_excuses_comes_first(store, view):
    rows = batch([("a", 1, 0, 1), ("b", 1, 0, 1), ("c", 1, 0, 1)])
    write(view, batch([("a", 1, 0, 1), ("b", 1, 0, 1)]))
    end = START + timedelta(hours=2) + DAY
    assert list(causes(store, view, ["a", "b", "c"], rows, at=end)) == ["c", "a", "b"]


def test_a_row_that_plain_feast_wrote(store, view):
    rows = batch([("a", 1, 0, 1)])
    write(view, rows)
    moment = encode.times(pa.array([START + timedelta(hours=2)], MOMENT))[0].as_py()
    store.hset(name_of(view, "a"), mapping={view.time_field: moment, view.feature_fields[0]: b"\x20\x05"})
    assert causes(store, view, ["a"], rows) == {"a": Cause.OTHERS}


def test_versions_are_what_the_writer_writes(store, view):
    rows = batch([("a", 1, 5, 1)])
    write(view, rows)
    [expected] = versions(rows.column("event_ts"), rows.column("computed_at"), "put").to_pylist()
    assert fetch(store, view, ["a"])["a"].version == expected
