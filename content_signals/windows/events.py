"""One row per event, whatever arrived twice."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_PLACE = "_place"


def dedup(events: DataFrame, key: Sequence[str], order_by: Sequence[str], together: Sequence[str] = ()) -> DataFrame:
    """For each key, the row that comes first by `order_by`; among equals, by the other columns.

    The order is total, so the row kept does not depend on how the frame is partitioned. Nulls sort first.

    Args:
        together: columns that are equal where keys are. Rows that are equal in them come to lie in one partition,
            sorted by key: what groups by them afterwards moves no row again.
    """
    rest = [name for name in events.columns if name not in (*key, *order_by)]
    rows = events.repartition(*together) if together else events
    # A window spills what does not fit; an aggregate of whole rows would not even be one of hashes.
    place = F.row_number().over(Window.partitionBy(*key).orderBy(*([*order_by, *rest] or key)))
    return rows.select("*", place.alias(_PLACE)).where(F.col(_PLACE) == 1).select(*events.columns)
