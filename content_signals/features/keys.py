"""The keys a service is asked for: of each of its key columns as many, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from content_signals.errors import UnknownName, UsageError

Keys = Sequence[str] | Mapping[str, Sequence[str]]
_EACH = "give a mapping: column -> keys, all of one length; on the command line --keys COLUMN=KEY,… for each column"


def by_column(service: str, columns: Sequence[str], keys: Keys) -> Mapping[str, Sequence[str]]:
    """The keys by the column they stand in, columns in the service's order.

    Args:
        columns: the service's key columns.
        keys: of a service about one entity a list; otherwise column -> list, all of one length.

    Raises:
        UnknownName: a column that the service has not.
        UsageError: keys that do not fit the service.
    """
    if isinstance(keys, str):
        raise UsageError(f"keys are a list of texts, not the text {keys!r}", next_step=f"give [{keys!r}]")
    if isinstance(keys, Mapping):
        keys = _mapped(service, columns, keys)
    elif len(columns) == 1:
        keys = {columns[0]: keys}
    else:
        raise UsageError(f"service {service} is about {', '.join(columns)}", next_step=_EACH)
    wrong = [key for some in keys.values() for key in some if not isinstance(key, str)]
    if wrong:
        raise UsageError(f"a key is a text, not {wrong[0]!r}")
    return keys


def _mapped(service: str, columns: Sequence[str], keys: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    for name in keys:
        if name not in columns:
            raise UnknownName(f"key column of service {service}", name, columns)
    missing = [name for name in columns if name not in keys]
    if missing or len({len(some) for some in keys.values()}) != 1:
        lengths = ", ".join(f"{len(keys[name]) if name in keys else 'no'} of {name}" for name in columns)
        raise UsageError(f"service {service} takes as many keys of each column: {lengths}")
    return {name: keys[name] for name in columns}
