"""A call that brought no reply: what it says of the call, of the endpoint and of the run, and when to try again."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from content_signals.llm.ledger.limits import LONGEST_PAUSE

# Codes and types of errors for an account that is used up; it answers 429 as one that is merely busy does.
NO_QUOTA = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_credits",
        "exceeded_current_quota_error",
    }
)
# Statuses that may be others the next time: timeout, conflict, too early, too many.
_PASSING = frozenset({408, 409, 425, 429})
# Statuses that any call would get: no key, no money, no right, no such model or path.
_CLOSED = frozenset({401, 402, 403, 404, 405})


class Kind(StrEnum):
    """What went wrong."""

    BUSY = "busy"  # the endpoint asks for fewer calls
    SERVER = "server"  # its own fault
    TIMEOUT = "timeout"
    CONNECTION = "connection"  # none, or broken off
    REFUSED = "refused"  # a fault of this call
    CLOSED = "closed"  # to every call of this run


@dataclass(frozen=True)
class Failure:
    """Why a call brought nothing.

    Attributes:
        error: in one line, without secrets.
        retry_after: seconds that the endpoint asks to wait, no more than `LONGEST_PAUSE`.
        billed: whether it may have been paid for all the same: the request went out, and nobody knows what became of
            the answer.
    """

    kind: Kind
    error: str
    retry_after: float = 0.0
    billed: bool = False

    @property
    def passing(self) -> bool:
        """Whether another attempt may bring a reply."""
        return self.kind not in (Kind.REFUSED, Kind.CLOSED)


class Failed(Exception):
    """A call failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


class Retry(BaseModel):
    """How often, and for how long, a reply is tried for.

    Attributes:
        attempts: calls for one item.
        first_seconds, max_seconds: bounds of the wait before the second call, and before any.
        item_seconds: from an item's first call on; no further one is sent if it would begin later.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=5, ge=1)
    first_seconds: float = Field(default=1, gt=0)
    max_seconds: float = Field(default=60, gt=0)
    item_seconds: float = Field(default=600, gt=0)

    def wait(self, attempt: int, failure: Failure, random: Callable[[], float]) -> float:
        """Seconds before the call after this attempt (1: the first).

        Anything from 0 to a bound that doubles ("full jitter", M. Brooker, Exponential Backoff and Jitter, 2015), but
        no less than the endpoint asks for.
        """
        bound = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 60))
        return max(failure.retry_after, random() * bound)


def of_status(status: int, headers: Mapping[str, str], said: str, now: float, names: Collection[str] = ()) -> Failure:
    """What an answer with an error's status means.

    Args:
        headers: with names in lower case.
        said: code and message of the answer, without secrets.
        now: seconds since 1970.
        names: see `kind_of`.
    """
    error = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    kind = kind_of(status, names)
    passing = Failure(kind, error).passing
    return Failure(kind, error, retry_after(headers, now) if passing else 0.0)


def kind_of(status: int, names: Collection[str] = ()) -> Kind:
    """What an error's status means.

    Args:
        names: the error's code and type, in lower case. Its message counts for nothing: that a busy endpoint sells
            credits does not say that ours are used up.
    """
    if status in _CLOSED or not NO_QUOTA.isdisjoint(names):
        return Kind.CLOSED
    if status == 429:
        return Kind.BUSY
    return Kind.SERVER if status in _PASSING or status >= 500 else Kind.REFUSED


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Seconds that an answer asks to wait: a number of them, of milliseconds, or a date (RFC 9110, 10.2.3); else 0.

    No more than `LONGEST_PAUSE`.
    """
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / per_second
        except (KeyError, ValueError):
            continue
        return min(seconds, LONGEST_PAUSE) if 0 <= seconds < float("inf") else 0.0
    try:
        until = email.utils.parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(0.0, until - now), LONGEST_PAUSE)
