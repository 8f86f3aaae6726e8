"""What is said when a task has failed for good: one line in its log, and an alert where no job could send one.

A job that judges a day or its file alerts of broken data by itself. What no job says, that it was killed, ran out of
time, was tried in vain or never had its data, is said here, by `content-signals alert` of the jobs environment.

Airflow calls a task's callback from the task's own process, and from the DAG processor, without the exception, when the
worker was lost as a whole. A task whose process was killed on a living worker fails with no call at all: `alert_unsaid`
looks for those when the run has failed. Both may tell of one lost task; the command tells it once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowTaskTimeout

from content_signals.day import parse_day
from content_signals.errors import BROKEN_DATA, TEMPORARY, summary_of
from content_signals.orchestration.approval import ApprovalDenied
from content_signals.orchestration.jobs import JobFailed
from content_signals.orchestration.landing import DayLate
from content_signals.orchestration.partition import job_run_id, run_day
from content_signals.orchestration.paths import job_paths
from content_signals.orchestration.retry import exit_code, late_at
from content_signals.orchestration.words import one_line

log = logging.getLogger(__name__)

LOST, LATE = "lost", "late"
SAID = "failure"  # the XCom of a failed task whose failure was dealt with
SILENT = "it ended without a word: killed (out of memory?), its worker lost, or marked failed by hand"
# They alert of broken data themselves.
TELLING_JOBS = frozenset({"ingest_source", "validate_signals", "rebuild_signals"})
KILLED = frozenset({-9, -15, 137, 143})
LONGEST_REASON = 300
# Airflow ends a task's process 20 s after the task, and a DAG processor's call 50 s after it began.
WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Alert:
    """What `content-signals alert` is to say."""

    kind: str
    reason: str


class FailureAlert:
    """The failure callback of a task: never raises, since it must not hide the failure that it is about.

    Args:
        table: the table or source the task is about; None: the first of the form's `tables`, and with no form either
            the failure is logged only.
    """

    def __init__(self, table: str | None = None) -> None:
        self.table = table

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Airflow's call, once the task has no retries left."""
        try:
            alert = alert_of(context)
            log_failure(context, alert)
            sent = alert is None or self.send(alert, context, context["ti"].log_url)
            # Of the DAG processor's calls no XCom can be kept.
            if sent and "exception" in context:
                context["ti"].xcom_push(key=SAID, value=alert.kind if alert else "none")
        except Exception:
            log.exception("the failure could not be told")

    def send(self, alert: Alert, context: Mapping[str, Any], log_url: str, *, wait: float = WAIT_SECONDS) -> bool:
        """Start the command and wait a while for its end; whether it was started. Nothing to tell it about counts."""
        day, table = day_of(context), self.table or next(iter(context["params"].get("tables") or ()), None)
        if day is None or table is None:
            return True
        ti = context["ti"]
        run_id = job_run_id(ti.dag_id, ti.run_id)
        words = [alert.kind, table, "--day", day, f"--reason={alert.reason}", f"--task-log={log_url}"]
        return _run(["alert", *words, "--run-id", run_id], wait)


def alert_unsaid(context: Mapping[str, Any]) -> None:
    """The failure callback of a DAG: an alert for every failed task that could not say so. Never raises."""
    try:
        ti = context.get("ti")
        if ti is None:
            return
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        failed = [task_id for task_id, state in states.items() if state == "failed"]
        unsaid = [task_id for task_id in failed if not ti.xcom_pull(task_ids=task_id, key=SAID)]
        for task_id in unsaid:
            alert = Alert(LOST, f"{task_id}: {SILENT}")
            log_url = f"{ti.log_url.rpartition('/tasks/')[0]}/tasks/{task_id}"
            for callback in context["dag"].get_task(task_id).on_failure_callback:
                if isinstance(callback, FailureAlert):
                    callback.send(alert, context, log_url, wait=WAIT_SECONDS / len(unsaid))
    except Exception:
        log.exception("tasks that failed in silence could not be told")


def alert_of(context: Mapping[str, Any]) -> Alert | None:
    """What to say of a failed task; None for what was told already, or was somebody's will."""
    exception = context.get("exception")
    if isinstance(exception, ApprovalDenied):
        return None
    if isinstance(exception, DayLate):
        return None if _asked_for(context, exception.since) else Alert(LATE, exception.reason)
    if isinstance(exception, JobFailed) and _told_by_job(exception):
        return None
    kind = LATE if exit_code(exception) == TEMPORARY and _is_late(context) else LOST
    return Alert(kind, f"{context['ti'].task_id}: {reason_of(exception, context['task'])}")


def _told_by_job(failure: JobFailed) -> bool:
    return failure.job in TELLING_JOBS and failure.exit_code == BROKEN_DATA and bool(failure.report)


def reason_of(exception: BaseException | None, task: Any) -> str:
    """Why a task has failed, short enough for a headline: never the job's command, which is in the log."""
    if exception is None:
        return SILENT
    if isinstance(exception, AirflowTaskTimeout):
        return f"it ran longer than {task.execution_timeout} and was ended"
    if not isinstance(exception, JobFailed):
        return one_line(summary_of(exception), LONGEST_REASON)
    if said := exception.report.get("error"):
        return one_line(f"exit code {exception.exit_code}: {said}", LONGEST_REASON)
    how = "was killed" if exception.exit_code in KILLED else "ended and did not say why"
    return f"{exception.job} {how} (exit code {exception.exit_code})"


def log_failure(context: Mapping[str, Any], alert: Alert | None) -> None:
    """Log who owns the failed task, which day it was about, why it failed and what was told, as one JSON line."""
    ti, exception = context["ti"], context.get("exception")
    report = {
        "event": "task_failed",
        "dag": ti.dag_id,
        "task": ti.task_id,
        "run": ti.run_id,
        "day": day_of(context),
        "owner": context["task"].owner,
        "exit_code": exit_code(exception),
        "error": reason_of(exception, context["task"]),
        "alert": alert.kind if alert else None,
        "log_url": ti.log_url,
    }
    log.error("%s", json.dumps(report, default=str))


def day_of(context: Mapping[str, Any]) -> str | None:
    """The day a run is about, of a range the last; None where what it was given is no day, as its form's user sees."""
    params = context["params"]
    try:
        if "to" in params:
            return parse_day(str(params["to"])).isoformat()
        return run_day(context.get("partition_key"), params, context["dag_run"].run_after)
    except Exception:
        return None


def _is_late(context: Mapping[str, Any]) -> bool:
    late_after: timedelta | None = getattr(context["task"].retry_policy, "late_after", None)
    return late_after is not None and day_of(context) is not None and datetime.now(UTC) >= late_at(context, late_after)


def _asked_for(context: Mapping[str, Any], since: datetime) -> bool:
    """Whether a person asked for a day that was late already: a backfill over old days is no news about each."""
    run = context["dag_run"]
    run_type = str(getattr(run.run_type, "value", run.run_type))
    started = run.start_date or datetime.now(UTC)
    return run_type in ("manual", "backfill") and started >= since


def _run(words: Sequence[str], wait: float) -> bool:
    """Run `content-signals` with what it needs from this process's environment; its output goes to the log.

    One that takes longer than `wait` is left to end by itself: it is in a session of its own, and outlives this one.
    """
    paths = job_paths(os.environ)
    program = paths.environment / "bin" / "content-signals"
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [str(program), *words],
                cwd=paths.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            log.error("no alert was sent, %s cannot be started: %s", program, error)
            return False
        try:
            code = process.wait(wait)
        except subprocess.TimeoutExpired:
            log.warning("the alert is still being sent after %.0f s; it goes on by itself", wait)
            return True
        output.seek(0)
        for line in output.read().decode(errors="replace").splitlines():
            log.info("%s", without_addresses(line))
    if code:
        log.error("no alert was sent: content-signals alert ended with exit code %d", code)
    return code == 0


def without_addresses(line: str) -> str:
    """A line without what follows the scheme of a URL: channels are URLs with passwords and tokens in them."""
    return re.sub(r"://\S+", "://…", line)
