"""The keys a service is asked for: of each of its key columns as many, row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from content_signals.errors import UnknownName, UsageError
from content_signals.features.entity_key import KINDS, STRING, Key, fits

Keys = Sequence[Key] | Mapping[str, Sequence[Key]]
_WHOLE = re.compile(r"-?[0-9]+")
_EACH = "give a mapping: column -> keys, all of one length; on the command line --keys COLUMN=KEY,… for each column"


def by_column(service: str, kinds: Mapping[str, int], keys: Keys) -> Mapping[str, Sequence[Key]]:
    """The keys by the column they stand in, columns in the service's order.

    Args:
        kinds: the service's key columns, with the number of the feast.types.ValueType of each.
        keys: of a service with one key column a list; otherwise column -> list, all of one length.

    Raises:
        UnknownName: a column that the service has not.
        UsageError: keys that do not fit the service.
    """
    if isinstance(keys, str):
        raise UsageError(f"keys are a list, not the text {keys!r}", next_step=f"give [{keys!r}]")
    if isinstance(keys, Mapping):
        keys = _mapped(service, tuple(kinds), keys)
    elif len(kinds) == 1:
        keys = dict.fromkeys(kinds, keys)
    else:
        raise UsageError(f"service {service} is about {', '.join(kinds)}", next_step=_EACH)
    for column, kind in kinds.items():
        for key in keys[column]:
            if not (isinstance(key, str) if kind == STRING else fits(kind, key)):
                raise UsageError(f"a key of {column} is {KINDS[kind]}, not {key!r}")
    return keys


def read_from_text(kinds: Mapping[str, int], keys: Keys) -> Keys:
    """Keys as somebody has typed them: whole numbers where the column has those. What is no number stays a text."""
    if isinstance(keys, Mapping):
        return {column: [_read(kinds.get(column), key) for key in some] for column, some in keys.items()}
    return [_read(next(iter(kinds.values())), key) for key in keys]


def _read(kind: int | None, key: Key) -> Key:
    is_number = kind not in (None, STRING) and isinstance(key, str) and _WHOLE.fullmatch(key)
    return int(key) if is_number else key


def _mapped(service: str, columns: Sequence[str], keys: Mapping[str, Sequence[Key]]) -> dict[str, Sequence[Key]]:
    for name in keys:
        if name not in columns:
            raise UnknownName(f"key column of service {service}", name, columns)
    missing = [name for name in columns if name not in keys]
    if missing or len({len(some) for some in keys.values()}) != 1:
        lengths = ", ".join(f"{len(keys[name]) if name in keys else 'no'} of {name}" for name in columns)
        raise UsageError(f"service {service} takes as many keys of each column: {lengths}")
    return {name: keys[name] for name in columns}
