"""Where a track stands in playlists on the day. The windows are declared in the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def compute(inputs: Mapping[str, DataFrame], days: Sequence[date]) -> DataFrame:
    """`ds`, `track_id`, `playlists_count`, `best_position`, `mean_position`.

    `inputs["playlist_positions_v1"]` holds the observed rows of `days`. A track standing twice in a playlist counts
    once, at its best position.
    """
    positions = inputs["playlist_positions_v1"].where(F.col("ds").isin(*days))
    best = positions.groupBy("ds", "playlist", "track_id").agg(F.min("position").alias("position"))
    # Sums of whole numbers are exact in any order; F.avg of a double would not be.
    mean = F.sum("position").cast("double") / F.count("position")
    return best.groupBy("ds", "track_id").agg(
        F.count("playlist").alias("playlists_count"),
        F.min("position").alias("best_position"),
        mean.alias("mean_position"),
    )
