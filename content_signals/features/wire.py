"""Calls of a script with many rows, as one packed pipeline of the Redis protocol, made a column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from content_signals.features.encode import Column, offsets_of

pc: Any = pyarrow.compute

CHUNK = 100  # rows a call: the server answers nobody else meanwhile, well under a millisecond
_END = b"\r\n"


def bulk_strings(*columns: Column) -> Column:
    """Binary columns, row by row one after the other, as bulk strings of the protocol."""
    parts = [part for column in columns for part in (_length(column), column)]
    return pc.binary_join_element_wise(*parts, b"", _END)


def calls(digest: bytes, options: Sequence[bytes], keys: Column, rows: Column, width: int) -> tuple[bytes, int]:
    """A pipeline of calls, `CHUNK` rows each, and their number.

    Args:
        digest: of the script, as EVALSHA wants it.
        options: the arguments that stand before the rows.
        keys, rows: bulk strings of the rows' keys and arguments.
        width: arguments a row.
    """
    before = b"".join(map(_bulk, options))
    key_data, key_ends = _content(keys)
    row_data, row_ends = _content(rows)
    parts: list[bytes | memoryview] = []
    for first in range(0, len(keys), CHUNK):
        last = min(first + CHUNK, len(keys))
        count = last - first
        parts.append(b"*%d\r\n" % (3 + count + len(options) + count * width))
        parts += [_bulk(b"EVALSHA"), _bulk(digest), _bulk(b"%d" % count)]
        parts += [key_data[key_ends[first] : key_ends[last]], before, row_data[row_ends[first] : row_ends[last]]]
    return b"".join(parts), -(-len(keys) // CHUNK)


def _length(column: Column) -> Column:
    return pc.binary_join_element_wise(b"$", pc.binary_length(column).cast(pa.string()).cast(pa.binary()), b"")


def _content(column: Column) -> tuple[memoryview, Sequence[int]]:
    return memoryview(column.buffers()[2] or b""), offsets_of(column).tolist()


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)
