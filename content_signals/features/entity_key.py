"""What says which hash of the online store holds a thing's rows: its keys, as Feast serializes them (version 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from content_signals.errors import UsageError
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

    @property
    def is_text(self) -> bool:
        """Whether it is one text."""
        return self.kinds == (STRING,)

    @cached_property
    def _prefix(self) -> bytes:
        """What all serialized keys begin with."""
        if self.is_text:
            return string_key_prefix(self.join_keys[0])
        names = [name.encode() for name in self.join_keys]
        told = b"".join(struct.pack("<II", STRING, len(name)) + name for name in names)
        return struct.pack("<I", len(names)) + told

    def rows(self, wanted: Mapping[str, Sequence[Key]]) -> list[tuple[Key, ...]]:
        """The keys row by row."""
        return list(zip(*(wanted[column] for column in self.columns), strict=True))

    def serialized(self, wanted: Mapping[str, Sequence[Key]]) -> Iterator[bytes]:
        """What the names of the hashes begin with, row by row; the project follows."""
        prefix = self._prefix
        if self.is_text:
            for key in wanted[self.columns[0]]:
                name = key.encode()  # type: ignore[union-attr]
                yield b"%b%b%b" % (prefix, len(name).to_bytes(4, "little"), name)
            return
        for row in self.rows(wanted):
            yield prefix + b"".join(_value(kind, key) for kind, key in zip(self.kinds, row, strict=True))

    def check(self, wanted: Mapping[str, Sequence[Key]]) -> None:
        """Whether the keys are of their kinds.

        Raises:
            UsageError: one is not.
        """
        for column, kind in zip(self.columns, self.kinds, strict=True):
            wrong = [key for key in wanted[column] if not _fits(kind, key)]
            if wrong:
                raise UsageError(f"a key of {column} is {KINDS[kind]}, not {wrong[0]!r}")


def _fits(kind: int, key: Key) -> bool:
    if kind == STRING:
        return isinstance(key, str)
    bound = _WHOLE[kind][1]
    return isinstance(key, int) and not isinstance(key, bool) and -bound <= key < bound


def _value(kind: int, key: Key) -> bytes:
    value = key.encode() if isinstance(key, str) else struct.pack(_WHOLE[kind][0], key)
    return struct.pack("<II", kind, len(value)) + value
