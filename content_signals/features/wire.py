"""Commands of the Redis protocol for many rows, made a column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from content_signals.features.encode import Column, offsets_of

pc: Any = pyarrow.compute

_END = b"\r\n"


def bulk(text: bytes) -> bytes:
    """A bulk string of the protocol."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def bulks(column: Column) -> Column:
    """A binary column as bulk strings."""
    lengths = pc.binary_length(column).cast(pa.string()).cast(pa.binary())
    return pc.binary_join_element_wise(pc.binary_join_element_wise(b"$", lengths, b""), column, b"", _END)


def commands(name: bytes, arguments: int, parts: Sequence[Column | bytes]) -> Column:
    """One command a row.

    Args:
        arguments: how many it has.
        parts: their bulk strings in order: a column, or bytes that are the same in every row.
    """
    head = b"*%d\r\n" % (1 + arguments) + bulk(name)
    same = [pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in (head, *parts)]
    return pc.binary_join_element_wise(*same, b"")


def packed(commands: Column, chosen: Sequence[int] | None = None) -> memoryview | bytes:
    """The commands of some rows, or of all, one after the other."""
    data = memoryview(commands.buffers()[2] or b"")
    ends = offsets_of(commands).tolist()
    if chosen is None:
        return data[ends[0] : ends[-1]]
    return b"".join([data[ends[row] : ends[row + 1]] for row in chosen])
