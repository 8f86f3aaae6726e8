"""Rows of a view to a Redis-compatible store, each only if it is newer than what the store has."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice, repeat
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features import encode, wire
from content_signals.features.decode import moment
from content_signals.features.encode import Column
from content_signals.features.lease import Ticket
from content_signals.features.row_version import GONE, LIVING, SIZE, TAKEN_DOWN, is_ours

# put: values are written. gone, take: they are removed, and the times stay so that nothing older comes back; what was
# taken yields to nothing but give, which removes every trace. clear: so does this, of any row.
Mode = Literal["put", "gone", "take", "give", "clear"]
Outcome = Literal["written", "stale", "taken down"]

_STATES: dict[Mode, bytes] = {"put": LIVING, "gone": GONE, "take": TAKEN_DOWN, "give": GONE, "clear": GONE}
_WAITS = (0.2, 1.0, 3.0)  # seconds before each further try at a store that does not answer
_CHUNK = 200  # rows of a transaction: the store answers nobody else meanwhile


@dataclass(frozen=True)
class View:
    """A view of the online store: what a row of it is called there.

    Attributes:
        url: of the store. A secret.
    """

    url: str = field(repr=False)
    project: str
    name: str
    join_key: str
    features: tuple[str, ...]

    @property
    def time_field(self) -> bytes:
        """Field of the event time, Feast's own."""
        return encode.time_field(self.name)

    @property
    def version_field(self) -> bytes:
        """Field of the version (`row_version`), ours: no feature's name begins with an underscore."""
        return encode.field_name(self.name, "_version")

    @property
    def feature_fields(self) -> list[bytes]:
        """Fields of the features."""
        return [encode.field_name(self.name, feature) for feature in self.features]


class Writer:
    """A connection that writes rows of one view.

    Args:
        ticket: of a publication that holds the view's lease, so that nobody else writes it: rows are looked at, then
            written, at the store's full speed. Without one each chunk is a transaction, which costs the store
            more: for few rows.
    """

    def __init__(self, view: View, ticket: Ticket | None = None) -> None:
        self._view, self._ticket = view, ticket
        self._client: Any = redis.Redis.from_url(view.url, socket_connect_timeout=5, socket_timeout=60)
        self._connection: Any = None
        self._look, self._lost = True, False

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()
        self._client.close()

    def write(self, batch: pa.RecordBatch, mode: Mode = "put") -> Counter[Outcome]:
        """Write the rows of a batch: how many met which outcome.

        Args:
            batch: the join key, `event_ts`, `computed_at` and, for "put", the features.

        Raises:
            ValueError: a key is null, or a time cannot be compared.
            redis.RedisError: the store does not answer, or refuses; `LeaseLost`: another publication has the view. Some
                of the rows may be written; all of them may be sent again.
        """
        found: Counter[Outcome] = Counter()
        rows = _Rows(self._view, batch, mode)
        size = len(batch) if self._ticket else _CHUNK
        for first in range(0, len(batch), max(size, 1)):
            some = range(first, min(first + size, len(batch)))
            found.update(self._again_and_again(rows, some))
        return found

    def _again_and_again(self, rows: _Rows, some: range) -> list[Outcome]:
        """Write some rows, from the start where the connection was lost."""
        for wait in (*_WAITS, None):
            try:
                return self._write(rows, some)
            except (redis.ConnectionError, redis.TimeoutError):
                self._drop()
                if wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _write(self, rows: _Rows, some: range) -> list[Outcome]:
        """Look, decide, write. A key that comes twice among the rows is decided by what the first has left."""
        if self._connected() and not self._look:
            self._asked([rows.writes(None)], len(rows) * rows.commands)
            return ["written"] * len(rows)
        while True:
            watch = b"" if self._ticket else rows.watch(some)
            answers = self._asked([watch, rows.looks(some)], len(some) + bool(watch))
            outcomes = rows.decide(some, answers[bool(watch) :])
            chosen = [row for row, outcome in zip(some, outcomes, strict=True) if outcome == "written"]
            writes = rows.writes(None if len(chosen) == len(rows) else chosen)
            if self._ticket:
                self._asked([writes], len(chosen) * rows.commands)
                return outcomes
            whole = [b"*1\r\n$5\r\nMULTI\r\n", writes, b"*1\r\n$4\r\nEXEC\r\n"]
            done = self._asked(whole, len(chosen) * rows.commands + 2)[-1]
            if done is not None:  # else somebody has written one of the keys meanwhile
                _raise_first(done)
                return outcomes

    def _asked(self, parts: Sequence[bytes | memoryview], answers: int) -> list[Any]:
        self._connected()
        self._connection.send_packed_command([bytes(part) for part in parts if part])
        found = self._answers(answers)
        _raise_first(found)
        return found

    def _connected(self) -> bool:
        """With a connection, which a ticket may let write without looking; one in place of another looks."""
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
            if self._ticket:
                self._look = self._ticket.show(self._client, self._connection) or self._lost
        return True

    def _answers(self, count: int) -> list[Any]:
        """The next answers, errors among them: those after one are still to be read.

        The first is read as redis-py reads it, with all that it makes of a connection that broke. What came with it is
        taken from its parser at once: `read_response` makes ready for an error each time, and rows are many.
        """
        found: list[Any] = []
        while len(found) < count:
            try:
                found.append(self._connection.read_response(disable_decoding=True))
            except redis.ResponseError as error:
                found.append(error)
            found += self._arrived(count - len(found))
        return found

    def _arrived(self, most: int) -> list[Any]:
        """Answers that have come already, at most so many."""
        reader = getattr(self._connection._parser, "_reader", None)  # of hiredis; redis-py's own parser has none
        if reader is None or str(self._connection.protocol) == "3":  # there a server may say what nobody has asked
            return []
        return list(islice(iter(partial(reader.gets, False), NOT_ENOUGH_DATA), most))

    def _drop(self) -> None:
        if self._connection is not None:
            self._lost = True
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None


class _Rows:
    """The commands for the rows of a batch, made once, and what becomes of each row."""

    def __init__(self, view: View, batch: pa.RecordBatch, mode: Mode) -> None:
        self._mode = mode
        self._names = encode.entity_keys(batch.column(view.join_key), view.join_key, view.project)
        self._keys = wire.bulks(self._names)
        fields = [view.time_field, view.version_field]
        self._looks = wire.commands(b"HMGET", 3, [self._keys, *map(wire.bulk, fields)])
        times = encode.times(batch.column(EVENT_TS))
        self._versions = versions(batch.column(EVENT_TS), batch.column(COMPUTED_AT), mode)
        stamps = [times, wire.pc.binary_join_element_wise(self._versions, times, b"")]
        self._twice = wire.pc.count_distinct(self._names).as_py() < len(batch)
        if mode in ("give", "clear"):
            self._writes = [self._removed([*fields, *view.feature_fields])]
        elif mode == "put":
            columns = [*stamps, *(encode.values(batch.column(name)) for name in view.features)]
            self._writes = [self._set([*fields, *view.feature_fields], columns)]
        else:
            self._writes = [self._removed(view.feature_fields), self._set(fields, stamps)]

    def __len__(self) -> int:
        return len(self._keys)

    @cached_property
    def _new(self) -> list[bytes]:
        return self._versions.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def _name(self) -> list[bytes]:
        return self._names.to_pylist()  # type: ignore[no-any-return]

    @property
    def commands(self) -> int:
        """Commands that write a row."""
        return len(self._writes)

    def watch(self, some: range) -> bytes:
        """A WATCH of some rows' keys."""
        return b"*%d\r\n$5\r\nWATCH\r\n" % (1 + len(some)) + bytes(wire.packed(self._keys, some))

    def looks(self, some: range) -> bytes | memoryview:
        """Commands that fetch times and versions of what is stored for some rows."""
        return wire.packed(self._looks, None if len(some) == len(self) else some)

    def writes(self, chosen: Sequence[int] | None) -> bytes:
        """Commands that write some rows, or all."""
        return b"".join(bytes(wire.packed(commands, chosen)) for commands in self._writes)

    def decide(self, some: range, stored: Sequence[Sequence[bytes | None]]) -> list[Outcome]:
        """What becomes of some rows, given time and version of what is stored for each."""
        if self._mode != "give" and not self._twice and not any(time for time, _ in stored):
            return list(repeat("written", len(some)))  # a first load
        if self._twice:
            return self._decide_in_turn(some, stored)
        cases = ((stamp, version, self._new[row]) for row, (stamp, version) in zip(some, stored, strict=True))
        decided: dict[tuple[bytes | None, bytes | None, bytes], Outcome] = {}  # rows of a day have few times
        return [decided.get(case) or decided.setdefault(case, self._outcome(*case)) for case in cases]

    def _decide_in_turn(self, some: range, stored: Sequence[Sequence[bytes | None]]) -> list[Outcome]:
        """Where keys come again among the rows: each by what the one before it has left."""
        known: dict[bytes, bytes] = {}
        outcomes: list[Outcome] = []
        for row, (stamp, version) in zip(some, stored, strict=True):
            new, name = self._new[row], self._name[row]
            left = known.get(name)
            outcomes.append(_decided(self._mode, left, new) if left else self._outcome(stamp, version, new))
            if outcomes[-1] == "written":
                known[name] = new
        return outcomes

    def _outcome(self, stamp: bytes | None, version: bytes | None, new: bytes) -> Outcome:
        return _decided(self._mode, stored_version(stamp, version) if stamp else None, new)

    def _set(self, fields: Sequence[bytes], columns: Sequence[Column]) -> Column:
        pairs = [
            part for name, column in zip(fields, columns, strict=True) for part in (wire.bulk(name), wire.bulks(column))
        ]
        return wire.commands(b"HSET", 1 + len(pairs), [self._keys, *pairs])

    def _removed(self, fields: Sequence[bytes]) -> Column:
        return wire.commands(b"HDEL", 1 + len(fields), [self._keys, *map(wire.bulk, fields)])


def _raise_first(answers: Sequence[Any]) -> None:
    if not any(issubclass(kind, Exception) for kind in set(map(type, answers))):
        return  # nearly always; asking each of a million answers costs more
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def stored_version(stamp: bytes, version: bytes | None) -> bytes:
    """The version of what is stored: of a row that plain Feast wrote, its event time and no computed_at at all.

    What was taken down stays so, whoever has written it since.
    """
    if version and (is_ours(stamp, version) or version[:1] == TAKEN_DOWN):
        return version[:SIZE]
    return LIVING + max(moment(stamp), 0).to_bytes(8, "big")


def _decided(mode: Mode, stored: bytes | None, new: bytes) -> Outcome:
    """The rule. Versions are compared as bytes: numbers, most significant byte first, a shorter one before a longer."""
    if mode == "give":
        return "written" if stored and stored[:1] == TAKEN_DOWN else "stale"
    if stored is None or mode in ("take", "clear"):
        return "written"
    if stored[:1] == TAKEN_DOWN:
        return "taken down"
    return "written" if new[1:] >= stored[1:] else "stale"


def versions(event_ts: Column, computed_at: Column, mode: Mode) -> Column:
    """Versions of rows as the store keeps them: the state and the two times."""
    times = np.column_stack([_micros(event_ts), _micros(computed_at)]).astype(">i8")
    matrix = np.empty((len(times), SIZE), np.uint8)
    matrix[:, 0] = ord(_STATES[mode])
    matrix[:, 1:] = times.view(np.uint8)
    return encode.cut_rows(matrix, np.full(len(times), SIZE, np.int64))


def _micros(column: Column) -> Any:
    micros = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    if len(micros) and micros.min() < 0:
        raise ValueError("a time before 1970 cannot be compared in the store")
    return micros
