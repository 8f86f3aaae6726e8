"""Tracks that playlists put together: who was where, then vectors (`factors.py`), then the nearest (`nearest.py`).

A track is a member of a playlist that holds it, with weight 1, and of one that let it go in the last 56 days, with a
weight that halves every 14 days. What playlists hold is read from the latest list of each in seven days, what they let
go from `playlist_changes`, itself a signal: 56 days of changes are a fraction of 56 days of lists.

The score of two tracks is the sum over the playlists of both of weight * weight / size, where the size of a playlist is
the sum of its weights: a long playlist says less of any two of its tracks. Why these weights, and what they are worth:
docs/content/track_neighbours.md.

A day is made of that day and days before it, and of nothing else; the same input gives the same bits, whatever the
order of the rows, the number of workers, and the days built beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from content_signals.signals.track_neighbours.contract import (
    HALF_LIFE_DAYS,
    LIST_DAYS,
    TRACK_NEIGHBOURS_V1,
    WINDOW_DAYS,
)
from content_signals.signals.track_neighbours.factors import Grid, Size, vectors_of_tracks
from content_signals.signals.track_neighbours.nearest import Plan, nearest

POSITIONS, CHANGES = "playlist_positions_v1", "playlist_changes_v1"
# Weights are fixed-point longs, so that their sums do not depend on an order.
ONE = 2**30
_COLUMNS = ", ".join(["ds date", "track_id string", *(f"{c.name} {c.type}" for c in TRACK_NEIGHBOURS_V1.computed)])


def compute(inputs: Mapping[str, DataFrame], days: Sequence[date]) -> DataFrame:
    """The vectors and neighbours of every track that is a member of a playlist on each of `days`.

    Not lazy: memberships and vectors are made and kept, in the workers, before it returns.

    Returns:
        ds, track_id and the columns of the contract.
    """
    members = shares(memberships(inputs[POSITIONS], inputs[CHANGES], days)).localCheckpoint()
    sizes = sizes_of(members)
    if not sizes:
        return members.sparkSession.createDataFrame([], _COLUMNS)
    tracks = vectors_of_tracks(members, sizes).localCheckpoint()
    found = nearest(tracks, {day: Plan.of(size.tracks) for day, size in sizes.items()})
    return _told(tracks, found, {day: Grid.of(size.strongest).step for day, size in sizes.items()})


def memberships(positions: DataFrame, changes: DataFrame, days: Sequence[date]) -> DataFrame:
    """Who is a member of what on each of `days`.

    Returns:
        ds, playlist, track_id, age (days since the playlist let the track go, 0: it has not).
    """
    listed = positions.select("playlist", F.col("ds").alias("seen")).distinct()
    latest = (
        listed.select("*", F.explode(_within(days, "seen", LIST_DAYS)).alias("ds"))
        .groupBy("ds", "playlist")
        .agg(F.max("seen").alias("seen"))
    )
    held = positions.select("playlist", F.col("ds").alias("seen"), "track_id").join(
        latest, on=["playlist", "seen"], how="inner"
    )
    gone = changes.where(F.col("change") == "removed").select(
        F.explode(_within(days, "ds", WINDOW_DAYS)).alias("day"), "ds", "playlist", "track_id"
    )
    gone = gone.select(
        F.col("day").alias("ds"), "playlist", "track_id", (F.datediff("day", "ds") + 1).alias("age")
    ).join(latest.select("ds", "playlist"), on=["ds", "playlist"], how="left_semi")
    both = held.select("ds", "playlist", "track_id", F.lit(0).alias("age")).unionByName(gone)
    # Moved by playlist: the sums over playlists that follow find their rows together.
    together = both.repartition("ds", "playlist")
    return together.groupBy("ds", "playlist", "track_id").agg(F.min("age").alias("age"))


def _within(days: Sequence[date], since: str, reach: int) -> Column:
    """Those of the days that the column's day is in reach of."""
    return F.filter(F.lit(list(days)), lambda day: F.datediff(day, since).between(0, reach - 1))


def shares(members: DataFrame) -> DataFrame:
    """The memberships with `share`: weight / sqrt(size of the playlist). The square of it is at most 1."""
    weights = [round(ONE * 2 ** (-age / HALF_LIFE_DAYS)) for age in range(WINDOW_DAYS + 1)]
    weight = F.element_at(F.lit(weights), F.col("age") + 1)
    size = F.sum("weight").over(Window.partitionBy("ds", "playlist"))
    # Both are times ONE: weight / ONE / sqrt(size / ONE).
    share = F.col("weight") / F.sqrt(F.col("size") * F.lit(float(ONE)))
    weighted = members.withColumn("weight", weight).withColumn("size", size)
    return weighted.select("ds", "playlist", "track_id", share.alias("share"))


def sizes_of(members: DataFrame) -> dict[date, Size]:
    """How much there is of each day; a day without memberships is not there."""
    square = F.round(F.col("share") * F.col("share") * ONE).cast("bigint")
    of_tracks = members.groupBy("ds", "track_id").agg(F.count("playlist").alias("n"), F.sum(square).alias("square"))
    counted = of_tracks.groupBy("ds").agg(
        F.count("track_id").alias("tracks"), F.sum("n").alias("memberships"), F.max("square").alias("strongest")
    )
    playlists = members.groupBy("ds").agg(F.count_distinct("playlist").alias("playlists"))
    rows = counted.join(playlists, on="ds", how="inner").collect()
    return {r["ds"]: Size(r["tracks"], r["playlists"], r["memberships"], r["strongest"] / ONE) for r in rows}


def _told(tracks: DataFrame, found: DataFrame, steps: Mapping[date, float]) -> DataFrame:
    """The columns of the contract."""
    of_day = F.create_map(*[F.lit(value) for pair in steps.items() for value in pair])
    step = F.element_at(of_day, F.col("ds"))
    scores = F.transform("found", lambda one: -one["far"] * step * step)
    square = F.aggregate("steps", F.lit(0).cast("bigint"), lambda total, n: total + n.cast("bigint") * n)
    return tracks.join(found, on=["ds", "track_id"], how="inner").select(
        "ds",
        "track_id",
        F.transform("found", lambda one: one["track_id"]).alias("neighbours"),
        scores.cast("array<float>").alias("neighbour_scores"),
        F.size("found").alias("neighbours_count"),
        F.try_element_at(scores, F.lit(1)).alias("nearest_score"),
        F.transform("steps", lambda n: n * step).cast("array<float>").alias("embedding"),
        (F.sqrt(square) * step).alias("embedding_norm"),
        F.col("playlists").alias("playlists_56d"),
    )
