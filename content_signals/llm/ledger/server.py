"""The ledger of a cluster: a Redis or Valkey that all workers reach.

An endpoint's state is one value, changed by WATCH and MULTI: whoever was overtaken reads it and decides again. Time is
the server's.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from content_signals.errors import UsageError
from content_signals.llm.ledger.state import State
from content_signals.llm.ledger.store import Claim, LedgerError, Mine, Taken
from content_signals.llm.reply import Reply

T = TypeVar("T")

PREFIX = "content-signals:llm"
# A run carries its replies over into the lake. What no run has fetched for so long is dropped.
KEEP_SECONDS = 30 * 86400
_OVERTAKEN_TIMES = 500

# KEYS: claim. ARGV: owner, milliseconds. Give it, or extend it, unless it is somebody else's.
_CLAIM = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# KEYS: claim. ARGV: owner.
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class ServerLedger:
    """See `Ledger`.

    Args:
        client: of the server, with `decode_responses`.
        clock: seconds since 1970; default: the server's time.
    """

    def __init__(self, client: redis.Redis, prefix: str = PREFIX, clock: Callable[[], float] | None = None) -> None:
        self._client: Any = client  # its types allow for answers of an asynchronous client, and for bytes
        self._prefix = prefix
        self._clock = clock or self._server_time

    def update(self, endpoint: str, change: Callable[[State, float], T]) -> T:
        """See `Ledger`."""
        name = f"{self._prefix}:state:{endpoint}"
        for attempt in range(_OVERTAKEN_TIMES):
            try:
                with _told():
                    return self._changed(name, change)
            except redis.WatchError:
                time.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.1)))  # noqa: S311  # no secret
        raise _broken(TimeoutError())

    def _changed(self, name: str, change: Callable[[State, float], T]) -> T:
        with self._client.pipeline() as pipeline:
            pipeline.watch(name)
            before = pipeline.get(name)
            state = State.from_json(before) if before else State()
            found = change(state, self._clock())
            after = state.to_json()
            if after != before:
                pipeline.multi()
                pipeline.set(name, after, ex=KEEP_SECONDS)
                pipeline.execute()
        return found

    def look(self, key: str) -> Reply | Taken | None:
        """See `Ledger`."""
        with _told():
            held = self._client.exists(self._claim(key))
            kept = self._client.get(self._reply(key))  # after: its owner keeps it before giving up the claim
        if kept:
            return Reply.from_json(kept)
        return Taken() if held else None

    def claim(self, key: str, owner: str, seconds: float) -> Claim:
        """See `Ledger`."""
        with _told():
            mine = self._client.eval(_CLAIM, 1, self._claim(key), owner, int(seconds * 1000))
            kept = self._client.get(self._reply(key))  # after: it may have come just before
            if mine and kept:
                self._client.eval(_RELEASE, 1, self._claim(key), owner)
        if kept:
            return Reply.from_json(kept)
        return Mine() if mine else Taken()

    def keep(self, reply: Reply, owner: str) -> Reply:
        """See `Ledger`."""
        with _told():
            self._client.set(self._reply(reply.key), reply.to_json(), nx=True, ex=KEEP_SECONDS)
            kept = self._client.get(self._reply(reply.key))
            self._client.eval(_RELEASE, 1, self._claim(reply.key), owner)
        return Reply.from_json(kept)

    def release(self, key: str, owner: str) -> None:
        """See `Ledger`."""
        with _told():
            self._client.eval(_RELEASE, 1, self._claim(key), owner)

    def forget(self, keys: Iterable[str]) -> None:
        """See `Ledger`."""
        with _told():
            for key in keys:
                self._client.delete(self._reply(key))

    def close(self) -> None:
        """See `Ledger`."""
        self._client.close()

    def _server_time(self) -> float:
        seconds, micros = self._client.time()
        return float(seconds) + float(micros) / 1e6

    def _reply(self, key: str) -> str:
        return f"{self._prefix}:reply:{key}"

    def _claim(self, key: str) -> str:
        return f"{self._prefix}:claim:{key}"


def server_ledger(url_name: str, environment: Mapping[str, str] = os.environ) -> ServerLedger:
    """The ledger at the URL in an environment variable.

    Raises:
        UsageError: there is none, or it is no URL of a Redis.
        LedgerError: the server does not answer.
    """
    url = environment.get(url_name, "")
    try:
        client = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=10,
            socket_connect_timeout=10,
            retry=Retry(ExponentialBackoff(), 3),
        )
    except ValueError:  # its text quotes the URL
        raise UsageError(
            f"{url_name} holds no redis://, rediss:// or unix:// URL",
            next_step=f"export {url_name} where Spark's executors start",
        ) from None
    with _told():
        client.ping()
    return ServerLedger(client)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with the server inside is a LedgerError; being overtaken is nothing wrong."""
    try:
        yield
    except redis.WatchError:
        raise
    except redis.RedisError as error:
        raise _broken(error) from None


def _broken(error: Exception) -> LedgerError:
    # Not its text: it may hold the URL.
    return LedgerError(
        f"the ledger's server does not answer: {type(error).__name__}",
        state="no call is sent; replies that were kept are kept",
        next_step="see whether the server runs and takes writes; then run again",
    )
