"""Rows as Feast's Redis store keeps them, a column at a time: the bytes that Feast itself would write.

A row of a view is some fields of the hash of its entity: a value a feature, and the event time. Golden tests hold every
type against the pinned Feast. Nothing here imports Feast, which takes seconds: this runs in Spark's Python workers.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

import mmh3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Column = Any  # a pyarrow array: its stubs lack some of what it can do, and so do those of its functions
pc: Any = pyarrow.compute

FEAST = "0.67.0"  # the version whose bytes the golden tests hold this against

# Field numbers of feast.types.Value: of one value, and of a list of them.
_SCALAR = {
    pa.binary(): 1,
    pa.string(): 2,
    pa.int32(): 3,
    pa.int64(): 4,
    pa.float64(): 5,
    pa.float32(): 6,
    pa.bool_(): 7,
    pa.timestamp("us", "UTC"): 8,
}
_LIST = {kind: number + 10 for kind, number in _SCALAR.items()}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_STRING_KEY = 2  # feast.types.ValueType.STRING
_NO_TIME = np.iinfo(np.int64).min  # what numpy has for no time at all


def encodable(kind: pa.DataType) -> bool:
    """Whether columns of a type can be encoded; what cannot is left to Feast."""
    inner = kind.value_type if pa.types.is_list(kind) else kind
    return inner in _SCALAR


def how_written(types: Mapping[str, str]) -> str:
    """How rows are written: where this differs from what is served, every row has to be written anew.

    Args:
        types: column -> the contract's type.
    """
    return hashlib.sha256(repr([FEAST, *types.items()]).encode()).hexdigest()[:16]


def field_name(view: str, feature: str) -> bytes:
    """Name of a feature's field in the hash."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """Name of the field that holds the event time of a view's row."""
    return f"_ts:{view}".encode()


def key_prefix(join_key: str) -> bytes:
    """What the names of all hashes of an entity with a string key begin with (entity key serialization 3)."""
    name = join_key.encode()
    return struct.pack("<III", 1, _STRING_KEY, len(name)) + name


def string_key_prefix(join_key: str) -> bytes:
    """The same, up to the length of the key."""
    return key_prefix(join_key) + struct.pack("<I", _STRING_KEY)


def entity_keys(keys: Column, join_key: str, project: str) -> Column:
    """Names of the hashes of some entities.

    Args:
        keys: strings.

    Raises:
        ValueError: a key is null.
    """
    if keys.null_count:
        raise ValueError(f"{join_key} is null in {keys.null_count} rows: nobody could ask for them")
    lengths = pc.binary_length(keys.cast(pa.binary())).to_numpy(zero_copy_only=False).astype("<u4")
    sizes = pa.FixedSizeBinaryArray.from_buffers(pa.binary(4), len(keys), [None, pa.py_buffer(lengths)])
    return _joined(
        pa.scalar(string_key_prefix(join_key), pa.binary()),
        sizes.cast(pa.binary()),
        keys.cast(pa.binary()),
        project.encode(),
    )


def values(column: Column) -> Column:
    """A column as `feast.types.Value` messages, binary; what is null is empty, and so is what Feast takes for null.

    Feast has a moment of its own for a timestamp that is null.

    Raises:
        TypeError: for a type that is not `encodable`.
    """
    if not encodable(column.type):
        raise TypeError(f"a column of type {column.type} has no encoding")
    if pa.types.is_list(column.type):
        return _lists(column)
    number = _SCALAR[column.type]
    if pa.types.is_timestamp(column.type):
        return _joined(_tag(number, _VARINT), _moments(column))
    missing = column.is_null(nan_is_null=pa.types.is_floating(column.type))
    return _present(_SCALARS[column.type](column.fill_null(_filler(column.type)), number), missing)


def times(column: Column) -> Column:
    """Timestamps as `google.protobuf.Timestamp` messages, binary. Few of them differ: each is made once.

    Args:
        column: none null.
    """
    distinct = column.cast(pa.timestamp("us", "UTC")).dictionary_encode()
    made = [_time(micros) for micros in distinct.dictionary.cast(pa.int64()).to_pylist()]
    return pa.array(made, pa.binary()).take(distinct.indices)


def _time(micros: int) -> bytes:
    seconds, rest = divmod(micros, 1_000_000)
    parts = ((0x08, seconds), (0x10, rest * 1_000))
    return b"".join(bytes([tag]) + varint(number) for tag, number in parts if number)


def varint(number: int) -> bytes:
    """A whole number as a varint; a negative one is taken as its two's complement of 64 bits."""
    return varints(np.array([number], np.int64))[0].as_py()  # type: ignore[no-any-return]


def varints(numbers: Longs) -> Column:
    """Whole numbers as varints of protocol buffers, binary."""
    rest = numbers.astype(np.int64).view(np.uint64)
    digits: list[Bytes] = []
    lengths = np.ones(len(rest), np.int64)
    while True:
        digits.append((rest & np.uint64(0x7F)).astype(np.uint8))
        rest = rest >> np.uint64(7)
        more = rest != 0
        if not more.any():
            break
        digits[-1][more] |= 0x80
        lengths += more
    return cut_rows(np.column_stack(digits), lengths)


def cut_rows(matrix: Bytes, lengths: Longs) -> Column:
    """The first `lengths[i]` bytes of each row i of a matrix, binary."""
    width = matrix.shape[1]
    data = matrix if (lengths == width).all() else matrix[np.arange(width) < lengths[:, None]]
    return _binary(np.concatenate(([0], np.cumsum(lengths))), data.tobytes())


def _binary(offsets: npt.NDArray[np.integer[Any]], data: bytes | pa.Buffer) -> Column:
    ends = pa.py_buffer(offsets.astype(np.int32).tobytes())
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, ends, pa.py_buffer(data)])


def _joined(*parts: Column | bytes) -> Column:
    """Binary columns, put together row by row."""
    return pc.binary_join_element_wise(*parts, b"")


def _present(messages: Column, missing: Column) -> Column:
    return messages if not missing.true_count else pc.if_else(missing, pa.scalar(b"", pa.binary()), messages)


def _filler(kind: pa.DataType) -> pa.Scalar[Any]:
    empty = {pa.string(): "", pa.binary(): b"", pa.bool_(): False}
    return pa.scalar(empty.get(kind, 0), kind)


def _tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def _numbers(column: Column) -> Longs:
    """Whole numbers, truth values and seconds since 1970 as longs."""
    if pa.types.is_timestamp(column.type):  # rounded down to seconds, as Feast does
        column = pc.floor_temporal(column, unit="second").cast(pa.timestamp("s", "UTC"))
    if not pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    longs: Longs = column.to_numpy(zero_copy_only=False).astype(np.int64)
    return longs


def _moments(column: Column) -> Column:
    return varints(np.where(column.is_valid(), _numbers(column.fill_null(0)), _NO_TIME))


def _varint_scalars(column: Column, number: int) -> Column:
    return _joined(_tag(number, _VARINT), varints(_numbers(column)))


def _fixed_scalars(column: Column, number: int) -> Column:
    floats = column.to_numpy(zero_copy_only=False)
    wire = _FIXED64 if floats.itemsize == 8 else _FIXED32
    matrix = np.empty((len(floats), 1 + floats.itemsize), np.uint8)
    matrix[:, 0] = _tag(number, wire)[0]
    matrix[:, 1:] = np.ascontiguousarray(floats).view(np.uint8).reshape(len(floats), floats.itemsize)
    return cut_rows(matrix, np.full(len(floats), matrix.shape[1], np.int64))


def _delimited(content: Column, number: int) -> Column:
    """Bytes with their field's tag and their length before them."""
    content = content.cast(pa.binary())
    lengths = pc.binary_length(content).to_numpy(zero_copy_only=False)
    return _joined(_tag(number, _BYTES), varints(lengths), content)


_SCALARS: dict[pa.DataType, Callable[[Column, int], Column]] = {
    pa.binary(): _delimited,
    pa.string(): _delimited,
    pa.int32(): _varint_scalars,
    pa.int64(): _varint_scalars,
    pa.float64(): _fixed_scalars,
    pa.float32(): _fixed_scalars,
    pa.bool_(): _varint_scalars,
}


def _lists(column: Column) -> Column:
    """Lists: one message in another. What stands in a list lies together, so the lists are cuts of all elements."""
    offsets = column.offsets.to_numpy()
    inner = column.type.value_type
    elements = _elements(column.values.slice(offsets[0], offsets[-1] - offsets[0]))
    ends = offsets_of(elements)[offsets - offsets[0]]
    contents = _binary(ends, elements.buffers()[2] or b"")
    if inner not in (pa.string(), pa.binary()):  # numbers are packed; an empty list of them has no field
        empty = pc.equal(pc.binary_length(contents), 0)
        contents = _present(_delimited(contents, 1), empty)
    return _present(_delimited(contents, _LIST[inner]), column.is_null())


def _elements(column: Column) -> Column:
    """The elements of lists as they stand in the inner message, which knows no nulls.

    Feast writes for one what is empty of its type; a NaN among floats, and its own moment among timestamps.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _moments(column)
    if column.null_count and not pa.types.is_floating(kind):
        column = column.fill_null(_filler(kind))
    if kind in (pa.string(), pa.binary()):
        return _delimited(column, 1)
    if pa.types.is_floating(kind):
        floats = column.to_numpy(zero_copy_only=False)
        matrix = np.ascontiguousarray(floats).view(np.uint8).reshape(len(floats), floats.itemsize)
        return cut_rows(matrix, np.full(len(floats), floats.itemsize, np.int64))
    return varints(_numbers(column))


def offsets_of(column: Column) -> npt.NDArray[np.int32]:
    """Where each value of a binary array begins in its data, and the last ends."""
    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
