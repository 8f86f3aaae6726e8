"""One row per event, whatever arrived twice."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_NUMBER = "_number"


def dedup(events: DataFrame, key: Sequence[str], order_by: Sequence[str]) -> DataFrame:
    """For each key, the row that comes first by `order_by`; among equals, by the other columns.

    The order is total, so the row kept does not depend on how the frame is partitioned. Nulls sort first. The rows of
    a partition come out sorted by key, in the order in which `key` names its columns: the first decides how fast that
    sort is, so let it be one of many values.
    """
    rest = [name for name in events.columns if name not in (*key, *order_by)]
    # A window spills what does not fit; an aggregate of whole rows would not even be one of hashes.
    number = F.row_number().over(Window.partitionBy(*key).orderBy(*([*order_by, *rest] or key)))
    return events.select("*", number.alias(_NUMBER)).where(F.col(_NUMBER) == 1).select(*events.columns)
