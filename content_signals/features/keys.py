"""The keys a service is asked for: of each of its key columns as many, row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from content_signals.errors import UnknownName, UsageError
from content_signals.features.decode import ARROW, exactly
from content_signals.features.entity_key import KINDS, STRING, Key, fits

Keys = Sequence[Key] | Mapping[str, Sequence[Any]]
_TRUTHS = {"true": True, "false": False}
_NOTHING: Mapping[str, int] = {}
_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
_EACH = "give a mapping: column -> keys, all of one length; on the command line --keys COLUMN=KEY,… for each column"


def by_column(
    service: str, kinds: Mapping[str, int], keys: Keys, request: Mapping[str, int] = _NOTHING
) -> Mapping[str, Sequence[Any]]:
    """The keys by the column they stand in, columns in the service's order; after them what comes with a question.

    Args:
        kinds: the service's key columns, with the number of the feast.types.ValueType of each.
        keys: of a service with one column a list; otherwise column -> list, all of one length.
        request: the same of the columns that views on demand ask for.

    Raises:
        UnknownName: a column that the service has not.
        UsageError: keys that do not fit the service.
    """
    if isinstance(keys, str):
        raise UsageError(f"keys are a list, not the text {keys!r}", next_step=f"give [{keys!r}]")
    columns = {**kinds, **request} if request else kinds
    if isinstance(keys, Mapping):
        keys = _mapped(service, tuple(columns), keys)
    elif len(columns) == 1:
        keys = dict.fromkeys(columns, keys)
    else:
        raise UsageError(f"service {service} is about {', '.join(columns)}", next_step=_EACH)
    for column, kind in kinds.items():
        for key in keys[column]:
            if not (isinstance(key, str) if kind == STRING else fits(kind, key)):
                raise UsageError(f"a key of {column} is {KINDS[kind]}, not {key!r}")
    for column, kind in request.items():
        try:
            exactly(keys[column], kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise UsageError(f"a value of {column} is {ARROW[kind]}: {error}") from None
    return keys


def read_from_text(kinds: Mapping[str, int], keys: Keys) -> Keys:
    """Keys as somebody has typed them, in the kind that their column has. What does not fit stays a text."""
    if isinstance(keys, Mapping):
        return {column: [_read(kinds.get(column), key) for key in some] for column, some in keys.items()}
    return [_read(next(iter(kinds.values())), key) for key in keys]


def _read(kind: int | None, key: Any) -> Any:
    if not isinstance(key, str):
        return key
    if kind in (3, 4):
        return int(key) if _WHOLE.fullmatch(key) else key
    if kind in (5, 6):
        return float(key) if _NUMBER.fullmatch(key) else key
    return _TRUTHS.get(key, key) if kind == 7 else key


def _mapped(service: str, columns: Sequence[str], keys: Mapping[str, Sequence[Key]]) -> dict[str, Sequence[Key]]:
    for name in keys:
        if name not in columns:
            raise UnknownName(f"key column of service {service}", name, columns)
    missing = [name for name in columns if name not in keys]
    if missing or len({len(some) for some in keys.values()}) != 1:
        lengths = ", ".join(f"{len(keys[name]) if name in keys else 'no'} of {name}" for name in columns)
        raise UsageError(f"service {service} takes as many keys of each column: {lengths}")
    return {name: keys[name] for name in columns}
