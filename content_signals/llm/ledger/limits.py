"""What calls to an endpoint may take: at once, in a minute, and in a run; and when to leave an endpoint alone."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

# Seconds; an endpoint that asks to be left alone for longer is tried again then. A date for a number, or a day, would
# else keep everything from it that shares the ledger.
LONGEST_PAUSE = 3600.0

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Limits(BaseModel):
    """Of an endpoint, shared by everything that uses the ledger. None: no limit.

    Attributes:
        concurrency: calls at once.
        requests_per_minute: calls that begin within any 60 seconds; those that fail count.
        tokens_per_minute: of those calls, read and written: what they may take when they begin, what they took after.
    """

    model_config = _STRICT

    concurrency: int = Field(default=8, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class Budget(BaseModel):
    """Of a run, all its tasks and their retries together. None: no limit.

    Attributes:
        name: whatever has this name shares the budget: a day's runs, say.
        attempt: the process that drives the run. What ended an earlier one, a refused key say, does not end this one;
            what was used is used.
        calls: calls that are sent.
        tokens: read and written.
        money_micros: in micro-units of the endpoint's currency.
    """

    model_config = _STRICT

    name: str = Field(min_length=1)
    attempt: str = ""
    calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    money_micros: int | None = Field(default=None, ge=0)


class Breaker(BaseModel):
    """When an endpoint is left alone.

    Attributes:
        failures: so many calls failed one after the other: no further one is sent for a while. Then a single call
            tries whether the endpoint is back.
        open_seconds: the first while; each one after a failed try is twice as long.
        max_open_seconds: no while is longer.
        max_tries: after so many failed tries the run ends.
        max_refused: so many calls were found at fault one after the other: it is no fault of theirs, and the run ends.
    """

    model_config = _STRICT

    failures: int = Field(default=5, ge=1)
    open_seconds: float = Field(default=15, gt=0)
    max_open_seconds: float = Field(default=300, gt=0)
    max_tries: int = Field(default=5, ge=1)
    max_refused: int = Field(default=20, ge=1)


@dataclass(frozen=True)
class Rules:
    """What a call of a run has to keep to."""

    limits: Limits
    budget: Budget
    breaker: Breaker


@dataclass(frozen=True)
class Ask:
    """What a call may take.

    Attributes:
        lease: a random name for it.
        seconds: whoever has not reported back by then is dead; the call counts in full.
    """

    lease: str
    tokens: int
    micros: int
    seconds: float


@dataclass(frozen=True)
class Granted:
    """The call may be sent now."""


@dataclass(frozen=True)
class Wait:
    """Not now: ask again after so many seconds."""

    seconds: float
    why: str


@dataclass(frozen=True)
class Stop:
    """No call of this run any more."""

    why: str


@dataclass(frozen=True)
class TooLarge:
    """This call never; smaller ones may."""

    why: str


Decision = Granted | Wait | Stop | TooLarge
