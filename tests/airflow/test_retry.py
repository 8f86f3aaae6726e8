"""Which failures are tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from content_signals.errors import UsageError
from content_signals.orchestration.jobs import JobFailed
from content_signals.orchestration.retry import ExitCodePolicy, delay, retries_within


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


def test_other_exceptions_are_left_to_airflow() -> None:
    assert decide(OSError("no route to host")).action is RetryAction.DEFAULT


def test_retries_cover_the_limit() -> None:
    for hours in (1, 30, 72):
        retries = retries_within(timedelta(hours=hours))
        waited = sum((delay(number) for number in range(1, retries + 1)), timedelta())
        assert timedelta(hours=hours) <= waited < timedelta(hours=hours + 1)


def test_policy_survives_serialization() -> None:
    policy = ExitCodePolicy()
    assert isinstance(ExitCodePolicy.deserialize(policy.serialize()), ExitCodePolicy)


def test_a_failed_job_says_why_and_how_to_repeat_it() -> None:
    text = str(failed(65))
    assert "extract_signals ended with exit code 65, the data breaks its contract: no such column" in text
    assert "By hand: spark-submit x.py" in text
