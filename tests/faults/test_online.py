"""What models are served while a day is bad: a real Valkey, Feast's own client, the last good values."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from content_signals.errors import NotLanded
from content_signals.features.store import online_client
from content_signals.pipeline.publish import publish
from tests.faults.conftest import context_in, next_day
from tests.faults.faults import FAULTS, FEW
from tests.faults.good_days import DAY, EARLIER, KEYS, TITLE, good_rows
from tests.faults.meeting import QUARANTINED, STOPPED, meet
from tests.online import online
from tests.stores import running_store

pytestmark = pytest.mark.slow

YESTERDAY = EARLIER[-1]
ASKED = [f"track{n:05}" for n in (*range(FEW + 3), KEYS - 1)]


@pytest.fixture(scope="module")
def platform(good_lake):
    """A store of its own; a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="cs-faults-") as name:
        context = context_in(Path(name))
        shutil.copytree(good_lake(TITLE).settings.lake, context.settings.lake)
        with running_store(context.settings):
            yield context


@pytest.fixture
def serving(platform, spark, good_lake):
    """The last good day online, and nothing after it."""
    shutil.rmtree(platform.settings.lake)
    shutil.copytree(good_lake(TITLE).settings.lake, platform.settings.lake)
    online_client(platform.settings).flushall()
    context = next_day(platform)
    assert publish(context, spark, context.catalog.table(TITLE), [YESTERDAY]).rows_out == KEYS
    return context


def served(context, keys) -> dict[str, dict[str, object]]:
    moment = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC) + timedelta(days=1)
    found = online(context.settings, "track_title", keys, moment)
    return {key: {name.split(":")[1]: value.value for name, value in found[key].items()} for key in keys}


def said_by(day: date, keys) -> dict[str, dict[str, object]]:
    names = set(good_rows(TITLE, day).schema.names) - {"track_id", "event_ts", "computed_at", "run_id"}
    rows = {row["track_id"]: row for row in good_rows(TITLE, day).to_pylist()}
    return {key: {name: rows[key][name] for name in names} for key in keys}


def damage(context, spark, owner, fault: str) -> str:
    table = context.catalog.table(TITLE)
    rows = FAULTS[fault].damage(TITLE, good_rows(TITLE, DAY))
    FAULTS[fault].put(context.lake.of(table), TITLE, rows)
    return meet(context, spark, table, owner).outcome


@pytest.mark.parametrize("fault", ["unit_x1000", "yesterday_again"])
def test_while_a_day_is_stopped_the_last_good_one_is_served(serving, spark, owner, fault):
    assert damage(serving, spark, owner, fault) == STOPPED
    with pytest.raises(NotLanded, match="the online store serves what it served"):
        publish(next_day(serving), spark, serving.catalog.table(TITLE), [DAY])
    assert served(serving, ASKED) == said_by(YESTERDAY, ASKED)


def test_keys_of_rows_set_aside_keep_their_last_good_values(serving, spark, owner):
    assert damage(serving, spark, owner, "out_of_range") == QUARANTINED
    assert publish(next_day(serving), spark, serving.catalog.table(TITLE), [DAY]).rows_out == KEYS - FEW
    bad, good = ASKED[:FEW], ASKED[FEW:]
    assert served(serving, ASKED) == said_by(YESTERDAY, bad) | said_by(DAY, good)


def test_a_key_that_is_none_is_never_served(serving, spark, owner):
    assert damage(serving, spark, owner, "emoji_key") == QUARANTINED
    publish(next_day(serving), spark, serving.catalog.table(TITLE), [DAY])
    strange = FAULTS["emoji_key"].damage(TITLE, good_rows(TITLE, DAY))["track_id"].to_pylist()[:FEW]
    assert {value for values in served(serving, strange).values() for value in values.values()} == {None}
