"""A view's rows for Feast's point-in-time join in Spark: the rows that are ever the answer, and since when each is."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features.asof import Mode
from content_signals.lake.history import SUPERSEDED_AT

SINCE, CREATED, VALID = "_since", "_created", "_event"  # VALID: event time in microseconds, by which a value ages
_END, _RANK, _BEST = "_end", "_rank", "_best"
_COMPUTED = f"{_RANK}._computed"


def moment(microseconds: Column) -> Column:
    """Microseconds since 1970 as a time of day and year in UTC, which neither a session's nor a machine's zone moves.

    Feast collects the first and the last moment in Python, where a timestamp with a zone is in the machine's.
    """
    return F.timestamp_micros(microseconds).cast("timestamp_ntz")


def timeline(rows: DataFrame, key: str, features: Sequence[str], mode: Mode) -> DataFrame:
    """Key, features, `_event`, and when the row becomes the answer: `_since`. Of equals that is the last `_created`.

    Args:
        rows: with `event_ts` and `computed_at`, and, of rows that rebuilds have superseded, `superseded_at`; null in
            rows that are in the table.
    """
    event, computed = F.unix_micros(EVENT_TS), F.unix_micros(COMPUTED_AT)
    stamped = rows.where(F.col(key).isNotNull() & event.isNotNull() & computed.isNotNull()).select(
        key,
        *features,
        event.alias(VALID),
        F.greatest(event, computed).alias(SINCE),
        F.unix_micros(SUPERSEDED_AT).alias(_END),
        F.struct(event.alias(VALID), computed.alias("_computed")).alias(_RANK),
    )
    found = stamped.withColumn(SINCE, F.col(VALID)) if mode == "event" else _known(stamped, key, features)
    return found.select(key, *features, VALID, moment(F.col(SINCE)).alias(SINCE), F.col(_COMPUTED).alias(CREATED))


def _known(stamped: DataFrame, key: str, features: Sequence[str]) -> DataFrame:
    """As `asof._timeline` says: a row is the answer from when it is seen, if it is the greatest seen until then.

    Keys of which a rebuild has left a row out, and put none in its place, are worked out at each change.
    """
    withdrawn = _withdrawn(stamped, key)
    until_now = Window.partitionBy(key).orderBy(SINCE).rangeBetween(Window.unboundedPreceding, Window.currentRow)
    plain = (
        stamped.join(withdrawn, key, "left_anti")
        .withColumn(_BEST, F.max(_RANK).over(until_now))
        .where(F.col(_BEST) == F.col(_RANK))
    )
    columns = [key, *features, VALID, SINCE, _RANK]
    return plain.select(*columns).unionByName(_at_changes(stamped.join(withdrawn, key, "left_semi"), columns))


def _withdrawn(stamped: DataFrame, key: str) -> DataFrame:
    """Keys with a row that ended without one of the same event time in its place."""
    gone, other = stamped.where(F.col(_END).isNotNull()).alias("gone"), stamped.alias("other")
    replaced = (
        (F.col(f"gone.{key}") == F.col(f"other.{key}"))
        & (F.col(f"gone.{VALID}") == F.col(f"other.{VALID}"))
        & (F.col(f"other.{_RANK}") > F.col(f"gone.{_RANK}"))
        & (F.col(f"other.{_COMPUTED}") <= F.col(f"gone.{_END}"))
    )
    return gone.join(other, replaced, "left_anti").select(key).distinct()


def _at_changes(changed: DataFrame, columns: Sequence[str]) -> DataFrame:
    """At each moment at which something appears or ends, the greatest row of those there; null features if none is."""
    key, *own, _, _ = columns
    points = changed.select(key, F.explode(F.array(SINCE, _END)).alias("_point")).where("_point is not null").distinct()
    there = changed.alias("there")
    alive = (
        (F.col(f"point.{key}") == F.col(f"there.{key}"))
        & (F.col(f"there.{SINCE}") <= F.col("point._point"))
        & (F.col(f"there.{_END}").isNull() | (F.col("point._point") < F.col(f"there.{_END}")))
    )
    best = Window.partitionBy(f"point.{key}", "point._point").orderBy(F.col(f"there.{_RANK}").desc_nulls_last())
    return (
        points.alias("point")
        .join(there, alive, "left")
        .withColumn(_BEST, F.row_number().over(best))
        .where(F.col(_BEST) == 1)
        .select(f"point.{key}", *own, F.col("point._point").alias(SINCE), f"there.{_RANK}")
    )
