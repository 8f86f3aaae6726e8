"""The client: each reply paid for once, tried again where it helps, within limits, and kept before it is seen."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from content_signals.llm import client as client_module
from content_signals.llm.failure import Failure, Kind
from content_signals.llm.ledger.file import FileLedger
from content_signals.llm.ledger.limits import Granted
from content_signals.llm.ledger.state import reserve
from content_signals.llm.ledger.store import LedgerError
from content_signals.llm.outcome import Status, Unanswered
from content_signals.llm.reply import Reply
from tests.llm import GOOD, Script, World, client_of, reply_to, request_of, run_in


class Died(BaseException):
    """The worker is gone."""


BUSY = Failure(Kind.BUSY, "HTTP 429: slow down", retry_after=7)
DOWN = Failure(Kind.SERVER, "HTTP 503: down")
LATE = Failure(Kind.TIMEOUT, "no answer", billed=True)
WRONG = Failure(Kind.REFUSED, "HTTP 400: bad schema")
CLOSED = Failure(Kind.CLOSED, "HTTP 401: no such key")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ask(world):
    """Ask for some requests at once, with a client of their own: what came of them."""

    def asked(run, script, *requests, world=world):
        async def work():
            client = client_of(run, script, world)
            try:
                return await asyncio.gather(*(client.ask(one) for one in requests))
            finally:
                await client.close()

        return asyncio.run(work())

    return asked


def good(run):
    return reply_to(request_of(run))


def spent(run, world):
    ledger = FileLedger(run.ledger.path, clock=lambda: world.time)
    found = ledger.update(run.endpoint.name, lambda state, now: state)
    ledger.close()
    return found


def test_a_reply_is_paid_for_once(tmp_path, world, ask):
    run = run_in(tmp_path)
    script = Script(good(run))
    (first,) = ask(run, script, request_of(run))
    assert isinstance(first, Reply)
    assert json.loads(first.text) == GOOD
    assert first.attempts == 1
    assert ask(run, script, request_of(run)) == [first], "another worker, another task: the same reply"
    assert len(script.sent) == 1
    used = spent(run, world).budgets["run-1"]
    assert (used.calls, used.tokens, used.micros) == (1, 110, 300)
    assert spent(run, world).leases == {}


def test_two_that_ask_for_one_thing_at_once_pay_once(tmp_path, ask):
    run = run_in(tmp_path)
    script = Script(good(run))
    found = ask(run, script, *[request_of(run)] * 5)
    assert len(script.sent) == 1
    assert len(set(found)) == 1


def test_a_call_of_another_worker_is_waited_for(tmp_path, world):
    run = run_in(tmp_path)
    request, script = request_of(run), Script(good(run))

    async def work():
        other = FileLedger(run.ledger.path, clock=lambda: world.time)
        other.claim(request.key, "other", 60)
        client = client_of(run, script, world)
        asking = asyncio.create_task(client.ask(request))
        while len(world.slept) < 20:
            await asyncio.sleep(0.001)
        other.keep(reply_to(request, text="theirs"), "other")
        try:
            return await asking
        finally:
            other.close()
            await client.close()

    assert asyncio.run(work()).text == "theirs"
    assert script.sent == []


def test_a_claim_of_a_dead_worker_runs_out(tmp_path, world, ask):
    run = run_in(tmp_path)
    request, script = request_of(run), Script(good(run))
    dead = FileLedger(run.ledger.path, clock=lambda: world.time)
    dead.claim(request.key, "dead", run.claim_seconds)
    dead.close()
    began = world.time
    (found,) = ask(run, script, request)
    assert isinstance(found, Reply)
    assert run.claim_seconds <= world.time - began < run.claim_seconds + 1
    assert run.endpoint.call_seconds < run.claim_seconds < run.endpoint.call_seconds + 60


@pytest.mark.parametrize(("failure", "wait"), [(DOWN, 0.5), (BUSY, 7), (LATE, 0.5)])
def test_what_passes_is_tried_again_after_a_wait(tmp_path, world, ask, failure, wait):
    run = run_in(tmp_path)
    script = Script(failure, good(run), world=world)
    (found,) = ask(run, script, request_of(run))
    assert isinstance(found, Reply)
    assert found.attempts == 2
    assert script.times[1] - script.times[0] >= wait


def test_waits_double_up_to_a_bound(tmp_path, world, ask):
    run = run_in(tmp_path, retry={"attempts": 6, "first_seconds": 4, "max_seconds": 20}, breaker={"failures": 99})
    script = Script(DOWN, world=world)
    assert ask(run, script, request_of(run)) == [
        Unanswered(Status.FAILED, "6 attempts; the last: HTTP 503: down", attempts=6)
    ]
    gaps = [round(b - a, 3) for a, b in zip(script.times, script.times[1:], strict=False)]
    assert gaps == [2, 4, 8, 10, 10]  # chance is 0.5 here, the bounds are 4, 8, 16, 20, 20


def test_an_item_is_not_tried_for_ever(tmp_path, world, ask):
    run = run_in(tmp_path, retry={"attempts": 50, "first_seconds": 40, "max_seconds": 40, "item_seconds": 100})
    script = Script(DOWN, world=world)
    (found,) = ask(run, script, request_of(run))
    assert found.status is Status.FAILED
    assert [at - script.times[0] for at in script.times] == [0, 20, 40, 60, 80, 100]


def test_a_fault_of_the_call_is_not_tried_again(tmp_path, world, ask):
    run = run_in(tmp_path)
    script = Script(WRONG)
    assert ask(run, script, request_of(run)) == [Unanswered(Status.REFUSED, "HTTP 400: bad schema", attempts=1)]
    used = spent(run, world).budgets["run-1"]
    assert (used.calls, used.tokens, used.micros, used.stopped) == (1, 0, 0, "")


def test_an_endpoint_that_refuses_us_ends_the_run(tmp_path, ask):
    run = run_in(tmp_path, limits={"concurrency": 1})
    script = Script(CLOSED)
    requests = [request_of(run, f"Note number {n} about noodles.") for n in range(6)]
    found = ask(run, script, *requests)
    assert len(script.sent) == 1
    assert {one.status for one in found} == {Status.NOT_ASKED}
    assert {one.error for one in found} == {"HTTP 401: no such key"}


def test_an_answer_that_was_lost_counts_as_paid(tmp_path, world, ask):
    run = run_in(tmp_path, retry={"attempts": 1})
    request = request_of(run)
    ask(run, Script(LATE), request)
    used = spent(run, world).budgets["run-1"]
    assert (used.calls, used.tokens) == (1, request.tokens)
    assert used.micros == 2 * request.prompt_tokens + 10 * request.max_output_tokens


@pytest.mark.parametrize(
    ("budget", "calls", "told"),
    [
        ({"calls": 3}, 3, "3 of 3 calls"),
        ({"tokens": 1000}, None, "of 1000 tokens"),
        ({"money_micros": 3000}, None, "of 3000 micro-units of money"),
    ],
)
def test_a_budget_stops_a_run_and_what_was_done_is_kept(tmp_path, world, ask, budget, calls, told):
    run = run_in(tmp_path, budget=budget, limits={"concurrency": 2})
    script = Script(good(run))
    requests = [request_of(run, f"Note number {n} about noodles.") for n in range(20)]
    found = ask(run, script, *requests)
    done = [one for one in found if isinstance(one, Reply)]
    left = [one for one in found if isinstance(one, Unanswered)]
    assert len(done) == len(script.sent) == (calls or len(done)) > 0
    assert len(left) == 20 - len(done) > 0
    assert {one.status for one in left} == {Status.NOT_ASKED}
    assert all(told in one.error for one in left)
    used = spent(run, world).budgets["run-1"]
    assert used.calls <= (run.rules.budget.calls or 99)
    assert used.tokens <= (run.rules.budget.tokens or 99_999)
    assert used.micros <= (run.rules.budget.money_micros or 99_999)
    # The next run takes what was done as it is, and pays for the rest.
    again = replace(run, rules=replace(run.rules, budget=run.rules.budget.model_copy(update={"name": "run-2"})))
    more = ask(again, script, *requests)
    assert [one for one in more if isinstance(one, Reply) and one in done] == done
    assert len(script.sent) == len(set(script_keys(script))) > len(done)


def script_keys(script):
    return [request.key for request in script.sent]


def test_limits_hold_for_all_workers_together(tmp_path, world, monkeypatch):
    began = []  # by the clock of the ledger: this world's time leaps while a call is on its way

    def noted(state, now, wanted, rules):
        decision = reserve(state, now, wanted, rules)
        if isinstance(decision, Granted):
            began.append(now)
        return decision

    monkeypatch.setattr(client_module, "reserve", noted)
    run = run_in(tmp_path, limits={"concurrency": 2, "requests_per_minute": 6})
    script = Script(good(run), world=world)

    async def work():
        clients = [client_of(run, script, world) for _ in range(3)]
        requests = [request_of(run, f"Note number {n} about noodles.") for n in range(15)]
        found = await asyncio.gather(*(clients[n % 3].ask(one) for n, one in enumerate(requests)))
        for client in clients:
            await client.close()
        return found

    assert all(isinstance(one, Reply) for one in asyncio.run(work()))
    assert script.most <= 2
    assert len(began) == 15
    assert all(sum(at <= t < at + 60 for t in began) <= 6 for at in began)
    assert max(began) - min(began) < 200, "15 calls of 6 a minute: over after two minutes and the waits"


def test_an_endpoint_that_is_down_is_left_alone_and_then_given_up(tmp_path, world, ask):
    run = run_in(
        tmp_path,
        limits={"concurrency": 4},
        breaker={"failures": 3, "open_seconds": 30, "max_open_seconds": 60, "max_tries": 2},
        retry={"attempts": 9, "first_seconds": 1, "max_seconds": 1},
    )
    script = Script(DOWN, world=world)
    found = ask(run, script, *(request_of(run, f"Note number {n} about noodles.") for n in range(40)))
    assert {one.status for one in found} == {Status.NOT_ASKED}
    assert all("the endpoint is down" in one.error for one in found)
    assert len(script.sent) <= 3 + 3 + 2, "three that failed, three under way with them at most, two that tried"


def test_a_long_wait_is_not_waited_out(tmp_path, world, ask):
    run = run_in(tmp_path, retry={"item_seconds": 60})
    tomorrow = replace(BUSY, retry_after=86_400)
    found = ask(run, Script(tomorrow), request_of(run), request_of(run, "Another note about noodles."))
    assert {one.status for one in found} <= {Status.FAILED, Status.NOT_ASKED}
    assert sum(world.slept) < 600


def test_after_the_end_of_the_run_nobody_is_asked(tmp_path, world, ask):
    run = run_in(tmp_path, stop_at=world.time + 5, limits={"requests_per_minute": 1})
    script = Script(good(run), world=world)
    found = ask(run, script, *(request_of(run, f"Note number {n} about noodles.") for n in range(4)))
    assert [type(one) for one in found].count(Reply) == 1
    assert {one.error for one in found if isinstance(one, Unanswered)} == {"the time of the run is over"}
    assert world.time < run.stop_at + 100


def test_what_does_not_fit_is_not_sent(tmp_path, ask):
    script = Script(WRONG)
    small = run_in(tmp_path, at={"context_tokens": 150})
    (found,) = ask(small, script, request_of(small))
    assert found.status is Status.TOO_LONG
    assert "the model has room for 150" in found.error
    slow = run_in(tmp_path, limits={"tokens_per_minute": 150})
    (found,) = ask(slow, script, request_of(slow))
    assert found.status is Status.TOO_LONG
    assert script.sent == []


def test_a_call_that_is_broken_off_gives_its_place_back_and_counts_in_full(tmp_path, world):
    run = run_in(tmp_path)
    request = request_of(run)

    async def never(_):
        await asyncio.Event().wait()

    async def work():
        script = Script(never)
        client = client_of(run, script, world)
        asking = asyncio.create_task(client.ask(request))
        while not script.under_way:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await client.close()

    asyncio.run(work())
    state = spent(run, world)
    assert state.leases == {}
    assert state.budgets["run-1"].tokens == request.tokens
    ledger = FileLedger(run.ledger.path)
    assert ledger.look(request.key) is None, "the claim is given up: the next one need not wait"
    ledger.close()


def test_a_reply_is_kept_before_it_is_accounted_for(tmp_path, world):
    """A worker that dies between the two has lost nothing that was paid for."""
    run = run_in(tmp_path)
    request = request_of(run)

    class DiesAfterKeeping(FileLedger):
        def keep(self, reply, owner):
            super().keep(reply, owner)
            raise Died

    async def work():
        client = client_of(run, Script(good(run)), world)
        client._ledger = DiesAfterKeeping(run.ledger.path, clock=lambda: world.time)
        with pytest.raises(Died):
            await client.ask(request)

    asyncio.run(work())
    second = Script(WRONG)
    ledger = FileLedger(run.ledger.path)
    assert isinstance(ledger.look(request.key), Reply)
    ledger.close()
    assert second.sent == []


def test_without_a_ledger_nobody_is_asked(tmp_path, world):
    run = run_in(tmp_path)
    script = Script(good(run))

    async def work():
        client = client_of(run, script, world)
        client._ledger._db.execute("DROP TABLE state")
        with pytest.raises(LedgerError, match="no call is sent"):
            await client.ask(request_of(run))

    asyncio.run(work())
    assert script.sent == []


def test_nothing_is_logged_of_what_is_asked(tmp_path, ask, caplog):
    caplog.set_level(logging.DEBUG)
    run = run_in(tmp_path)
    ask(run, Script(good(run)), request_of(run))
    assert "noodles" not in caplog.text


def test_an_endpoint_that_finds_fault_with_every_call_is_not_asked_about_all(tmp_path, world, ask):
    run = run_in(tmp_path, breaker={"max_refused": 3}, limits={"concurrency": 1})
    script = Script(Failure(Kind.REFUSED, "HTTP 400: no such response_format"))
    found = ask(run, script, *(request_of(run, f"Note number {n} about noodles.") for n in range(12)))
    assert [one.status for one in found].count(Status.REFUSED) == len(script.sent) == 3
    assert {one.error for one in found if one.status is Status.NOT_ASKED} == {
        "3 calls were refused one after the other; the last: HTTP 400: no such response_format"
    }


def test_a_good_answer_between_them_and_refusals_are_faults_of_their_own(tmp_path, world, ask):
    run = run_in(tmp_path, breaker={"max_refused": 3}, limits={"concurrency": 1})
    bad, well = Failure(Kind.REFUSED, "HTTP 400: no"), good(run)
    script = Script(bad, bad, well, bad, bad, well, bad, bad, well)
    found = ask(run, script, *(request_of(run, f"Note number {n} about noodles.") for n in range(12)))
    assert len(script.sent) == 12
    assert sum(isinstance(one, Reply) for one in found) == 6
