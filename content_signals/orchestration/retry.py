"""Which failures are tried again: the job's exit code decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from content_signals.errors import BROKEN_DATA, NOT_LANDED, TEMPORARY, USAGE

REASONS = {
    USAGE: "the call is wrong",
    BROKEN_DATA: "the data breaks its contract",
    NOT_LANDED: "nothing has landed",
    TEMPORARY: "something a retry may cure",
}
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
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


class ExitCodePolicy(RetryPolicy):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """Usage errors, broken data and missing files fail at once; temporary failures are retried, ever more slowly."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Airflow's question after each failed try."""
        code = exit_code(exception)
        if code is None:
            return RetryDecision.default()
        reason = f"exit code {code}: {REASONS.get(code, 'unknown failure')}"
        if code in (USAGE, BROKEN_DATA, NOT_LANDED):
            return RetryDecision.fail(reason=f"{reason}; trying again cannot help")
        if code != TEMPORARY and try_number > UNKNOWN_RETRIES:
            return RetryDecision.fail(reason=f"{reason}, {try_number} times")
        return RetryDecision.retry(delay=delay(try_number), reason=reason)

    def serialize(self) -> dict[str, Any]:
        """The policy has no settings: its name is all there is to keep."""
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ExitCodePolicy:
        """A policy like the serialized one."""
        return cls()
