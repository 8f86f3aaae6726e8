"""The keys a service is asked for: of each of its key columns as many, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from content_signals.errors import UnknownName, UsageError
from content_signals.features.entity_key import STRING, EntityKey, Key

Keys = Sequence[Key] | Mapping[str, Sequence[Key]]
_EACH = "give a mapping: column -> keys, all of one length; on the command line --keys COLUMN=KEY,… for each column"


def by_column(service: str, entity_keys: Sequence[EntityKey], keys: Keys) -> Mapping[str, Sequence[Key]]:
    """The keys by the column they stand in, columns in the service's order.

    Args:
        entity_keys: what the service's views are keyed by.
        keys: of a service with one key column a list; otherwise column -> list, all of one length.

    Raises:
        UnknownName: a column that the service has not.
        UsageError: keys that do not fit the service.
    """
    if isinstance(keys, str):
        raise UsageError(f"keys are a list of texts, not the text {keys!r}", next_step=f"give [{keys!r}]")
    columns = columns_of(entity_keys)
    if isinstance(keys, Mapping):
        keys = _mapped(service, columns, keys)
    elif len(columns) == 1:
        keys = {columns[0]: keys}
    else:
        raise UsageError(f"service {service} is about {', '.join(columns)}", next_step=_EACH)
    for entity_key in entity_keys:
        entity_key.check(keys)
    return keys


def columns_of(entity_keys: Sequence[EntityKey]) -> tuple[str, ...]:
    """The columns of some keys, each once."""
    return tuple(dict.fromkeys(column for entity_key in entity_keys for column in entity_key.columns))


def read_from_text(entity_keys: Sequence[EntityKey], keys: Keys) -> Keys:
    """Keys as somebody has typed them: whole numbers where the column has those. What is no number stays a text."""
    kinds = {column: kind for one in entity_keys for column, kind in zip(one.columns, one.kinds, strict=True)}
    if isinstance(keys, Mapping):
        return {column: [_read(kinds.get(column), key) for key in some] for column, some in keys.items()}
    return [_read(next(iter(kinds.values())), key) for key in keys]


def _read(kind: int | None, key: Key) -> Key:
    if kind in (None, STRING) or isinstance(key, int):
        return key
    try:
        return int(key)
    except ValueError:
        return key


def _mapped(service: str, columns: Sequence[str], keys: Mapping[str, Sequence[Key]]) -> dict[str, Sequence[Key]]:
    for name in keys:
        if name not in columns:
            raise UnknownName(f"key column of service {service}", name, columns)
    missing = [name for name in columns if name not in keys]
    if missing or len({len(some) for some in keys.values()}) != 1:
        lengths = ", ".join(f"{len(keys[name]) if name in keys else 'no'} of {name}" for name in columns)
        raise UsageError(f"service {service} takes as many keys of each column: {lengths}")
    return {name: keys[name] for name in columns}
