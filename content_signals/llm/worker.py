"""Items in, outcomes out, in one worker: an event loop in a thread of its own, one client, some items in hand at once.

The loop runs on while whoever reads the outcomes does something else. Did it stand still meanwhile, answers that have
long arrived would be taken for late, and paid for again.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, TypeVar

from content_signals.errors import SignalsError
from content_signals.llm.client import Client
from content_signals.llm.outcome import Outcome, Status, Unanswered, judge, unanswered
from content_signals.llm.redaction import Redactor
from content_signals.llm.reply import Reply
from content_signals.llm.request import Item, build
from content_signals.llm.run import Run
from content_signals.llm.transport import OpenAITransport

T = TypeVar("T")

# A day and a half of speech; more is another file. Looking for quotes takes a dozen bytes a character.
MOST_CHARACTERS = 20_000_000
_STOP_SECONDS = 30.0
_WORD = re.compile(r"\w")


def new_client(run: Run) -> Client:
    """A client of the endpoint and the ledger of a run. To be called in an event loop.

    Raises:
        UsageError: the environment lacks the key of the endpoint, or the ledger's URL.
        LedgerError: the ledger does not answer.
    """
    return Client(run, OpenAITransport(run.endpoint), run.ledger.open())


class Worker:
    """Asks about items. Used as a context: at its end calls under way are broken off and counted in full.

    Args:
        client: makes the client, inside the loop.
    """

    def __init__(self, run: Run, client: Callable[[Run], Client] = new_client) -> None:
        self._run, self._new_client = run, client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        try:
            self._client = self._wait_for(self._make_client())
        except BaseException:
            self._stop_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait_for(self._end(), _STOP_SECONDS)
        finally:
            self._stop_loop()

    def outcomes(self, items: Iterable[Item]) -> Iterator[tuple[Item, Outcome]]:
        """Each item with its outcome, as they come; items are taken as others are done.

        Raises:
            LedgerError: the ledger does not answer. What is wrong with one item is in its outcome.
        """
        in_hand: dict[Future[Outcome], Item] = {}
        for item in items:
            in_hand[asyncio.run_coroutine_threadsafe(self._outcome(item), self._loop)] = item
            if len(in_hand) >= self._run.at_once:
                yield from self._done(in_hand)
        while in_hand:
            yield from self._done(in_hand)

    def _done(self, in_hand: dict[Future[Outcome], Item]) -> Iterator[tuple[Item, Outcome]]:
        done, _ = wait(in_hand, return_when=FIRST_COMPLETED)
        for future in done:
            item = in_hand.pop(future)
            yield item, future.result()

    async def _outcome(self, item: Item) -> Outcome:
        """What became of an item. A fault in our own code becomes a row too, and no end of all others."""
        if not _WORD.search(item.transcript):
            return unanswered(Unanswered(Status.EMPTY, "the transcript has no text"))
        if len(item.transcript) > MOST_CHARACTERS:
            told = f"the transcript has {len(item.transcript)} characters, more than {MOST_CHARACTERS}"
            return unanswered(Unanswered(Status.TOO_LONG, told))
        try:
            # Seconds of work for a long transcript: calls under way are not to wait for it.
            request = await asyncio.to_thread(build, self._run.task.prompt, self._run.endpoint, item, self._run.ranking)
            found = await self._client.ask(request)
            if isinstance(found, Reply):
                return await asyncio.to_thread(judge, found, item.transcript, self._run.task.answer)
            return unanswered(found)
        except SignalsError:
            raise
        except Exception as error:
            told = Redactor(self._run.endpoint.key()).line(f"{type(error).__name__}: {error}")
            return unanswered(Unanswered(Status.FAILED, told))

    async def _make_client(self) -> Client:
        return self._new_client(self._run)

    async def _end(self) -> None:
        """Break off what is under way, and close."""
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    def _wait_for(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
