"""Upkeep of the lake: what is compacted, what vacuum collects and what it must spare. No JVM is needed."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from content_signals.catalog import catalog
from content_signals.errors import Temporary
from content_signals.lake import maintain as upkeep
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.maintain import maintain
from content_signals.lake.manifests import manifest_folder, work_folder
from content_signals.lake.promote import promote
from content_signals.lake.snapshot import Snapshot
from content_signals.local.job_process import job_command, job_environment, report_of
from tests.lake import promoted, stage_of
from tests.settings import settings_in

MONDAY, TUESDAY = date(2020, 3, 2), date(2020, 3, 3)
WEEK = 7 * 24
ROWS = {"key": ["a", "b", "c"], "plays": [1, 2, 3]}


@pytest.fixture
def table(tmp_path: Path) -> LakeTable:
    return LakeTable("plays_v1", str(tmp_path / "signals" / "plays_v1"), str(tmp_path / "_runs" / "plays_v1"))


def written(table: LakeTable, *paths: str, hours_ago: float) -> list[Path]:
    """Files of a table, made if they are not there, as if written that long ago."""
    then = time.time() - hours_ago * 3600
    found = [Path(table.path) / path for path in paths]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (then, then))
    return found


def rows_of(table: LakeTable, version: int | None = None) -> list[tuple]:
    read = DeltaTable(table.path, version=version).to_pyarrow_dataset().to_table().to_pylist()
    return sorted((str(row["ds"]), row["key"], row["plays"]) for row in read)


def test_closed_days_are_compacted_and_say_what_they_said(table):
    closed = promoted(table, MONDAY, ROWS, files=3)
    today = promoted(table, TUESDAY, ROWS, files=2)
    before, version = rows_of(table), DeltaTable(table.path).version()
    done = maintain(table, before=TUESDAY, retention_hours=WEEK)
    assert (done.days_compacted, done.files_removed) == (1, 0)
    snapshot = Snapshot(table)
    assert {day: len(files) for day, files in snapshot.files_by_day.items()} == {MONDAY: 1, TUESDAY: 2}
    assert rows_of(table) == before
    # The day is still that of its stage, and can be rebuilt.
    assert (snapshot.fence(MONDAY), snapshot.fence(TUESDAY)) == (closed.fence, today.fence)
    assert promote(table, closed, closed.files).already
    assert rows_of(table, version) == before  # a reader of the version before still finds its files
    promoted(table, MONDAY, {"key": ["d"], "plays": [4]})
    assert rows_of(table) == [("2020-03-02", "d", 4), *before[3:]]


def test_a_day_of_large_files_stays_as_it_was_laid_out(table, monkeypatch):
    promoted(table, MONDAY, ROWS, files=3)
    monkeypatch.setattr(upkeep, "SMALL_FILE_BYTES", 100)
    assert maintain(table, before=TUESDAY, retention_hours=WEEK).days_compacted == 0
    assert len(Snapshot(table).files()) == 3


def test_a_day_in_one_file_is_left_alone(table):
    stage = promoted(table, MONDAY, ROWS)
    assert maintain(table, before=TUESDAY, retention_hours=WEEK).days_compacted == 0
    assert Snapshot(table).files_by_day == {MONDAY: list(stage.files)}


def test_a_filter_finds_its_rows_in_a_compacted_day(table):
    """The statistics are delta-rs's own then, not promote's."""
    moments = [datetime(2026, 3, 1, 12, 0, 0, micros, tzinfo=UTC) for micros in (1, 600, 999_999)]
    promoted(table, MONDAY, {**ROWS, "computed_at": pa.array(moments, pa.timestamp("us", "UTC"))}, files=3)
    maintain(table, before=TUESDAY, retention_hours=WEEK)
    read = DeltaTable(table.path).to_pyarrow_dataset()
    assert len(read.files) == 1
    for n, moment in enumerate(moments):
        assert read.count_rows(filter=pc.field("computed_at") <= pa.scalar(moment)) == n + 1
        assert read.count_rows(filter=pc.field("computed_at") >= pa.scalar(moment)) == 3 - n
        assert read.count_rows(filter=pc.field("key") == ROWS["key"][n]) == 1


def test_vacuum_collects_orphans_and_spares_what_may_still_be_promoted(table):
    served = promoted(table, MONDAY, ROWS)
    rejected = stage_of(table, TUESDAY, ROWS, run_id="run-rejected", files=2)
    running = stage_of(table, TUESDAY, ROWS, run_id="run-running", files=2)
    written(table, *(file.path for file in served.files), hours_ago=10 * WEEK)
    written(table, *(file.path for file in running.files), hours_ago=WEEK - 1)
    orphans = [
        *written(table, *(file.path for file in rejected.files), hours_ago=WEEK + 1),
        # Rows that ingest has set aside lie beside a day's, in no stage; Spark leaves a mark that it was done.
        *written(table, "data/run-x-1/ds=2020-03-02/_aside=true/part-0.parquet", hours_ago=WEEK + 1),
        *written(table, "data/run-x-1/_SUCCESS", hours_ago=WEEK + 1),
    ]
    assert maintain(table, before=MONDAY, retention_hours=WEEK).files_removed == len(orphans) == 4
    assert not any(path.exists() for path in orphans)
    assert rows_of(table) == [("2020-03-02", key, plays) for key, plays in zip(*ROWS.values(), strict=True)]
    promote(table, running, running.files)
    assert len(rows_of(table)) == 6


def test_superseded_files_are_collected_once_nobody_may_read_them(table):
    old = promoted(table, MONDAY, ROWS)
    promoted(table, MONDAY, {"key": ["a"], "plays": [9]})
    files = written(table, *(file.path for file in old.files), hours_ago=10 * WEEK)
    # However old the file, it was in the table until a moment ago.
    assert maintain(table, before=MONDAY, retention_hours=24).files_removed == 0
    assert files[0].exists()
    assert maintain(table, before=MONDAY, retention_hours=0).files_removed == 1
    assert not files[0].exists()
    assert rows_of(table) == [("2020-03-02", "a", 9)]


def test_a_day_replaced_meanwhile_is_compacted_another_time(table, monkeypatch):
    promoted(table, MONDAY, ROWS, files=2)
    with monkeypatch.context() as patch:
        rebuild = {"key": ["a", "b"], "plays": [8, 9]}  # while upkeep has looked and not compacted yet
        patch.setattr(upkeep, "append_history", lambda *_: promoted(table, MONDAY, rebuild, files=2))
        with pytest.raises(Temporary, match="plays_v1 2020-03-02: not compacted, another run has committed meanwhile"):
            maintain(table, before=TUESDAY, retention_hours=WEEK)
    assert rows_of(table) == [("2020-03-02", "a", 8), ("2020-03-02", "b", 9)]
    assert maintain(table, before=TUESDAY, retention_hours=WEEK).days_compacted == 1
    assert rows_of(table) == [("2020-03-02", "a", 8), ("2020-03-02", "b", 9)]


def test_a_table_that_does_not_exist_needs_no_upkeep(table):
    assert maintain(table, before=MONDAY, retention_hours=WEEK) is None
    assert not Path(table.path).exists()


def test_the_job_looks_after_everything_that_belongs_to_a_table(tmp_path):
    settings = settings_in(tmp_path)
    lake, popularity = Lake(settings.lake), catalog().table("track_popularity")
    source = catalog().source("playlist_positions")
    tables = [
        lake.of(source),
        lake.malformed(source),
        lake.quarantine(source),
        lake.of(popularity),
        lake.tiles(popularity),
    ]
    tables += [lake.coarse_tiles(popularity), lake.of(popularity).history]
    orphans = []
    for table in tables:
        promoted(table, MONDAY, ROWS, files=2)
        orphans += written(table, "data/run-x-1/ds=2020-03-02/part-0.parquet", hours_ago=25)
    done = maintain_lake(settings, "--optimize-before", str(TUESDAY), "--retention-hours", "24")
    assert done.returncode == 0, done.stderr
    report = report_of(done.stdout)
    assert {name for name in report if "playlist_" in name or "track_" in name} == {table.name for table in tables}
    for table in tables:
        assert report[table.name] == {"days_compacted": 1, "files_removed": 1}
        assert len(Snapshot(table).files()) == 1
        assert len(rows_of(table)) == 3
    assert not any(path.exists() for path in orphans)
    assert sorted(report["paths"]) == sorted(table.path for table in tables)
    assert "playlist_positions_v1: 1 days compacted, 1 files removed" in done.stderr


def test_what_killed_training_sets_have_left_is_removed_and_nothing_else(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    killed, kept = work_folder(lake), manifest_folder(lake, "ranker_v1-20260301t000000-abc123")
    begun, under_way = work_folder(lake), work_folder(lake)
    for folder, hours in ((killed, 200), (kept, 2000), (begun, 200), (under_way, 1)):
        file = Path(folder, "answers", "part-0.parquet")
        file.parent.mkdir(parents=True)
        file.touch()
        for path in (file, file.parent, file.parent.parent):
            os.utime(path, (time.time() - hours * 3600,) * 2)
    Path(begun, "answers", "part-1.parquet").touch()  # still at it, a week after it began
    done = maintain_lake(settings_in(tmp_path))
    assert report_of(done.stdout)["training_sets"] == {"working_folders_removed": 1}
    assert [Path(path).exists() for path in (killed, kept, begun, under_way)] == [False, True, True, True]


def test_the_job_keeps_what_a_run_may_hold(tmp_path):
    done = maintain_lake(settings_in(tmp_path), "--retention-hours", "23")
    assert done.returncode == 64
    assert "runs may hold staged files for 24 hours" in report_of(done.stdout)["error"]
    assert not (tmp_path / "lake").exists()


def maintain_lake(settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        job_command("maintain_lake", *arguments),
        env=job_environment(settings), capture_output=True, text=True, check=False,
    )  # fmt: skip
