"""The catalogue file, checked row by row."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TEXT = (pa.string(),)
EXPECTED = {
    "track_id": _TEXT,
    "title": _TEXT,
    "artists": _TEXT,
    "album_id": _TEXT,
    "length": _TEXT,
    "first_seen": (pa.date32(),),
}


def parse(rows: DataFrame) -> DataFrame:
    """The file's rows with `_reason`, null where the row is good.

    Of different rows for one track the one seen first is kept (among equals, by the other columns); the others are set
    aside, so that nothing is lost and a track has one title.
    """
    order = Window.partitionBy("track_id").orderBy(
        F.col("first_seen").asc_nulls_last(), "title", "artists", "album_id", "length"
    )
    missing = F.trim(F.coalesce("track_id", F.lit(""))) == ""
    reason = (
        F.when(missing, "track_id is empty")
        .when(F.col("first_seen").isNull(), "first_seen is empty")
        .when(F.dense_rank().over(order) > 1, "another row of the same track is kept")
    )
    return rows.withColumn("_reason", reason)


def known_on_day(rows: DataFrame) -> DataFrame:
    """Of rows that carry the day `ds`, those the catalogue had by then."""
    return rows.where(F.col("first_seen") <= F.col("ds"))
