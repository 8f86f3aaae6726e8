"""What says which hash of the online store holds a thing's rows: its keys, as Feast serializes them (version 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

from content_signals.features.encode import string_key_prefix

Key = str | int

INT32, INT64, STRING = 3, 4, 2  # numbers of feast.types.ValueType
_WHOLE = {INT32: ("<i", 2**31), INT64: ("<q", 2**63)}
KINDS = {STRING: "a text", INT32: "a whole number of 32 bits", INT64: "a whole number of 64 bits"}


@dataclass(frozen=True)
class EntityKey:
    """The keys of a view.

    Attributes:
        join_keys: as they are registered, in Feast's order: sorted.
        columns: what callers call each: the same, unless the service maps it.
        kinds: number of the feast.types.ValueType of each, one of `KINDS`.
    """

    join_keys: tuple[str, ...]
    columns: tuple[str, ...]
    kinds: tuple[int, ...]

    @classmethod
    def text(cls, join_key: str) -> EntityKey:
        """Of one text, under its own name: what every table of this project is keyed by."""
        return cls((join_key,), (join_key,), (STRING,))

    @cached_property
    def is_text(self) -> bool:
        """Whether it is one text."""
        return self.kinds == (STRING,)

    @cached_property
    def prefix(self) -> bytes:
        """What all serialized keys begin with; those of one text up to its length."""
        if self.is_text:
            return string_key_prefix(self.join_keys[0])
        names = [name.encode() for name in self.join_keys]
        told = b"".join(struct.pack("<II", STRING, len(name)) + name for name in names)
        return struct.pack("<I", len(names)) + told

    def rows(self, wanted: Mapping[str, Sequence[Key]]) -> list[tuple[Key, ...]]:
        """The keys row by row."""
        return list(zip(*(wanted[column] for column in self.columns), strict=True))

    def serialized(self, wanted: Mapping[str, Sequence[Key]]) -> Iterator[bytes]:
        """What the names of the hashes begin with, row by row; the project follows. Not for keys of one text."""
        for row in self.rows(wanted):
            yield self.prefix + b"".join(_value(kind, key) for kind, key in zip(self.kinds, row, strict=True))


def fits(kind: int, key: object) -> bool:
    """Whether a key is of a kind."""
    if kind == STRING:
        return isinstance(key, str)
    if isinstance(key, bool) or not isinstance(key, Integral):
        return False
    bound = _WHOLE[kind][1]
    return -bound <= int(key) < bound


def _value(kind: int, key: Key) -> bytes:
    value = key.encode() if isinstance(key, str) else struct.pack(_WHOLE[kind][0], key)
    return struct.pack("<II", kind, len(value)) + value
