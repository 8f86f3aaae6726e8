"""Who may write a view: one publication at a time, and none whose time has run out, whatever it still has on its way.

Other things that one run may do at a time have a lease too, by a name: changes of the registry, versions of the index.

The store keeps the record in a hash a view: who holds the lease, until when by the store's clock, and the connections
that write for it. Whoever takes a lease over that has run out first ends these connections: what a publication that was
stopped and wakes up again has sent or will send is then refused, because a new connection has to show its ticket.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis

from content_signals.errors import Temporary, UsageError

SECONDS = 15.0  # a lease that is not renewed for so long has run out
_RENEWED = 4.0
_PATIENCE = 900.0
_HOLDER, _UNTIL, _CONNECTION = b"holder", b"until", b"connection:"
_OTHERS = b"others have written"


class LeaseLost(redis.RedisError):
    """Another run holds the lease, or nobody."""


@dataclass(frozen=True)
class Ticket:
    """What a worker of a publication shows the store for each of its connections.

    Attributes:
        empty: when the publication began the store had no row of the view, so that there is nothing to look at.
    """

    key: bytes
    holder: bytes
    empty: bool = False

    def check(self, client: Any) -> None:
        """For what is written elsewhere, where no connection is ended with the lease: before each step that counts.

        Raises:
            LeaseLost: the ticket is not valid any more.
        """
        if client.hget(self.key, _HOLDER) != self.holder:
            raise LeaseLost("another run has taken over, or the store has forgotten this one")

    def show(self, client: Any, connection: Any) -> bool:
        """Enter a connection, before anything is written by it. Whether rows have to be looked at before.

        Raises:
            LeaseLost: the ticket is not valid any more.
        """
        connection.send_command("CLIENT", "ID")
        entry = _CONNECTION + b"%d" % connection.read_response()

        def enter(pipe: Any) -> bool:
            holder, others = pipe.hmget(self.key, _HOLDER, _OTHERS)
            if holder != self.holder:
                raise LeaseLost("another publication writes this view now")
            pipe.multi()
            pipe.hset(self.key, entry, _server(client))
            return not self.empty or others is not None

        return bool(client.transaction(enter, self.key, value_from_callable=True))


class Lease:
    """A lease: of a view, or of what else its name says."""

    def __init__(self, client: Any, project: str, view: str) -> None:
        self._client, self._view = client, view
        self._key = f"content_signals:writing:{project}:{view}".encode()
        self.ticket = Ticket(self._key, uuid.uuid4().hex.encode())

    @contextmanager
    def held(
        self,
        say: Callable[[str], None],
        patience: float = _PATIENCE,
        *,
        state: str = "what that one has written so far is read, and what was served before",
        next_step: str = "the same again, once it has ended",
    ) -> Iterator[Ticket]:
        """Hold the lease for the time of the block, and renew it; wait for another run to end first.

        Raises:
            Temporary: the other one has not ended in time.
            UsageError: the store is a node of a cluster: keys and connections are of one node each.
        """
        if self._client.info("cluster").get("cluster_enabled"):
            raise UsageError(
                "online_store of the settings is a node of a Redis Cluster",
                next_step="name one Redis or Valkey, however small; docs/serving.md says where the nodes go",
            )
        deadline, told = time.monotonic() + patience, False
        while not self._take():
            if time.monotonic() >= deadline:
                raise Temporary(
                    f"{self._view}: another run has held it for {patience:.0f} s",
                    state=state,
                    next_step=next_step,
                )
            if not told:
                say(f"{self._view}: waiting for another run to end, or its lease to run out")
                told = True
            time.sleep(0.2)
        self._end_connections()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(ended,), name=f"lease of {self._view}", daemon=True)
        renewal.start()
        try:
            yield self.ticket
        finally:
            ended.set()
            renewal.join()
            with suppress(redis.RedisError):  # of workers that live a moment longer
                self._end_connections()
            self._release()

    def end_connections(self) -> None:
        """End every connection that is entered. Those of the holder come back with their ticket, and look anew.

        For whoever has written rows beside a publication: from now on it looks before it writes, whatever it knew.
        """
        self._client.hset(self._key, _OTHERS, b"")
        self._end_connections()

    def _end_connections(self) -> None:
        entries: dict[bytes, bytes] = self._client.hgetall(self._key)
        server = _server(self._client)
        for name, entered_at in entries.items():
            if name.startswith(_CONNECTION):
                if entered_at == server:  # numbers of another server's connections say nothing here
                    with suppress(redis.ResponseError):  # it has ended already
                        self._client.client_kill_filter(_id=name.removeprefix(_CONNECTION).decode())
                self._client.hdel(self._key, name)

    def _take(self, *, extend: bool = False) -> bool:
        """Take the lease if nobody holds it, or it has run out; to extend it, only if it is still ours."""

        def take(pipe: Any) -> bool:
            holder, until = pipe.hmget(self._key, _HOLDER, _UNTIL)
            now, ours = _now(self._client), holder == self.ticket.holder
            if not ours and (extend or (holder is not None and float(until or 0) > now)):
                return False
            pipe.multi()
            if holder != self.ticket.holder:
                pipe.hdel(self._key, _OTHERS)
            pipe.hset(self._key, mapping={_HOLDER: self.ticket.holder, _UNTIL: now + SECONDS})
            return True

        return bool(self._client.transaction(take, self._key, value_from_callable=True))

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(_RENEWED):
            with suppress(redis.RedisError):  # whoever writes notices that the store is gone
                if not self._take(extend=True):
                    return

    def _release(self) -> None:
        def release(pipe: Any) -> None:
            mine = pipe.hget(self._key, _HOLDER) == self.ticket.holder
            pipe.multi()
            if mine:
                pipe.delete(self._key)

        with suppress(redis.RedisError):  # it runs out by itself
            self._client.transaction(release, self._key)


def _now(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds + micros / 1e6)


def _server(client: Any) -> bytes:
    return str(client.info("server")["run_id"]).encode()
