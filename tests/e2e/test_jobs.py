"""The jobs by spark-submit on real days: equal to the recompute, killed anywhere, and given bad input."""

from __future__ import annotations

import shutil
import signal
from datetime import date
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from content_signals.features.store import online_client
from content_signals.lake.snapshot import Snapshot
from tests import oracle
from tests.e2e.conftest import SHARED, Platform, kill, platform_in, wait_for
from tests.landing import write_positions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

if not SHARED.is_dir():
    pytest.skip("real playlists are not here: ../shared/data is absent", allow_module_level=True)

# 2020-03-24 has really not landed.
FIRST, NEXT_TO_LAST, LAST = "2020-03-21", "2020-03-25", "2020-03-26"
DAYS = [date(2020, 3, day) for day in (21, 22, 23, 25, 26)]
RANGE = ("--from", FIRST, "--to", NEXT_TO_LAST)
CHANGES, POPULARITY, TITLE = "playlist_changes_v1", "track_popularity_v1", "track_title_v1"


@pytest.fixture(scope="session")
def waiting(short_folder: Path) -> Platform:
    """Four real days built as a range, and the fifth up to the point where its popularity can be built."""
    platform = platform_in(short_folder, SHARED)
    for source in ("playlist_positions", "catalogue_tracks"):
        platform.run("ingest_source", "--source", source, *RANGE)
    platform.run("rebuild_signals", "--tables", f"{CHANGES},{TITLE}", *RANGE)
    platform.run("ingest_source", "--source", "playlist_positions", "--day", LAST)
    platform.build(CHANGES, "--day", LAST)
    return platform


@pytest.fixture(scope="session")
def whole(waiting: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The same with the fifth day's popularity, never interrupted."""
    platform = waiting.copy(tmp_path_factory.mktemp("whole"))
    platform.build(POPULARITY, "--day", LAST)
    return platform


def rows(platform: Platform, table: str):
    return DeltaTable(platform.table(table).path).to_pyarrow_dataset().to_table()


def digests(platform: Platform, table: str = POPULARITY) -> dict[date, str]:
    return Snapshot(platform.table(table)).digests(DAYS)


def content(platform: Platform, table: str = POPULARITY) -> list[tuple]:
    """Every row, without what tells one run from another."""
    names = [n for n in rows(platform, table).column_names if n not in ("computed_at", "run_id")]
    return sorted(tuple(map(str, row.values())) for row in rows(platform, table).select(names).to_pylist())


@pytest.mark.parametrize(("table", "key"), [(CHANGES, oracle.CHANGES_KEY), (POPULARITY, oracle.POPULARITY_KEY)])
def test_every_column_of_every_row_equals_the_recompute(whole: Platform, table: str, key: tuple[str, ...]) -> None:
    con = duckdb.connect()
    oracle.load(con, SHARED, DAYS)
    assert oracle.assert_same_rows(con, rows(whole, table), f"SELECT * FROM {table}", key) > 1000


def test_titles_of_a_day_are_those_of_the_tracks_seen_by_then(whole: Platform) -> None:
    con = duckdb.connect()
    con.register("titles", rows(whole, TITLE))
    for day in Snapshot(whole.table(TITLE)).days:
        oracle.catalogue(con, SHARED, day).create_view("seen", replace=True)
        wrong = con.execute(
            """SELECT count(*) FROM seen s FULL JOIN (SELECT * FROM titles WHERE ds = $day) t USING (track_id)
               WHERE t.catalogue_age_days IS DISTINCT FROM $day::DATE - s.first_seen
                  OR t.title_length_chars IS DISTINCT FROM length(s.title)""",
            {"day": day},
        ).fetchall()
        assert wrong == [(0,)]


def test_a_range_lists_the_days_that_have_not_landed(waiting: Platform, tmp_path: Path) -> None:
    done = waiting.copy(tmp_path).run("extract_signals", "--table", CHANGES, *RANGE)
    assert list(done.report["skipped"]) == ["2020-03-24"]
    assert done.report["days"] == [str(day) for day in DAYS[:4]]
    assert set(done.report) >= {
        "job",
        "table",
        "days",
        "run_id",
        "rows_in",
        "rows_out",
        "quarantined",
        "verdict",
        "seconds",
        "paths",
    }


def test_an_extract_killed_while_it_writes(waiting: Platform, whole: Platform, tmp_path: Path) -> None:
    platform = waiting.copy(tmp_path)
    data = Path(platform.table(POPULARITY).path) / "data"
    before = content(platform)
    process = platform.start("extract_signals", "--table", POPULARITY, "--day", LAST, "--run-id", "killed-run")
    wait_for(lambda: list(data.glob("killed-run-*")), process)
    kill(process)
    assert content(platform) == before
    platform.build(POPULARITY, "--day", LAST, run_id="killed-run")
    assert digests(platform) == digests(whole)
    assert content(platform) == content(whole)


def test_a_promote_killed_between_its_days(whole: Platform, tmp_path: Path) -> None:
    platform = whole.copy(tmp_path)
    log = Path(platform.table(POPULARITY).path) / "_delta_log"
    shutil.rmtree(log)  # the stages and their verdicts are there, none is promoted
    process = platform.start("promote_signals", "--table", POPULARITY, "--from", FIRST, "--to", LAST)
    wait_for(lambda: list(log.glob("*.json")), process)
    kill(process)
    seen = len(Snapshot(platform.table(POPULARITY)).days)
    assert seen < len(DAYS), "it was not killed in time"
    platform.run("promote_signals", "--table", POPULARITY, "--from", FIRST, "--to", LAST)
    assert content(platform) == content(whole)


def test_a_publish_killed_while_it_writes(whole: Platform, online: None) -> None:
    client = online_client(whole.settings)
    process = whole.start("publish_features", "--table", POPULARITY, "--day", LAST)
    wait_for(lambda: client.dbsize() > 0, process)
    kill(process)
    count = rows(whole, POPULARITY).filter(duckdb_day(LAST)).num_rows
    assert 0 < client.dbsize() < count
    done = whole.run("publish_features", "--table", POPULARITY, "--day", LAST)
    # The job reads every key back and compares all its values.
    assert (done.report["sent"], done.report["rows_out"], done.report["not_taken"]) == (count, count, 0)
    assert client.dbsize() == count


def test_a_zombie_that_wakes_up_late_changes_nothing(waiting: Platform, whole: Platform, tmp_path: Path) -> None:
    platform = waiting.copy(tmp_path)
    data = Path(platform.table(POPULARITY).path) / "data"
    zombie = platform.start("extract_signals", "--table", POPULARITY, "--day", LAST, "--run-id", "zombie-run")
    wait_for(lambda: list(data.glob("zombie-run-*")), zombie)
    kill(zombie, signal.SIGSTOP)
    platform.build(POPULARITY, "--day", LAST, run_id="living-run")
    version, before = DeltaTable(platform.table(POPULARITY).path).version(), content(platform)
    kill(zombie, signal.SIGCONT)
    assert zombie.wait(timeout=300) == 0  # it stages its files, where nobody sees them
    platform.run("validate_signals", "--table", POPULARITY, "--day", LAST, "--run-id", "zombie-run")
    done = platform.run("promote_signals", "--table", POPULARITY, "--day", LAST, "--run-id", "zombie-run", code=65)
    assert "a newer run" in done.output
    assert "readers see the newer run's rows" in done.output
    assert DeltaTable(platform.table(POPULARITY).path).version() == version
    assert content(platform) == before == content(whole)


def test_a_stopped_day_promotes_nothing(waiting: Platform, tmp_path: Path) -> None:
    """A rule that the day breaks, in a suite of its own: nothing of the day is seen."""
    platform = waiting.copy(tmp_path)
    platform.run("extract_signals", "--table", CHANGES, "--day", LAST, "--run-id", "stopped-run")
    # As if the rows had come out wrong: the staged file is that of a day with a third kind of change.
    stage = next(Path(platform.table(CHANGES).path).glob(f"data/stopped-run-*/ds={LAST}/*.parquet"))
    con = duckdb.connect()
    con.execute(f"copy (select * replace ('lost' as change) from '{stage}') to '{stage}.new' (format parquet)")
    stage.with_name(stage.name + ".new").replace(stage)
    before = content(platform, CHANGES)
    judged = platform.run("validate_signals", "--table", CHANGES, "--day", LAST, "--run-id", "stopped-run", code=65)
    assert judged.report["verdict"] == "stopped"
    assert "expect_column_values_to_be_in_set of change" in judged.report["error"]
    refused = platform.run("promote_signals", "--table", CHANGES, "--day", LAST, "--run-id", "stopped-run", code=65)
    assert "was stopped by" in refused.output
    assert content(platform, CHANGES) == before


def test_bad_landing_files_and_bad_calls(tmp_path: Path) -> None:
    platform = platform_in(tmp_path, tmp_path / "landing")
    day = date(2020, 3, 1)
    path = write_positions(tmp_path / "landing", day, [f"{day},P,1,a"], header="date,playlist,track_id")
    done = platform.run("ingest_source", "--source", "playlist_positions", "--day", str(day), code=65)
    assert str(path) in done.output
    assert (
        "expected the columns date, playlist, position, track_id; found date, playlist, track_id"
        in done.report["error"]
    )
    done = platform.run("ingest_source", "--source", "playlist_positions", "--day", "2020-03-02", code=66)
    assert f"{tmp_path}/landing/playlists/daily/2020-03-02.csv.gz" in done.report["error"]
    for day_word in ("None", "", "2020-3-1"):
        assert (
            "is not a day"
            in platform.run("promote_signals", "--table", CHANGES, "--day", day_word, code=64).report["error"]
        )
    done = platform.run("promote_signals", "--table", "playlist_change", "--day", str(day), code=64)
    assert "did you mean playlist_changes_v1" in done.output
    assert (
        "nothing is staged"
        in platform.run("promote_signals", "--table", CHANGES, "--day", str(day), code=66).report["error"]
    )


def duckdb_day(day: str):
    import pyarrow.compute as pc

    return pc.field("ds") == date.fromisoformat(day)
