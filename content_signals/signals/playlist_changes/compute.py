"""Tracks added to and removed from each playlist since its latest earlier observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def compute(inputs: Mapping[str, DataFrame], days: Sequence[date]) -> DataFrame:
    """`ds`, `playlist`, `track_id`, `change`.

    `inputs["playlist_positions_v1"]` holds the observed rows of `days` and of the latest earlier day of each playlist.
    A playlist that was never observed before yields nothing, nor does one that is absent.
    """
    held = inputs["playlist_positions_v1"].select("ds", "playlist", "track_id").distinct()
    observed = held.select("ds", "playlist").distinct()
    in_order = Window.partitionBy("playlist").orderBy("ds")
    before = observed.withColumn("previous", F.lag("ds").over(in_order))
    compared = before.where(F.col("previous").isNotNull() & F.col("ds").isin(*days))
    now = held.join(compared, on=["ds", "playlist"], how="inner").select(
        "ds", "playlist", "track_id", F.lit(1).alias("side")
    )
    then = held.withColumnRenamed("ds", "previous").join(compared, on=["previous", "playlist"], how="inner")
    sides = now.unionByName(then.select("ds", "playlist", "track_id", F.lit(-1).alias("side")))
    # A track on both sides adds up to 0 and did not change.
    balance = sides.groupBy("ds", "playlist", "track_id").agg(F.sum("side").alias("balance")).where("balance <> 0")
    change = F.when(F.col("balance") > 0, F.lit("added")).otherwise(F.lit("removed"))
    return balance.select("ds", "playlist", "track_id", change.alias("change"))
