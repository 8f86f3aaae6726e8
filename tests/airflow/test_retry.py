"""Which failures are tried again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout

from content_signals.day import valid_from
from content_signals.errors import UsageError
from content_signals.orchestration.jobs import JobFailed
from content_signals.orchestration.retry import RETRIES, ExitCodePolicy, delay, retries_within


def decide(exception: BaseException, try_number: int = 1):
    return ExitCodePolicy().evaluate(exception, try_number, 5)


def failed(code: int) -> JobFailed:
    return JobFailed("extract_signals", code, {"error": "no such column"}, ["spark-submit", "x.py"])


@pytest.mark.parametrize("code", [64, 65, 66])
def test_what_a_retry_cannot_cure_fails_at_once(code: int) -> None:
    decision = decide(failed(code))
    assert decision.action is RetryAction.FAIL
    assert str(code) in decision.reason


def test_our_own_errors_count_by_their_exit_code() -> None:
    assert decide(UsageError("'None' is not a day")).action is RetryAction.FAIL


def test_temporary_failures_are_retried_ever_more_slowly() -> None:
    waits = [decide(failed(75), number).retry_delay for number in range(1, 10)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(minutes=1), timedelta(hours=1))
    assert decide(failed(75), 30).action is RetryAction.RETRY


@pytest.mark.parametrize("code", [1, -9, 137])
def test_a_crash_is_retried_twice(code: int) -> None:
    actions = [decide(failed(code), number).action for number in (1, 2, 3)]
    assert actions == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]


def test_a_task_that_ran_out_of_time_counts_as_a_crash() -> None:
    actions = [decide(AirflowTaskTimeout("Timeout"), number).action for number in (1, 2, 3)]
    assert actions == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]


def test_other_exceptions_are_left_to_airflow() -> None:
    assert decide(OSError("no route to host")).action is RetryAction.DEFAULT


DAY = date(2020, 3, 1)
PAST = timedelta(hours=30)


def context(retries: int = 36) -> dict[str, Any]:
    """What the policy is told of a run of the day."""
    run = SimpleNamespace(run_after=datetime.now(UTC))
    return {"partition_key": str(DAY), "params": {}, "dag_run": run, "task": SimpleNamespace(retries=retries)}


def until_late(left: timedelta, try_number: int, max_tries: int = 36):
    """The decision about a day that is late in `left`."""
    policy = ExitCodePolicy(late_after=datetime.now(UTC) + left - valid_from(DAY))
    return policy.evaluate(failed(75), try_number, max_tries, context())


def test_a_day_is_tried_until_it_is_late_and_once_more_then() -> None:
    assert until_late(timedelta(hours=5), 20).retry_delay == timedelta(hours=1)
    soon = until_late(timedelta(minutes=10), 20)
    assert soon.action is RetryAction.RETRY
    assert timedelta(minutes=9) < soon.retry_delay <= timedelta(minutes=10)
    late = until_late(timedelta(seconds=-1), 21)
    assert late.action is RetryAction.FAIL
    assert "the day is late, since" in late.reason


def test_a_day_long_past_is_not_tried_for_a_day_and_a_night() -> None:
    policy = ExitCodePolicy(late_after=PAST)
    tries = [policy.evaluate(failed(75), number, 36, context()) for number in range(1, RETRIES + 2)]
    assert [decision.action for decision in tries] == [RetryAction.RETRY] * RETRIES + [RetryAction.FAIL]
    assert sum((decision.retry_delay for decision in tries[:-1]), timedelta()) < timedelta(hours=1)


def test_a_task_that_was_cleared_starts_anew() -> None:
    cleared = 6 + 36  # after six tries
    assert until_late(-PAST, 7, cleared).retry_delay == timedelta(minutes=1)
    assert until_late(-PAST, 12, cleared).action is RetryAction.FAIL
    crash = ExitCodePolicy().evaluate(failed(1), 7, cleared, context())
    assert crash.action is RetryAction.RETRY


def test_retries_cover_the_limit() -> None:
    for hours in (1, 30, 72):
        retries = retries_within(timedelta(hours=hours))
        waited = sum((delay(number) for number in range(1, retries + 1)), timedelta())
        assert timedelta(hours=hours) <= waited < timedelta(hours=hours + 1)


def test_policy_survives_serialization() -> None:
    for late_after in (None, PAST):
        policy = ExitCodePolicy(late_after)
        assert ExitCodePolicy.deserialize(policy.serialize()).late_after == late_after


def test_a_failed_job_says_why_and_how_to_repeat_it() -> None:
    text = str(failed(65))
    assert "extract_signals ended with exit code 65, the data breaks its contract: no such column" in text
    assert "By hand: spark-submit x.py" in text
