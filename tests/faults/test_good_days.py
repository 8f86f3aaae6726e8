"""No false alarm: four weeks of generated days pass every rule, and half a file of events is stopped right after."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from content_signals.lake.snapshot import Snapshot
from content_signals.local.events import generate_events
from content_signals.local.landing import generate_landing
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.validate import validate
from tests.faults.conftest import context_in, next_day
from tests.faults.good_days import ENGAGEMENT, POPULARITY, TITLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAYS = [date(2020, 3, 1) + timedelta(days=n) for n in range(29)]
MADE_FROM = {
    "playlist_changes_v1": ["playlist_positions"],
    POPULARITY: [],
    TITLE: ["catalogue_tracks"],
    ENGAGEMENT: ["play_events"],
}


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """A platform whose landing folder holds four weeks and a day, as the demo generates them."""
    context = context_in(tmp_path_factory.mktemp("generated"))
    landing = Path(context.settings.landing)
    generate_landing(landing, days=DAYS, seed=1, tracks=1500, playlists=30, tracks_per_playlist=40)
    generate_events(landing, rows=60_000, days=DAYS, seed=1)
    return context


def build(context, spark, name: str, days) -> list[date]:
    for source in MADE_FROM[name]:
        assert not ingest(context, spark, context.catalog.source(source), days).failed
    return extract(context, spark, context.catalog.table(name), days).days


@pytest.mark.parametrize("name", MADE_FROM)
def test_four_weeks_raise_no_alarm(landed, spark, owner, name):
    table = landed.catalog.table(name)
    days = build(landed, spark, name, DAYS[:-1])
    assert len(days) >= 26
    judged = validate(landed, spark, table, days, None)
    assert (judged.verdict, judged.quarantined, judged.days, owner.told) == ("passed", 0, days, [])
    assert promote_days(landed, table, days, None).days == days


def test_half_a_file_of_events_is_stopped(landed, spark, owner, record_property):
    """The file is whole and every event is right: only the days before tell that half of them are missing."""
    last, source, table = DAYS[-1], "play_events_v1", landed.catalog.table(ENGAGEMENT)
    file = Path(landed.settings.landing) / "events" / "play_events" / f"{last}.parquet"
    rows = pq.read_table(file)
    pq.write_table(rows.slice(0, rows.num_rows // 2), file)
    context = next_day(landed)
    assert build(context, spark, ENGAGEMENT, [last]) == [last]
    judged = validate(context, spark, table, [last], None)
    assert judged.verdict == "stopped"
    (message,) = owner.told
    assert "expect_column_mean_to_be_like_history(plays_1d)" in message.fields["rules"]
    assert promote_days(context, table, [last], None).failed
    assert last not in Snapshot(context.lake.of(table)).days
    record_property(
        "met", ["half of the day's events", source, "stopped", ["column_mean_to_be_like_history(plays_1d)"]]
    )
