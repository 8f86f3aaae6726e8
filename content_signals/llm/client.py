"""Replies, each paid for once: within limits and budget, claimed, tried again if it helps, kept before it is seen."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from content_signals.llm.failure import Failed, Failure, Kind
from content_signals.llm.ledger.limits import Ask, Granted, Stop, TooLarge
from content_signals.llm.ledger.state import POLL, Result, State, halt, refund, reserve, settle
from content_signals.llm.ledger.store import Ledger, Mine, Taken
from content_signals.llm.outcome import Status, Unanswered
from content_signals.llm.reply import Reply
from content_signals.llm.request import Request
from content_signals.llm.run import Run
from content_signals.llm.transport import Transport

T = TypeVar("T")

_RESULTS = {
    Kind.BUSY: Result.NEUTRAL,
    Kind.REFUSED: Result.REFUSED,
    Kind.CLOSED: Result.NEUTRAL,
    Kind.SERVER: Result.BAD,
    Kind.TIMEOUT: Result.BAD,
    Kind.CONNECTION: Result.BAD,
}
# Waits are longer by up to this share: workers that wait for one thing do not come back all at once.
_JITTER = 0.2


@dataclass(frozen=True)
class Surroundings:
    """Clocks, chance and sleep; others in tests."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True)
class _Overtaken:
    """Between the leave to call and the claim another worker has come first."""


class Client:
    """Asks one endpoint for the replies of one run. One of these serves one event loop, and is made in it.

    Args:
        ledger: used from a thread of its own, so that a wait for its lock holds up no call.
    """

    def __init__(
        self, run: Run, transport: Transport, ledger: Ledger, surroundings: Surroundings | None = None
    ) -> None:
        self._run, self._transport, self._ledger = run, transport, ledger
        self._around = surroundings or Surroundings()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        # Of all that wait here one asks the ledger; the others wait for their turn.
        self._turn = asyncio.Lock()

    async def ask(self, request: Request) -> Reply | Unanswered:
        """The reply, kept earlier or paid for now; or why there is none.

        Raises:
            LedgerError: the ledger does not answer.
        """
        room = self._run.endpoint.context_tokens
        if request.tokens > room:
            return Unanswered(Status.TOO_LONG, f"about {request.tokens} tokens; the model has room for {room}")
        attempt, began = 0, 0.0
        while True:
            kept = await self._reply_of_others(request.key)
            if kept:
                return kept if isinstance(kept, Reply) else replace(kept, attempts=attempt)
            ask = await self._granted(request)
            if isinstance(ask, Unanswered):
                return replace(ask, attempts=attempt)
            began = began or self._around.monotonic()
            found = await self._sent(request, ask, attempt + 1)
            if isinstance(found, Reply):
                return found
            if isinstance(found, _Overtaken):
                continue
            attempt += 1
            wait = self._run.retry.wait(attempt, found, self._around.random)
            if given_up := self._given_up(found, attempt, self._around.monotonic() - began + wait):
                return given_up
            await self._around.sleep(wait)

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()
        await self._on_ledger(lambda ledger: ledger.close())
        self._thread.shutdown()

    def _given_up(self, failure: Failure, attempt: int, seconds: float) -> Unanswered | None:
        """Why there is no further attempt; None: there is one."""
        if failure.kind is Kind.REFUSED:
            return Unanswered(Status.REFUSED, failure.error, attempt)
        if failure.kind is Kind.CLOSED:
            return Unanswered(Status.NOT_ASKED, failure.error, attempt)
        if attempt >= self._run.retry.attempts or seconds > self._run.retry.item_seconds:
            return Unanswered(Status.FAILED, f"{attempt} attempts; the last: {failure.error}", attempt)
        return None

    async def _reply_of_others(self, key: str) -> Reply | Unanswered | None:
        """The reply, waited for while another worker asks; None: there is none, and nobody asks."""
        while True:
            found = await self._on_ledger(lambda ledger: ledger.look(key))
            if not isinstance(found, Taken):
                return found
            if self._is_over():
                return Unanswered(Status.NOT_ASKED, "the run ended while another worker was asking")
            await self._sleep(POLL)

    async def _granted(self, request: Request) -> Ask | Unanswered:
        """Leave to send the call, as soon as limits and budget let it."""
        endpoint, rules = self._run.endpoint, self._run.rules
        micros = endpoint.price.of(request.prompt_tokens, request.max_output_tokens)
        ask = Ask(uuid.uuid4().hex, request.tokens, micros, self._run.claim_seconds)
        async with self._turn:
            while not self._is_over():
                decision = await self._on_state(lambda state, now: reserve(state, now, ask, rules))
                if isinstance(decision, Granted):
                    return ask
                if isinstance(decision, Stop):
                    return Unanswered(Status.NOT_ASKED, decision.why)
                if isinstance(decision, TooLarge):
                    return Unanswered(Status.TOO_LONG, decision.why)
                if decision.seconds > self._run.retry.item_seconds:
                    return Unanswered(Status.NOT_ASKED, f"{decision.why}: {decision.seconds:.0f} s to wait")
                await self._sleep(decision.seconds)
        return Unanswered(Status.NOT_ASKED, "the time of the run is over")

    async def _sent(self, request: Request, ask: Ask, attempt: int) -> Reply | Failure | _Overtaken:
        """One call, claimed before and accounted for after, whatever becomes of it."""
        claim = await self._on_ledger(lambda ledger: ledger.claim(request.key, ask.lease, ask.seconds))
        if not isinstance(claim, Mine):
            await self._on_state(lambda state, _: refund(state, ask.lease))
            return claim if isinstance(claim, Reply) else _Overtaken()
        try:
            reply = await self._transport.send(request)
        except Failed as failed:
            await self._ended(request, ask, failed.failure)
            return failed.failure
        except BaseException:  # cancelled: nobody knows what became of it, so it counts in full
            unknown = Failure(Kind.BUSY, "cancelled", billed=True)
            await asyncio.shield(self._ended(request, ask, unknown))
            raise
        # Kept before anything else is done with it: from here on no task pays for it again.
        kept = await self._on_ledger(lambda ledger: ledger.keep(replace(reply, attempts=attempt), ask.lease))
        await self._settled(ask, reply.prompt_tokens + reply.output_tokens, reply.cost_micros, Result.GOOD)
        return kept

    async def _ended(self, request: Request, ask: Ask, failure: Failure) -> None:
        """Account for a call without a reply."""
        used = (ask.tokens, ask.micros) if failure.billed else (0, 0)
        await self._settled(ask, *used, _RESULTS[failure.kind], failure)
        await self._on_ledger(lambda ledger: ledger.release(request.key, ask.lease))

    async def _settled(
        self, ask: Ask, tokens: int, micros: int, result: Result, failure: Failure | None = None
    ) -> None:
        rules = self._run.rules

        def change(state: State, now: float) -> None:
            pause = failure.retry_after if failure else 0.0
            settle(state, now, ask.lease, rules, tokens=tokens, micros=micros, result=result, pause=pause)
            if failure and failure.kind is Kind.CLOSED:
                halt(state, now, rules.budget, failure.error)
            elif failure and state.refused >= rules.breaker.max_refused:
                why = f"{state.refused} calls were refused one after the other; the last: {failure.error}"
                halt(state, now, rules.budget, why)

        await self._on_state(change)

    async def _sleep(self, seconds: float) -> None:
        await self._around.sleep(seconds * (1 + _JITTER * self._around.random()))

    def _is_over(self) -> bool:
        return self._run.stop_at is not None and self._around.now() >= self._run.stop_at

    async def _on_ledger(self, work: Callable[[Ledger], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._ledger)

    async def _on_state(self, change: Callable[[State, float], T]) -> T:
        return await self._on_ledger(lambda ledger: ledger.update(self._run.endpoint.name, change))
