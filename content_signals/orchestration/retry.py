"""Which failures are tried again: the job's exit code decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowTaskTimeout

from content_signals.day import parse_day, valid_from
from content_signals.errors import BROKEN_DATA, NOT_LANDED, TEMPORARY, UNKNOWN, USAGE
from content_signals.orchestration.partition import run_day

REASONS = {
    USAGE: "the call is wrong",
    BROKEN_DATA: "the data breaks its contract",
    NOT_LANDED: "nothing has landed",
    TEMPORARY: "something a retry may cure",
}
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
RETRIES = 5  # half an hour of them
# A crash that nobody foresaw: worth another try or two (a killed JVM, a full disk), not a night of them.
UNKNOWN_RETRIES = 2


def exit_code(exception: BaseException | None) -> int | None:
    """The exit code an exception carries: a failed job's, or that of one of our own errors; None for any other."""
    code = getattr(exception, "exit_code", None)
    return code if isinstance(code, int) else None


def delay(try_number: int) -> timedelta:
    """How long to wait after the given try: a minute, doubled each time, up to an hour."""
    doublings = min(try_number - 1, 16)  # far above the limit already
    return min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)


def retries_within(limit: timedelta) -> int:
    """How many retries it takes to keep trying for as long as `limit`."""
    waited, retries = timedelta(), 0
    while waited < limit:
        retries += 1
        waited += delay(retries)
    return retries


def attempt(try_number: int, max_tries: int, context: Any) -> int:
    """Which try this is since the task was cleared last; Airflow goes on counting then."""
    if context is None:
        return try_number
    return try_number - max(max_tries - int(context["task"].retries), 0)


class ExitCodePolicy(RetryPolicy):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """Usage errors, broken data and missing files fail at once; temporary failures are retried, ever more slowly.

    A task that ran out of time counts as a crash: one with the many tries of `late_after` would go on for days.

    Args:
        late_after: how long after its end the run's day is late: temporary failures are retried until then, however
            many tries that takes (the task's `retries` permitting). A day that is late already, as one long past is,
            has `RETRIES`.
    """

    def __init__(self, late_after: timedelta | None = None) -> None:
        self.late_after = late_after

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Airflow's question after each failed try."""
        code = UNKNOWN if isinstance(exception, AirflowTaskTimeout) else exit_code(exception)
        if code is None:
            return RetryDecision.default()
        reason = f"exit code {code}: {REASONS.get(code, 'unknown failure')}"
        if code in (USAGE, BROKEN_DATA, NOT_LANDED):
            return RetryDecision.fail(reason=f"{reason}; trying again cannot help")
        number = attempt(try_number, max_tries, context)
        if code != TEMPORARY and number > UNKNOWN_RETRIES:
            return RetryDecision.fail(reason=f"{reason}, {number} times")
        if code == TEMPORARY and self.late_after is not None and context is not None:
            return _until_late(number, late_at(context, self.late_after), reason)
        return RetryDecision.retry(delay=delay(number), reason=reason)

    def serialize(self) -> dict[str, Any]:
        """Name and setting."""
        late_after = self.late_after.total_seconds() if self.late_after is not None else None
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}", "late_after": late_after}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ExitCodePolicy:
        """A policy like the serialized one."""
        late_after = data.get("late_after")
        return cls(timedelta(seconds=late_after) if late_after is not None else None)


def _until_late(number: int, late: datetime, reason: str) -> RetryDecision:
    left = late - datetime.now(UTC)
    if left > timedelta():
        return RetryDecision.retry(delay=min(delay(number), left), reason=reason)
    if number > RETRIES:
        return RetryDecision.fail(reason=f"{reason}, {number} times; the day is late, since {late:%Y-%m-%d %H:%M} UTC")
    return RetryDecision.retry(delay=delay(number), reason=reason)


def late_at(context: Any, late_after: timedelta) -> datetime:
    """When the day of a run is late."""
    day = run_day(context.get("partition_key"), context["params"], context["dag_run"].run_after)
    return valid_from(parse_day(day)) + late_after
