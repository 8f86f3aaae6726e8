"""Features of some keys, as the command line shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from content_signals.features.client import offline, online
from content_signals.features.store import feature_store, online_client
from content_signals.pipeline.context import Context


def feature_rows(
    context: Context, service: str, keys: Sequence[str], as_of: datetime, *, offline: bool
) -> list[dict[str, Any]]:
    """One row a feature, one column a key."""
    return _offline(context, service, keys, as_of) if offline else _online(context, service, keys, as_of)


def _online(context: Context, service: str, keys: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
    online_client(context.settings).close()
    values = online(feature_store(context.settings), context.catalog, service, keys, as_of)
    return [
        {"feature": column[0].feature, **{key: _shown(value) for key, value in zip(keys, column, strict=True)}}
        for column in zip(*[values[key] for key in keys], strict=True)
    ]


def _offline(context: Context, service: str, keys: Sequence[str], as_of: datetime) -> list[dict[str, Any]]:
    from content_signals.lake.session import spark_session

    spark_session("features offline")  # Feast's Spark store takes the session there is
    values = offline(feature_store(context.settings), service, keys, as_of)
    names = list(next(iter(values.values())))
    return [{"feature": name, **{key: values[key][name] for key in keys}} for name in names]


def _shown(value: Any) -> Any:
    return value.value if value.status == "fresh" else None if value.status == "missing" else f"({value.status})"
