"""Features of some keys, as the command line shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from content_signals.features.client import STALE, Value, offline, online
from content_signals.features.store import feature_store, online_client
from content_signals.pipeline.context import Context


def feature_rows(
    context: Context, service: str, keys: Sequence[str], as_of: datetime, *, offline: bool
) -> list[dict[str, Any]]:
    """One row a feature; for each key its value, status and `valid_from`.

    Offline the last two are null: Feast says of a value that it has none neither whether there was one nor when.
    """
    return _offline(context, service, keys, as_of) if offline else _online(context, service, keys, as_of)


def values_only(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a person reads them: the value, or why there is none."""
    return [{name: _shown(cell) if isinstance(cell, Mapping) else cell for name, cell in row.items()} for row in rows]


def _online(context: Context, service: str, keys: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
    online_client(context.settings).close()
    values = online(feature_store(context.settings), context.catalog, service, keys, as_of)
    return [
        {"feature": column[0].feature, **{key: _cell(value) for key, value in zip(keys, column, strict=True)}}
        for column in zip(*[values[key] for key in keys], strict=True)
    ]


def _cell(value: Value) -> dict[str, Any]:
    valid_from = value.valid_from.isoformat() if value.valid_from else None
    return {"value": value.value, "status": value.status, "valid_from": valid_from}


def _offline(context: Context, service: str, keys: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
    from content_signals.lake.session import spark_session

    spark_session("features offline")  # Feast's Spark store takes the session there is
    values = offline(feature_store(context.settings), service, keys, as_of)
    names = list(next(iter(values.values())))
    return [
        {"feature": n, **{key: {"value": values[key][n], "status": None, "valid_from": None} for key in keys}}
        for n in names
    ]


def _shown(cell: Mapping[str, Any]) -> Any:
    return "(stale)" if cell["status"] == STALE else cell["value"]
