"""What calls may take: limits of a minute, places, budgets and the breaker, by counting histories again."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_signals.llm.ledger.limits import Ask, Breaker, Budget, Granted, Limits, Rules, Stop, TooLarge, Wait
from content_signals.llm.ledger.state import FORGET_SECONDS, Result, State, halt, refund, reserve, settle

NAMES = itertools.count()


def rules(limits=None, budget=None, breaker=None, run="run-1") -> Rules:
    return Rules(
        Limits(**{"concurrency": 100, **(limits or {})}), Budget(name=run, **(budget or {})), Breaker(**breaker or {})
    )


def ask(tokens=10, micros=0, seconds=60.0) -> Ask:
    return Ask(f"lease-{next(NAMES)}", tokens, micros, seconds)


def kept(state: State) -> State:
    """As another process reads it."""
    return State.from_json(state.to_json())


class Simulation:
    """An endpoint under one state, and everything that happened to it, noted apart."""

    def __init__(self, rules: Rules, chance: random.Random) -> None:
        self.rules, self.chance = rules, chance
        self.state, self.now = State(), 1_000_000.25
        self.begun: list[tuple[float, list[int]]] = []  # when, and a cell of the tokens it takes
        self.under_way: dict[str, tuple[Ask, list[int]]] = {}
        self.used = [0, 0]

    def step(self) -> None:
        self.now += self.chance.choice([0, 0.1, 1, 3, 20]) * self.chance.random()
        self.state = kept(self.state)
        if self.under_way and self.chance.random() < 0.5:
            name = self.chance.choice(sorted(self.under_way))
            one, cell = self.under_way.pop(name)
            cell[0] = self.chance.randint(0, one.tokens)
            micros = self.chance.randint(0, one.micros)
            settle(self.state, self.now, name, self.rules, tokens=cell[0], micros=micros, result=Result.GOOD)
            self.used[0] += cell[0]
            self.used[1] += micros
            return
        one = ask(self.chance.randint(1, 30), self.chance.randint(0, 9), seconds=10_000)
        decision = reserve(self.state, self.now, one, self.rules)
        if isinstance(decision, Granted):
            cell = [one.tokens]
            self.under_way[one.lease] = one, cell
            self.begun.append((self.now, cell))
        elif isinstance(decision, Wait):
            assert decision.seconds > 0
            if decision.why == "the limit of a minute is reached":
                self.check_wait(one, decision.seconds)

    def check_wait(self, one: Ask, seconds: float) -> None:
        """Nobody is sent away who may come, a second aside; and who comes back then may come, all else being equal."""
        assert not self.waits_for_the_minute(one, seconds + 1e-6)
        if seconds > 2:
            assert self.waits_for_the_minute(one, seconds - 1.001)

    def waits_for_the_minute(self, one: Ask, seconds: float) -> bool:
        decision = reserve(kept(self.state), self.now + seconds, one, self.rules)
        return isinstance(decision, Wait) and decision.why == "the limit of a minute is reached"

    def check(self) -> None:
        limits, budget = self.rules.limits, self.rules.budget
        assert len(self.under_way) <= limits.concurrency
        minute = [(at, cell) for at, cell in self.begun if at > self.now - 60]
        assert limits.requests_per_minute is None or len(minute) <= limits.requests_per_minute
        assert limits.tokens_per_minute is None or sum(cell[0] for _, cell in minute) <= limits.tokens_per_minute
        assert budget.calls is None or len(self.begun) <= budget.calls
        assert budget.tokens is None or self.used[0] <= budget.tokens
        assert budget.money_micros is None or self.used[1] <= budget.money_micros
        spent = self.state.budgets.get(budget.name)
        if spent:
            assert (spent.calls, spent.tokens, spent.micros) == (len(self.begun), *self.used)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    concurrency=st.integers(1, 6),
    requests=st.none() | st.integers(1, 20),
    tokens=st.none() | st.integers(30, 200),
    calls=st.none() | st.integers(0, 60),
    budget_tokens=st.none() | st.integers(0, 600),
    money=st.none() | st.integers(0, 200),
)
def test_no_history_breaks_a_limit(seed, concurrency, requests, tokens, calls, budget_tokens, money):
    limits = {"concurrency": concurrency, "requests_per_minute": requests, "tokens_per_minute": tokens}
    budget = {"calls": calls, "tokens": budget_tokens, "money_micros": money}
    simulation = Simulation(rules(limits, budget), random.Random(seed))
    for _ in range(200):
        simulation.step()
        simulation.check()


def test_the_limit_of_a_minute_holds_for_any_sixty_seconds():
    state, mine = State(), rules({"requests_per_minute": 3})
    for at in (100.9, 100.95, 101.0):
        assert reserve(state, at, ask(), mine) == Granted()
    assert reserve(state, 101.5, ask(), mine) == Wait(pytest.approx(59.5), "the limit of a minute is reached")
    assert isinstance(reserve(state, 160.9, ask(), mine), Wait)
    assert reserve(state, 161.0, ask(), mine) == Granted()
    assert reserve(state, 161.0, ask(), mine) == Granted()
    assert isinstance(reserve(state, 161.0, ask(), mine), Wait), "the third of the last minute began at 101.0"
    assert reserve(state, 162.0, ask(), mine) == Granted()


def test_tokens_count_as_set_aside_and_then_as_taken():
    state, mine = State(), rules({"tokens_per_minute": 100})
    first = ask(80)
    assert reserve(state, 10.0, first, mine) == Granted()
    assert isinstance(reserve(state, 11.0, ask(30), mine), Wait)
    settle(state, 12.0, first.lease, mine, tokens=20, micros=0, result=Result.GOOD)
    assert reserve(state, 13.0, ask(80), mine) == Granted()
    assert isinstance(reserve(state, 14.0, ask(1), mine), Wait)


def test_a_call_that_never_fits_a_minute_is_told_so():
    mine = rules({"tokens_per_minute": 100})
    assert reserve(State(), 0.0, ask(101), mine) == TooLarge("the call may take 101 tokens, the limit is 100 a minute")


def test_places_are_given_back_by_calls_that_end_and_by_workers_that_die():
    state, mine = State(), rules({"concurrency": 2})
    ends, dies = ask(seconds=30), ask(seconds=30)
    assert reserve(state, 0.0, ends, mine) == Granted()
    assert reserve(state, 0.0, dies, mine) == Granted()
    assert reserve(state, 1.0, ask(), mine) == Wait(0.1, "2 calls are under way")
    settle(state, 2.0, ends.lease, mine, tokens=1, micros=1, result=Result.GOOD)
    assert reserve(state, 3.0, ask(seconds=100), mine) == Granted()
    assert isinstance(reserve(state, 29.9, ask(), mine), Wait)
    assert reserve(state, 30.0, ask(), mine) == Granted()


def test_what_a_dead_worker_had_set_aside_counts_in_full_and_once():
    state, mine = State(), rules()
    dead = ask(tokens=70, micros=7, seconds=30)
    reserve(state, 0.0, dead, mine)
    reserve(state, 31.0, ask(), mine)
    spent = state.budgets["run-1"]
    assert (spent.calls, spent.tokens, spent.micros) == (2, 70, 7)
    settle(state, 32.0, dead.lease, mine, tokens=5, micros=5, result=Result.GOOD)  # it lived after all
    assert (spent.calls, spent.tokens, spent.micros) == (2, 70, 7)


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"calls": 2}, "2 of 2 calls; a call may take 1"),
        ({"tokens": 25}, "20 of 25 tokens; a call may take 10"),
        ({"money_micros": 9}, "8 of 9 micro-units of money; a call may take 4"),
    ],
)
def test_a_spent_budget_stops_its_run_and_no_other(budget, told):
    state, mine = State(), rules(budget=budget)
    for _ in range(2):
        one = ask(10, 4)
        assert reserve(state, 0.0, one, mine) == Granted()
        settle(state, 0.0, one.lease, mine, tokens=10, micros=4, result=Result.GOOD)
    stopped = Stop(f"the budget of run run-1 is spent: {told}")
    assert reserve(state, 1.0, ask(10, 4), mine) == stopped
    assert reserve(kept(state), 2.0, ask(1, 1), mine) == stopped, "a smaller call would fit, but a run ends once"
    assert reserve(state, 2.0, ask(10, 4), rules(budget=budget, run="run-2")) == Granted()


def test_what_is_set_aside_is_waited_for_before_a_run_is_stopped():
    state, mine = State(), rules(budget={"tokens": 100})
    first = ask(90)
    reserve(state, 0.0, first, mine)
    assert reserve(state, 1.0, ask(50), mine) == Wait(
        0.1, "what is left of the budget is set aside for calls under way"
    )
    settle(state, 2.0, first.lease, mine, tokens=20, micros=0, result=Result.GOOD)
    assert reserve(state, 3.0, ask(50), mine) == Granted()


def test_a_call_that_was_not_sent_is_taken_back():
    state, mine = State(), rules({"requests_per_minute": 1, "concurrency": 1}, {"calls": 1})
    one = ask()
    reserve(state, 0.0, one, mine)
    refund(state, one.lease)
    refund(state, one.lease)
    assert reserve(state, 0.5, ask(), mine) == Granted()


def test_a_run_is_stopped_for_the_first_reason():
    state = State()
    halt(state, 0.0, Budget(name="run-1"), "the key is refused")
    halt(state, 1.0, Budget(name="run-1"), "something else")
    assert reserve(state, 2.0, ask(), rules()) == Stop("the key is refused")


def test_what_ended_an_attempt_does_not_end_the_next_which_has_what_is_left():
    state, first = State(), rules(budget={"calls": 2, "attempt": "first"})
    one = ask()
    assert reserve(state, 0.0, one, first) == Granted()
    settle(state, 1.0, one.lease, first, tokens=1, micros=0, result=Result.NEUTRAL)
    halt(state, 1.0, first.budget, "the key is refused")
    state = kept(state)
    assert reserve(state, 2.0, ask(), first) == Stop("the key is refused")
    second = rules(budget={"calls": 2, "attempt": "second"})
    assert reserve(state, 3.0, ask(), second) == Granted()
    spent = reserve(state, 4.0, ask(), second)
    assert isinstance(spent, Stop)
    assert "2 of 2 calls" in spent.why
    raised = rules(budget={"calls": 3, "attempt": "third"})
    assert reserve(state, 5.0, ask(), raised) == Granted()


def failing(state: State, now: float, mine: Rules, result: Result = Result.BAD, **more) -> object:
    one = ask()
    decision = reserve(state, now, one, mine)
    if isinstance(decision, Granted):
        settle(state, now, one.lease, mine, tokens=0, micros=0, result=result, **more)
    return decision


def test_an_endpoint_that_fails_is_left_alone_then_tried_by_one_call():
    state, mine = State(), rules(breaker={"failures": 3, "open_seconds": 10, "max_open_seconds": 25, "max_tries": 4})
    for at in (0.0, 1.0, 2.0):
        assert failing(state, at, mine) == Granted()
    assert failing(state, 3.0, mine) == Wait(9.0, "3 calls failed one after the other")
    tries = ask()
    assert reserve(state, 12.0, tries, mine) == Granted()
    assert isinstance(reserve(state, 12.0, ask(), mine), Wait), "one tries, the others wait"
    settle(state, 13.0, tries.lease, mine, tokens=0, micros=0, result=Result.BAD)
    assert reserve(state, 13.0, ask(), mine).seconds == pytest.approx(20.0), "twice as long"
    assert failing(state, 33.0, mine) == Granted()
    assert reserve(state, 33.0, ask(), mine).seconds == pytest.approx(25.0), "but no longer than the most"
    good = ask()
    assert reserve(state, 58.0, good, mine) == Granted()
    settle(state, 59.0, good.lease, mine, tokens=1, micros=0, result=Result.GOOD)
    assert [reserve(state, 60.0, ask(), mine) for _ in range(3)] == [Granted()] * 3


def test_after_so_many_failed_tries_the_run_ends():
    state, mine = State(), rules(breaker={"failures": 1, "open_seconds": 10, "max_open_seconds": 10, "max_tries": 2})
    failing(state, 0.0, mine)
    failing(state, 10.0, mine)
    assert isinstance(reserve(state, 15.0, ask(), mine), Wait)
    failing(state, 20.0, mine)
    assert reserve(state, 21.0, ask(), mine) == Stop("the endpoint is down: 3 calls failed one after the other")
    other = rules(breaker={"failures": 1, "open_seconds": 10, "max_open_seconds": 10, "max_tries": 2}, run="run-2")
    assert failing(state, 40.0, other, Result.GOOD) == Granted(), "a later run tries once more"
    assert reserve(state, 41.0, ask(), other) == Granted()


def test_calls_under_way_when_the_endpoint_went_down_do_not_make_the_wait_longer():
    state, mine = State(), rules(breaker={"failures": 2, "open_seconds": 10})
    calls = [ask() for _ in range(6)]
    for one in calls:
        reserve(state, 0.0, one, mine)
    for at, one in enumerate(calls):
        settle(state, float(at), one.lease, mine, tokens=0, micros=0, result=Result.BAD)
    assert reserve(state, 6.0, ask(), mine).seconds == pytest.approx(5.0), "open from the second failure, at 1, to 11"


def test_being_busy_or_refusing_a_call_is_no_failure():
    state, mine = State(), rules(breaker={"failures": 2})
    for at in range(10):
        assert failing(state, float(at), mine, Result.NEUTRAL) == Granted()


def test_an_endpoint_that_answers_a_try_is_back_whatever_it_answers():
    state, mine = State(), rules(breaker={"failures": 1, "open_seconds": 10})
    failing(state, 0.0, mine)
    failing(state, 10.0, mine, Result.NEUTRAL)
    assert [reserve(state, 11.0, ask(), mine) for _ in range(2)] == [Granted()] * 2


def test_an_endpoint_that_asks_to_wait_is_left_alone_by_all():
    state, mine = State(), rules()
    failing(state, 0.0, mine, Result.NEUTRAL, pause=30)
    failing(state, 1.0, mine, Result.NEUTRAL, pause=5)
    assert reserve(state, 2.0, ask(), mine) == Wait(28.0, "the endpoint asked to wait")
    assert reserve(state, 30.0, ask(), mine) == Granted()


def test_a_clock_that_is_set_back_stops_nobody_for_long():
    state, mine = State(), rules({"requests_per_minute": 1})
    failing(state, 10_000.0, mine, Result.GOOD)
    assert reserve(state, 5_000.0, ask(), mine) == Granted()


def test_old_runs_are_forgotten():
    state, mine = State(), rules(budget={"calls": 1})
    failing(state, 0.0, mine, Result.GOOD)
    assert isinstance(reserve(state, FORGET_SECONDS - 1, ask(), mine), Stop)
    later = rules(run="run-2")
    reserve(state, 3 * FORGET_SECONDS, ask(), later)
    assert set(state.budgets) == {"run-2"}


def test_waiting_changes_nothing_that_is_written():
    state, mine = State(), rules({"concurrency": 1})
    reserve(state, 0.0, ask(seconds=1000), mine)
    before = state.to_json()
    for at in range(20):
        assert isinstance(reserve(state, float(at), ask(), mine), Wait)
    assert state.to_json() == before


def test_an_endpoint_is_left_alone_for_an_hour_at_most():
    mine, state = rules(), State()
    failing(state, 1.7e9, mine, Result.NEUTRAL, pause=1.7e9 + 5)  # a time in place of a number of seconds
    state = kept(state)
    assert reserve(state, 1.7e9, ask(), mine) == Wait(3600, "the endpoint asked to wait")
    assert reserve(state, 1.7e9 + 3600, ask(), mine) == Granted()


def test_a_longer_pause_that_is_kept_counts_for_nothing():
    """Kept before there was a bound, or by a clock that was ahead."""
    state = kept(State(paused_until=3.4e9))
    assert reserve(state, 1.7e9, ask(), rules()) == Granted()
    state = kept(State(paused_until=1.7e9 + 3599))
    assert reserve(state, 1.7e9, ask(), rules()) == Wait(3599, "the endpoint asked to wait")
