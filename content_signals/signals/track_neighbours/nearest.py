"""Each track's nearest others by scalar product: exact on a day of few tracks, in cells on a day of many.

Tracks are cut into blocks, and each block of tracks that ask meets each block of tracks that may answer, once. Vectors
lie on a grid, so that a block of products is whole numbers that BLAS gets right to the last bit in any order.

Up to `EXACT_TRACKS` tracks everybody meets everybody: the square of their number. Above, tracks lie in cells around
some of them, picked by hash: each in the cell whose centre its vector points at most; and each asks in the `PROBES`
cells its own vector points at most (an inverted file: Jégou, Douze and Schmid 2011). What that misses is in
docs/content/track_neighbours.md.

Equal scores are usual: a track that stands in one playlist alone has the same score with everything in it. The one with
the longer vector is nearer then, and of those the one with the smaller id. Vectors are rounded, so scores that are
equal by their definition are not quite: scores and lengths count, and are told, with `_BITS` binary digits. A score
that rounding alone could have made, below a few millionths of the day's greatest, is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.signals.track_neighbours.contract import NEIGHBOURS
from content_signals.signals.track_neighbours.factors import Grid
from content_signals.signals.track_neighbours.linear import Matrix, Whole

EXACT_TRACKS = 65_536
BLOCK = 4_096
PROBES = 8
_MOST_CELLS = 16_384  # their centres travel to every worker: 16 MB

_BITS = 13
_DROPPED = 53 - _BITS  # a double has 53, the first of them implied
_FOUND = pa.struct([("far", pa.float64()), ("short", pa.float64()), ("track_id", pa.string())])
_FOUND_IN_SPARK = "array<struct<far: double, short: double, track_id: string>>"


class Plan(NamedTuple):
    """How a day's tracks meet: in how many cells, of which each track asks in `probes`."""

    cells: int
    probes: int
    meetings: int

    @classmethod
    def of(cls, tracks: int, exact: int = EXACT_TRACKS) -> Plan:
        """One cell where that is affordable; else cells of about a block each."""
        blocks = ceil(tracks / BLOCK)
        if tracks <= exact:
            return cls(1, 1, blocks * blocks)
        cells = min(blocks, _MOST_CELLS)
        probes = min(PROBES, cells)
        return cls(cells, probes, blocks * probes)


def nearest(tracks: DataFrame, plans: Mapping[date, Plan]) -> DataFrame:
    """The nearest of each track.

    Args:
        tracks: `ds`, `track_id`, `steps`; read several times.

    Returns:
        ds, track_id, found: array of (far, short, track_id), the nearest first. `far` is minus the score and `short`
        minus the square of the length of the other's vector, in squared steps.
    """
    placed = _in_cells(tracks, plans)
    answer = placed.select("ds", F.col("home").alias("cell"), "track_id", "steps")
    ask = placed.select("ds", F.explode("probes").alias("cell"), "track_id", "steps")
    answers, asks = _blocks(answer, "answers"), _blocks(ask, "asks")
    blocks = answers.join(asks, on=["ds", "cell"], how="inner")
    answer = _dealt(answer, blocks, own="answers", other="asks")
    ask = _dealt(ask, blocks, own="asks", other="answers")
    # The number is given, so that adaptive execution does not put work for all workers into one task.
    meetings = min(max(sum(plan.meetings for plan in plans.values()), 1), 4096)
    keys = ["ds", "cell", "answers", "asks"]
    met = (
        ask.repartition(meetings, *keys)
        .groupBy(*keys)
        .cogroup(answer.repartition(meetings, *keys).groupBy(*keys))
        .applyInArrow(_meet, f"ds date, track_id string, found {_FOUND_IN_SPARK}")
    )
    best = F.slice(F.sort_array(F.flatten(F.collect_list("found"))), 1, NEIGHBOURS)
    return met.groupBy("ds", "track_id").agg(best.alias("found"))


def _blocks(tracks: DataFrame, name: str) -> DataFrame:
    """Into how many blocks the tracks of each cell are dealt."""
    return tracks.groupBy("ds", "cell").agg(F.ceil(F.count("track_id") / BLOCK).cast("int").alias(name))


def _dealt(tracks: DataFrame, blocks: DataFrame, own: str, other: str) -> DataFrame:
    """Each track in its block, once for every block of the other side."""
    block = F.pmod(F.xxhash64(F.lit("block"), "track_id"), F.col(own)).cast("int").alias(own)
    every = F.explode(F.sequence(F.lit(0), F.col(other) - 1)).alias(other)
    # Named anew: both sides are made of one frame, and cannot be told apart in a cogroup by the columns of that.
    ds, cell, track, steps = (F.col(name).alias(name) for name in ("ds", "cell", "track_id", "steps"))
    return tracks.join(blocks, on=["ds", "cell"], how="inner").select(ds, cell, block, every, track, steps)


def _in_cells(tracks: DataFrame, plans: Mapping[date, Plan]) -> DataFrame:
    """The tracks with `home`, the cell each lies in, and `probes`, the cells it asks in."""
    many = {day: plan for day, plan in plans.items() if plan.cells > 1}
    if not many:
        return tracks.select("*", F.lit(0).alias("home"), F.array(F.lit(0)).alias("probes"))
    centres = _centres(tracks, many)
    probes = {day: plan.probes for day, plan in many.items()}
    placed = tracks.mapInArrow(
        partial(_cells, centres, probes),
        "ds date, track_id string, steps array<int>, home int, probes array<int>",
    )
    return placed.localCheckpoint()  # read several times


def _centres(tracks: DataFrame, plans: Mapping[date, Plan]) -> dict[date, Matrix]:
    """Of each day that many tracks as there shall be cells: those with the smallest hashes."""
    centres = {}
    for day, plan in plans.items():
        order = F.xxhash64(F.lit("centre"), "track_id")
        rows = tracks.where((F.col("ds") == day) & (_squared("steps") > 0)).orderBy(order, "track_id").limit(plan.cells)
        centres[day] = directions(_matrix(rows.select("steps").toArrow()["steps"]))
    return centres


def _squared(name: str) -> Column:
    return F.aggregate(name, F.lit(0).cast("bigint"), lambda total, step: total + step.cast("bigint") * step)


# In a worker.


def directions(vectors: Matrix) -> Matrix:
    """Vectors of one length, on the grid again: products with them are exact too."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    made: Matrix = np.rint(vectors / np.maximum(lengths, 1) * 2**20)
    return made


def short(numbers: Matrix) -> Whole:
    """Numbers of 0 or more to `_BITS` binary digits, as whole numbers in the same order; `long` turns them back."""
    bits = np.ascontiguousarray(numbers).view(np.int64)
    return (bits + (1 << (_DROPPED - 1))) >> _DROPPED


def long(whole: Whole) -> Matrix:
    """The numbers that `short` told."""
    return np.ascontiguousarray(whole << _DROPPED).view(np.float64)


def best(scores: Whole, count: int) -> NDArray[np.intp]:
    """The places of the greatest scores of each row, the first of equal ones; in no order."""
    width = scores.shape[1]
    if width <= count:
        return np.broadcast_to(np.arange(width), scores.shape)
    unique = scores * width + np.arange(width)[::-1]
    return np.argpartition(unique, width - count, axis=1)[:, width - count :]


def meet(asking: Matrix, answering: Matrix, same: NDArray[np.intp]) -> tuple[NDArray[np.intp], Matrix]:
    """Those that answer best to each that asks.

    Args:
        asking: vectors, in whole steps.
        answering: vectors in whole steps, the preferred of equal scores first.
        same: for each that asks, its own place among those that answer, or -1.

    Returns:
        places among those that answer, and their scores, row by row in no order; 0 is the score of those that are in
        there for want of others.
    """
    scores = asking @ answering.T
    itself = np.flatnonzero(same >= 0)
    scores[itself, same[itself]] = 0
    counted = short(np.maximum(scores, 0, out=scores))
    places = best(counted, NEIGHBOURS)
    return places, long(np.take_along_axis(counted, places, axis=1))


def _meet(key: tuple[Any, ...], ask: pa.Table, answer: pa.Table) -> pa.Table:
    asking, answering = _matrix(ask["steps"]), _matrix(answer["steps"])
    lengths = long(short(np.einsum("ij,ij->i", answering, answering)))
    order = pc.sort_indices(answer["track_id"]).to_numpy()
    order = order[np.argsort(-lengths[order], kind="stable")]  # of equal lengths, the smaller id stays first
    answering, lengths = answering[order], lengths[order]
    ids = answer["track_id"].combine_chunks().take(order)
    index: Any = pc.index_in(ask["track_id"], value_set=ids)
    same = index.fill_null(-1).to_numpy()
    places, scores = meet(asking, answering, same)
    good = scores > Grid.noise
    found = pa.StructArray.from_arrays(
        [pa.array(-scores[good]), pa.array(-lengths[places[good]]), ids.take(places[good])],
        fields=list(_FOUND),
    )
    offsets = np.append(0, np.cumsum(good.sum(axis=1)))
    return pa.table(
        [pa.array([key[0].as_py()] * len(asking), pa.date32()), ask["track_id"],
         pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), found)],
        ["ds", "track_id", "found"],
    )  # fmt: skip


def _cells(
    centres: Mapping[date, Matrix], probes: Mapping[date, int], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        days: list[Any] = batch["ds"].unique().to_pylist()
        for day in days:
            rows = batch.filter(pc.equal(batch["ds"], pa.scalar(day, pa.date32())))
            for start in range(0, rows.num_rows, 1024):
                yield _placed(rows.slice(start, 1024), centres.get(day), probes.get(day, 1))


def _placed(rows: pa.RecordBatch, centres: Matrix | None, probes: int) -> pa.RecordBatch:
    if centres is None:
        asked = np.zeros((rows.num_rows, 1), np.int32)
    else:
        asked = cells_of(_matrix(rows["steps"]), centres, probes)
    offsets = np.arange(len(asked) + 1) * asked.shape[1]
    return pa.RecordBatch.from_arrays(
        [rows["ds"], rows["track_id"], rows["steps"], pa.array(asked[:, 0]),
         pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(asked.ravel(), pa.int32()))],
        ["ds", "track_id", "steps", "home", "probes"],
    )  # fmt: skip


def cells_of(vectors: Matrix, centres: Matrix, probes: int) -> NDArray[np.int32]:
    """The cells each vector points at most, that first which it points at most of all."""
    scores = (vectors @ centres.T).astype(np.int64)
    places = best(scores, probes)
    order = np.argsort(-(np.take_along_axis(scores, places, axis=1) * len(centres) - places), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1).astype(np.int32)


def _matrix(column: Any) -> Matrix:
    values: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    made: Matrix = values.flatten().to_numpy().reshape(len(values), -1).astype(np.float64)
    return made
