"""An episode is taken down, and its chunks with it: offline, online, and on every later day; others stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from content_signals.catalog import catalog
from content_signals.errors import Refused
from content_signals.features.offline import offline
from content_signals.features.store import feature_store
from content_signals.features.training import training_set
from content_signals.lake.layout import start_run
from content_signals.lake.takedowns import entries_of, taken_down
from content_signals.pipeline.context import Context
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.publish import publish
from content_signals.pipeline.purge import purge_removed
from content_signals.pipeline.takedown import give_back, take_down
from tests.chunks import CHUNKS, chunk_rows
from tests.lake import judged, promoted, stage_of
from tests.online import online
from tests.stores import empty, store_and_lake

pytestmark = pytest.mark.spark

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
TABLE = catalog().table(CHUNKS)
REASON = "the author asked for it"
ONE, OTHER = [f"e1#{n:04}" for n in range(4)], [f"e2#{n:04}" for n in range(2)]


@pytest.fixture(scope="module")
def running() -> Iterator[Context]:
    with store_and_lake("parts") as context:
        yield context


@pytest.fixture
def platform(running: Context) -> Context:
    empty(running)
    return running


@pytest.fixture
def send(platform, spark):
    return lambda day, **more: publish(replace(platform, run=start_run()), spark, TABLE, [day], **more).details


def after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)


def read_online(context: Context, day: date) -> dict[str, str | None]:
    """Chunk -> its text, as the client of a model has it."""
    found = online(context.settings, "episode_chunks", ONE + OTHER, after(day))
    return {key: cells[f"{CHUNKS}:text"].value for key, cells in found.items()}


def read_offline(context: Context, day: date) -> dict[str, str | None]:
    """The same through Feast's offline store."""
    found = offline(feature_store(context.settings), "episode_chunks", ONE + OTHER, after(day))
    return {key: cells[f"{CHUNKS}:text"] for key, cells in found.items()}


def read_for_training(context: Context, day: date) -> dict[str, str | None]:
    """The same of a training set."""
    keys = ONE + OTHER
    moments = pa.array([after(day)] * len(keys), pa.timestamp("us", "UTC"))
    asked = pa.table({"chunk_id": keys, "event_timestamp": moments})
    rows = training_set(asked, "episode_chunks", settings=context.settings, keep=False).arrow()
    return dict(zip(rows.column("chunk_id").to_pylist(), rows.column(f"{CHUNKS}__text").to_pylist(), strict=True))


READS = [read_online, read_offline, read_for_training]


def texts(**episodes: int) -> dict[str, str | None]:
    """What is read where so many chunks of each episode are readable."""
    return {key: f"{int(key[-4:])} of {key[:2]}" if int(key[-4:]) < episodes.get(key[:2], 0) else None
            for key in ONE + OTHER}  # fmt: skip


def built(context: Context, day: date, run_id: str, **episodes: int) -> None:
    """A day staged, judged and promoted as the jobs do it."""
    lake_table, run = context.lake.of(TABLE), start_run()
    judged(stage_of(lake_table, day, chunk_rows(day, episodes, run.now), run_id=run_id), 1).write(lake_table)
    assert promote_days(replace(context, run=run), TABLE, [day], run_id).exit_code == 0


def test_the_chunks_of_an_episode_go_with_it_and_those_of_others_stay(platform, send):
    built(platform, DAY, "run-00001", e1=3, e2=2)
    send(DAY)
    for read in READS:
        assert read(platform, DAY) == texts(e1=3, e2=2), read.__name__
    views = take_down(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
    assert CHUNKS in views
    assert set(taken_down(platform.lake, "episode")) == {"e1"}
    for read in READS:
        assert read(platform, DAY) == texts(e2=2), read.__name__

    built(platform, NEXT, "run-00002", e1=4, e2=2)  # the next day has one chunk more of each
    for read in READS[1:]:
        assert read(platform, NEXT) == texts(e2=2), read.__name__
    send(NEXT)
    for read in READS:
        assert read(platform, NEXT) == texts(e2=2), read.__name__
    built(platform, DAY, "run-00003", e1=4, e2=2)  # a day that is built once more
    for read in READS[1:]:
        assert read(platform, DAY) == texts(e2=2), read.__name__
    send(NEXT, full=True)
    assert read_online(platform, NEXT) == texts(e2=2)


def test_publishing_and_the_view_hide_what_promotion_did_not_know_of(platform, send):
    """A day that became visible without being looked at, as a promotion of an earlier release does it."""
    built(platform, DAY, "run-00001", e1=1, e2=2)
    send(DAY)
    take_down(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
    promoted(platform.lake.of(TABLE), NEXT, chunk_rows(NEXT, {"e1": 3, "e2": 2}, start_run().now), run_id="run-00002")
    assert set(taken_down(platform.lake, "chunk")) == {"e1#0000"}
    assert read_offline(platform, NEXT) == texts(e2=2)
    assert send(NEXT)["tombstoned"] == 3
    assert set(taken_down(platform.lake, "chunk")) == {"e1#0000", "e1#0001", "e1#0002"}
    for read in READS:
        assert read(platform, NEXT) == texts(e2=2), read.__name__


def test_a_takedown_that_was_interrupted_is_run_again(platform, send, monkeypatch):
    built(platform, DAY, "run-00001", e1=2, e2=2)
    send(DAY)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("content_signals.pipeline.takedown.hide_parts", dies)
        with pytest.raises(KeyboardInterrupt):
            take_down(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
    take_down(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
    for read in READS:
        assert read(platform, DAY) == texts(e2=2), read.__name__


def test_what_went_with_an_episode_comes_back_with_it(platform, send):
    built(platform, DAY, "run-00001", e1=3, e2=2)
    send(DAY)
    take_down(replace(platform, run=start_run()), "chunk", "e1#0002", REASON, "legal")  # for itself
    take_down(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
    for key in ("e1#0000", "e1#0002"):
        with pytest.raises(Refused, match="is a part of episode e1, which is taken down"):
            give_back(replace(platform, run=start_run()), "chunk", key, REASON, "legal")
    for _ in range(2):  # again: the same
        give_back(replace(platform, run=start_run()), "episode", "e1", REASON, "legal")
        for read in READS:
            assert read(platform, DAY) == texts(e1=2, e2=2), read.__name__
    last = [entry for entry in entries_of(platform.lake, "chunk") if entry.key == "e1#0000"]
    assert [entry.because_of for entry in last] == ["episode e1"] * 2
    give_back(replace(platform, run=start_run()), "chunk", "e1#0002", REASON, "legal")
    assert read_online(platform, DAY) == texts(e1=3, e2=2)


def test_after_a_purge_an_episode_still_takes_its_chunks_with_it_and_brings_them_back(platform, send):
    """What a purge has written again is read by another way."""
    built(platform, DAY, "run-00001", e1=3, e2=2)
    send(DAY)
    long_ago = replace(start_run(), now=datetime.now(UTC) - timedelta(days=8))
    take_down(replace(platform, run=long_ago), "episode", "e1", REASON, "legal")
    assert purge_removed(platform, 7).rows_out >= 3
    take_down(replace(platform, run=start_run()), "episode", "e2", REASON, "legal")
    for read in READS:
        assert read(platform, DAY) == texts(), read.__name__
    send(DAY, full=True)
    assert read_online(platform, DAY) == texts()
    with pytest.raises(Refused, match="is a part of episode e2"):
        give_back(replace(platform, run=start_run()), "chunk", "e2#0000", REASON, "legal")
    give_back(replace(platform, run=start_run()), "episode", "e2", REASON, "legal")
    for read in READS:
        assert read(platform, DAY) == texts(e2=2), read.__name__
