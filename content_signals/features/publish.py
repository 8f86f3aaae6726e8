"""Rows of a promoted day to the online store, from Spark: the difference to what is served, newest wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.errors import Temporary
from content_signals.features.lease import Ticket
from content_signals.features.online import Mode, View, Writer

_TALLY = "mode string, outcome string, rows bigint, said string"
_COLUMNS: dict[str, pa.DataType] = {
    "mode": pa.string(), "outcome": pa.string(), "rows": pa.int64(), "said": pa.string()
}  # fmt: skip
_BEFORE, _NOW, _GONE, _ASIDE = "_before_", "_now", "_gone", "_aside"
pc: Any = pyarrow.compute


@dataclass(frozen=True)
class Difference:
    """What has to be sent so that the store serves what the table says.

    Attributes:
        rows: key, features, `event_ts`, `computed_at` and `_gone` of what is new or changed, and, with `_gone` true and
            no features, of what has no row any more.
        unchanged: how many rows are served as they are, once the rows have been sent; None: none.
        of_nothing: there was nothing before, so nothing can be gone.
    """

    rows: DataFrame
    unchanged: Observation | None = None
    of_nothing: bool = False


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
        return Difference(rows.withColumn(_GONE, F.lit(False)), of_nothing=True)
    left = [F.lit(moment).cast("timestamp") for moment in left_at]
    how = "shuffle_hash" if hashed else "merge"
    found = _changed if same_day else _news
    return found(rows, before, aside, key, left, how)


def _news(
    rows: DataFrame, before: DataFrame, aside: DataFrame | None, key: str, left: Sequence[Column], how: str
) -> Difference:
    """All rows, because they are of another day, and the keys that have left."""
    gone = before.select(key).join(rows.select(key).hint(how), on=key, how="left_anti").distinct()
    if aside is not None:
        gone = gone.join(aside.select(key), on=key, how="left_anti")
    gone = gone.select(key, left[0].alias(EVENT_TS), left[1].alias(COMPUTED_AT), F.lit(True).alias(_GONE))
    return Difference(rows.withColumn(_GONE, F.lit(False)).unionByName(gone, allowMissingColumns=True))


def _changed(
    rows: DataFrame, before: DataFrame, aside: DataFrame | None, key: str, left: Sequence[Column], how: str
) -> Difference:
    """The rows that are not as they were, and the keys that have left.

    Both ways in one pass over either side: a row is as wide as its features, and to shuffle it is what this costs.
    """
    was = before.select(key, *(F.col(name).alias(_BEFORE + name) for name in (EVENT_TS, COMPUTED_AT)))
    if aside is None:
        was = was.withColumn(_ASIDE, F.lit(None).cast("boolean"))
    else:  # here, where rows are narrow
        was = was.join(aside.select(key).distinct().withColumn(_ASIDE, F.lit(True)), on=key, how="left")
    joined = rows.withColumn(_NOW, F.lit(True)).join(was.hint(how), on=key, how="full")
    joined = joined.withColumn(_GONE, F.col(_NOW).isNull())
    same = F.coalesce(
        (F.col(EVENT_TS) == F.col(_BEFORE + EVENT_TS)) & (F.col(COMPUTED_AT) == F.col(_BEFORE + COMPUTED_AT)),
        F.lit(False),
    )
    unchanged = Observation()
    observed = joined.observe(unchanged, F.count_if(same).alias("rows"))
    changed = observed.where(~same & (~F.col(_GONE) | F.col(_ASIDE).isNull()))
    times = [
        F.when(F.col(_GONE), moment).otherwise(F.col(name)).alias(name)
        for name, moment in zip((EVENT_TS, COMPUTED_AT), left, strict=True)
    ]
    kept = [name for name in rows.columns if name not in (EVENT_TS, COMPUTED_AT)]
    return Difference(changed.select(*kept, *times, _GONE), unchanged)


def send(view: View, changes: Difference, ticket: Ticket) -> Sent:
    """Write a difference, for a publication that holds the view's lease.

    Raises:
        Temporary: the store does not answer, or refuses. Some rows may be written; sending them again is harmless.
    """
    # If the stage before the last is observed and yields no rows, adaptive execution drops it, and its counts. The
    # greatest of a text makes the last one a sort aggregate, which keeps it.
    tallies = changes.rows.mapInArrow(partial(_write, view, ticket), _TALLY)
    total = tallies.groupBy("mode", "outcome").agg(F.sum("rows"), F.max("said")).collect()
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


def _write(view: View, ticket: Ticket, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker: write what comes, and say what became of it. A store that fails is said, not raised."""
    import redis

    with Writer(view, ticket) as writer:
        try:
            for batch in batches:
                for mode, rows in _by_mode(batch):
                    for outcome, count in writer.write(rows, mode).items():
                        yield _tally(mode, outcome, count)
        except redis.RedisError as error:
            yield _tally("put", "failed", 0, f"{type(error).__name__}: {error}")


def _by_mode(batch: pa.RecordBatch) -> Iterator[tuple[Mode, pa.RecordBatch]]:
    """The rows to be put and those gone; most often there are none of these."""
    gone: Any = batch.column(_GONE)
    if not gone.true_count:
        yield "put", batch
        return
    both: tuple[tuple[Mode, Any], ...] = (("put", pc.invert(gone)), ("gone", gone))
    for mode, some in both:
        if some.true_count:
            yield mode, batch.filter(some)


def _tally(mode: str, outcome: str, rows: int, said: str = "") -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"mode": mode, "outcome": outcome, "rows": rows, "said": said}], pa.schema(_COLUMNS)
    )
