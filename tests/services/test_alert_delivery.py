"""Alerts on their way: through the real library to a mail server and a webhook on this machine."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from rich.console import Console

from content_signals.alerts.alerts import Alerts
from content_signals.alerts.message import Message
from content_signals.alerts.send import to_channels
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake
from content_signals.local import demo_alert
from content_signals.local.alert_sinks import HOST, MailSink, WebhookSink, text_of, wait_until
from content_signals.local.service import free_port
from content_signals.quality.verdict import CRITICAL, PASSED, STOPPED, Failure, Verdict
from tests.settings import settings_in

DAY = date(2020, 6, 1)
TITLES = catalog().table("track_title_v1")
MESSAGE = Message("a title", "a body", "failure", {"table": "track_title_v1"})
SECRETS = ("hunter22", "tok-9f8e7d", "secret-path", "not-to-be-printed")


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def secret(*urls: str) -> list[SecretStr]:
    return [SecretStr(url) for url in urls]


def verdict(outcome: str) -> Verdict:
    failure = Failure("not_null", CRITICAL, "track_id", "12 nulls", "0", "", 12, ("أغنية 🎧", "b", "c"))
    failures = (failure,) if outcome == STOPPED else ()
    return Verdict("track_title_v1", str(DAY), "run-00001", 1, outcome, 3, failures, (), rows=88, quarantined=12)


def test_a_problem_and_its_end_arrive_by_mail_and_webhook_once(
    tmp_path: Path, mail: MailSink, hook: WebhookSink
) -> None:
    said: list[str] = []
    alerts = Alerts(secret(mail.url, hook.url), Lake(str(tmp_path)), catalog(), said.append)
    for outcome in (STOPPED, STOPPED, PASSED, PASSED):
        alerts.judged(TITLES, verdict(outcome), served="days up to 2020-05-31", task_log="http://airflow/log")
    assert wait_until(lambda: len(mail.mails) == 2 and len(hook.posts) == 2)
    subjects = [" ".join(str(m["subject"]).split()) for m in mail.mails]
    assert subjects == [
        "track_title_v1 2020-06-01 stopped: 1 rule failed, 12 of 100 rows set aside",
        "track_title_v1 2020-06-01 passes now",
    ]
    body = text_of(mail.mails[0])
    for part in (
        "observed 12 nulls, allowed 0", "12 rows, such as أغنية 🎧, b, c", "Served meanwhile: days up to 2020-05-31",
        "Owner: catalogue-signals", "Next: content-signals ", "Log: http://airflow/log",
    ):  # fmt: skip
        assert part in body
    paths, posts = zip(*hook.posts, strict=True)
    assert set(paths) == {"/hooks/content-signals?token=not-to-be-printed"}
    assert [post["title"] for post in posts] == subjects
    assert [post["message"].strip() for post in posts] == [text_of(m) for m in mail.mails]
    assert [post["type"] for post in posts] == ["failure", "success"]
    assert (posts[0]["table"], posts[0]["days"], posts[0]["kind"]) == ("track_title_v1", ["2020-06-01"], "stopped")
    assert not any(word in line for word in SECRETS for line in said)


def test_a_webhooks_url_maps_its_fields_as_its_owner_wants(hook: WebhookSink) -> None:
    mapped = hook.url.replace("http://", "json://").partition("?")[0] + "?:message=text"
    assert all(not d.why_not for d in to_channels(secret(hook.url, mapped))(MESSAGE))
    plain, renamed = sorted((post for _, post in hook.posts), key=lambda post: "text" in post)
    assert (plain["message"], plain["table"]) == ("a body", "track_title_v1")
    assert (renamed["text"], renamed["table"]) == ("a body", "track_title_v1")


def test_what_does_not_arrive_is_said_without_the_url_and_holds_up_nobody(
    tmp_path: Path, hook: WebhookSink, deaf: int
) -> None:
    hook.status = 404
    urls = secret(
        f"mailto://u:hunter22@{HOST}:{deaf}?from=a@example.test&to=b@example.test&auth=no",
        f"http://{HOST}:{deaf}/secret-path?token=tok-9f8e7d",
        f"mailto://{HOST}:{free_port()}?from=a@example.test&to=hunter22@example.test",
        hook.url,
        "bogus://hunter22/secret-path",
        "slack://tok-9f8e7d",
    )
    said: list[str] = []
    alerts = Alerts((), Lake(str(tmp_path)), catalog(), said.append, deliver=to_channels(urls, seconds=3))
    began = time.monotonic()
    alerts.judged(TITLES, verdict(STOPPED), served="nothing")
    assert time.monotonic() - began < 8
    assert [line.partition(": ")[2] for line in said] == [
        "mailto (1): alert not delivered: no answer within 3 s",
        "http (2): alert not delivered: no answer within 3 s",
        "mailto (3): alert not delivered: no connection, or it was broken off",
        "http (4): alert not delivered: it answered HTTP 404",
        "unknown (5): alert not delivered: its URL is of no channel that Apprise knows, or lacks a part",
        "slack (6): alert not delivered: its URL is of no channel that Apprise knows, or lacks a part",
    ]


def test_one_dead_channel_keeps_nothing_from_another(mail: MailSink, deaf: int) -> None:
    dead, alive = to_channels(secret(f"http://{HOST}:{deaf}/x", mail.url), seconds=3)(MESSAGE)
    assert dead.why_not
    assert not alive.why_not
    assert wait_until(lambda: len(mail.mails) == 1)


def test_the_process_that_sends_prints_nothing_of_a_url(deaf: int) -> None:
    urls = [f"mailto://u:hunter22@{HOST}:{deaf}", "bogus://tok-9f8e7d", f"http://{HOST}:{deaf}/secret-path?a=hunter22"]
    order = json.dumps({"urls": urls, "seconds": 1, "message": asdict(MESSAGE)})
    command = [sys.executable, "-m", "content_signals.alerts.deliver"]
    done = subprocess.run(command, input=order, capture_output=True, text=True, timeout=30, check=True)
    assert len(json.loads(done.stdout)) == 3
    assert not any(word in done.stdout + done.stderr for word in SECRETS)


def test_the_demo_shows_the_alert_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Spark: what each job would do is done here."""
    seen: list[tuple[str, str]] = []

    def run(demo: demo_alert.Demo, job: str, *arguments: str) -> int:
        lengths = pq.read_table(f"{demo.settings.landing}/playlists/tracks.parquet")["length"].to_pylist()
        broken = ":" not in lengths[0]
        seen.append((job, "ms" if broken else "m:ss"))
        if job != "validate_signals":
            return 0
        judged = verdict(STOPPED if [name for name, _ in seen].count(job) < 3 else PASSED)
        found = demo.settings
        alerts = Alerts(found.alert_urls, Lake(found.lake), catalog(), lambda _: None)
        alerts.judged(TITLES, judged, served="days up to 2020-05-31")
        return 65 if judged.outcome == STOPPED else 0

    monkeypatch.setattr(demo_alert.Demo, "run", run)
    out = io.StringIO()
    demo_alert.run_demo_alert(settings_in(tmp_path), Console(file=out, width=120))
    shown = out.getvalue()
    assert shown.count("mail to owner@example.test") == 2
    assert shown.count("webhook: POST") == 2
    assert shown.count("nothing arrived") == 2
    assert "track_title_v1 2020-06-01 passes now" in shown
    assert "Told before: stopped, " in shown
    assert [unit for job, unit in seen if job == "ingest_source"] == ["m:ss", "ms", "m:ss"]
    assert "not-to-be-printed" not in shown
