"""What an endpoint's calls have taken so far, and what follows for the next one. Pure: the ledgers make it atomic.

A minute is counted in whole seconds, the present one and the 60 before it. So no 60 seconds, wherever they begin, hold
more than the limit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from content_signals.llm.ledger.limits import (
    LONGEST_PAUSE,
    Ask,
    Breaker,
    Budget,
    Decision,
    Granted,
    Rules,
    Stop,
    TooLarge,
    Wait,
)

WINDOW = 60
# How long to wait for something whose end nobody knows: a call under way.
POLL = 0.1
# A budget nobody has drawn on for so long is forgotten, and so are failures.
FORGET_SECONDS = 30 * 86400.0


class Result(StrEnum):
    """What a call says of its endpoint."""

    GOOD = "good"
    BAD = "bad"  # no answer, or an error of the server
    NEUTRAL = "neutral"  # it answered that it would not now: too many calls
    REFUSED = "refused"  # it found fault with this call: it is up, but where all calls are refused, their like are


@dataclass
class Lease:
    """A call under way: what is set aside for it."""

    until: float
    second: int
    tokens: int
    micros: int
    budget: str
    probe: bool


@dataclass
class Spent:
    """What a budget has given, calls under way left out; and why which attempt was stopped."""

    calls: int = 0
    tokens: int = 0
    micros: int = 0
    stopped: str = ""
    attempt: str = ""
    last: float = 0.0


@dataclass
class State:
    """Of one endpoint.

    Attributes:
        seconds: second -> calls that began in it, and their tokens.
        leases: calls under way.
        budgets: run -> what it has used.
        failures: calls that failed since the last good one.
        tries: times the endpoint was found still down.
        refused: calls it found fault with since the last good one, in the attempt `refused_in`.
        open_until: no call before, but for the one that tries.
        paused_until: no call before: the endpoint asked for it.
    """

    seconds: dict[int, list[int]] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    budgets: dict[str, Spent] = field(default_factory=dict)
    failures: int = 0
    tries: int = 0
    refused: int = 0
    refused_in: str = ""
    open_until: float = 0.0
    paused_until: float = 0.0

    def to_json(self) -> str:
        """As a line of JSON, the same for the same state."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> State:
        """What `to_json` wrote."""
        kept: dict[str, Any] = json.loads(line)
        kept["seconds"] = {int(second): counts for second, counts in kept["seconds"].items()}
        kept["leases"] = {name: Lease(**lease) for name, lease in kept["leases"].items()}
        kept["budgets"] = {name: Spent(**spent) for name, spent in kept["budgets"].items()}
        return cls(**kept)


def reserve(state: State, now: float, ask: Ask, rules: Rules) -> Decision:
    """Whether a call may be sent, and if so, what it may take is set aside."""
    _expire(state, now)
    budget = rules.budget
    spent = state.budgets.get(budget.name, Spent())
    if spent.stopped and spent.attempt == budget.attempt:
        return Stop(spent.stopped)
    per_minute = rules.limits.tokens_per_minute
    if per_minute is not None and ask.tokens > per_minute:
        return TooLarge(f"the call may take {ask.tokens} tokens, the limit is {per_minute} a minute")
    if lacking := _lacking(budget, spent, ask, ()):
        halt(state, now, budget, lacking)
        return Stop(lacking)
    waits = [
        _breaker_wait(state, now, rules.breaker),
        Wait(state.paused_until - now, "the endpoint asked to wait"),
        _place_wait(state, rules, ask),
        _minute_wait(state, now, ask, rules),
    ]
    longest = max(waits, key=lambda wait: wait.seconds)
    if longest.seconds > 0:
        return longest
    _grant(state, now, ask, rules)
    return Granted()


def settle(
    state: State, now: float, lease: str, rules: Rules, *, tokens: int, micros: int, result: Result, pause: float = 0
) -> None:
    """Account for a call that ended.

    Args:
        tokens, micros: what it took.
        pause: for how many seconds the endpoint wants no calls; no more than `LONGEST_PAUSE` are kept.
    """
    _expire(state, now)
    held = state.leases.pop(lease, None)
    if held:
        if held.second in state.seconds:
            counts = state.seconds[held.second]
            counts[1] = max(0, counts[1] + tokens - held.tokens)
        _spend(state, held.budget, tokens, micros)
    if pause > 0:
        state.paused_until = max(state.paused_until, now + min(pause, LONGEST_PAUSE))
    probe = held is not None and held.probe
    if state.refused_in != rules.budget.attempt:  # what one run was refused for good, the next is refused again
        state.refused, state.refused_in = 0, rules.budget.attempt
    state.refused = 0 if result is Result.GOOD else state.refused + (result is Result.REFUSED)
    if result is Result.GOOD or (result in (Result.NEUTRAL, Result.REFUSED) and probe):
        state.failures, state.tries, state.open_until = 0, 0, 0.0
    elif result is Result.BAD:
        _failed(state, now, rules, probe)


def refund(state: State, lease: str) -> None:
    """Take back a call that was not sent after all."""
    held = state.leases.pop(lease, None)
    if held is None:
        return
    if held.second in state.seconds:
        state.seconds[held.second][0] -= 1
        state.seconds[held.second][1] -= held.tokens
    if held.budget in state.budgets:
        state.budgets[held.budget].calls -= 1


def halt(state: State, now: float, budget: Budget, why: str) -> None:
    """End an attempt of a run: no call of it is granted any more. The first reason is kept."""
    spent = state.budgets.setdefault(budget.name, Spent())
    if not spent.stopped or spent.attempt != budget.attempt:
        spent.stopped, spent.attempt = why, budget.attempt
    spent.last = now


def _grant(state: State, now: float, ask: Ask, rules: Rules) -> None:
    second = math.floor(now)
    probe = state.failures >= rules.breaker.failures
    state.leases[ask.lease] = Lease(now + ask.seconds, second, ask.tokens, ask.micros, rules.budget.name, probe)
    counts = state.seconds.setdefault(second, [0, 0])
    counts[0] += 1
    counts[1] += ask.tokens
    spent = state.budgets.setdefault(rules.budget.name, Spent())
    spent.calls += 1
    spent.last = now


def _spend(state: State, budget: str, tokens: int, micros: int) -> None:
    spent = state.budgets.setdefault(budget, Spent())
    spent.tokens += tokens
    spent.micros += micros


def _expire(state: State, now: float) -> None:
    """Leave out what is over. A second in the future is a clock that was set back."""
    present = math.floor(now)
    state.seconds = {s: counts for s, counts in state.seconds.items() if present - WINDOW <= s <= present}
    for name, lease in list(state.leases.items()):
        if lease.until <= now:
            del state.leases[name]
            _spend(state, lease.budget, lease.tokens, lease.micros)
    state.budgets = {n: spent for n, spent in state.budgets.items() if now - spent.last < FORGET_SECONDS}
    if state.paused_until > now + LONGEST_PAUSE:  # of a version without the bound, or of a clock that was set back
        state.paused_until = 0.0
    if state.open_until and now - state.open_until >= FORGET_SECONDS:
        state.failures, state.tries, state.open_until = 0, 0, 0.0


def _lacking(budget: Budget, spent: Spent, ask: Ask, held: Iterable[Lease]) -> str:
    """What the budget is short of for a call; empty when it is enough."""
    tokens = spent.tokens + sum(lease.tokens for lease in held)
    micros = spent.micros + sum(lease.micros for lease in held)
    needs = (
        ("calls", budget.calls, spent.calls, 1),
        ("tokens", budget.tokens, tokens, ask.tokens),
        ("micro-units of money", budget.money_micros, micros, ask.micros),
    )
    for unit, allowed, used, more in needs:
        if allowed is not None and used + more > allowed:
            return f"the budget of run {budget.name} is spent: {used} of {allowed} {unit}; a call may take {more}"
    return ""


def _breaker_wait(state: State, now: float, breaker: Breaker) -> Wait:
    if state.failures < breaker.failures:
        return Wait(0, "")
    why = f"{state.failures} calls failed one after the other"
    if now < state.open_until:
        return Wait(state.open_until - now, why)
    return Wait(POLL if any(lease.probe for lease in state.leases.values()) else 0, why)


def _place_wait(state: State, rules: Rules, ask: Ask) -> Wait:
    """While all places are taken, or what calls under way may still take is all that is left of the budget."""
    if len(state.leases) >= rules.limits.concurrency:
        return Wait(POLL, f"{rules.limits.concurrency} calls are under way")
    spent = state.budgets.get(rules.budget.name, Spent())
    ours = [lease for lease in state.leases.values() if lease.budget == rules.budget.name]
    if ours and _lacking(rules.budget, spent, ask, ours):
        return Wait(POLL, "what is left of the budget is set aside for calls under way")
    return Wait(0, "")


def _minute_wait(state: State, now: float, ask: Ask, rules: Rules) -> Wait:
    """Until enough of the last minute's calls are over a minute old."""
    limits = rules.limits
    calls = sum(counts[0] for counts in state.seconds.values()) + 1
    tokens = sum(counts[1] for counts in state.seconds.values()) + ask.tokens
    wait = 0.0
    for second in sorted(state.seconds):
        if calls <= (limits.requests_per_minute or calls) and tokens <= (limits.tokens_per_minute or tokens):
            break
        wait = second + WINDOW + 1 - now
        calls -= state.seconds[second][0]
        tokens -= state.seconds[second][1]
    return Wait(wait, "the limit of a minute is reached")


def _failed(state: State, now: float, rules: Rules, probe: bool) -> None:
    """One failure more: the one that opens the breaker, or, of a call that tried, opens it again for longer."""
    state.failures += 1
    breaker = rules.breaker
    if not probe and state.failures != breaker.failures:
        return
    if probe:
        state.tries += 1
    state.open_until = now + min(breaker.open_seconds * 2**state.tries, breaker.max_open_seconds)
    if state.tries >= breaker.max_tries:
        halt(state, now, rules.budget, f"the endpoint is down: {state.failures} calls failed one after the other")
