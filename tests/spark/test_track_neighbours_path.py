"""Neighbours of tracks from landing files to what a model reads; built twice, the second time to the same."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from content_signals.catalog import catalog
from content_signals.errors import NotLanded
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.publish import publish
from content_signals.pipeline.validate import validate
from tests.landing import held, write_positions
from tests.neighbours_oracle import ages, expected
from tests.online import online
from tests.settings import settings_in
from tests.stores import running_store

pytestmark = pytest.mark.spark

FIRST, MISSING, LAST = (date(2020, 3, day) for day in (1, 2, 3))
STORY = {FIRST: {"P": "abcx", "Q": "ad"}, LAST: {"P": "bcdx", "Q": "ad"}}
CHANGES, NEIGHBOURS = (catalog().table(name) for name in ("playlist_changes_v1", "track_neighbours_v1"))


def build(context: Context, spark, table, days: list[date]) -> Context:
    """Days extracted, judged and promoted, by a run of their own."""
    run = replace(context, run=start_run())
    extract(run, spark, table, days)
    judged = validate(run, spark, table, days, run.run.run_id)
    assert judged.exit_code == 0, judged.failed
    assert promote_days(run, table, days, run.run.run_id).exit_code == 0
    return run


@pytest.fixture(scope="module")
def platform(spark):
    with tempfile.TemporaryDirectory(prefix="cs-near-") as name:  # a socket's path must be short
        settings = settings_in(Path(name))
        context = Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)
        for day, playlists in STORY.items():
            write_positions(Path(settings.landing), day, held(day, playlists))
        ingest(context, spark, catalog().source("playlist_positions"), list(STORY))
        build(context, spark, CHANGES, list(STORY))
        with running_store(settings):
            yield context


def test_from_landing_files_to_a_model(platform, spark):
    with pytest.raises(NotLanded):
        extract(replace(platform, run=start_run()), spark, NEIGHBOURS, [MISSING])
    build(platform, spark, NEIGHBOURS, [FIRST, LAST])
    table = DeltaTable(platform.lake.of(NEIGHBOURS).path).to_pyarrow_dataset().to_table()
    # The first day has no changes yet; the second lacks the day between, on which nobody looked.
    lists = [(day, name, track) for day, playlists in STORY.items() for name, own in playlists.items() for track in own]
    gone = [(LAST, "P", "a", "removed"), (LAST, "P", "d", "added")]
    for day in STORY:
        rows = {row["track_id"]: row for row in table.to_pylist() if row["ds"] == day}
        right = expected(ages([row for row in lists if row[0] <= day], [row for row in gone if row[0] <= day], day))
        assert {track: row["neighbours"] for track, row in rows.items()} == {
            track: right.neighbours(track) for track in right.tracks
        }
    before = Snapshot(platform.lake.of(NEIGHBOURS)).digests([LAST])
    build(platform, spark, NEIGHBOURS, [LAST])  # alone: to the bit what it was among others
    assert Snapshot(platform.lake.of(NEIGHBOURS)).digests([LAST]) == before
    outcome = publish(replace(platform, run=start_run()), spark, NEIGHBOURS, [LAST])
    assert outcome.rows_in == len(rows) > 0
    served = online(platform.settings, NEIGHBOURS.family, list(rows), datetime(2020, 3, 4, 12, tzinfo=UTC))
    for key, row in rows.items():
        assert {name.split(":")[1]: cell.value for name, cell in served[key].items()} == {
            name: row[name] for name in NEIGHBOURS.values
        }
