"""The artists' catalogue, checked row by row."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TEXT = (pa.string(),)
EXPECTED = {
    "track_id": _TEXT,
    "artist_id": _TEXT,
    "album_id": _TEXT,
    "duration_s": (pa.float64(),),
    "tags": (pa.list_(pa.string()),),
}


def parse(rows: DataFrame) -> DataFrame:
    """The file's rows with `_reason`, null where the row is good.

    Of different good rows for one track the first by its other columns is kept, the others are set aside.
    """
    duration = F.col("duration_s")
    unfit = F.when(F.trim(F.coalesce("track_id", F.lit(""))) == "", "track_id is empty").when(
        duration.isNull() | F.isnan(duration) | (duration <= 0) | (duration == float("inf")),
        "duration_s is no length of time",
    )
    order = Window.partitionBy("track_id").orderBy(unfit.isNotNull(), "artist_id", "album_id", "duration_s", "tags")
    second = F.when(F.dense_rank().over(order) > 1, "another row of the same track is kept")
    return rows.withColumn("_reason", F.coalesce(unfit, second))
