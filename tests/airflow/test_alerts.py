"""What is said of a task that has failed for good, and to whom."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from content_signals.catalog import catalog
from content_signals.orchestration import alerts
from content_signals.orchestration.alerts import Alert, FailureAlert, alert_of, alert_unsaid, reason_of
from content_signals.orchestration.approval import ApprovalDenied
from content_signals.orchestration.jobs import JobFailed
from content_signals.orchestration.landing import DayLate
from content_signals.orchestration.retry import ExitCodePolicy

HOME = Path(os.environ["AIRFLOW_HOME"])
TABLE, DAY = "track_popularity_v1", "2020-03-01"
LONG_AGO = datetime(2020, 3, 3, 6, tzinfo=UTC)
COMMAND = ["spark-submit", "--properties-file", "/work/conf/spark.conf", "jobs/validate_signals.py"]


class Instance:
    """As much of a task instance as the callbacks ask for."""

    dag_id, run_id = f"build_{TABLE}", "asset__1"
    log_url = f"http://ui:8080/dags/build_{TABLE}/runs/asset__1/tasks/validate?try_number=1"

    def __init__(self, task_id: str = "validate", states: Any = None, said: tuple[str, ...] = ()) -> None:
        self.task_id, self.states, self.said = task_id, states, said
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> str | None:
        return "lost" if key == alerts.SAID and task_ids in self.said else None

    def get_task_states(self, **_: Any) -> Any:
        return {self.run_id: self.states}


def failure(exception: BaseException | None = None, *, late_after: timedelta | None = None, **more: Any) -> Any:
    """The context of a callback in the task's own process."""
    run = SimpleNamespace(run_type="asset_triggered", run_after=datetime.now(UTC), start_date=datetime.now(UTC))
    task = SimpleNamespace(
        owner="catalogue-signals", execution_timeout=timedelta(hours=1), retry_policy=ExitCodePolicy(late_after)
    )
    given = {"ti": Instance(), "task": task, "params": {"day": DAY}, "partition_key": None, "dag_run": run}
    return given | {"exception": exception} | more


def job_failed(code: int, **report: Any) -> JobFailed:
    return JobFailed("validate_signals", code, report, COMMAND)


def late(since: datetime = LONG_AGO) -> DayLate:
    return DayLate("three lines\nof\ntext", reason="nothing has landed, and the day was due by …", since=since)


# What is said


@pytest.mark.parametrize(
    ("exception", "kind", "reason"),
    [
        (job_failed(64, error="unknown table 'x'"), "lost", "validate: exit code 64: unknown table 'x'"),
        (job_failed(65, error="2 rules failed", verdict="stopped"), None, ""),
        (JobFailed("ingest_source", 65, {"error": "an empty file"}, COMMAND), None, ""),  # the job alerts
        (JobFailed("promote_signals", 65, {"error": "refused"}, COMMAND), "lost", "validate: exit code 65: refused"),
        (job_failed(65), "lost", "validate: validate_signals ended and did not say why (exit code 65)"),
        (job_failed(66, error="nothing is staged"), "lost", "validate: exit code 66: nothing is staged"),
        (job_failed(75, error="no answer\nat all"), "lost", "validate: exit code 75: no answer at all"),
        (job_failed(1, error="KeyError: 'x'"), "lost", "validate: exit code 1: KeyError: 'x'"),
        (job_failed(1), "lost", "validate: validate_signals ended and did not say why (exit code 1)"),
        (job_failed(137), "lost", "validate: validate_signals was killed (exit code 137)"),
        (job_failed(-9), "lost", "validate: validate_signals was killed (exit code -9)"),
        (AirflowTaskTimeout("Timeout, PID: 7"), "lost", "validate: it ran longer than 1:00:00 and was ended"),
        (OSError("no route\nto host"), "lost", "validate: OSError: no route"),
        (None, "lost", f"validate: {alerts.SILENT}"),
        (late(), "late", "nothing has landed, and the day was due by …"),
        (ApprovalDenied("rejected by Ada"), None, ""),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_told_of_a_failure(exception: BaseException | None, kind: str | None, reason: str) -> None:
    alert = alert_of(failure(exception))
    assert alert == (Alert(kind, reason) if kind else None)


def test_a_reason_is_short_and_never_the_command() -> None:
    long = reason_of(job_failed(75, error="x " * 1000), None)
    assert len(long) == alerts.LONGEST_REASON
    for code in (1, 64, 75, 137):
        assert "spark-submit" not in reason_of(job_failed(code), None)


@pytest.mark.parametrize(("late_after", "kind"), [(None, "lost"), (timedelta(hours=30), "late")])
def test_an_input_missing_until_the_day_was_late_makes_it_late(late_after: timedelta | None, kind: str) -> None:
    error = "playlist_positions_v1 2020-03-01 has not been promoted yet"
    alert = alert_of(failure(job_failed(75, error=error), late_after=late_after))
    assert alert == Alert(kind, f"validate: exit code 75: {error}")


def test_a_temporary_failure_before_the_day_is_late_is_a_lost_job() -> None:
    alert = alert_of(failure(job_failed(75, error="x"), late_after=timedelta(days=365_000)))
    assert alert is not None
    assert alert.kind == "lost"


@pytest.mark.parametrize(
    ("run_type", "started", "told"),
    [
        ("backfill", LONG_AGO + timedelta(days=900), False),
        ("manual", LONG_AGO + timedelta(days=900), False),
        ("manual", LONG_AGO - timedelta(hours=2), True),  # it was not late yet, and somebody waits for it
        ("scheduled", LONG_AGO + timedelta(days=2), True),  # Airflow itself was late
    ],
)
def test_a_day_long_past_that_a_person_asked_for_is_no_news(run_type: str, started: datetime, told: bool) -> None:
    run = SimpleNamespace(run_type=run_type, run_after=started, start_date=started)
    assert (alert_of(failure(late(), dag_run=run)) is not None) is told


def test_a_failure_is_one_structured_line(caplog: pytest.LogCaptureFixture, told: Told) -> None:
    with caplog.at_level(logging.ERROR):
        FailureAlert(TABLE)(failure(job_failed(65, error="rule failed", verdict="stopped")))
    (record,) = caplog.records
    said = json.loads(record.getMessage())
    assert (said["dag"], said["task"], said["day"]) == (f"build_{TABLE}", "validate", DAY)
    assert (said["owner"], said["exit_code"], said["alert"]) == ("catalogue-signals", 65, None)
    assert "rule failed" in said["error"]
    assert told.calls() == [], "the job has alerted"


# How it is said


class Told:
    """The jobs environment's `content-signals`, which notes its calls."""

    program = HOME / "jobs" / "bin" / "content-signals"
    log = HOME / "told.jsonl"

    def answer(self, body: str = "") -> None:
        self.log.unlink(missing_ok=True)
        self.program.write_text(
            f"#!{sys.executable} -S\nimport json, sys, time\n"
            f"with open({str(self.log)!r}, 'a') as log:\n    log.write(json.dumps(sys.argv[1:]) + '\\n')\n{body}\n"
        )
        self.program.chmod(0o755)

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def told() -> Iterator[Told]:
    fake = Told()
    fake.answer()
    yield fake
    fake.program.unlink(missing_ok=True)


def test_the_command_has_table_day_reason_log_and_run(told: Told) -> None:
    context = failure(job_failed(137))
    FailureAlert(TABLE)(context)
    (words,) = told.calls()
    assert words[:5] == ["alert", "lost", TABLE, "--day", DAY]
    assert words[5] == "--reason=validate: validate_signals was killed (exit code 137)"
    assert words[6] == f"--task-log={Instance.log_url}"
    assert words[7] == "--run-id"
    assert words[8].startswith("asset-1-")
    assert context["ti"].pushed == {alerts.SAID: "lost"}


def test_a_reason_is_one_word_whatever_is_in_it(told: Told) -> None:
    FailureAlert(TABLE)(failure(job_failed(75, error='--day 2020-01-01 "; $(id) \u202e')))
    (words,) = told.calls()
    assert words[5] == '--reason=validate: exit code 75: --day 2020-01-01 "; $(id)'


@pytest.mark.parametrize(
    ("table", "params", "about"),
    [
        (None, {"from": "2020-03-01", "to": "2020-03-09", "tables": [TABLE, "x_v1"]}, [TABLE, "--day", "2020-03-09"]),
        (None, {"table": "all"}, None),  # maintenance is about no table's day
        (TABLE, {"day": "tomorrow"}, None),  # whoever filled the form sees it
    ],
)
def test_a_run_is_about_its_forms_table_and_last_day(
    told: Told, table: str | None, params: dict[str, Any], about: list[str] | None
) -> None:
    FailureAlert(table)(failure(params=params))
    assert [words[2:5] for words in told.calls()] == ([about] if about else [])


def test_what_the_command_prints_is_logged_without_addresses(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    told.answer("print('sent to mailto://ada:secret@example.org?x=1 and json://tok@h/p, 2 of 2')\nsys.exit(1)")
    with caplog.at_level(logging.INFO):
        FailureAlert(TABLE)(failure())
    assert "sent to mailto://… and json://… 2 of 2" in caplog.text
    assert "secret" not in caplog.text
    assert "ended with exit code 1" in caplog.text


@pytest.mark.parametrize("exception", [None, OSError("x"), job_failed(1)])
def test_a_callback_never_raises(told: Told, exception: BaseException | None, caplog: pytest.LogCaptureFixture) -> None:
    told.program.unlink()
    context = failure(exception)
    with caplog.at_level(logging.INFO):
        FailureAlert(TABLE)(context)
    assert "cannot be started" in caplog.text
    assert context["ti"].pushed == {}, "the DAG's own callback tries again"
    for broken in ({}, {"ti": None}, {"ti": Instance()}, failure(params=None), failure(dag_run=None, params={})):
        FailureAlert(TABLE)(broken)
        alert_unsaid(broken)


def test_a_command_that_hangs_is_left_alone_after_a_while(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.answer("time.sleep(2)\nopen(sys.argv[0] + '.done', 'w')")
    done = Path(f"{told.program}.done")
    began = time.monotonic()
    assert FailureAlert(TABLE).send(Alert("lost", "x"), failure(), "http://ui/log", wait=0.5)
    assert time.monotonic() - began < 1.5
    deadline = time.monotonic() + 10
    while not done.exists():
        assert time.monotonic() < deadline, "it goes on by itself"
        time.sleep(0.1)
    done.unlink()


# Failures that no task's own process could tell


def test_a_lost_worker_is_told_by_the_dag_processor(told: Told) -> None:
    context = failure()
    del context["exception"]  # as the DAG processor calls
    FailureAlert(TABLE)(context)
    (words,) = told.calls()
    assert "its worker lost" in words[5]
    assert context["ti"].pushed == {}, "the DAG processor keeps no XCom"


def test_a_task_that_failed_in_silence_is_told_when_the_run_has_failed(bag: Any, told: Told) -> None:
    states = {"extract": "success", "validate": "failed", "promote": "upstream_failed", "announce": "upstream_failed"}
    dag = bag.dags[f"build_{TABLE}"]
    alert_unsaid(failure(ti=Instance(states=states), dag=dag))
    (words,) = told.calls()
    assert words[:5] == ["alert", "lost", TABLE, "--day", DAY]
    assert words[5].startswith("--reason=validate: it ended without a word")
    assert words[6] == f"--task-log=http://ui:8080/dags/build_{TABLE}/runs/asset__1/tasks/validate"


def test_a_task_that_could_speak_is_not_told_again(bag: Any, told: Told) -> None:
    instance = Instance(states={"validate": "failed", "ask": "failed"}, said=("validate", "ask"))
    alert_unsaid(failure(ti=instance, dag=bag.dags[f"build_{TABLE}"]))
    assert told.calls() == []


def test_sources_are_told_each_as_itself(bag: Any, told: Told) -> None:
    names = [source.table for source in catalog().sources]
    instance = Instance(states={f"{name}.ingest": "failed" for name in names})
    alert_unsaid(failure(ti=instance, dag=bag.dags["ingest_sources"]))
    assert sorted(words[2] for words in told.calls()) == sorted(names)


def test_every_task_tells_its_own_table(bag: Any) -> None:
    for contract in (*catalog().sources, *catalog().tables):
        own = [
            task
            for dag in bag.dags.values()
            for task in dag.tasks
            if dag.dag_id.endswith(f"_{contract.table}") or task.task_id.startswith(f"{contract.table}.")
        ]
        assert own
        assert {task.on_failure_callback[0].table for task in own} == {contract.table}
