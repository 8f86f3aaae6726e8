"""Waiting for a day's file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from content_signals.contract import Column, Source
from content_signals.orchestration.landing import LandingSensor

SOURCE = Source(
    name="plays",
    version=1,
    format="csv",
    landing=("plays/{day}.csv.gz", "plays/{day}.csv"),
    columns=(Column("track_id", "string", "The track"),),
    key=("track_id",),
    owner="catalogue-signals",
    about="Plays",
    fresh_within=timedelta(hours=30),
)
ALL = {"params": {"sources": ["plays_v1"]}}
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


def sensor(landing: Path | str, day: date) -> LandingSensor:
    return LandingSensor(task_id="wait", source=SOURCE, landing=str(landing), day=day.isoformat())


@pytest.mark.parametrize("ending", ["csv.gz", "csv"])
def test_a_landed_file_ends_the_wait(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "plays" / f"2020-03-01.{ending}"
    file.parent.mkdir()
    file.touch()
    found = sensor(tmp_path, date(2020, 3, 1)).poke(ALL)
    assert found
    assert found.xcom_value == str(file)


def test_before_the_deadline_it_waits_and_holds_no_slot(tmp_path: Path) -> None:
    waiting = sensor(tmp_path, YESTERDAY)
    assert waiting.poke(ALL) is False
    assert waiting.reschedule


def test_a_late_day_fails_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    # AirflowFailException: Airflow asks no retry policy about it.
    with pytest.raises(AirflowFailException) as failure:
        sensor(tmp_path, date(2020, 3, 1)).poke(ALL)
    text = str(failure.value)
    assert f"{tmp_path}/plays/2020-03-01.csv.gz, {tmp_path}/plays/2020-03-01.csv" in text
    assert "due by 2020-03-03 06:00 UTC" in text
    assert 'trigger ingest_sources with day=2020-03-01 and sources=["plays_v1"]' in text


def test_a_late_day_that_has_landed_is_not_late(tmp_path: Path) -> None:
    (tmp_path / "plays").mkdir()
    (tmp_path / "plays" / "2020-03-01.csv").touch()
    assert sensor(tmp_path, date(2020, 3, 1)).poke(ALL)


def test_a_source_left_out_of_the_form_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException, match="plays_v1 was not chosen"):
        sensor(tmp_path, YESTERDAY).poke({"params": {"sources": ["other_v1"]}})


def test_object_stores_are_looked_into_too() -> None:
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    attach("memory", fs=MemoryFileSystem())
    assert sensor("memory://landing", YESTERDAY).poke(ALL) is False
    MemoryFileSystem().pipe(f"landing/plays/{YESTERDAY}.csv", b"track_id\n")
    assert sensor("memory://landing", YESTERDAY).poke(ALL)


def test_a_store_nobody_can_read_is_an_error_and_no_absent_file() -> None:
    with pytest.raises(ValueError, match="gopher"):
        sensor("gopher://landing", YESTERDAY).poke(ALL)
