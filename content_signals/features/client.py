"""Features online, as a model reads them: every view of a service in one round trip, each value with status and age.

Plain Feast reads the same store. This client costs a fraction of its CPU, judges the time to live, which Feast does
not, tells a key that is missing from a null, and never answers with what was taken down.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio

from content_signals.errors import Temporary, UsageError
from content_signals.features.answer import Features, Rows, Wanted, read_replies, with_computed
from content_signals.features.connections import Connections
from content_signals.features.keys import Keys, by_column
from content_signals.features.last_known import LastKnown
from content_signals.features.service_plan import ServicePlan, registered, service_plan
from content_signals.features.store import feature_store, refuse_other_store
from content_signals.settings import Settings, load_settings

if TYPE_CHECKING:
    from feast import FeatureStore

_LOG = logging.getLogger(__name__)


class FeatureClient:
    """Reads one feature service. Safe to share among threads.

    The service is looked up again every `refresh` seconds in a thread of its own: after a flip each call is answered
    from one version or the other, whole.

    Args:
        service: its name.
        settings: where registry and store are; default: the settings of this process.
        features: only these, by view:feature or by a name that only one view has.
        timeout: seconds the store has for an answer.
        connections: at most so many at a time, and in each event loop of `aget`; a call that finds none free waits for
            at most `timeout`.
        keep_stale: hand out values older than their time to live too, with the status stale.
        last_known: so many keys' last values are kept; where the store does not answer they are handed out with the
            status last known. 0: a store that does not answer is an error.

    Raises:
        UnknownName: a service or feature that is not registered.
        UsageError: Feast is pointed at a store that is no Redis or Valkey, or at a cluster.
    """

    def __init__(
        self,
        service: str,
        settings: Settings | None = None,
        *,
        features: Sequence[str] = (),
        timeout: float = 1.0,
        connections: int = 32,
        refresh: float = 0.25,
        keep_stale: bool = False,
        last_known: int = 0,
        store: FeatureStore | None = None,
    ) -> None:
        refuse_other_store("FeatureClient")
        settings = settings or load_settings()
        self._store, self._is_own = store or feature_store(settings), store is None
        self._service, self._features, self._keep_stale = service, tuple(features), keep_stale
        self._project = self._store.project.encode()
        self._plan = self._planned()
        self._keys_kept, self._every = last_known, refresh
        url = settings.online_store.get_secret_value()
        self._connections = Connections(url, connections, timeout)
        options: dict[str, Any] = {
            "max_connections": connections,
            "timeout": timeout,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
        }
        self._new_pool = partial(redis.asyncio.BlockingConnectionPool.from_url, url, **options)
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self._begin()

    def __enter__(self) -> FeatureClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the features, view:feature."""
        return self._plan.names

    @property
    def key_kinds(self) -> Mapping[str, int]:
        """Columns of keys, and of what else is asked for, and the number of the feast.types.ValueType of each."""
        return self._plan.column_kinds

    def get(self, keys: Keys, as_of: datetime | None = None) -> Features:
        """Features of some keys.

        Args:
            keys: of a service with one column a list; otherwise column -> list, all of one length. What views on demand
                ask for comes in columns of its own.
            as_of: freshness is judged at this moment; default: now.

        Raises:
            UsageError: keys that do not fit the service.
            BrokenData: the store holds what the registry does not say, or a view's function fails.
            Temporary: the store does not answer in time, and nothing is kept of what it said.
        """
        plan = self._current()
        wanted = by_column(plan.service, plan.key_kinds, keys, plan.request)
        try:
            rows = self._read(plan, wanted)
        except redis.RedisError as error:
            return self._without_store(plan, wanted, as_of, error)
        return self._answer(plan, wanted, as_of, rows)

    async def aget(self, keys: Keys, as_of: datetime | None = None) -> Features:
        """`get`, for asynchronous callers."""
        plan = self._current()
        wanted = by_column(plan.service, plan.key_kinds, keys, plan.request)
        try:
            rows = await self._aread(plan, wanted)
        except redis.RedisError as error:
            if plan.on_demand:
                return await asyncio.to_thread(self._without_store, plan, wanted, as_of, error)
            return self._without_store(plan, wanted, as_of, error)
        if plan.on_demand:  # whatever its functions do, the event loop does not wait for them
            return await asyncio.to_thread(self._answer, plan, wanted, as_of, rows)
        return self._answer(plan, wanted, as_of, rows)

    def close(self) -> None:
        """End the thread and the connections, but for those of `aget`: `aclose` ends those of its event loop too."""
        self._closed.set()
        self._connections.close()
        if self._is_own:
            _dispose(self._store)

    async def aclose(self) -> None:
        """`close`, and the connections of `aget` in this event loop."""
        self.close()
        await self._pool().disconnect()

    def _planned(self) -> ServicePlan:
        plan = service_plan(self._store, self._service)
        return plan.only(self._features) if self._features else plan

    def _begin(self) -> None:
        """In this process: the thread that follows the registry, and values known."""
        self._process, self._last, self._closed = os.getpid(), LastKnown(self._keys_kept), threading.Event()
        self._pools_lock = threading.Lock()
        threading.Thread(target=self._refresh, name=f"plan of {self._service}", daemon=True).start()

    def _current(self) -> ServicePlan:
        """The plan. In a process that was forked no thread follows the registry, until it is asked first."""
        if self._process != os.getpid():
            _dispose(self._store, shared=True)
            self._begin()
        return self._plan

    def _refresh(self) -> None:
        """Look the service up again and again. A registry that does not answer leaves it as it was.

        So does one in which the service, or a feature of it that was asked for, is no more; that is said in the log.
        """
        known: tuple[bytes, ...] = ()
        held: tuple[bytes, ...] = ()
        while not self._closed.wait(self._every):
            try:
                held = registered(self._store, self._plan)  # before the plan: what changes in between is seen next time
                if held and held == known:
                    continue
                plan = self._planned()
            except UsageError as error:
                if held != known:
                    _LOG.warning("%s; it is read as it was before: make the client anew", error.what)
                known = held
                continue
            except Exception:  # noqa: S112  whatever a registry raises: the service known is as good as a moment ago
                continue
            known = held
            if plan != self._plan:
                self._plan = plan

    def _read(self, plan: ServicePlan, wanted: Wanted) -> Rows:
        """One packed pipeline, one round trip; none where nothing is read."""
        if not plan.keys:
            return []
        asked = len(next(iter(wanted.values())))
        replies = iter(self._connections.exchange(self._packed(plan, wanted), asked * len(plan.keys)))
        return [list(islice(replies, asked)) for _ in plan.keys]

    async def _aread(self, plan: ServicePlan, wanted: Wanted) -> Rows:
        if not plan.keys:
            return []
        asked = len(next(iter(wanted.values())))
        pool = self._pool()
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([self._packed(plan, wanted)])
            return [[await connection.read_response(disable_decoding=True) for _ in range(asked)] for _ in plan.keys]
        except BaseException:
            await connection.disconnect()
            raise
        finally:
            await pool.release(connection)

    def _pool(self) -> Any:
        """The connections of the running event loop: those of another one cannot be used, nor closed, in this."""
        loop = asyncio.get_running_loop()
        with self._pools_lock:
            found = self._pools.get(loop)
            if found is None:
                found = self._pools[loop] = self._new_pool()
            return found

    def _packed(self, plan: ServicePlan, wanted: Wanted) -> bytes:
        """An HMGET a row and key: all fields of all views that its hash has."""
        parts = []
        project = self._project
        for key, (head, tail) in zip(plan.keys, plan.commands, strict=True):
            if key.is_text:  # nearly always, and twice as fast as what follows
                prefix, around = key.prefix, len(key.prefix) + 4 + len(project)
                for text in wanted[key.columns[0]]:
                    name = text.encode()
                    parts += [head, b"$%d\r\n" % (around + len(name)), prefix, len(name).to_bytes(4, "little"), name]
                    parts += [project, tail]
                continue
            for name in key.serialized(wanted):
                parts += [head, b"$%d\r\n" % (len(name) + len(project)), name, project, tail]
        return b"".join(parts)

    def _answer(self, plan: ServicePlan, wanted: Wanted, as_of: datetime | None, rows: Rows) -> Features:
        self._last.keep(plan, wanted, rows)
        return with_computed(plan, read_replies(plan, wanted, rows, _micros(as_of), keep_stale=self._keep_stale))

    def _without_store(
        self, plan: ServicePlan, wanted: Wanted, as_of: datetime | None, error: redis.RedisError
    ) -> Features:
        """What the store said last, if the caller has chosen to have that."""
        if not self._last.size:
            raise Temporary(
                f"service {self._service}: the online store does not answer: {type(error).__name__}: {error}",
                next_step="ask again; FeatureClient(…, last_known=N) keeps the last values of N keys for such moments",
            ) from error
        return with_computed(plan, self._last.answer(plan, wanted, _micros(as_of)))


def _dispose(store: FeatureStore, *, shared: bool = False) -> None:
    """End the connections to a registry that is a database; those shared with a parent process are left to it."""
    for name in ("write_engine", "read_engine"):
        engine: Any = getattr(store.registry, name, None)
        if engine is not None:
            engine.dispose(close=not shared)


def _micros(as_of: datetime | None) -> int:
    if as_of is None:
        return time.time_ns() // 1_000
    if as_of.tzinfo is None:
        raise UsageError(f"{as_of} has no time zone", next_step="give an aware moment, in UTC")
    return round(as_of.timestamp() * 1e6)
