"""A stopped day in Airflow: the build is red, a person is asked, an answer without a reason is asked again, a good one
promotes the day and starts what is made from it.

Yesterday's file comes again: the rules of track popularity stop a day that says the same as the day before.
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from content_signals.lake.layout import Lake
from content_signals.local import services
from content_signals.local.airflow import airflow_url
from content_signals.local.airflow_api import AirflowApi, AirflowApiError
from content_signals.settings import Settings
from tests.e2e.conftest import Platform
from tests.settings import with_ports

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]

SOURCE, CHANGES, POPULARITY = "playlist_positions_v1", "playlist_changes_v1", "track_popularity_v1"
BUILD, APPROVE, PUBLISH = f"build_{POPULARITY}", f"approve_{POPULARITY}", f"publish_{POPULARITY}"
FIRST = date(2020, 3, 1)
DAY = FIRST + timedelta(days=1)
PLAYLISTS = {"hits": [f"t{n}" for n in range(150)], "calm": ["t2", "t4"]}  # of few rows nothing is compared
READING_SECONDS = 15  # the machine may be busy
REASON = "the charts do not change on a holiday; {{ run_id }} --by=nobody"


@pytest.fixture(scope="module")
def prepared() -> Iterator[Settings]:
    """Settings of a lake in which the first day of track popularity is promoted, and the second can be built."""
    with tempfile.TemporaryDirectory(prefix="cs-yes-") as name:
        settings = with_ports(Path(name))
        for day in (FIRST, DAY):
            land(settings, day)
        platform = Platform(settings)
        platform.run("ingest_source", "--source", SOURCE, "--from", str(FIRST), "--to", str(DAY))
        platform.run(
            "rebuild_signals",
            "--tables",
            CHANGES,
            "--without",
            "track_neighbours_v1",
            "--from",
            str(FIRST),
            "--to",
            str(FIRST),
        )
        platform.build(CHANGES, "--day", str(DAY))
        yield settings


@pytest.fixture(scope="module")
def api(prepared: Settings) -> Iterator[AirflowApi]:
    with services.running(prepared):
        api = AirflowApi(airflow_url(prepared), timeout=300)
        api.wait_dags([BUILD, APPROVE, PUBLISH])
        yield api


def land(settings: Settings, day: date) -> None:
    file = Path(settings.landing) / "playlists" / "daily" / f"{day}.csv.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["date", "playlist", "position", "track_id"])
        for playlist, tracks in PLAYLISTS.items():
            rows.writerows([day, playlist, position, track] for position, track in enumerate(tracks, start=1))


def promoted(settings: Settings) -> list[dict[str, Any]]:
    """What the table's commits say of themselves, those that added the day."""
    log = Path(Lake(settings.lake).root) / "signals" / POPULARITY / "_delta_log"
    commits = []
    for file in sorted(log.glob("*.json")):
        text = file.read_text()
        if f'"ds":"{DAY}"' in text:
            commits += [line["commitInfo"] for line in map(json.loads, text.splitlines()) if "commitInfo" in line]
    return commits


def wait(what: str, found: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"no {what} after {seconds:.0f} s"
        time.sleep(1)
    return result


class Question:
    """The question about the stopped day, as Required Actions shows it."""

    def __init__(self, api: AirflowApi, run_id: str) -> None:
        self.api, self.run_id = api, run_id
        self.path = f"/dags/{APPROVE}/dagRuns/{quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"

    def task(self) -> dict[str, Any]:
        return next(task for task in self.api.tasks(APPROVE, self.run_id) if task["task_id"] == "approve")

    def wait_open(self, *, other_than: str = "") -> dict[str, Any]:
        """Wait until it stands there unanswered; its details."""

        def found() -> dict[str, Any] | None:
            task = self.task()
            if task["state"] != "awaiting_input" or task["id"] == other_than:
                return None
            try:
                detail: dict[str, Any] = self.api.call("GET", self.path)
            except AirflowApiError:
                return None
            return None if detail["response_received"] else detail

        result: dict[str, Any] = wait("open question", found)
        return result

    def answer(self, chosen: str, reason: Any) -> None:
        """Answer it, as soon as a person can. Airflow 3.3 may lose one that comes before it has noted the question's
        process as ended: it takes the process of the answer for a lost one then, and asks again a minute later.
        """
        time.sleep(READING_SECONDS)
        self.api.call("PATCH", self.path, {"chosen_options": [chosen], "params_input": {"reason": reason}})


def states(api: AirflowApi, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in api.tasks(dag_id, run_id)}


def clear(api: AirflowApi, run_id: str, task_id: str) -> None:
    body = {
        "dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "include_downstream": True,
        "only_failed": False, "reset_dag_runs": True,
    }  # fmt: skip
    api.call("POST", f"/dags/{BUILD}/clearTaskInstances", body)


def test_a_stopped_day_is_let_through_by_a_person_with_a_reason(prepared: Settings, api: AirflowApi) -> None:
    build = api.trigger(BUILD, {"day": str(DAY)})
    assert api.wait_run(BUILD, build, seconds=900)["state"] == "failed"
    assert states(api, BUILD, build) == {
        "extract": "success", "validate": "failed", "promote": "upstream_failed", "announce": "upstream_failed",
        "ask": "success",
    }  # fmt: skip
    report = api.report(BUILD, build, "validate")
    assert report["verdict"] == "stopped"

    (asked,) = wait("approval", lambda: api.runs(APPROVE))
    question = Question(api, asked["dag_run_id"])
    shown = question.wait_open()
    assert f"Let {POPULARITY} {DAY} through?" in shown["subject"]
    assert "differ_from_day_before" in shown["subject"]
    assert f"content-signals quarantine {POPULARITY} --day {DAY}" in shown["body"]
    assert shown["defaults"] == ["Reject"]

    # The build's validate, cleared and stopped once more, puts the question anew, in place of the open one.
    first = question.task()["id"]
    clear(api, build, "validate")
    wait("second run", lambda: api.run(BUILD, build)["state"] not in ("success", "failed"), seconds=30)
    assert api.wait_run(BUILD, build, seconds=900)["state"] == "failed"
    question.wait_open(other_than=first)
    assert [run["dag_run_id"] for run in api.runs(APPROVE)] == [asked["dag_run_id"]]
    assert promoted(prepared) == []

    for empty in ("", "  yes  "):
        question.answer("Approve", empty)
        question.wait_open()
        assert promoted(prepared) == []

    question.answer("Approve", REASON)
    wait("approval", lambda: question.task()["state"] == "success")
    ended = api.wait_run(APPROVE, asked["dag_run_id"], seconds=600)
    assert ended["state"] == "success", states(api, APPROVE, asked["dag_run_id"])
    (commit,) = promoted(prepared)
    assert commit["override_reason"] == REASON
    assert commit["override_by"]
    assert api.report(APPROVE, asked["dag_run_id"], "promote")["run_id"] == report["run_id"]
    answer = api.report(APPROVE, asked["dag_run_id"], "approve")
    assert (answer["reason"], answer["by"]) == (REASON, commit["override_by"])

    published = api.wait_day(PUBLISH, DAY, seconds=600)
    assert published["state"] == "success"
    assert api.run(BUILD, build)["state"] == "failed", "what happened stays told"
