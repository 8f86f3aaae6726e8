"""One row per event, whatever arrived twice."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def dedup(events: DataFrame, key: Sequence[str], order_by: Sequence[str]) -> DataFrame:
    """For each key, the row that comes first by `order_by`; among equals, by the other columns.

    The order is total, so the row kept does not depend on how the frame is partitioned. Nulls sort first.
    """
    rest = [name for name in events.columns if name not in (*key, *order_by)]
    row = F.min(F.struct(*order_by, *rest)).alias("_row")
    kept = events.groupBy(*key).agg(row)
    columns = [F.col(name) if name in key else F.col("_row").getField(name).alias(name) for name in events.columns]
    return kept.select(*columns)
