"""Values as Feast's Redis store keeps them, back as columns: the other half of `encode`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Cells = Sequence[bytes | None]

_REMEMBERED = 1 << 16  # small numbers and times are the same bytes again and again
_NO_TIME = np.iinfo(np.int64).min

# Number of feast.types.ValueType, which is also the field's in feast.types.Value -> Arrow's type.
ARROW: dict[int, pa.DataType] = {
    1: pa.binary(),
    2: pa.string(),
    3: pa.int32(),
    4: pa.int64(),
    5: pa.float64(),
    6: pa.float32(),
    7: pa.bool_(),
    8: pa.timestamp("s", "UTC"),
}
# Types of contracts, by the same numbers.
KINDS: dict[str, int] = {"string": 2, "int": 3, "bigint": 4, "double": 5, "boolean": 7, "timestamp": 8}
ARROW |= {number + 10: pa.list_(kind) for number, kind in ARROW.items()}


@dataclass(frozen=True)
class Column:
    """Values of one feature and which of them there are. A value that is not there is 0, NaN, NaT or None."""

    kind: int
    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]

    def numpy(self) -> np.ma.MaskedArray[Any, Any]:
        """Exact in type: a whole number beside a null stays one, the null is masked."""
        return np.ma.MaskedArray(self.values, mask=~self.valid)

    def arrow(self) -> pa.Array[Any]:
        """With nulls."""
        if self.values.dtype == object:
            return pa.array(
                [v if there else None for v, there in zip(self.values, self.valid, strict=True)], ARROW[self.kind]
            )
        made: pa.Array[Any] = pa.array(self.values, mask=~self.valid).cast(ARROW[self.kind])
        return made

    def python(self) -> list[Any]:
        """As Python's own values, None where there is none; moments are aware and in UTC."""
        return self.arrow().to_pylist()


def values_of(kind: int, cells: Cells) -> Column:
    """The values of a feature; None and empty cells hold none.

    Args:
        kind: number of the feature's feast.types.ValueType.

    Raises:
        ValueError: a cell is no value of this type.
    """
    return _COLUMNS.get(kind, _objects)(kind, cells)


@lru_cache(_REMEMBERED)
def moment(cell: bytes) -> int:
    """A google.protobuf.Timestamp in microseconds since 1970."""
    parts, at = {0x08: 0, 0x10: 0}, 0
    while at < len(cell):
        tag = cell[at]
        parts[tag], at = _varint(cell, at + 1)
    return parts[0x08] * 1_000_000 + parts[0x10] // 1_000


def aware(micros: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def _varint(cell: bytes, at: int) -> tuple[int, int]:
    """The signed 64-bit number of a varint, and where it ends."""
    value = shift = 0
    while True:
        byte = cell[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return (value - (1 << 64) if value >> 63 else value), at
        shift += 7


@lru_cache(_REMEMBERED)
def _whole(cell: bytes) -> int:
    return _varint(cell, 1)[0]


def _valid(cells: Cells) -> npt.NDArray[np.bool_]:
    return np.fromiter(map(bool, cells), np.bool_, len(cells))


def _whole_numbers(kind: int, cells: Cells) -> Column:
    numbers = np.fromiter((_whole(cell) if cell else 0 for cell in cells), np.int64, len(cells))
    return Column(kind, numbers.astype(np.int32) if kind == 3 else numbers, _valid(cells))


def _truths(kind: int, cells: Cells) -> Column:
    return Column(kind, np.fromiter((bool(cell and cell[1]) for cell in cells), np.bool_, len(cells)), _valid(cells))


def _moments(kind: int, cells: Cells) -> Column:
    seconds = _whole_numbers(4, cells)
    there = seconds.valid & (seconds.values != _NO_TIME)
    return Column(kind, np.where(there, seconds.values, _NO_TIME).astype("datetime64[s]"), there)


def _floats(kind: int, cells: Cells) -> Column:
    number = np.dtype("<f8" if kind == 5 else "<f4")
    message = np.dtype([("tag", "u1"), ("number", number)])
    there = _valid(cells)
    found = np.frombuffer(b"".join(filter(None, cells)), message)["number"]
    if len(found) != np.count_nonzero(there):
        raise ValueError(f"{len(found)} numbers in {np.count_nonzero(there)} cells")
    values = np.full(len(cells), np.nan, number)
    values[there] = found
    return Column(kind, values, there)


def _delimited(kind: int, cells: Cells) -> Column:
    values = np.empty(len(cells), object)
    values[:] = [_content(cell) if cell else None for cell in cells]
    if kind == 2:
        values[:] = [None if value is None else value.decode() for value in values]
    return Column(kind, values, _valid(cells))


def _content(cell: bytes) -> bytes:
    return cell[2:] if cell[1] < 0x80 else cell[_varint(cell, 1)[1] :]


def _objects(kind: int, cells: Cells) -> Column:
    """Lists, by protocol buffers' own decoder."""
    from feast.protos.feast.types.Value_pb2 import Value

    values = np.empty(len(cells), object)
    for place, cell in enumerate(cells):
        if cell:
            message = Value.FromString(cell)
            values[place] = list(getattr(message, message.WhichOneof("val")).val)
    return Column(kind, values, _valid(cells))


_COLUMNS: dict[int, Callable[[int, Cells], Column]] = {
    1: _delimited,
    2: _delimited,
    3: _whole_numbers,
    4: _whole_numbers,
    5: _floats,
    6: _floats,
    7: _truths,
    8: _moments,
}
