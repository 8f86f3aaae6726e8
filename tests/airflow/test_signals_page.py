"""The Signals page, asked through Airflow's own API server."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from content_signals.catalog import catalog
from content_signals.contract import Source
from content_signals.day import days_until_yesterday
from content_signals.orchestration.builds import build_of
from content_signals.orchestration.partition import job_run_id
from content_signals.orchestration.signals_page.app import SignalsPage
from content_signals.orchestration.signals_page.plugin import SignalsPlugin
from content_signals.orchestration.signals_page.store import LakeFiles, StatusStore
from tests.airflow.signals_page_app import airflow_app, parsed, token
from tests.status_files import (
    RULE,
    a_day,
    a_failure,
    a_stopped_day,
    made_up,
    write,
    write_aside,
    write_docs,
    write_four_weeks,
    write_status,
)

POPULARITY, CHANGES, POSITIONS = "track_popularity_v1", "playlist_changes_v1", "playlist_positions_v1"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
WEEK = days_until_yesterday(7)
TODAY, BEFORE = WEEK[-1], WEEK[-2]  # the newest day there can be, and the one before
MANY = 100


class Here:
    """The page of the real catalogue on a lake of this test, and a client of it."""

    def __init__(self, client: Any, lake: Path, shared: SignalsPage) -> None:
        self.client, self.lake, self.shared = client, lake, shared

    def get(self, path: str, *, code: int = 200, signed_in: bool = True, **more: Any) -> Any:
        headers = {**(token() if signed_in else {}), **more}
        answer = self.client.get(f"/signals{path}", headers=headers, follow_redirects=False)
        assert answer.status_code == code, answer.text
        return answer

    def text(self, path: str, **more: Any) -> str:
        return str(self.get(path, **more).text)


@pytest.fixture(scope="module")
def shared() -> SignalsPage:
    return SignalsPage(catalog(), StatusStore(lambda: LakeFiles.at("/nowhere"), []))


@pytest.fixture(scope="module")
def client(shared: SignalsPage) -> Any:
    from fastapi.testclient import TestClient

    app = airflow_app(shared)
    parsed(["ingest_sources", "rebuild_signals", "maintain_lake", *(build_of(t).dag_id for t in catalog().tables)])
    return TestClient(app)


@pytest.fixture
def here(client: Any, shared: SignalsPage, tmp_path: Path) -> Here:
    names = [c.table for c in (*catalog().sources, *catalog().tables)]
    shared.store = StatusStore(lambda: LakeFiles.at(str(tmp_path)), names)
    return Here(client, tmp_path, shared)


@pytest.fixture
def red(here: Here) -> Here:
    """A table that was stopped yesterday, after a week of good days."""
    days = [a_stopped_day(POPULARITY, TODAY), *(a_day(POPULARITY, day) for day in reversed(WEEK[:-1]))]
    write_status(here.lake, POPULARITY, days)
    rows = [
        {"rules": [f"{RULE}(position)"], "row": {"track_id": "t1", "position": "0", "note": HOSTILE}},
        {"rules": [f"{RULE}(position)", "other(x)"], "row": {"track_id": "t2", "position": None, "note": "مرحبا 🎧"}},
    ]
    write_aside(here.lake, POPULARITY, TODAY, rows, 40)
    write_docs(here.lake, POPULARITY, TODAY)
    return here


# --- who may see it


@pytest.mark.parametrize(
    "path",
    ["/", f"/table/{POPULARITY}", f"/docs/{POPULARITY}/{TODAY}", f"/log/{POPULARITY}/{TODAY}", "/dag/ingest_sources",
     "/run?dag_id=ingest_sources&run_id=x", "/static/page.css"],
)  # fmt: skip
def test_nobody_sees_anything_without_signing_in(red: Here, path: str) -> None:
    answer = red.get(path, code=401, signed_in=False)
    assert "not signed in" in answer.text
    assert len(answer.text) < 1000
    assert POPULARITY not in answer.text
    assert red.get(path, code=403, signed_in=False, Authorization="Bearer made.up.token").status_code == 403


def test_a_table_whose_dag_one_may_not_see_is_not_there(red: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    manager = get_auth_manager()
    only = f"build_{CHANGES}"
    monkeypatch.setattr(manager, "is_authorized_dag", lambda *, details=None, **_: bool(details and details.id == only))
    assert CHANGES in red.text("/")
    assert POPULARITY not in red.text("/")
    for path in (f"/table/{POPULARITY}", f"/docs/{POPULARITY}/{TODAY}", f"/log/{POPULARITY}/{TODAY}"):
        red.get(path, code=404)
    red.get(f"/dag/build_{POPULARITY}", code=404)


def test_nothing_from_elsewhere_and_nothing_inline(red: Here) -> None:
    for path in ("/", f"/table/{POPULARITY}?day={TODAY}"):
        answer = red.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<style|<[a-z][^>]*\s(style|on\w+)=|<script(?! src=\"/signals/static/)", answer.text)
        assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert "text/css" in red.get("/static/page.css").headers["content-type"]
    red.get("/static/..%2Fapp.py", code=404)
    red.get("/static/app.py", code=404)


# --- what it shows


def test_every_table_is_there_the_red_one_first(red: Here) -> None:
    text = red.text("/")
    names = re.findall(r'<th scope="row"><a href="/signals/table/(\w+)', text)
    assert names[0] == POPULARITY
    assert set(names) == {c.table for c in (*catalog().sources, *catalog().tables)}
    row = text[text.index(f"/table/{POPULARITY}") :].split("</tr>")[0]
    assert str(BEFORE) in row, "the last day that was promoted"
    assert f"{TODAY}," in row
    assert "stopped" in row
    assert ">1,000<" in row
    assert ">40</a>" in row
    assert row.count("<svg") == 2
    assert "rows from" in row
    assert "lowest 1,000, highest 1,000, 21 days missing" in row
    assert "share of nulls from" in row
    for link in (f"/docs/{POPULARITY}/{TODAY}", f"/log/{POPULARITY}/{TODAY}", f"/table/{POPULARITY}?day={TODAY}#aside"):
        assert f'href="/signals{link}"' in row
    assert "nothing was judged or promoted yet" in text


def test_from_the_red_table_to_its_quarantined_rows(red: Here) -> None:
    text = red.text("/")
    href = re.search(rf'href="/signals(/table/{POPULARITY}\?day={TODAY})#aside"', text)
    assert href
    text = red.text(href[1])
    for said in ("0 to 199", "1 to 200", "<code>t3</code>", "A position is 1 or more.", "40 rows were set aside; 2 of"):
        assert said in text
    assert f"content-signals quarantine {POPULARITY} --day {TODAY}" in text
    assert "more than 1 %" in text, "why it was stopped"
    assert re.search(f"readers see .*{BEFORE}.* and before", text)
    assert "مرحبا 🎧" in text
    assert text.count('<span class="none">null</span>') == 1
    assert f"{RULE}(position)</a> 2" in text
    only = red.text(f"{href[1]}&rule=other(x)")
    assert "مرحبا 🎧" in only
    assert ">t1</td>" not in only


def test_hostile_text_stays_text(red: Here) -> None:
    failures = [
        a_failure(rule=HOSTILE, column=HOSTILE, observed=HOSTILE, allowed=HOSTILE, notes=HOSTILE, keys=[HOSTILE])
    ]
    override = {"by": HOSTILE, "reason": HOSTILE, "at": HOSTILE}
    day = a_stopped_day(
        POPULARITY, TODAY, failures=failures, override=override, promoted=True, run_id=HOSTILE, stopped_by=[HOSTILE]
    )
    write_status(red.lake, POPULARITY, [day, a_day(POPULARITY, BEFORE, outcome=HOSTILE)])
    write_aside(red.lake, POPULARITY, TODAY, [{"rules": [HOSTILE], "row": {HOSTILE: HOSTILE}}], 1)
    for path in ("/", "/?q=<script>", f"/table/{POPULARITY}?day={TODAY}", f"/table/{POPULARITY}?rule=<script>"):
        text = red.text(path)
        assert "<script>" not in text
        assert "<img" not in text
        assert POPULARITY in text or "q=" in path
    assert "<script>" not in red.text(f"/log/{POPULARITY}/{TODAY}", code=404)
    assert "<script>" not in red.text("/table/<script>", code=404)


def test_a_late_table_says_so(here: Here) -> None:
    write_status(here.lake, POPULARITY, [a_day(POPULARITY, WEEK[0])])
    text = here.text("/")
    assert '<tr class="late">' in text
    assert "old, may be 2 d 6 h" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_how_far_the_contents_are_and_how_long_they_will_take(here: Here) -> None:
    contents = {"total": 200, "cached": 12, "done": 94, "aside": 3, "seconds_left": 150}
    at_work = a_day(POPULARITY, TODAY, outcome="", promoted=False, promoted_at=None, rows=None, contents=contents)
    write_status(here.lake, POPULARITY, [at_work])
    for path in ("/", f"/table/{POPULARITY}?day={TODAY}"):
        text = " ".join(here.text(path).split())
        assert "94 of 188 contents done, 12 cached, 3 set aside; about 2 min left" in text
        assert 'value="0.5300"' in text
    done = {**contents, "done": 188, "seconds_left": None}
    write_status(here.lake, POPULARITY, [a_day(POPULARITY, TODAY, contents=done)])
    text = " ".join(here.text("/").split())
    assert "188 of 188 contents done" in text
    assert "left" not in text.partition("188 of 188 contents done")[2][:60]


def test_only_those_in_need_and_by_name(red: Here) -> None:
    write_status(red.lake, CHANGES, [a_day(CHANGES, TODAY)])
    text = red.text("/?need=1")
    assert POPULARITY in text
    assert CHANGES not in text
    assert POPULARITY not in red.text("/?q=playlist_CHANGES")
    assert "None of" in red.text("/?q=nosuch")


def test_a_day_let_through_names_who_and_why(here: Here) -> None:
    override = {"by": "anna", "reason": "the sender confirmed it", "at": "2026-03-29T09:00:00+00:00"}
    write_status(here.lake, POPULARITY, [a_stopped_day(POPULARITY, TODAY, promoted=True, override=override)])
    assert '<tr class="let-through">' in here.text("/")
    assert "Let through by anna, 2026-03-29T09:00:00+00:00: the sender confirmed it" in here.text(
        f"/table/{POPULARITY}"
    )


def test_a_good_day_judged_anew_and_stopped(here: Here) -> None:
    """The day stays promoted as it was: `promoted` is of the earlier run."""
    again = a_stopped_day(POPULARITY, TODAY, promoted=True, promoted_at=f"{TODAY}T03:00:00+00:00")
    write_status(here.lake, POPULARITY, [again])
    assert '<tr class="stopped">' in here.text("/")
    assert "readers see it as it was promoted" in here.text(f"/table/{POPULARITY}")


# --- files that are not as they should be


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "object"),
        ("null", "object"),
        ('{"table": "other_v1", "days": []}', "it is about"),
        ('{"table": "track_popularity_v1", "days": 3}', "days"),
        ('{"table": "track_popularity_v1", "days": [{"rows": 1}]}', "days.0.day"),
        ('{"table": "track_popularity_v1", "days": [{"day": "2026-03-28", "rows": -1}]}', "days.0.rows"),
        ('{"table": "track_popularity_v1", "days": [{"day": "2026-03-28", "rows": "many"}]}', "days.0.rows"),
        ('{"table": "track_popularity_v1", "days": [{"day": "2026-03-28", "null_share": 1e999}]}', "days.0.null_share"),
        (
            '{"table": "track_popularity_v1", "days": [{"day": "2026-03-28", "failures": [{}]}]}',
            "days.0.failures.0.rule",
        ),
        ("\x00\xff", "valid"),
    ],
)
def test_a_corrupt_status_is_shown_as_such(here: Here, content: str, said: str) -> None:
    write_status(here.lake, CHANGES, [a_day(CHANGES, TODAY)])
    write(here.lake / "_status" / f"{POPULARITY}.json", content)
    text = here.text("/")
    assert '<tr class="unreadable">' in text
    assert '<tr class="passed">' in text, "the others are shown all the same"
    page = here.text(f"/table/{POPULARITY}")
    assert "cannot be read" in page
    assert said in page
    for path in ("docs", "log"):
        assert "cannot be read" in here.text(f"/{path}/{POPULARITY}/{TODAY}", code=404)


def test_a_day_with_nothing_but_its_name(here: Here) -> None:
    write(here.lake / "_status" / f"{POSITIONS}.json", f'{{"table": "{POSITIONS}", "days": [{{"day": "{TODAY}"}}]}}')
    assert "not judged" in here.text("/")
    assert "–" in here.text(f"/table/{POSITIONS}")


@pytest.mark.parametrize("content", ["", "{}", '{"table": "x_v1", "day": "2026-01-01"}', '{"rows": {"a": 1}}'])
def test_a_corrupt_sample_is_shown_as_such(red: Here, content: str) -> None:
    write(red.lake / "_status" / "quarantine" / POPULARITY / f"{TODAY}.json", content)
    text = red.text(f"/table/{POPULARITY}?day={TODAY}")
    assert "The sample of the rows set aside cannot be read" in text
    assert "0 to 199" in text


def test_no_sample_and_no_lake(red: Here, here: Here) -> None:
    (red.lake / "_status" / "quarantine" / POPULARITY / f"{TODAY}.json").unlink()
    assert "no sample of them was kept" in red.text(f"/table/{POPULARITY}?day={TODAY}")
    here.shared.store = StatusStore(lambda: LakeFiles.at(str(here.lake / "nowhere")), [POPULARITY])
    assert "nothing was judged or promoted yet" in here.text("/")
    here.shared.store = StatusStore(lambda: LakeFiles.at("s3://no-such-provider-here"), [POPULARITY])
    assert "the lake cannot be opened" in here.text("/")
    assert "the lake cannot be opened" in here.text(f"/table/{POPULARITY}")


def test_a_file_is_read_again_when_it_has_changed(here: Here) -> None:
    write_status(here.lake, POPULARITY, [a_day(POPULARITY, TODAY, rows=1111)])
    assert ">1,111<" in here.text("/")
    write_status(here.lake, POPULARITY, [a_day(POPULARITY, TODAY, rows=2222)])
    assert ">2,222<" in here.text("/")
    (here.lake / "_status" / f"{POPULARITY}.json").unlink()
    assert ">2,222<" not in here.text("/")


# --- Data Docs


def test_data_docs_are_shown_closed_in(red: Here) -> None:
    answer = red.get(f"/docs/{POPULARITY}/{TODAY}")
    assert "Data Docs" in answer.text
    assert "<style>" in answer.text, "a style in place of those it would load from elsewhere"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    red.get(f"/docs/{POPULARITY}/{BEFORE}", code=404)
    red.get(f"/docs/{POPULARITY}/2001-01-01", code=404)
    red.get(f"/docs/{POPULARITY}/yesterday", code=404)
    red.get(f"/docs/nosuch_v1/{TODAY}", code=404)


@pytest.mark.parametrize(
    "docs",
    [
        "../secret.html",
        "/etc/passwd",
        "/etc/passwd.html",
        "_runs/{table}/{day}/../../../secret.html",
        "_runs/{table}/{day}/x/../../../../../secret.html",
        "_runs/{table}/2020-01-01/run/data_docs.html",
        "_runs/other_v1/{day}/run/data_docs.html",
        "_runs/{table}/{day}/run/verdict.json",
        "_runs/{table}/{day}//run/data_docs.html",
        "_runs/{table}/{day}/run/data_docs.html\x00.html",
        "file:///etc/passwd.html",
    ],
)
def test_data_docs_of_elsewhere_are_refused(here: Here, docs: str) -> None:
    write(here.lake / "secret.html", "secret")
    write(here.lake.parent / "secret.html", "secret")
    status = a_day(POPULARITY, TODAY, docs=docs.format(table=POPULARITY, day=TODAY))
    write_status(here.lake, POPULARITY, [status])
    assert ">secret<" not in here.text(f"/docs/{POPULARITY}/{TODAY}", code=404)


def test_a_link_out_of_the_lake_is_refused(red: Here, tmp_path: Path) -> None:
    outside = write(tmp_path.parent / f"{tmp_path.name}-outside.html", "secret")
    page = write_docs(red.lake, POPULARITY, TODAY)
    page.unlink()
    page.symlink_to(outside)
    assert "outside the lake" in red.text(f"/docs/{POPULARITY}/{TODAY}", code=404)


# --- Airflow's runs


def add_run(dag_id: str, run_id: str, **columns: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        run = DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, run_after=datetime.now(UTC), **columns)
        session.add(run)


def test_the_log_is_that_of_the_run_that_judged_the_day(here: Here) -> None:
    run_id = f"manual__{TODAY}T01:02:03+00:00"
    add_run(f"build_{POPULARITY}", run_id, conf={"day": str(TODAY)})
    status = a_day(POPULARITY, TODAY, run_id=job_run_id(f"build_{POPULARITY}", run_id))
    write_status(here.lake, POPULARITY, [status, a_day(POPULARITY, BEFORE)])
    moved = here.get(f"/log/{POPULARITY}/{TODAY}", code=307).headers["location"]
    assert moved == f"/dags/build_{POPULARITY}/runs/manual__{TODAY}T01%3A02%3A03%2B00%3A00/tasks/validate"
    by_hand = here.text(f"/log/{POPULARITY}/{BEFORE}", code=404)
    assert "by hand" in by_hand
    assert f"content-signals runs {POPULARITY} --day {BEFORE}" in by_hand


def test_tabs_are_about_the_run_s_tables_and_day(red: Here) -> None:
    add_run(f"build_{POPULARITY}", "tab-1", partition_key=str(TODAY))
    add_run("ingest_sources", "tab-2", conf={"day": str(TODAY), "sources": [POSITIONS]})
    add_run("ingest_sources", "tab-3", partition_key=str(TODAY))
    add_run("rebuild_signals", "tab-4", conf={"from": str(BEFORE), "to": str(TODAY), "tables": [CHANGES]})
    add_run("maintain_lake", "tab-5")
    add_run(f"build_{POPULARITY}", "tab-6", conf={"day": "None"})
    one = red.text(f"/run?dag_id=build_{POPULARITY}&run_id=tab-1&task_id=validate")
    assert f"<h2>{TODAY}" in one
    assert "Another run than this one judged it last" in one
    assert f"<h1>{POSITIONS}" in red.text("/run?dag_id=ingest_sources&run_id=tab-2")
    sources = red.text("/run?dag_id=ingest_sources&run_id=tab-3")
    assert all(s.table in sources for s in catalog().sources)
    assert POPULARITY not in sources
    assert f"<h1>{POSITIONS}" in red.text(f"/run?dag_id=ingest_sources&run_id=tab-3&task_id={POSITIONS}.wait")
    rebuilt = red.text("/run?dag_id=rebuild_signals&run_id=tab-4&task_id=rebuild")
    assert POPULARITY in rebuilt
    assert f"the run's day is {TODAY}" in rebuilt
    assert POPULARITY in red.text("/run?dag_id=maintain_lake&run_id=tab-5")
    assert "is not a day" in red.text(f"/run?dag_id=build_{POPULARITY}&run_id=tab-6")
    for what in ("build", "approve", "publish"):
        parsed([f"{what}_{POPULARITY}"])
        assert f"<h1>{POPULARITY}" in red.text(f"/dag/{what}_{POPULARITY}")
    parsed(["somebody_elses"])
    assert "works on no table" in red.text("/dag/somebody_elses")
    red.get(f"/run?dag_id=build_{POPULARITY}&run_id=nosuch", code=404)
    red.get("/run?dag_id=nosuch&run_id=nosuch", code=404)
    red.get("/run", code=400)


def test_the_plugin_is_loaded_and_shows_where_it_should(client: Any) -> None:
    plugins = client.get("/api/v2/plugins", headers=token()).json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == SignalsPlugin.name]
    views = {view["destination"]: view["href"] for view in ours["external_views"]}
    assert set(views) == {"nav", "dag", "dag_run", "task_instance"}
    assert ours["fastapi_apps"][0]["url_prefix"] == "/signals"
    assert client.get("/api/v2/plugins/importErrors", headers=token()).json()["total_entries"] == 0


# --- how many


def test_a_hundred_tables(client: Any, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """That they are all there; how long it takes is measured by `benchmarks/signals_page.py`."""
    tables = made_up(MANY)
    contracts = (*tables.sources, *tables.tables)
    assert len(contracts) == MANY
    write_four_weeks(here.lake, tables, TODAY)
    parsed(f"build_{c.table}" for c in contracts if not isinstance(c, Source))
    store = StatusStore(lambda: LakeFiles.at(str(here.lake)), [c.table for c in contracts])
    for name, value in vars(SignalsPage(tables, store)).items():
        monkeypatch.setattr(here.shared, name, value)
    text = here.text("/")
    assert text.count('<th scope="row">') == MANY
    assert text.count("<svg") == 2 * MANY
    assert text.count("<polyline") > 2 * MANY, "some days are missing"


def test_a_table_that_cannot_be_made_here_says_what_is_missing(red: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTENT_SIGNALS_LLM", raising=False)
    for path in ("/table/episode_tags_llm_v1", "/?q=tags"):
        assert "It cannot be made here: CONTENT_SIGNALS_LLM is not set" in red.text(path)
    monkeypatch.setenv("CONTENT_SIGNALS_LLM", "llm.toml")
    for path in ("/table/episode_tags_llm_v1", "/?q=tags"):
        assert "cannot be made here" not in red.text(path)
