"""What is a part of something that is taken down is on its own list before anybody can read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from content_signals.catalog import catalog
from content_signals.errors import Temporary
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.takedowns import (
    GIVEN_BACK,
    TAKEN_DOWN,
    Takedown,
    add_takedown,
    entries_of,
    takedowns_table,
    taken_down,
)
from content_signals.pipeline import promotion
from content_signals.pipeline.context import Context
from content_signals.pipeline.parts import hide_parts
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.purge import purge_removed
from content_signals.pipeline.takedown import take_down
from tests.chunks import CHUNKS, chunk_rows
from tests.lake import judged, promoted, stage_of
from tests.settings import settings_in

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
TABLE = catalog().table(CHUNKS)


@pytest.fixture
def context(tmp_path) -> Context:
    settings = settings_in(tmp_path)
    return Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)


def take(context: Context, key: str, action: Any = TAKEN_DOWN, days_ago: int = 0) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    add_takedown(context.lake, "episode", Takedown(key, action, "the author asked", "legal", at))


def staged(context: Context, day: date, episodes: dict[str, int], run_id: str = "run-00002") -> None:
    table = context.lake.of(TABLE)
    stage = stage_of(table, day, chunk_rows(day, episodes), run_id=run_id)
    judged(stage, 1).write(table)


def test_a_day_that_is_promoted_later_hides_its_parts(context):
    take(context, "e1")
    staged(context, DAY, {"e1": 2, "e2": 2})
    assert promote_days(context, TABLE, [DAY], "run-00002").exit_code == 0
    found = taken_down(context.lake, "chunk")
    assert set(found) == {"e1#0000", "e1#0001"}
    assert {(e.reason, e.who, e.because_of) for e in found.values()} == {("the author asked", "legal", "episode e1")}
    staged(context, NEXT, {"e1": 3, "e2": 2}, "run-00003")
    promote_days(context, TABLE, [NEXT], "run-00003")
    promote_days(context, TABLE, [NEXT], "run-00003")
    assert sorted(e.key for e in entries_of(context.lake, "chunk")) == ["e1#0000", "e1#0001", "e1#0002"]


def test_they_are_hidden_before_the_commit_that_shows_them(context, monkeypatch):
    take(context, "e1")
    staged(context, DAY, {"e1": 1})

    def looked(*_: Any, **__: Any) -> Any:
        assert set(taken_down(context.lake, "chunk")) == {"e1#0000"}
        raise KeyboardInterrupt

    monkeypatch.setattr(promotion, "promote", looked)
    with pytest.raises(KeyboardInterrupt):
        promote_days(context, TABLE, [DAY], "run-00002")


def test_what_is_taken_down_between_the_look_and_the_commit_is_hidden_after_it(context, monkeypatch):
    staged(context, DAY, {"e1": 1, "e2": 1})
    commit = promotion.promote

    def overtaken(*given: Any, **more: Any) -> Any:
        take(context, "e1")
        return commit(*given, **more)

    monkeypatch.setattr(promotion, "promote", overtaken)
    promote_days(context, TABLE, [DAY], "run-00002")
    assert set(taken_down(context.lake, "chunk")) == {"e1#0000"}


def test_a_store_that_does_not_answer_keeps_no_part_off_the_list(context):
    promoted(context.lake.of(TABLE), DAY, chunk_rows(DAY, {"e1": 2, "e2": 2}))
    with pytest.raises(Temporary):
        take_down(context, "episode", "e1", "the author asked", "legal")
    assert set(taken_down(context.lake, "episode")) == {"e1"}
    assert set(taken_down(context.lake, "chunk")) == {"e1#0000", "e1#0001"}


def test_a_file_without_the_column_and_what_was_given_back_hide_nothing(context):
    rows = chunk_rows(DAY, {"e1": 2}).drop_columns(["episode_id"])
    stage = promoted(context.lake.of(TABLE), DAY, rows)
    files = [f"{context.lake.of(TABLE).path}/{file.path}" for file in stage.files]
    take(context, "e1")
    assert hide_parts(context, TABLE, files) == []
    take(context, "e1", GIVEN_BACK)
    staged(context, NEXT, {"e1": 1})
    promote_days(context, TABLE, [NEXT], "run-00002")
    assert entries_of(context.lake, "chunk") == []


def test_a_list_from_before_parts_had_entries_gets_the_column(context):
    at = datetime(2020, 1, 1, tzinfo=UTC)
    old = {"key": ["e9#0000"], "action": [TAKEN_DOWN], "reason": ["asked for"], "who": ["legal"], "at": [at]}
    types = [pa.string()] * 4 + [pa.timestamp("us", "UTC")]
    path = takedowns_table(context.lake, "chunk").path
    write_deltalake(path, pa.table(old, schema=pa.schema(list(zip(old, types, strict=True)))))
    assert [e.because_of for e in entries_of(context.lake, "chunk")] == [""]
    entry = Takedown("e1#0000", TAKEN_DOWN, "asked for", "legal", at, "episode e1")
    add_takedown(context.lake, "chunk", entry, replace(entry, key="e1#0001"))
    found = taken_down(context.lake, "chunk")
    assert {key: e.because_of for key, e in found.items()} == {
        "e9#0000": "",
        "e1#0000": "episode e1",
        "e1#0001": "episode e1",
    }


def test_parts_are_erased_with_what_they_are_parts_of(context):
    for number, day in enumerate((DAY, NEXT)):
        promoted(context.lake.of(TABLE), day, chunk_rows(day, {"e1": 2, "e2": 2}), run_id=f"run-0000{number}")
    take(context, "e1", days_ago=8)
    take(context, "e2", days_ago=6)
    assert purge_removed(context, 7).rows_out == 4
    left = DeltaTable(context.lake.of(TABLE).path).to_pyarrow_table(columns=["episode_id"])
    assert left.column(0).to_pylist() == ["e2"] * 4
