"""What `track_neighbours` says, recomputed row by row from lists and changes: no Spark, no vectors, no blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

Held = tuple[date, str, str]  # day, playlist, track
Changed = tuple[date, str, str, str]  # day, playlist, track, change


def ages(held: Iterable[Held], changes: Iterable[Changed], day: date) -> dict[tuple[str, str], int]:
    """(playlist, track) -> days since the playlist let the track go, 0 where it has not."""
    lists: dict[str, dict[date, set[str]]] = defaultdict(lambda: defaultdict(set))
    for seen, playlist, track in held:
        if 0 <= (day - seen).days < 7:
            lists[playlist][seen].add(track)
    found: dict[tuple[str, str], int] = {}
    for when, playlist, track, change in changes:
        age = (day - when).days + 1
        if change == "removed" and playlist in lists and 1 <= age <= 56:
            found[playlist, track] = min(age, found.get((playlist, track), age))
    for playlist, of_days in lists.items():
        for track in of_days[max(of_days)]:
            found[playlist, track] = 0
    return found


@dataclass
class Expected:
    """Tracks in order of id, their scores with each other, the squares of their lengths, and their playlists."""

    tracks: list[str]
    scores: np.ndarray
    squares: np.ndarray
    playlists: list[int]
    shares: np.ndarray  # tracks x playlists

    def neighbours(self, track: str) -> list[str]:
        """By score, length and id, as they are where nothing is rounded."""
        row = self.tracks.index(track)
        others = [n for n in range(len(self.tracks)) if n != row and self.scores[row, n] > 0]
        # Twelve digits: sums of the same numbers in another order are equal.
        key = {n: (-round(self.scores[row, n], 12), -round(self.squares[n], 12), self.tracks[n]) for n in others}
        return [self.tracks[n] for n in sorted(others, key=key.__getitem__)[:50]]


def expected(of_ages: dict[tuple[str, str], int]) -> Expected:
    """From memberships alone: weight * weight / size, summed over the playlists of both."""
    weights = {pair: 2 ** (-age / 14) for pair, age in of_ages.items()}
    sizes: dict[str, float] = defaultdict(float)
    for (playlist, _), weight in weights.items():
        sizes[playlist] += weight
    playlists, tracks = sorted(sizes), sorted({track for _, track in weights})
    shares = np.zeros((len(tracks), len(playlists)))
    row, column = ({name: n for n, name in enumerate(names)} for names in (tracks, playlists))
    for (playlist, track), weight in weights.items():
        shares[row[track], column[playlist]] = weight / sizes[playlist] ** 0.5
    scores = shares @ shares.T
    return Expected(tracks, scores, np.diag(scores).copy(), (shares > 0).sum(axis=1).tolist(), shares)
