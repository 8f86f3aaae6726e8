"""What alerts say, and that a channel's URL is in nothing that is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from content_signals import cli
from content_signals.alerts import deliver, message, send
from content_signals.alerts.alerts import Alerts, served_meanwhile
from content_signals.alerts.message import Message, plain
from content_signals.alerts.problem import of_verdict
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake
from content_signals.quality.verdict import CRITICAL, STOPPED, WARNED, WARNING, Failure, Verdict
from tests.lake import promoted

DAY = date(2020, 6, 1)
POPULARITY = catalog().table("track_popularity_v1")
NULLS = Failure(
    "expect_column_values_to_not_be_null", CRITICAL, "track_id", "1,204 nulls", "0", "A track has an id", 1204,
    ("37i9dQZF/1", "37i9dQZF/2", "37i9dQZF/3"),
)  # fmt: skip
MEAN = Failure("expect_mean_near_history", WARNING, "mean_position", "88.1", "40 to 60", "")
STOPPED_DAY = Verdict(
    "track_popularity_v1", str(DAY), "run-00001", 7, STOPPED, 12, (MEAN, NULLS), (), rows=18_796, quarantined=1204,
    stopped_by=(
        f"1,204 of 20,000 rows broke critical rules (6.02 %); at most 1.00 % are allowed: {NULLS}",
        str(NULLS),
    ),
)  # fmt: skip
SECRETS = ("hunter22", "T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", "tok-9f8e7d", "mail.example.test")


def told(verdict: Verdict, **more: Any) -> Message:
    found = of_verdict(
        POPULARITY, verdict, Lake("/lake"), "days up to 2020-05-31", "http://airflow/log", "http://docs/day.html"
    )
    return message.of_problem(found, ("playlist_ranker_v1",), **more)


def test_a_stopped_day_is_told_with_all_that_its_owner_needs() -> None:
    said = told(STOPPED_DAY)
    assert said.title == (
        "track_popularity_v1 2020-06-01 stopped: 2 rules failed, 1,204 of 20,000 rows set aside"
    )  # fmt: skip
    assert said.body == (
        "1,204 of 20,000 rows broke critical rules (6.02 %); at most 1.00 % are allowed\n"
        "\n"
        "Failed:\n"
        "- expect_column_values_to_not_be_null(track_id) (critical)\n"
        "  observed 1,204 nulls, allowed 0\n"
        "  1,204 rows, such as 37i9dQZF/1, 37i9dQZF/2, 37i9dQZF/3\n"
        "  A track has an id\n"
        "- expect_mean_near_history(mean_position) (warning)\n"
        "  observed 88.1, allowed 40 to 60\n"
        "\n"
        "Set aside: 1,204 of 20,000 rows\n"
        "Served meanwhile: days up to 2020-05-31\n"
        "Waiting for it: playlist_ranker_v1\n"
        "Owner: catalogue-signals\n"
        f"Next: {plain(STOPPED_DAY.stop(POPULARITY, Lake('/lake')).next_step, 900)}\n"
        "\n"
        "Data Docs: http://docs/day.html\n"
        "Log: http://airflow/log\n"
        "Run: run-00001"
    )
    assert said.tone == "failure"


def test_a_webhook_gets_fields_a_program_can_use() -> None:
    fields = told(STOPPED_DAY).fields
    assert fields["table"] == "track_popularity_v1"
    assert fields["days"] == ["2020-06-01"]
    assert fields["kind"] == "stopped"
    assert fields["rules"] == [
        "expect_column_values_to_not_be_null(track_id)",
        "expect_mean_near_history(mean_position)",
    ]
    assert fields["waiting"] == ["playlist_ranker_v1"]
    json.dumps(fields)


def test_a_warned_day_names_who_reads_it_and_where_the_rows_are() -> None:
    warned = replace(STOPPED_DAY, outcome=WARNED, stopped_by=())
    said = told(warned, related="playlist_changes_v1 2020-05-30 (warned)")
    assert said.tone == "warning"
    assert "Made from it: playlist_ranker_v1" in said.body
    assert "Served until it is promoted: days up to 2020-05-31" in said.body
    assert "Next: content-signals quarantine track_popularity_v1 --day 2020-06-01" in said.body
    assert "Perhaps because: playlist_changes_v1 2020-05-30 (warned)" in said.body


def test_many_rules_and_wild_keys_leave_a_message_that_can_be_read() -> None:
    wild = ("a\nb\x00", "\u202eأغنية 🎧\u200d", "k" * 500)
    rules = tuple(replace(NULLS, column=f"c{n}", keys=wild) for n in range(150))
    said = told(replace(STOPPED_DAY, failures=rules))
    assert said.body.count("observed") == message.MOST_RULES
    assert "- and 140 more" in said.body
    assert "such as a b, أغنية 🎧\u200d, kkkk" in said.body
    assert "\u202e" not in said.body
    assert len(said.body) < 6000


def test_what_is_served_meanwhile_is_read_from_the_lake(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert served_meanwhile(lake, POPULARITY, DAY) == "no day up to 2020-06-01 has rows"
    promoted(lake.of(POPULARITY), date(2020, 5, 30), {"track_id": ["a"]})
    assert served_meanwhile(lake, POPULARITY, DAY) == "days up to 2020-05-30; 2020-06-01 has no rows"
    assert served_meanwhile(lake, POPULARITY, date(2020, 5, 30)) == "2020-05-30 as it was promoted before"


# ---------------------------------------------------------------- channels


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mailto://u:hunter22@mail.example.test", "mailto"),
        ("HTTPS://example.test/hook?token=tok-9f8e7d", "https"),
        ("hunter22@mail.example.test://x", "unknown"),
        ("tok-9f8e7d://x", "unknown"),
    ],
)
def test_of_a_url_only_a_known_scheme_is_named(url: str, kind: str) -> None:
    assert deliver.kind_of(url) == kind


def test_a_plain_url_is_a_json_webhook_and_keeps_its_path_and_parameters() -> None:
    found = deliver.channel_of("https://example.test:8443/a/hook?token=tok%2F9f&x=", 5)
    assert isinstance(found, deliver.NotifyJSON)
    assert (found.host, found.port, found.fullpath, found.secure) == ("example.test", 8443, "/a/hook", True)
    assert found.params == {"token": "tok/9f", "x": ""}


def test_a_services_own_webhook_url_is_that_service() -> None:
    url = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert type(deliver.channel_of(url, 5)).__name__ == "NotifySlack"


class _Done:
    returncode, stdout = 1, "Traceback: mailto://u:hunter22@mail.example.test"


@pytest.mark.parametrize("what", ["crash", "hang", "no python"])
def test_whatever_becomes_of_the_process_that_sends_no_url_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def run(command: Sequence[str], **more: Any) -> _Done:
        assert not any(secret in word for secret in SECRETS for word in command)
        assert all(secret in more["input"] for secret in SECRETS)
        if what == "hang":
            raise send.subprocess.TimeoutExpired(command, 30, output=more["input"])
        if what == "no python":
            raise FileNotFoundError("no such file")
        return _Done()

    monkeypatch.setattr(send.subprocess, "run", run)
    urls = (
        "mailto://u:hunter22@mail.example.test",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://example.test/hook?token=tok-9f8e7d",
    )
    said: list[str] = []
    alerts = Alerts([SecretStr(url) for url in urls], Lake(str(tmp_path)), catalog(), said.append)
    alerts.judged(POPULARITY, STOPPED_DAY, served="nothing")
    assert len(said) == 3
    assert not any(secret in line for secret in SECRETS for line in said)


# ---------------------------------------------------------------- the command


def invoke(tmp_path: Path, *words: str) -> Any:
    file = tmp_path / "settings.toml"
    file.write_text(
        f'landing = "{tmp_path}/landing"\nlake = "{tmp_path}/lake"\n'
        f'online_store = "unix://{tmp_path}/v.sock"\nregistry = "sqlite:///{tmp_path}/r.db"\n'
    )
    return CliRunner().invoke(cli.app, ["alert", *words, "--settings", str(file)])


@pytest.mark.parametrize("kind", ["late", "lost"])
def test_airflow_tells_of_what_no_job_could(tmp_path: Path, kind: str) -> None:
    words = ["playlist_positions", "--day", "2020-06-01", "--reason", "gone", "--task-log", "http://x", "--run-id", "m"]
    done = invoke(tmp_path, kind, *words)
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "lake/_alerts/playlist_positions_v1/2020-06-01.json").read_text())
    assert record["kind"] == kind
    assert record["open"] is True


@pytest.mark.parametrize(
    "words", [["late", "nothing_v1", "--day", "2020-06-01"], ["lost", "track_title", "--day", "None"]]
)
def test_a_wrong_call_is_refused(tmp_path: Path, words: list[str]) -> None:
    done = invoke(tmp_path, *words, "--reason", "gone")
    assert getattr(done.exception, "exit_code", None) == 64


def test_a_trial_without_channels_says_where_to_name_them(tmp_path: Path) -> None:
    done = invoke(tmp_path, "test")
    assert getattr(done.exception, "exit_code", None) == 64
    assert "alert_urls" in str(done.exception)
