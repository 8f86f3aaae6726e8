"""Rows of what was taken down are erased from every table of its entity, and nothing else is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from content_signals.catalog import catalog
from content_signals.features.fallback import _batches
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.parts import owners_of
from content_signals.lake.purge import purge
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import TAKEN_DOWN, Takedown, add_takedown
from content_signals.pipeline.context import Context
from content_signals.pipeline.purge import purge_removed
from tests.faults.good_days import DAY, EARLIER, TITLE, good_rows
from tests.lake import promoted
from tests.settings import settings_in

KEY, OTHER = "track00003", "track00004"


@pytest.fixture
def context(tmp_path) -> Any:
    settings = settings_in(tmp_path)
    said: list[str] = []
    made = Context(settings, Lake(settings.lake), catalog(), start_run(), said.append)
    table = made.lake.of(catalog().table(TITLE))
    for number, day in enumerate([*EARLIER[-2:], DAY]):
        promoted(table, day, good_rows(TITLE, day, 20), run_id=f"run-{number:05}", files=2)
    return made


def take(context: Context, key: str, days_ago: int) -> None:
    at = context.run.now - timedelta(days=days_ago)
    add_takedown(context.lake, "track", Takedown(key, TAKEN_DOWN, "the label asked", "legal", at))


def keys(context: Context) -> dict[date, set[str]]:
    table = DeltaTable(context.lake.of(catalog().table(TITLE)).path).to_pyarrow_table()
    found: dict[date, set[str]] = {}
    for row in table.select(["ds", "track_id"]).to_pylist():
        found.setdefault(row["ds"], set()).add(row["track_id"])
    return found


def test_what_was_taken_down_long_ago_is_erased_from_every_day(context):
    take(context, KEY, 8)
    take(context, OTHER, 6)
    outcome = purge_removed(context, 7)
    assert (outcome.rows_in, outcome.rows_out) == (1, 3)
    assert all(KEY not in found and OTHER in found and len(found) == 19 for found in keys(context).values())
    assert purge_removed(context, 7).rows_out == 0
    snapshot = Snapshot(context.lake.of(catalog().table(TITLE)))
    assert snapshot.rows([DAY]) == 19
    assert DAY in snapshot.days  # as promoted as before


def test_nothing_was_taken_down(context):
    assert purge_removed(context, 7).rows_out == 0


def test_strange_keys_and_tables_that_are_not_there(context):
    table = context.lake.of(catalog().table(TITLE))
    assert purge(table, "track_id", ["o'clock", "'; drop", "🎧"]) == 0
    assert purge(table.history, "track_id", [KEY]) == 0
    assert purge(table, "no_such_column", [KEY]) == 0


def test_it_goes_by_the_last_entry(context):
    take(context, KEY, 9)
    given = Takedown(KEY, "given back", "a mistake", "legal", datetime.now(UTC))
    add_takedown(context.lake, "track", given)
    assert purge_removed(context, 7).rows_out == 0


def test_what_a_purge_has_written_again_is_read_as_before_for_feast(tmp_path):
    """Texts, and lists of them: pandas has no type for what delta-rs writes."""
    path, day = str(tmp_path / "table"), date(2026, 3, 1)
    rows = {
        "track_id": ["a", "b", "c"],
        "artist_id": ["x", "x", "y"],
        "terms": pa.array([["x", "é"], None, []], pa.list_(pa.string())),
        "plays": pa.array([2**53 + 1, None, 3], pa.int64()),
        "event_ts": pa.array([datetime(2026, 3, 2, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        "ds": [day] * 3,
    }
    write_deltalake(path, pa.table(rows), partition_by=["ds"])
    DeltaTable(path).delete("track_id = 'b'")
    [file] = [uri.removeprefix("file://") for uri in DeltaTable(path).file_uris()]
    assert pa.types.is_string_view(pq.read_schema(file).field("track_id").type)  # else nothing is shown here
    [frame] = _batches([file], ["track_id", "terms", "plays", "event_ts", "late"])
    assert frame["track_id"].tolist() == ["a", "c"]
    assert [list(terms) for terms in frame["terms"]] == [["x", "é"], []]
    assert frame["plays"].tolist() == [2**53 + 1, 3]
    assert frame["late"].isna().all()
    assert owners_of([file], "track_id", "artist_id", ["x", "?"]) == {"a": "x"}
    assert owners_of([file], "track_id", "no_such_column", ["a"]) == {}
