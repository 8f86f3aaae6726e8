"""Rows of a promoted day to the online store, from Spark: the difference to what is served, newest wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial, reduce

import pyarrow as pa
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.errors import Temporary
from content_signals.features.lease import Ticket
from content_signals.features.online import Mode, View, Writer

_TALLY = "mode string, outcome string, rows bigint, said string"
_COLUMNS: dict[str, pa.DataType] = {
    "mode": pa.string(), "outcome": pa.string(), "rows": pa.int64(), "said": pa.string()
}  # fmt: skip
_BEFORE = "_before_"


@dataclass(frozen=True)
class Difference:
    """What has to be sent so that the store serves what the table says.

    Attributes:
        rows: key, features, `event_ts` and `computed_at` of what is new or changed.
        gone: key, `event_ts` and `computed_at` of what has no row any more.
        unchanged: how many rows are served as they are, once the rows have been sent; None: none.
    """

    rows: DataFrame
    gone: DataFrame | None = None
    unchanged: Observation | None = None


@dataclass
class Sent:
    """What became of the rows of a day.

    Attributes:
        read: rows of the day and keys that left.
        written: rows written; stale: not written, the store has a newer one; tombstoned: keys that left, and rows of
            what was taken down; unchanged: not sent.
    """

    read: int = 0
    written: int = 0
    stale: int = 0
    tombstoned: int = 0
    unchanged: int = 0
    by_mode: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)


def difference(
    now: DataFrame,
    before: DataFrame | None,
    table: Table,
    left_at: tuple[datetime, datetime],
    *,
    same_day: bool,
    aside: DataFrame | None = None,
    hashed: bool = False,
) -> Difference:
    """What changed between two states of a table, a row a key in each.

    A row of one day has changed if its `computed_at` has: one that says the same keeps it when its day is built again.

    Args:
        before: key, `event_ts` and `computed_at`; None: there was nothing.
        left_at: event time and computed-at of keys that left.
        same_day: the rows of `before` are of the day of `now`; otherwise all of `now` is news.
        hashed: a partition's share of `before` fits into memory: joined by a hash table, without sorting both sides.
        aside: keys of rows in quarantine: they have not left, their last good values stay.
    """
    key = table.keys[0]
    rows = now.select(key, *table.values, EVENT_TS, COMPUTED_AT)
    if before is None:
        return Difference(rows)
    when = (F.lit(left_at[0]).cast("timestamp").alias(EVENT_TS), F.lit(left_at[1]).cast("timestamp").alias(COMPUTED_AT))
    how = "shuffle_hash" if hashed else "merge"
    gone = before.select(key).join(rows.select(key).hint(how), on=key, how="left_anti").distinct()
    if aside is not None:
        gone = gone.join(aside.select(key), on=key, how="left_anti")
    gone = gone.select(key, *when)
    if not same_day:
        return Difference(rows, gone)
    was = before.select(key, *(F.col(name).alias(_BEFORE + name) for name in (EVENT_TS, COMPUTED_AT)))
    same = F.coalesce(
        (F.col(EVENT_TS) == F.col(_BEFORE + EVENT_TS)) & (F.col(COMPUTED_AT) == F.col(_BEFORE + COMPUTED_AT)),
        F.lit(False),
    )
    unchanged = Observation()
    joined = rows.join(was.hint(how), on=key, how="left").observe(unchanged, F.count_if(same).alias("rows"))
    return Difference(joined.where(~same).select(*rows.columns), gone, unchanged)


def send(view: View, changes: Difference, ticket: Ticket) -> Sent:
    """Write a difference, for a publication that holds the view's lease.

    Raises:
        Temporary: the store does not answer, or refuses. Some rows may be written; sending them again is harmless.
    """
    tallies = [_written(view, ticket, changes.rows, "put")]
    if changes.gone is not None:
        tallies.append(_written(view, ticket, changes.gone, "gone"))
    total = (
        reduce(DataFrame.unionByName, tallies).groupBy("mode", "outcome").agg(F.sum("rows"), F.max("said")).collect()
    )
    failed = [said for _, outcome, _, said in total if outcome == "failed"]
    if failed:
        raise Temporary(
            f"{view.name}: the online store does not take what it is sent: {failed[0]}",
            state="some rows may be written; models read either these or what was served before",
            next_step=f"publish_features --table {view.name} again: it sends what is missing",
        )
    counts = {(mode, outcome): rows for mode, outcome, rows, _ in total}
    unchanged = int(changes.unchanged.get["rows"] or 0) if changes.unchanged else 0
    return Sent(
        read=sum(counts.values()) + unchanged,
        written=counts.get(("put", "written"), 0),
        stale=sum(rows for (_, outcome), rows in counts.items() if outcome == "stale"),
        tombstoned=counts.get(("gone", "written"), 0)
        + sum(rows for (_, outcome), rows in counts.items() if outcome == "taken down"),
        unchanged=unchanged,
        by_mode=counts,
    )


def _written(view: View, ticket: Ticket, frame: DataFrame, mode: Mode) -> DataFrame:
    return frame.mapInArrow(partial(_write, view, ticket, mode), _TALLY)


def _write(view: View, ticket: Ticket, mode: Mode, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker: write what comes, and say what became of it. A store that fails is said, not raised."""
    import redis

    with Writer(view, ticket) as writer:
        try:
            for batch in batches:
                for outcome, rows in writer.write(batch, mode).items():
                    yield _tally(mode, outcome, rows)
        except redis.RedisError as error:
            yield _tally(mode, "failed", 0, f"{type(error).__name__}: {error}")


def _tally(mode: str, outcome: str, rows: int, said: str = "") -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"mode": mode, "outcome": outcome, "rows": rows, "said": said}], pa.schema(_COLUMNS)
    )
