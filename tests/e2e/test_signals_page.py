"""The Signals page as people use it: in Airflow's UI, in a real browser, from a red table to its quarantined rows.

The status files are made up: what the jobs write is tested where they write it. The pictures of the docs are made anew
with SIGNALS_PAGE_PICTURES=docs/pictures.
"""

from __future__ import annotations

import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.day import days_until_yesterday
from content_signals.local import services
from content_signals.local.airflow import airflow_url
from content_signals.local.airflow_api import AirflowApi
from content_signals.orchestration.builds import build_of
from content_signals.orchestration.partition import job_run_id
from content_signals.settings import Settings
from tests.settings import with_ports
from tests.status_files import (
    RULE,
    a_day,
    a_failure,
    a_stopped_day,
    write_aside,
    write_docs,
    write_four_weeks,
    write_status,
)

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PICTURES = os.environ.get("SIGNALS_PAGE_PICTURES", "")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}: apt-get install chromium"),
]

RED, LATE, WARNED, SOURCE = "track_popularity_v1", "track_title_v1", "track_engagement_v1", "playlist_positions_v1"
DAYS = days_until_yesterday(28)
TODAY = DAYS[-1]
BUILD = f"build_{RED}"
DESKTOP, PHONE = {"width": 1400, "height": 760}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="cs-page-") as name:
        yield with_ports(Path(name), daily=False)


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[AirflowApi]:
    with services.running(settings, valkey=False, features=False):
        api = AirflowApi(airflow_url(settings))
        api.wait_dags(["ingest_sources", *{build_of(table).dag_id for table in catalog().tables}])
        yield api


@pytest.fixture(scope="module")
def run_id(settings: Settings, api: AirflowApi) -> str:
    """A lake with one table stopped by a run of Airflow's, one late, one warned of, and the rest well."""
    api.set_paused(BUILD, True)  # the run is there to be looked at, not to be run
    run_id = api.trigger(BUILD, {"day": str(TODAY)})
    lake = Path(settings.lake)
    # Of the others nothing is known: what chance makes of them would stand above the red one.
    tables = ("playlist_changes_v1", RED, LATE, WARNED)
    sources = ("catalogue_tracks_v1", "play_events_v1", SOURCE)
    write_four_weeks(lake, Catalog(map(catalog().any, (*sources, *tables))), TODAY, seed=4)
    good = [a_day(RED, day, rows=10_400 + 37 * (day.day % 9), null_share=0.012) for day in DAYS[:-1] if day.day != 11]
    failures = [
        a_failure(column="best_position", rows=412, keys=["4uLU6hMCjMI75M1A2tKUQC", "مرحبا", "t3"]),
        a_failure(
            rule="expect_table_row_count_to_be_close_to_history", column="", rows=0, severity="warning", keys=[],
            observed="9,871", allowed="at least 9,900", notes="Half the usual rows is half a file.",
        ),
    ]  # fmt: skip
    why = ["412 of 9,871 rows break critical rules, 4.2 %; at most 1 % may be set aside"]
    judged = {"run_id": job_run_id(BUILD, run_id), "rows": 9_871, "quarantined": 412, "stopped_by": why}
    docs = {"docs": f"_runs/{RED}/{TODAY}/run-{TODAY}/data_docs.html"}
    write_status(lake, RED, [a_stopped_day(RED, TODAY, failures=failures, **judged, **docs), *reversed(good)])
    rows = [
        {
            "rules": [f"{RULE}(best_position)"],
            "row": {
                "track_id": f"track-{n:03}",
                "best_position": "0",
                "playlists_count": str(n % 7),
                "decayed_adds_50d": None,
                "ds": str(TODAY),
            },
        }
        for n in range(50)
    ]
    write_aside(lake, RED, TODAY, rows, 412)
    write_docs(lake, RED, TODAY)
    write_status(lake, LATE, [a_day(LATE, day, rows=80_000) for day in reversed(DAYS[:-6])])
    warned = {"outcome": "warned", "quarantined": 3, "failures": [a_failure(column="skips_7d")]}
    plays = [a_day(WARNED, day, rows=2_000_000 + 9_000 * (day.day % 13)) for day in DAYS[:-1]]
    write_status(lake, WARNED, [a_day(WARNED, TODAY, rows=2_040_000, **warned), *reversed(plays)])
    return run_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def opened(browser: Any, api: AirflowApi, path: str, *, size: dict[str, int], theme: str = "light") -> Any:
    """A page of Airflow's UI in a window and a theme."""
    context = browser.new_context(viewport=size)
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(api.url + path, wait_until="domcontentloaded")
    return page


def picture(page: Any, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(700)
        page.screenshot(path=f"{PICTURES}/signals-{name}.png")


def overflow(frame: Any) -> int:
    """How many pixels of the page lie to the right of its frame."""
    found = frame.locator("html").evaluate("root => root.scrollWidth - root.clientWidth")
    return int(found)


def test_from_the_navigation_to_the_quarantined_rows(browser: Any, api: AirflowApi, run_id: str) -> None:
    from playwright.sync_api import expect

    page = opened(browser, api, "/", size=DESKTOP)
    page.get_by_role("link", name="Signals", exact=True).click()
    frame = page.frame_locator("iframe")
    red = frame.locator("tbody tr").first
    expect(red).to_contain_text(RED)
    expect(red).to_contain_text("stopped")
    expect(red.get_by_role("img").first).to_have_attribute("aria-label", re.compile(f"^{RED}, rows from"))
    assert frame.locator("tbody tr").count() == len(catalog().sources) + len(catalog().tables)
    assert overflow(frame) == 0
    picture(page, "light")

    red.get_by_role("link", name="412 quarantined rows").click()
    expect(frame.get_by_role("heading", name="Rows in quarantine")).to_be_in_viewport()
    expect(frame.get_by_role("cell", name=f"{RULE}(best_position)", exact=True)).to_have_count(50)
    expect(frame.get_by_text("412 rows were set aside; 50 of them are here")).to_be_visible()
    expect(frame.get_by_text(f"content-signals quarantine {RED} --day {TODAY}")).to_be_visible()
    expect(frame.get_by_text("0 to 199").first).to_be_visible()
    assert f"/plugin/signals/signals/table/{RED}" in page.url, "the address leads back here"
    frame.locator("h1").scroll_into_view_if_needed()
    picture(page, "table")

    with page.expect_popup() as popup:
        frame.get_by_role("link", name=f"Data Docs of {RED} {TODAY}").first.click()
    expect(popup.value.get_by_text("Data Docs")).to_be_visible()
    frame.get_by_role("link", name=f"Task log of {RED} {TODAY}").first.click()
    page.wait_for_url(f"**/dags/{BUILD}/runs/*/tasks/validate")
    page.context.close()


def test_a_tab_of_the_run_and_of_the_task(browser: Any, api: AirflowApi, run_id: str) -> None:
    from playwright.sync_api import expect

    for path in ("", "/tasks/validate"):
        page = opened(browser, api, f"/dags/{BUILD}/runs/{quote(run_id, safe='')}{path}", size=DESKTOP)
        signals = page.get_by_role("link", name="Signals", exact=True)
        expect(signals).to_have_count(2)  # the navigation has one; the tab comes with the run, later
        signals.last.click()
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", name=f"{TODAY} stopped")).to_be_visible()
        expect(frame.get_by_text("Another run than this one")).to_have_count(0)
        page.context.close()


def test_dark_and_on_a_phone(browser: Any, api: AirflowApi, run_id: str) -> None:
    from playwright.sync_api import expect

    for size in (DESKTOP, PHONE):
        page = opened(browser, api, "/plugin/signals", size=size, theme="dark")
        frame = page.frame_locator("iframe")
        expect(frame.locator("html")).to_have_class("dark")
        expect(frame.get_by_text(RED).first).to_be_visible()
        assert overflow(frame) == 0
        if size is PHONE:
            picture(page, "phone-dark")
        frame.get_by_role("link", name="412 quarantined rows").click()
        expect(frame.get_by_role("heading", name="Rows in quarantine")).to_be_in_viewport()
        assert overflow(frame) == 0
        page.context.close()


def test_the_theme_is_followed_without_a_reload(browser: Any, api: AirflowApi, run_id: str) -> None:
    from playwright.sync_api import expect

    page = opened(browser, api, "/plugin/signals", size=DESKTOP)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text(RED).first).to_be_visible()
    expect(frame.locator("html")).not_to_have_class("dark")
    page.evaluate("document.documentElement.className = 'dark'")
    expect(frame.locator("html")).to_have_class("dark")
    page.context.close()


def test_a_made_up_token_opens_nothing(api: AirflowApi, run_id: str) -> None:
    """Airflow on one machine takes whoever asks for its user; that nobody else gets in is tested in tests/airflow."""
    request = urllib.request.Request(f"{api.url}/signals/", headers={"Authorization": "Bearer made.up.token"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code in (401, 403)
