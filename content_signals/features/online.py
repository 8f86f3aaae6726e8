"""Rows of a view to a Redis-compatible store, each only if it is newer than what the store has."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import redis
from redis.exceptions import NoScriptError

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features import encode, wire
from content_signals.features.encode import Column

Mode = Literal["put", "gone", "take", "give"]

SCRIPT = resources.files("content_signals.features").joinpath("newest.lua").read_bytes()
DIGEST = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
OUTCOMES = {"w": "written", "s": "stale", "t": "taken_down"}

_STATES: dict[Mode, str] = {"put": "v", "gone": "g", "take": "t", "give": "g"}
_LATEST = 2**53  # microseconds, in the year 2255: the script counts in doubles
_WAITS = (0.2, 1.0, 3.0)  # seconds before each further try at a store that does not answer


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
        """Field of the version, ours: no feature's name begins with an underscore."""
        return encode.field_name(self.name, "_version")

    @property
    def feature_fields(self) -> list[bytes]:
        """Fields of the features."""
        return [encode.field_name(self.name, feature) for feature in self.features]


class Writer:
    """A connection that writes rows of one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._client: Any = redis.Redis.from_url(view.url, socket_connect_timeout=5, socket_timeout=60)
        self._connection: Any = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()
        self._client.close()

    def write(self, batch: pa.RecordBatch, mode: Mode = "put") -> Counter[str]:
        """Write the rows of a batch: how many met which outcome.

        Args:
            batch: the join key, `event_ts`, `computed_at` and, for "put", the features; without a null key or time.

        Raises:
            redis.RedisError: the store does not answer, or refuses. Some of the rows may be written; all of them may
                be sent again.
        """
        view = self._view
        times = encode.times(batch.column(EVENT_TS))
        columns = [versions(batch.column(EVENT_TS), batch.column(COMPUTED_AT), mode), times]
        if mode == "put":
            columns += [encode.values(batch.column(name)) for name in view.features]
        keys = encode.entity_keys(batch.column(view.join_key), view.join_key, view.project)
        options = [mode.encode(), view.time_field, view.version_field, b"%d" % len(view.features), *view.feature_fields]
        rows = wire.bulk_strings(*columns)
        packed, count = wire.calls(DIGEST, options, wire.bulk_strings(keys), rows, len(columns))
        letters = np.frombuffer(b"".join(self._sent(packed, count)), np.uint8)
        if len(letters) != batch.num_rows:
            raise redis.ResponseError(f"{len(letters)} answers to {batch.num_rows} rows")
        return Counter(
            {OUTCOMES[chr(n)]: int(many) for n, many in zip(*np.unique(letters, return_counts=True), strict=True)}
        )

    def _sent(self, packed: bytes, count: int) -> list[bytes]:
        """The answers to a pipeline, sent again where the connection was lost or the script is not known (any more)."""
        for wait in (*_WAITS, None):
            try:
                return self._answers(packed, count)
            except (redis.ConnectionError, redis.TimeoutError, NoScriptError):
                self._drop()
                if wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _answers(self, packed: bytes, count: int) -> list[bytes]:
        if self._connection is None:
            self._client.script_load(SCRIPT)
            self._connection = self._client.connection_pool.get_connection()
        self._connection.send_packed_command([packed])
        answers = [self._answer() for _ in range(count)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _answer(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except redis.ResponseError as error:  # the answers after it are still to be read
            return error

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None


def versions(event_ts: Column, computed_at: Column, mode: Mode) -> Column:
    """Versions of rows as the store keeps them: the state and the two times, see `newest.lua`."""
    times = np.column_stack([_micros(event_ts), _micros(computed_at)]).astype(">i8")
    matrix = np.empty((len(times), 17), np.uint8)
    matrix[:, 0] = ord(_STATES[mode])
    matrix[:, 1:] = times.view(np.uint8)
    return encode.cut_rows(matrix, np.full(len(times), 17, np.int64))


def _micros(column: Column) -> Any:
    micros = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    if len(micros) and not 0 <= micros.min() <= micros.max() < _LATEST:
        raise ValueError("a time before 1970 or after 2255 cannot be compared in the store")
    return micros
