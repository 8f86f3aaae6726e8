"""Airflow as people use it: a day triggered through the form in a real browser, and a backfill through the API.

The lake is prepared by jobs run by hand, so that what Airflow has to do here is one day of one table, and three days of
one source.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from content_signals.local import services
from content_signals.local.airflow import airflow_url
from content_signals.local.airflow_api import AirflowApi
from content_signals.local.feast_service import feast_ui_service, features_service
from content_signals.settings import PROJECT, Settings
from tests.settings import with_ports

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SOURCE, CHANGES, POPULARITY = "playlist_positions_v1", "playlist_changes_v1", "track_popularity_v1"
FIRST = date(2020, 3, 1)
DAY = FIRST + timedelta(days=1)
# What stood where: on the second day t3 comes in and t1 goes up.
LANDED = {
    FIRST: {"hits": ["t1", "t2"], "calm": ["t2", "t4"]},
    DAY: {"hits": ["t1", "t2", "t3"], "calm": ["t1", "t4"]},
    FIRST + timedelta(days=2): {"hits": ["t3", "t1"], "calm": ["t4"]},
}
LAST = max(LANDED)


@pytest.fixture(scope="module")
def prepared() -> Iterator[Settings]:
    """Settings of a lake in which DAY of everything that track popularity is made from is promoted."""
    # Not pytest's own folder: a socket's path may not be as long as those are.
    with tempfile.TemporaryDirectory(prefix="cs-ui-") as name:
        folder = Path(name)
        settings = with_ports(folder)
        for day, playlists in LANDED.items():
            land(settings, day, playlists)
        spark(settings, "ingest_source", "--source", SOURCE, "--from", str(FIRST), "--to", str(DAY))
        spark(settings, "extract_signals", "--table", CHANGES, "--day", str(DAY))
        spark(settings, "validate_signals", "--table", CHANGES, "--day", str(DAY))
        run(settings, f"{jobs_bin()}/python", "jobs/promote_signals.py", "--table", CHANGES, "--day", str(DAY))
        yield settings


@pytest.fixture(scope="module")
def api(prepared: Settings) -> Iterator[AirflowApi]:
    with services.running(prepared):
        api = AirflowApi(airflow_url(prepared))
        api.wait_dags(["ingest_sources", f"build_{CHANGES}", f"build_{POPULARITY}", f"publish_{POPULARITY}"])
        yield api


def land(settings: Settings, day: date, playlists: dict[str, list[str]]) -> None:
    file = Path(settings.landing) / "playlists" / "daily" / f"{day}.csv.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["date", "playlist", "position", "track_id"])
        for playlist, tracks in playlists.items():
            rows.writerows([day, playlist, position, track] for position, track in enumerate(tracks, start=1))


def jobs_bin() -> Path:
    return PROJECT / ".venv" / "jobs" / "bin"


def spark(settings: Settings, job: str, *arguments: str) -> None:
    submit = [f"{jobs_bin()}/spark-submit", "--properties-file", "conf/spark.conf", f"jobs/{job}.py"]
    run(settings, *submit, *arguments)


def run(settings: Settings, *words: str) -> None:
    """A job by hand, as the pages of the DAGs say."""
    python = f"{jobs_bin()}/python"
    home = next((PROJECT / ".venv" / "jobs").glob("lib/python3*/site-packages/pyspark"))
    own = {"SPARK_HOME": str(home), "PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
    own |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        words, cwd=PROJECT, env={**os.environ, **settings.environment(), **own}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr[-4000:]}"


def served(settings: Settings, track: str) -> dict[str, Any]:
    """The features of one track, as a model's service reads them."""
    body = {"feature_service": "track_popularity", "entities": {"track_id": [track]}}
    request = urllib.request.Request(
        f"{features_service(settings).where}/get-online-features",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.loads(answer.read())
    names = found["metadata"]["feature_names"]
    return {name: result["values"][0] for name, result in zip(names, found["results"], strict=True)}


def wait_served(settings: Settings, track: str, seconds: float = 60) -> dict[str, Any]:
    """The same, once the server has read the registry that the first publishing wrote."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return served(settings, track)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def registered(settings: Settings) -> list[str]:
    """The views that Feast's own UI shows."""
    asked = f"{feast_ui_service(settings).where}/api/v1/feature_views?project=content_signals"
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return [view["spec"]["name"] for view in json.loads(answer.read())["featureViews"]]


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}: apt-get install chromium")
def test_a_day_triggered_through_the_form_is_served(prepared: Settings, api: AirflowApi) -> None:
    from playwright.sync_api import expect, sync_playwright

    dag_id = f"build_{POPULARITY}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(f"{api.url}/dags/{dag_id}", wait_until="domcontentloaded")
        page.get_by_test_id("trigger-dag-button").first.click()
        form = page.get_by_role("dialog")
        expect(form.get_by_text("The day to run, in UTC.")).to_be_visible()
        form.locator("#element_day").fill(str(DAY))
        page.wait_for_timeout(1000)  # the form hands its fields over with a delay
        with page.expect_response(lambda r: r.request.method == "POST" and r.url.endswith("/dagRuns")) as answer:
            form.get_by_test_id("trigger-dag-submit").click()
        triggered = answer.value.json()
        assert triggered["conf"]["day"] == str(DAY)

        run_id = triggered["dag_run_id"]
        ended = api.wait_run(dag_id, run_id, seconds=900)
        page.goto(f"{api.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}", wait_until="domcontentloaded")
        expect(page.get_by_text("Success").first).to_be_visible()
        _follow_buttons(page, f"{api.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/validate/details")
        browser.close()

    assert ended["state"] == "success", [(task["task_id"], task["state"]) for task in api.tasks(dag_id, run_id)]
    reports = {name: api.report(dag_id, run_id, name) for name in ("extract", "validate", "promote")}
    assert len({report["run_id"] for report in reports.values()}) == 1
    assert {report["rows_out"] for report in reports.values()} == {4}, reports
    assert reports["validate"]["verdict"] == "passed"

    published = api.wait_day(f"publish_{POPULARITY}", DAY, seconds=300)
    assert published["state"] == "success"
    features = wait_served(prepared, "t1")
    assert (features["playlists_count"], features["best_position"], features["playlists_added_1d"]) == (2, 1, 1)
    assert POPULARITY in registered(prepared)


def _follow_buttons(page: Any, details: str) -> None:
    """From the Details of the task that judged the day to its Data Docs, and to its page of signals."""
    from playwright.sync_api import expect

    page.goto(details, wait_until="domcontentloaded")
    page.locator("a[href*='/signals/docs/']", has_text="Data Docs").click()
    page.wait_for_url(f"**/signals/docs/{POPULARITY}/{DAY}")
    expect(page.locator("body")).to_contain_text(POPULARITY)
    page.goto(details, wait_until="domcontentloaded")
    page.locator("a[href*='/table/']", has_text="Signals").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name=f"{DAY} passed")).to_be_visible()


def test_a_backfill_of_three_days_through_the_api(prepared: Settings, api: AirflowApi) -> None:
    conf = {"sources": [SOURCE]}
    # One consumer of the source is enough here; what is made from it would only queue for the same cores.
    for dag_id in (f"build_{POPULARITY}", "build_track_title_v1", f"publish_{POPULARITY}"):
        api.set_paused(dag_id, True)
    backfill = api.backfill("ingest_sources", FIRST, LAST, conf=conf)
    api.unpause("ingest_sources")
    days = sorted(str(day) for day in LANDED)
    for day in LANDED:
        ended = api.wait_day("ingest_sources", day, seconds=900)
        assert ended["state"] == "success", api.tasks("ingest_sources", ended["dag_run_id"])
    assert api.call("GET", f"/backfills/{backfill}")["dag_id"] == "ingest_sources"

    # Each day has started its consumer, with the day as its key.
    deadline = time.monotonic() + 120
    while not set(days) <= {run["partition_key"] for run in api.runs(f"build_{CHANGES}")}:
        assert time.monotonic() < deadline, api.runs(f"build_{CHANGES}")
        time.sleep(1)
    api.set_paused(f"build_{CHANGES}", True)

    log = Path(prepared.lake) / "sources" / SOURCE / "_delta_log"
    committed = "".join(file.read_text() for file in log.glob("*.json"))
    assert set(re.findall(r'"ds":"(\d{4}-\d\d-\d\d)"', committed)) == set(days)
