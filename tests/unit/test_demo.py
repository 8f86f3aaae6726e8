"""The demo: which sources and tables take part."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from content_signals.catalog import catalog
from content_signals.local.demo import _built_in_one_run, _landed_sources

DAYS = [date(2020, 3, 1) + timedelta(days=n) for n in range(4)]
PLAYLISTS = ("catalogue_tracks_v1", "playlist_positions_v1")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    for name in ("playlists/tracks.parquet", *(f"playlists/daily/{day}.csv.gz" for day in DAYS)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], False),
        ([f"{DAYS[1]}.jsonl", f"{DAYS[3]}.jsonl"], True),
        ([f"{DAYS[0]}.parquet", f"{DAYS[3]}.jsonl.gz"], True),
        ([f"{DAYS[3]}.jsonl"], False),
        ([f"{day}.jsonl" for day in DAYS[:3]], False),
    ],
    ids=["none", "some days", "other formats", "the last day only", "not the last day"],
)
def test_events_take_part_where_their_files_are(landing: Path, files: list[str], found: bool) -> None:
    folder = landing / "events" / "play_events"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).touch()
    names = _landed_sources(catalog(), landing, DAYS[:3], DAYS[3])
    assert set(names) == {*PLAYLISTS, *(["play_events_v1"] if found else [])}
    assert ("track_engagement_v1" in {table.table for table in catalog().fed_by(names)}) is found


def test_what_takes_long_is_built_of_the_last_day_alone() -> None:
    known = catalog()
    given = _built_in_one_run(known, PLAYLISTS)
    assert given == ("--tables", "track_language_v1,track_title_v1,playlist_changes_v1,track_popularity_v1",
                     "--without", "track_neighbours_v1")  # fmt: skip
    assert _built_in_one_run(known, ("play_events_v1",)) == ("--tables", "track_engagement_v1")
