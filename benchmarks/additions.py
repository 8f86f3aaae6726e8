"""Next week's additions to playlists as a test of rankings: days, questions, measures, intervals.

A question is a playlist on a day: which tracks will it add in the next seven days? What it holds on the day is given
and cannot be an answer; candidates are the tracks that some playlist held in the window up to the day. Additions of
tracks that nobody held before cannot be foreseen from playlists and are left out; their share is told.

Two sets of questions: all additions, and first ones, of tracks the playlist has never held before. Most additions are
returns: who remembers what a playlist let go lately answers most of the first set, and nothing of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
from numpy.typing import NDArray
from scipy import sparse

CUT = 50
HORIZON_DAYS = 7
Scores: TypeAlias = NDArray[np.float64]
Values: TypeAlias = dict[str, float]  # playlist -> a measure


@dataclass(frozen=True)
class Archive:
    """What every playlist held on every day; tracks and playlists as numbers, in the order of their names."""

    table: pa.Table
    playlists: list[str]
    tracks: list[str]
    held: dict[date, sparse.csr_array]  # playlists x tracks of 0 and 1

    @classmethod
    def read(cls, folder: Path) -> Archive:
        """All daily files of a folder."""
        types = {"date": pa.date32(), "playlist": pa.string(), "position": pa.int32(), "track_id": pa.string()}
        options = csv.ConvertOptions(column_types=types)
        table = pa.concat_tables(
            [csv.read_csv(path, convert_options=options) for path in sorted(folder.glob("*.csv.gz"))]
        )
        playlists, tracks = (sorted(pc.unique(table[name]).to_pylist()) for name in ("playlist", "track_id"))
        rows = pc.index_in(table["playlist"], value_set=pa.array(playlists)).to_numpy()
        columns = pc.index_in(table["track_id"], value_set=pa.array(tracks)).to_numpy()
        days = table["date"].to_numpy()
        held = {}
        for day in np.unique(days):
            at = days == day
            matrix = sparse.csr_array((np.ones(at.sum()), (rows[at], columns[at])), (len(playlists), len(tracks)))
            matrix.data[:] = 1  # a track can stand twice in a list
            held[day.astype(object)] = matrix
        return cls(table, playlists, tracks, held)

    def union(self, first: date, last: date) -> sparse.csr_array:
        """1 where a playlist held a track on some day."""
        days = [day for day in self.held if first <= day <= last]
        total = sum((self.held[day] for day in days[1:]), self.held[days[0]]).tocsr()
        total.data[:] = 1
        return total

    def decayed(self, day: date, days: int, half_life_days: float) -> sparse.csr_array:
        """For each playlist and track 2^(-age / half-life), by the latest of some days that the one held the other."""
        total = sparse.csr_array((len(self.playlists), len(self.tracks)))
        for d in sorted(self.held):
            if 0 <= (day - d).days < days:
                total = total.maximum(self.held[d] * 2.0 ** (-(day - d).days / half_life_days))
        return total.tocsr()


@dataclass(frozen=True)
class Questions:
    """The questions of a day, and their answers.

    Attributes:
        given: one row a question: what the playlist holds, 0 or 1.
        closed: one row a question: tracks that cannot be answers.
        unknown: share of the additions that are of tracks nobody held.
        returns: share of the others that the playlist has held before.
    """

    day: date
    playlists: list[str]
    answers: list[NDArray[np.intp]]
    given: sparse.csr_array
    closed: NDArray[np.bool_]
    unknown: float
    returns: float


def questions(archive: Archive, day: date, *, first: bool, window: int = 56) -> Questions:
    """The playlists seen on the day and later in the week that add a track somebody held in the window."""
    now, week = archive.held[day], archive.union(day + timedelta(1), day + timedelta(HORIZON_DAYS))
    past = archive.union(date.min, day)
    known = archive.union(day - timedelta(window - 1), day).sum(axis=0) > 0
    added = (week - week.multiply(now)).tocsr()
    added.eliminate_zeros()
    asked, answers, closed, counts = [], [], [], np.zeros(3)
    for number in np.flatnonzero((np.diff(now.indptr) > 0) & (np.diff(week.indptr) > 0)):
        right = added[[number]].indices
        candidates = right[known[right]]
        again = np.isin(candidates, past[[number]].indices)
        counts += [len(right), len(candidates), again.sum()]
        candidates = candidates[~again] if first else candidates
        if len(candidates):
            asked.append(number)
            answers.append(candidates)
            shut = ~known
            shut[(past if first else now)[[number]].indices] = True
            closed.append(shut)
    names = [archive.playlists[number] for number in asked]
    unknown, returns = 1 - counts[1] / counts[0], counts[2] / counts[1]
    return Questions(day, names, answers, now[asked], np.array(closed), float(unknown), float(returns))


def judged(asked: Questions, scores: Scores) -> dict[str, Values]:
    """Recall and NDCG at 50 of each question, by one row of scores a question.

    What has no score above 0 is not answered. Equal scores are in a random order, the same for everybody. NDCG with
    gain 1 and discount log2(1 + rank), by the best order of min(50, right answers).
    """
    tie = np.random.default_rng(0).permutation(scores.shape[1])
    discounts = 1 / np.log2(np.arange(2, CUT + 2))
    found: dict[str, Values] = {"recall": {}, "ndcg": {}}
    for playlist, row, right, closed in zip(asked.playlists, scores, asked.answers, asked.closed, strict=True):
        open_ = np.flatnonzero((row > 0) & ~closed)
        answer = open_[np.lexsort((tie[open_], -row[open_]))][:CUT]
        hits = np.isin(answer, right)
        found["recall"][playlist] = float(hits.sum() / len(right))
        found["ndcg"][playlist] = float((hits * discounts[: len(hits)]).sum() / discounts[: len(right)].sum())
    return found


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % bootstrap interval around it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def mean_of(days: Sequence[Values], less: Sequence[Values] | None = None, draws: int = 2000) -> Interval:
    """The mean over all questions of some days, or of the differences to another ranking's.

    Playlists are drawn, each with all its days: two days of a playlist are no two observations.
    """
    others = less or [dict.fromkeys(values, 0.0) for values in days]
    of_playlist: dict[str, list[float]] = {}
    for values, other in zip(days, others, strict=True):
        for playlist, value in values.items():
            of_playlist.setdefault(playlist, []).append(value - other[playlist])
    sums = np.array([sum(values) for values in of_playlist.values()])
    counts = np.array([len(values) for values in of_playlist.values()])
    drawn = np.random.default_rng(1).integers(0, len(sums), (draws, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


Ranking: TypeAlias = Callable[[Questions], Scores]


def popularity(archive: Archive, day: date, added_days: int = 0) -> Ranking:
    """Every track by the number of playlists that hold it, or that have added it in some days."""
    held = archive.held[day]
    if added_days:
        before = max(d for d in archive.held if d <= day - timedelta(added_days))
        held = held - held.multiply(archive.held[before])
    counts = np.asarray(held.sum(axis=0)).ravel()
    return lambda asked: np.repeat(counts[None], len(asked.playlists), axis=0)


def own_past(archive: Archive, day: date) -> Ranking:
    """Every track by how lately the playlist itself held it."""
    held = archive.decayed(day, 56, 14)
    number = {name: n for n, name in enumerate(archive.playlists)}
    return lambda asked: held[[number[name] for name in asked.playlists]].toarray()


def cooccurrence(archive: Archive, day: date, days: int) -> sparse.csr_array:
    """How many playlists two tracks have both been in, in some days."""
    union = archive.union(day - timedelta(days - 1), day)
    alike = (union.T @ union).tocsr()
    alike.setdiag(0)
    alike.eliminate_zeros()
    return alike


def top(alike: sparse.csr_array, count: int = CUT) -> sparse.csr_array:
    """The greatest of each row; equal ones in a random order, the same for every row."""
    tie = np.random.default_rng(0).permutation(alike.shape[1])
    rows = np.repeat(np.arange(alike.shape[0]), np.diff(alike.indptr))
    order = np.lexsort((tie[alike.indices], -alike.data, rows))
    kept = order[np.arange(len(order)) - alike.indptr[rows[order]] < count]
    return sparse.csr_array((alike.data[kept], (rows[kept], alike.indices[kept])), alike.shape)


def vectors(weights: sparse.csr_array, dimensions: int, size_power: float = 0.5) -> Scores:
    """Each track's vector by the decomposition as a library has it: for variants, and to compare with."""
    sizes = np.asarray(weights.sum(axis=1)).ravel()
    scaled = sparse.diags_array(np.where(sizes > 0, np.maximum(sizes, 1e-9) ** -size_power, 0)) @ weights
    values, directions = np.linalg.eigh((scaled @ scaled.T).toarray())
    made: Scores = scaled.T @ directions[:, np.argsort(-values)[:dimensions]]
    return made


def by_items(alike: sparse.csr_array) -> Ranking:
    """A candidate by the sum of its scores with what the playlist holds: row candidate, column held."""
    return lambda asked: (asked.given @ alike.T).toarray()


def by_vectors(of_tracks: Scores) -> Ranking:
    """A candidate by the scalar product of its vector and the sum of the held tracks' directions."""
    lengths = np.linalg.norm(of_tracks, axis=1, keepdims=True)
    directions = of_tracks / np.where(lengths > 0, lengths, 1)
    return lambda asked: (asked.given @ directions) @ of_tracks.T
