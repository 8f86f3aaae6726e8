"""Whole runs of DAGs, in this process, with jobs that only note how they were called."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from content_signals.settings import PROJECT

HOME = Path(os.environ["AIRFLOW_HOME"])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _database() -> None:
    from airflow.utils.db import initdb

    initdb()


def option(call: dict[str, Any], name: str) -> str:
    words = call["words"]
    return str(words[words.index(name) + 1])


def states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def test_build_gives_its_three_jobs_the_day_and_one_run_id(bag: Any, jobs: Any) -> None:
    run = bag.dags["build_track_popularity_v1"].test(run_conf={"day": "2020-03-01"})
    assert str(run.state) == "success", states(run)
    calls = jobs.calls()
    assert [call["job"] for call in calls] == ["extract_signals", "validate_signals", "promote_signals"]
    assert {option(call, "--day") for call in calls} == {"2020-03-01"}
    assert {option(call, "--table") for call in calls} == {"track_popularity_v1"}
    assert len({option(call, "--run-id") for call in calls}) == 1

    extract = calls[0]
    assert option(extract, "--properties-file") == str(PROJECT / "conf" / "spark.conf")
    assert option(extract, "--master") == "local[*]", "the properties file's: there is no connection"
    assert {call["folder"] for call in calls} == {str(PROJECT)}
    assert extract["env"] == {
        "SPARK_HOME": str(HOME / "jobs" / "lib" / "python3.11" / "site-packages" / "pyspark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(HOME / "jobs" / "bin" / "python"),
        "PYSPARK_DRIVER_PYTHON": str(HOME / "jobs" / "bin" / "python"),
        "CONTENT_SIGNALS_LAKE": str(HOME / "lake"),
    }


def test_broken_data_stops_the_day_without_a_retry(bag: Any, jobs: Any) -> None:
    jobs.plan(validate_signals=(65, "position is 0 in 3 rows, at least 1 is allowed", {"verdict": "stopped"}))
    run = bag.dags["build_playlist_changes_v1"].test(run_conf={"day": "2020-03-01"})
    assert str(run.state) == "failed"
    assert states(run) == {
        "extract": "success",
        "validate": "failed",
        "promote": "upstream_failed",
        "announce": "upstream_failed",
        "ask": "success",
    }
    assert [call["job"] for call in jobs.calls()] == ["extract_signals", "validate_signals"]


def test_a_run_without_a_day_is_about_the_day_before(bag: Any, jobs: Any) -> None:
    run = bag.dags["publish_track_title_v1"].test()
    assert str(run.state) == "success", states(run)
    (call,) = jobs.calls()
    assert option(call, "--day") == (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


def test_a_wrong_day_never_reaches_a_job(bag: Any, jobs: Any) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    run = bag.dags["publish_track_title_v1"].test(run_conf={"day": tomorrow})
    assert states(run) == {"publish": "failed"}
    assert jobs.calls() == []


@pytest.mark.parametrize(("version", "asked"), [(2, "--to=2"), (None, "--rollback")])
def test_a_release_says_which_version_why_and_who(bag: Any, jobs: Any, version: int | None, asked: str) -> None:
    reason = "better; $(date) 'on' the golden set"
    conf = {"family": "track_title", "version": version, "reason": reason}
    run = bag.dags["release_features"].test(run_conf=conf)
    assert str(run.state) == "success", states(run)
    (call,) = jobs.calls()
    assert call["words"][1:5] == ["--family=track_title", asked, f"--reason={reason}", "--by=dag_test"]


def test_rebuild_announces_only_what_it_has_rebuilt(bag: Any, jobs: Any) -> None:
    # The third day had not landed: it is not announced, the last day that was promoted is.
    rebuilt = {"playlist_changes_v1": {"last_day": "2020-03-02"}, "track_popularity_v1": {"last_day": "2020-03-02"}}
    jobs.plan(rebuild_signals=(0, "", {"tables": rebuilt}))
    conf = {"from": "2020-03-01", "to": "2020-03-03", "tables": ["playlist_changes_v1"]}
    run = bag.dags["rebuild_signals"].test(run_conf=conf)
    assert str(run.state) == "success", states(run)
    (call,) = jobs.calls()
    assert [option(call, name) for name in ("--tables", "--from", "--to")] == [
        "playlist_changes_v1",
        "2020-03-01",
        "2020-03-03",
    ]
    found = states(run)
    assert found["track_popularity_v1.announce"] == "success", "made from playlist_changes_v1"
    assert (
        run.get_task_instance("track_popularity_v1.last_day").xcom_pull("track_popularity_v1.last_day") == "2020-03-02"
    )
    assert found["track_title_v1.announce"] == "skipped"


@pytest.mark.parametrize(
    ("report", "announced"),
    [({"tables": {"track_popularity_v1": {"last_day": "2020-03-02"}}}, "success"), ({}, "skipped")],
    ids=["some days promoted", "nothing promoted"],
)
def test_a_rebuild_that_fails_announces_what_went_through(bag: Any, jobs: Any, report: Any, announced: str) -> None:
    jobs.plan(rebuild_signals=(65, "2 critical rules failed", report))
    conf = {"from": "2020-03-01", "to": "2020-03-03", "tables": ["playlist_changes_v1"]}
    run = bag.dags["rebuild_signals"].test(run_conf=conf)
    assert str(run.state) == "failed"
    found = states(run)
    assert (found["rebuild"], found["complete"]) == ("failed", "upstream_failed")
    assert found["track_popularity_v1.announce"] == announced
    assert found["track_title_v1.announce"] == "skipped"
    if announced == "success":
        announce = run.get_task_instance("track_popularity_v1.announce")
        assert announce.xcom_pull("track_popularity_v1.announce") == "2020-03-02"


def test_maintenance_is_about_every_table_unless_one_is_chosen(bag: Any, jobs: Any) -> None:
    for chosen in ({}, {"table": "track_title_v1"}):
        run = bag.dags["maintain_lake"].test(run_conf={"retention_hours": 48, **chosen})
        assert str(run.state) == "success", states(run)
    called: dict[str, list[Any]] = {}
    for made in jobs.calls():
        called.setdefault(made["job"], []).append(made)
    assert [made["words"][1] for made in called["purge_removed"]] == ["--older-than-days=7"] * 2
    assert [made["words"][1] for made in called["clean_retired"]] == ["--after-days=7"] * 2
    call, one = called["maintain_lake"]
    assert one["words"][1] == "--table=track_title_v1"
    closed = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    assert call["words"][1:3] == ["--retention-hours=48", f"--optimize-before={closed}"]
    assert "--table" not in " ".join(call["words"])


def test_ingest_skips_what_was_not_chosen_and_announces_the_day(bag: Any, jobs: Any) -> None:
    file = HOME / "landing" / "playlists" / "daily" / "2020-03-01.csv"
    file.parent.mkdir(parents=True)
    file.touch()
    conf = {"day": "2020-03-01", "sources": ["playlist_positions_v1"]}
    run = bag.dags["ingest_sources"].test(run_conf=conf)
    assert str(run.state) == "success", states(run)
    (call,) = jobs.calls()
    assert option(call, "--source") == "playlist_positions_v1"
    found = states(run)
    assert found["playlist_positions_v1.announce"] == "success"
    assert found["catalogue_tracks_v1.announce"] == "skipped"
