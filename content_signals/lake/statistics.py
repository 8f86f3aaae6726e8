"""File statistics for Delta, from Parquet footers: with them readers skip files and answer min and max from the log."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

from content_signals.errors import Refused
from content_signals.lake.files import filesystem


def footer_statistics(path: str) -> tuple[int, str]:
    """Rows of a Parquet file, and its statistics as Delta's JSON.

    Raises:
        Refused: when the file is missing or its footer is unreadable: it must not be promoted.
    """
    files, inner = filesystem(path)
    try:
        footer = pq.read_metadata(inner, filesystem=files)
    except (OSError, ValueError) as error:
        raise Refused(
            f"staged file {path} cannot be read: {error}", next_step="run the day again, from its first step"
        ) from error
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    bounds: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}}
    nulls: dict[str, int] = {}
    for position in range(footer.num_columns):
        column = footer.schema.column(position)
        if "." in column.path:  # inside an array or a struct: Delta has no statistics of those by this name
            continue
        chunks: list[Any] = [group.column(position).statistics for group in groups]
        if any(chunk is None for chunk in chunks):
            continue
        if all(chunk.has_null_count for chunk in chunks):
            nulls[column.path] = sum(chunk.null_count for chunk in chunks)
        filled = [chunk for chunk in chunks if chunk.has_min_max]
        if filled and all(c.has_min_max or c.null_count == c.num_values + c.null_count for c in chunks):
            low = _delta_value(min(c.min for c in filled))
            high = _delta_value(max(c.max for c in filled), upper=True)
            if low is not None and high is not None:
                bounds["minValues"][column.path], bounds["maxValues"][column.path] = low, high
    return footer.num_rows, json.dumps({"numRecords": footer.num_rows, **bounds, "nullCount": nulls}, allow_nan=False)


def _delta_value(value: Any, *, upper: bool = False) -> Any:
    """A bound as Delta writes it, or None where a bound proves nothing.

    A moment is cut to milliseconds, which is all Delta keeps, an upper bound is rounded up: left out it would prove
    nothing either, but delta-rs makes `<= null` of a missing bound, and a filter on the column then finds no row.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # NaN as a bound is invalid JSON
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if upper:
            aware += timedelta(microseconds=-aware.microsecond % 1000)
        return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value if len(value) <= 1024 else None
    if isinstance(value, Decimal | bytes):
        return None
    return value
