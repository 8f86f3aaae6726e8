"""Values as Feast's Redis store keeps them, back as columns: the other half of `encode`.

Most calls ask for one key. So a column is a list: an array costs more than the value in it, and is made when asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

Cells = Sequence[bytes | None]
pc: Any = pyarrow.compute

_REMEMBERED = 1 << 16  # small numbers and times are the same bytes again and again
_NO_TIME = -(1 << 63)

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
KINDS |= {"array<string>": 12, "array<double>": 15, "array<float>": 16}
ARROW |= {number + 10: pa.list_(kind) for number, kind in ARROW.items()}


_TYPES = pa.types
_LISTS = (_TYPES.is_list, _TYPES.is_large_list, _TYPES.is_fixed_size_list)
_KIN: tuple[tuple[Callable[[pa.DataType], bool], ...], ...] = (
    (_TYPES.is_string, _TYPES.is_large_string, _TYPES.is_string_view),
    (_TYPES.is_binary, _TYPES.is_large_binary, _TYPES.is_binary_view),
    (_TYPES.is_integer, _TYPES.is_floating, _TYPES.is_decimal),
    (_TYPES.is_boolean,),
    (_TYPES.is_timestamp, _TYPES.is_date),
)


# NumPy's type of the same kinds, and what stands where there is no value. Others are objects, None where there is none.
_NUMPY: dict[int, tuple[np.dtype[Any], Any]] = {
    3: (np.dtype(np.int32), 0),
    4: (np.dtype(np.int64), 0),
    5: (np.dtype(np.float64), np.nan),
    6: (np.dtype(np.float32), np.nan),
    7: (np.dtype(np.bool_), False),
    8: (np.dtype("datetime64[s]"), _NO_TIME),
}


@dataclass(slots=True)  # not frozen: that is slower to make than a value to read
class Column:
    """Values of one feature, as Python's own.

    Attributes:
        kind: number of the feature's feast.types.ValueType.
        values: None where there is none; moments are seconds since 1970.
    """

    kind: int
    values: list[Any]

    def numpy(self) -> np.ma.MaskedArray[Any, Any]:
        """Exact in type: a whole number beside a null stays one, the null is masked."""
        values, mask = self.values, None
        if None in values:
            mask = [value is None for value in values]
        if self.kind in _NUMPY:
            dtype, nothing = _NUMPY[self.kind]
            if mask:
                values = [nothing if value is None else value for value in values]
            made = np.array(values, np.int64).view(dtype) if self.kind == 8 else np.array(values, dtype)
        else:  # not np.array: it makes two dimensions of lists of one length
            made = np.fromiter(values, object, len(values))
        if mask:
            return _masked(made, np.array(mask, np.bool_))
        return _masked(made, _ONE.copy() if len(values) == 1 else np.zeros(len(values), np.bool_))

    def arrow(self) -> pa.Array[Any]:
        """With nulls."""
        made: pa.Array[Any] = pa.array(self.values, ARROW[self.kind])
        return made

    def python(self) -> list[Any]:
        """As Python's own values, None where there is none; moments are aware and in UTC."""
        if self.kind == 8:
            return [None if value is None else datetime.fromtimestamp(value, UTC) for value in self.values]
        if self.kind in _NUMPY or self.kind in (1, 2):
            return list(self.values)
        return self.arrow().to_pylist()


class _Bare(np.ma.MaskedArray[Any, Any]):
    """A masked array that is not asked what it was made of; of a plain array the answer is always the same."""

    __array_finalize__ = np.ndarray.__array_finalize__


_ONE = np.zeros(1, np.bool_)  # most calls ask for one key: a copy costs half
_PLAIN = vars(np.zeros(0).view(np.ma.MaskedArray))


def _masked(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> np.ma.MaskedArray[Any, Any]:
    """What MaskedArray(values, mask) gives, for a sixth of its CPU: for one key that would be much of the call."""
    made: Any = values.view(_Bare)
    made.__class__ = np.ma.MaskedArray
    made.__dict__ = {**_PLAIN, "_optinfo": {}, "_basedict": {}, "_mask": mask}
    return made  # type: ignore[no-any-return]


def values_of(kind: int, cells: Cells) -> Column:
    """The values of a feature; None and empty cells hold none.

    Args:
        kind: number of the feature's feast.types.ValueType.

    Raises:
        ValueError: a cell is no value of this type.
    """
    return Column(kind, _READ[kind](cells))


def exactly(values: Any, kind: int) -> pa.Array[Any]:
    """Values of others in one of the types of `ARROW`, if it has each of them; of moments the whole seconds.

    Raises:
        ValueError: it has not. pa.ArrowException is what Arrow says itself.
    """
    found: Any = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else pa.array(values)
    wanted = ARROW[kind]
    if not _is_kin(found.type, wanted):  # Arrow would read numbers from texts, and truths from numbers
        raise ValueError(f"{found.type} is not {wanted}")
    if pa.types.is_timestamp(found.type):
        found = pc.floor_temporal(found, unit="second")
    made = found.cast(wanted, safe=kind % 10 != 8)
    if kind == 6 and pc.any(pc.and_(pc.is_inf(made), pc.is_finite(found))).as_py():
        raise ValueError(f"a number is too large for {wanted}")
    return made  # type: ignore[no-any-return]


def _is_kin(found: Any, wanted: Any) -> bool:
    """Whether a value of one type can be one of the other without being read as something else."""
    if pa.types.is_list(wanted) and any(is_list(found) for is_list in _LISTS):
        return _is_kin(found.value_type, wanted.value_type)
    return pa.types.is_null(found) or any(
        any(one(found) for one in kin) and any(one(wanted) for one in kin) for kin in _KIN
    )


def column_of(values: pa.Array[Any]) -> Column:
    """Values of one of the types in `ARROW`."""
    kind = next(number for number, known in ARROW.items() if known == values.type)
    return Column(kind, (values.cast(pa.int64()) if kind == 8 else values).to_pylist())


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
    if cell[0] not in _VARINTS:
        raise ValueError(f"{_holds(cell)}, not a whole number or a time")
    return _varint(cell, 1)[0]


def _whole_numbers(cells: Cells) -> list[Any]:
    return [_whole(cell) if cell else None for cell in cells]


def _truths(cells: Cells) -> list[Any]:
    try:
        return [_TRUTHS[cell] for cell in cells]
    except KeyError as error:
        raise ValueError(f"{_holds(error.args[0])}, not a truth value") from error


def _moments(cells: Cells) -> list[Any]:
    return [None if value == _NO_TIME else value for value in _whole_numbers(cells)]


def _floats(tag: int, form: str) -> Callable[[Cells], list[Any]]:
    """How to read numbers that lie behind a byte of tag."""
    unpack = struct.Struct(form).unpack

    def read(cells: Cells) -> list[Any]:
        for cell in cells:
            if cell and cell[0] != tag:
                raise ValueError(f"{_holds(cell)}, not a floating-point number of this size")
        try:
            return [unpack(cell)[0] if cell else None for cell in cells]
        except struct.error as error:
            raise ValueError(f"the store holds no number: {error}") from error

    return read


def _texts(cells: Cells) -> list[Any]:
    return [_content(cell, 0x12).decode() if cell else None for cell in cells]


def _bytes(cells: Cells) -> list[Any]:
    return [_content(cell, 0x0A) if cell else None for cell in cells]


def _content(cell: bytes, tag: int) -> bytes:
    if cell[0] != tag:
        raise ValueError(f"{_holds(cell)}, not {'a text' if tag == 0x12 else 'bytes'}")
    return cell[2:] if cell[1] < 0x80 else cell[_varint(cell, 1)[1] :]


def _lists(number: int, cells: Cells) -> list[Any]:
    """Lists, by protocol buffers' own decoder."""
    from feast.protos.feast.types.Value_pb2 import Value

    values: list[Any] = []
    name = _LIST_FIELDS[number]
    for cell in cells:
        message = Value.FromString(cell) if cell else None
        if message and not message.HasField(name):
            raise ValueError(f"{_holds(cell or b'')}, not {ARROW[number]}")
        values.append(message and list(getattr(message, name).val))
    return values


def _holds(cell: bytes) -> str:
    """What a cell of another type has, in words."""
    kind = ARROW.get(_varint(cell, 0)[0] >> 3)
    return f"the store holds {kind or 'something unknown'}"


# A field's tag in the message: its number and how it is written.
_VARINTS = frozenset(number << 3 for number in (3, 4, 8))
_TRUTHS: dict[bytes | None, bool | None] = {b"\x38\x01": True, b"\x38\x00": False, b"": None, None: None}
_LIST_FIELDS = {
    11: "bytes_list_val",
    12: "string_list_val",
    13: "int32_list_val",
    14: "int64_list_val",
    15: "double_list_val",
    16: "float_list_val",
    17: "bool_list_val",
    18: "unix_timestamp_list_val",
}
_READ: dict[int, Callable[[Cells], list[Any]]] = {
    1: _bytes,
    2: _texts,
    3: _whole_numbers,
    4: _whole_numbers,
    5: _floats(0x29, "<xd"),
    6: _floats(0x35, "<xf"),
    7: _truths,
    8: _moments,
    **{number: partial(_lists, number) for number in _LIST_FIELDS},
}
