"""Features of some keys, as the command line shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from content_signals.errors import UsageError
from content_signals.features.answer import Status, Value
from content_signals.features.client import FeatureClient
from content_signals.features.keys import Keys, read_from_text
from content_signals.features.offline import offline_rows
from content_signals.features.service_plan import service_plan
from content_signals.features.store import feature_store, online_client
from content_signals.pipeline.context import Context

_TOLD = (Status.STALE, Status.TAKEN_DOWN)


def feature_rows(context: Context, service: str, keys: Keys, as_of: datetime, *, offline: bool) -> list[dict[str, Any]]:
    """One row a feature; for each key its value, status and `valid_from`. Keys of several columns: "a / b".

    Offline the last two are null: Feast says of a value that it has none neither whether there was one nor when.
    """
    return _offline(context, service, keys, as_of) if offline else _online(context, service, keys, as_of)


def values_only(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a person reads them: the value, or why there is none."""
    return [{name: _shown(cell) if isinstance(cell, Mapping) else cell for name, cell in row.items()} for row in rows]


def _online(context: Context, service: str, keys: Keys, as_of: datetime) -> list[dict[str, Any]]:
    labels = _labels(keys)
    online_client(context.settings).close()
    with FeatureClient(service, context.settings) as client:
        found = client.get(read_from_text(client.key_kinds, keys), as_of)
    cells = dict(zip(labels, found.cells(), strict=True))
    return [{"feature": name, **{key: _cell(cells[key][name]) for key in cells}} for name in found.names]


def _labels(keys: Keys) -> list[str]:
    """What the rows are called: the same online and offline, by the columns in the order in which they were given.

    Raises:
        UsageError: two rows would be called the same.
    """
    if not isinstance(keys, Mapping):
        return [str(key) for key in keys]
    # Whoever reads them says that there are not as many of each.
    rows = [tuple(map(str, row)) for row in zip(*keys.values(), strict=False)]
    twice = [name for name, count in Counter(map(" / ".join, dict.fromkeys(rows))).items() if count > 1]
    if twice:
        raise UsageError(f"two rows would both be called {twice[0]}", next_step="ask for them one at a time")
    return [" / ".join(row) for row in rows]


def _cell(value: Value) -> dict[str, Any]:
    valid_from = value.valid_from.isoformat() if value.valid_from else None
    return {"value": value.value, "status": str(value.status), "valid_from": valid_from}


def _offline(context: Context, service: str, keys: Keys, as_of: datetime) -> list[dict[str, Any]]:
    from content_signals.lake.session import spark_session

    labels = _labels(keys)
    spark_session("features offline")  # Feast's Spark store takes the session there is
    store = feature_store(context.settings)
    wanted = read_from_text(service_plan(store, service).column_kinds, keys)
    values = dict(zip(labels, offline_rows(store, service, wanted, as_of), strict=True))
    names = list(next(iter(values.values())))
    return [
        {"feature": n, **{key: {"value": values[key][n], "status": None, "valid_from": None} for key in values}}
        for n in names
    ]


def _shown(cell: Mapping[str, Any]) -> Any:
    return f"({cell['status']})" if cell["status"] in _TOLD else cell["value"]
