"""Vectors of tracks: a truncated singular value decomposition of the table of tracks and playlists, without that table.

A is the matrix of tracks and playlists whose entries are `share`: weight / sqrt(size of the playlist). A A' is the
weighted co-occurrence of tracks, normalised by the sizes of playlists; it is never made. Its strongest directions are
those of A'A, which has a row a playlist: random vectors of playlists are multiplied by A'A a few times and made
orthonormal after each (subspace iteration: Halko, Martinsson and Tropp 2011, algorithm 4.4). A track's vector is its
row of A times the vectors of the playlists in it. The scalar product of two such vectors is the best approximation of
their entry in A A' of the rank; with no more playlists than dimensions it is the entry itself.

A product costs one pass over the memberships, however long playlists are: a self-join would cost the square of each
playlist's length. Nothing reaches the driver but sums of columns by columns numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import ceil, log2
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.signals.track_neighbours.contract import DIMENSIONS
from content_signals.signals.track_neighbours.linear import Matrix, aligned, gram, orthonormal, signs, sums, times

# Vectors are found with some to spare, then the weakest are left out: ibid., section 4.2. Where no direction stands
# out, three passes with 8 to spare are 7 % further from the scores than the best of the rank is, with 32 to spare 1 %.
SPARE = 32
PASSES = 3
# A worker holds so many memberships, or playlists, each with a vector: 20 MB.
TOGETHER = 20_000
# Each part of the playlists sends the driver two small matrices.
_MOST_PARTS = 256
_COLUMNS = DIMENSIONS + SPARE
_WORDS = ceil(_COLUMNS / 64)

Key = tuple[Any, ...]
Turns = Mapping[date, Matrix]


@dataclass(frozen=True)
class Size:
    """How much there is of a day.

    Attributes:
        memberships: pairs of a track and a playlist.
        strongest: the square of the length of the longest vector a track can have.
    """

    tracks: int
    playlists: int
    memberships: int
    strongest: float


@dataclass(frozen=True)
class Grid:
    """The numbers a vector can be made of: whole multiples of a step.

    Scalar products of vectors on the grid are whole numbers of squared steps, and those below 2^53 are exact in
    floating point, whatever the order they are added in.

    Attributes:
        noise: in squared steps, the greatest product that rounding alone can make of two vectors with nothing in
            common: each is off by at most half a step in each of its dimensions.
    """

    noise: ClassVar[float] = DIMENSIONS**0.5 * 2.0**24

    step: float

    @classmethod
    def of(cls, strongest: float) -> Grid:
        """The finest on which the longest vector has at most 2^24 steps: no product passes 2^48."""
        return cls(2.0 ** (ceil(log2(strongest) / 2) - 24))


def vectors_of_tracks(members: DataFrame, sizes: Mapping[date, Size]) -> DataFrame:
    """The vector of each track, in steps of the day's grid.

    Args:
        members: `ds`, `track_id`, `playlist`, `share`; read several times.

    Returns:
        ds, track_id, steps (array<int>), playlists (how many the track is a member of).
    """
    parts = {day: ceil(size.memberships / TOGETHER) for day, size in sizes.items()}
    members = members.select("*", in_parts("track_id", parts).alias("part"))
    groups = {day: min(ceil(size.playlists / TOGETHER), _MOST_PARTS) for day, size in sizes.items()}
    playlists = members.select("ds", "playlist").distinct().select("*", _words().alias("words"))
    vectors = playlists.mapInArrow(_start, "ds date, playlist string, vector array<double>")
    turns: Turns = {day: np.eye(_COLUMNS) for day in sizes}
    for _ in range(PASSES):
        joined = members.join(vectors, on=["ds", "playlist"], how="inner")
        shares = _by_part(joined, parts).applyInArrow(
            of_group(_multiplied, turns), "ds date, playlist string, part int, vector array<double>"
        )
        shares = shares.withColumn("part_of_tracks", F.col("part")).withColumn("part", in_parts("playlist", groups))
        # Kept here: the next pass and the sums start from it. A worker that is lost with it fails the job.
        vectors = _by_part(shares, groups).applyInArrow(_added, "ds date, playlist string, vector array<double>")
        vectors = vectors.localCheckpoint()
        sums_of = _sums(vectors, groups)
        turns = {day: orthonormal(own) for day, (own, _) in sums_of.items()}
    turns = {day: aligned(own, against) for day, (own, against) in sums_of.items()}
    grids = {day: Grid.of(size.strongest) for day, size in sizes.items()}
    joined = members.join(vectors, on=["ds", "playlist"], how="inner")
    placed: DataFrame = _by_part(joined, parts).applyInArrow(
        of_group(_placed, turns, grids), "ds date, track_id string, steps array<int>, playlists int"
    )
    return placed


def in_parts(name: str, parts: Mapping[date, int]) -> Column:
    """Which of its day's parts a row belongs to, by the hash of a column alone."""
    of_day = F.create_map(*[F.lit(value) for day, count in parts.items() for value in (day, count)])
    return F.pmod(F.xxhash64(name), F.element_at(of_day, F.col("ds"))).cast("int")


def _by_part(frame: DataFrame, parts: Mapping[date, int]) -> Any:
    # The number is given, so that adaptive execution does not put work for all workers into one task.
    return frame.repartition(min(sum(parts.values()), 4096), "ds", "part").groupBy("ds", "part")


def of_group(made: Callable[..., pa.Table], *given: Any) -> Callable[[Key, pa.Table], pa.Table]:
    """`made` with its first arguments given, as `partial`, of which Spark 4.1 cannot read the types."""

    def of_rows(key: Key, rows: pa.Table) -> pa.Table:
        return made(*given, key, rows)

    return of_rows


def _words() -> Column:
    return F.array(*[F.xxhash64(F.lit(n), F.col("playlist")) for n in range(_WORDS)])


def _sums(vectors: DataFrame, groups: Mapping[date, int]) -> dict[date, tuple[Matrix, Matrix]]:
    """W'W and W'R of each day: W are the playlists' vectors, R their random signs in as many columns as dimensions."""
    rows = vectors.select("*", _words().alias("words"), in_parts("playlist", groups).alias("part"))
    found = _by_part(rows, groups).applyInArrow(_squared, "ds date, part int, own array<double>, against array<double>")
    # As Arrow: numbers of eight bytes, not Python's of thirty. At most `_MOST_PARTS` rows of 0.3 MB a day.
    parts = found.toArrow().sort_by([("ds", "ascending"), ("part", "ascending")])
    total: dict[date, tuple[Matrix, Matrix]] = {}
    for number, day in enumerate(parts["ds"].to_pylist()):
        against = parts["against"][number].values.to_numpy().reshape(-1, DIMENSIONS)
        own = parts["own"][number].values.to_numpy().reshape(len(against), len(against))
        known = total.get(day)
        total[day] = (known[0] + own, known[1] + against) if known else (own, against)
    return total


# In a worker. Rows arrive in any order; each of these functions sorts them before it adds.


def _start(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        vectors = _lists(signs(_wide(batch["words"]), _COLUMNS))
        yield pa.RecordBatch.from_arrays([batch["ds"], batch["playlist"], vectors], ["ds", "playlist", "vector"])


def _multiplied(turns: Turns, key: Key, rows: pa.Table) -> pa.Table:
    """The part's summands of A'A times the vectors: one a playlist that some track of the part is a member of."""
    rows = rows.sort_by([("track_id", "ascending"), ("playlist", "ascending")])
    starts, number = runs(rows["track_id"])
    shares = rows["share"].to_numpy()[:, None]
    tracks = times(sums(shares * _wide(rows["vector"]), starts), turns[key[0].as_py()])
    order = pc.sort_indices(rows, [("playlist", "ascending"), ("track_id", "ascending")]).to_numpy()
    playlists = rows["playlist"].take(order)
    starts, _ = runs(playlists)
    added = sums((shares * tracks[number])[order], starts)
    return pa.table(
        [_repeated(key[0], len(starts)), playlists.take(starts), _repeated(key[1], len(starts)),
         _lists(added)],
        ["ds", "playlist", "part", "vector"],
    )  # fmt: skip


def _added(key: Key, rows: pa.Table) -> pa.Table:
    """The summands of each playlist added up, in the order of the parts they come from."""
    rows = rows.sort_by([("playlist", "ascending"), ("part_of_tracks", "ascending")])
    starts, _ = runs(rows["playlist"])
    return pa.table(
        [_repeated(key[0], len(starts)), rows["playlist"].take(starts),
         _lists(sums(_wide(rows["vector"]), starts))],
        ["ds", "playlist", "vector"],
    )  # fmt: skip


def _squared(key: Key, rows: pa.Table) -> pa.Table:
    rows = rows.sort_by("playlist")
    vectors, reference = _wide(rows["vector"]), signs(_wide(rows["words"]), DIMENSIONS)
    own, against = gram(vectors, vectors), gram(vectors, reference)
    return pa.table(
        [_repeated(key[0], 1), _repeated(key[1], 1), _lists(own.reshape(1, -1)), _lists(against.reshape(1, -1))],
        ["ds", "part", "own", "against"],
    )


def _placed(turns: Turns, grids: Mapping[date, Grid], key: Key, rows: pa.Table) -> pa.Table:
    """The vectors of the part's tracks, on the grid."""
    rows = rows.sort_by([("track_id", "ascending"), ("playlist", "ascending")])
    starts, _ = runs(rows["track_id"])
    day = key[0].as_py()
    vectors = times(sums(rows["share"].to_numpy()[:, None] * _wide(rows["vector"]), starts), turns[day])
    steps = np.rint(vectors / grids[day].step).astype(np.int32)
    counts = np.diff(np.append(starts, rows.num_rows)).astype(np.int32)
    return pa.table(
        [_repeated(key[0], len(starts)), rows["track_id"].take(starts), _lists(steps),
         pa.array(counts)],
        ["ds", "track_id", "steps", "playlists"],
    )  # fmt: skip


def runs(column: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Of a sorted column: where each value begins, and the number of each row's value."""
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.ones(len(codes), bool)
    first[1:] = codes[1:] != codes[:-1]
    return np.flatnonzero(first), np.cumsum(first) - 1


def _repeated(value: Any, count: int) -> Any:
    return pa.repeat(value, count)


def _wide(column: Any) -> Any:
    """A column of lists of one length as a matrix."""
    values: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return values.flatten().to_numpy().reshape(len(values), -1)


def _lists(matrix: NDArray[Any]) -> pa.Array[Any]:
    """The rows of a matrix as a column of lists."""
    offsets = np.arange(len(matrix) + 1) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(matrix.ravel()))
