"""Neighbours of tracks: memberships by hand, scores against a recompute without vectors, ties, days, cells."""

from __future__ import annotations

import gzip
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from content_signals.contract import Input
from content_signals.signals.playlist_changes.compute import compute as changes_of
from content_signals.signals.track_neighbours import factors
from content_signals.signals.track_neighbours.compute import compute, memberships, shares, sizes_of
from content_signals.signals.track_neighbours.contract import DIMENSIONS, TRACK_NEIGHBOURS_V1
from content_signals.signals.track_neighbours.factors import vectors_of_tracks
from content_signals.signals.track_neighbours.nearest import Plan, nearest
from tests.neighbours_oracle import Changed, Expected, Held, ages, expected

pytestmark = pytest.mark.spark

DAY = date(2020, 3, 20)
DAILY = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "playlists" / "daily"


def ago(days: int) -> date:
    return DAY - timedelta(days)


def frames(spark, held: list[Held], changes: list[Changed]) -> dict[str, Any]:
    rows = [(day, playlist, n, track, True) for n, (day, playlist, track) in enumerate(held)]
    return {
        "playlist_positions_v1": spark.createDataFrame(
            rows, "ds date, playlist string, position int, track_id string, observed boolean"
        ),
        "playlist_changes_v1": spark.createDataFrame(
            changes, "ds date, playlist string, track_id string, change string"
        ),
    }


def built(spark, held: list[Held], changes: list[Changed], days: list[date]) -> dict[tuple[date, str], Any]:
    rows = compute(frames(spark, held, changes), days).collect()
    found = {(row["ds"], row["track_id"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def bits(rows: dict[tuple[date, str], Any], day: date) -> dict[str, Any]:
    return {track: row for (ds, track), row in rows.items() if ds == day}


def a_world(
    playlists: int, tracks: int, size: int, days: int = 1, churn: int = 2, seed: int = 0
) -> tuple[list[Held], list[Changed]]:
    """Playlists that draw from neighbouring stretches of a ring of tracks, and lose and win some every day."""
    draw = random.Random(seed)
    held, changes = [], []
    for n in range(playlists):
        near = [f"t{(n * tracks // playlists + k) % tracks:04d}" for k in range(3 * size)]
        now = set(draw.sample(near, size))
        for back in reversed(range(days)):
            gone = set(draw.sample(sorted(now), min(churn, len(now) - 1))) if back < days - 1 else set()
            new = set(draw.sample([t for t in near if t not in now], len(gone)))
            changes += [(ago(back), f"p{n:03d}", t, "removed") for t in sorted(gone)]
            changes += [(ago(back), f"p{n:03d}", t, "added") for t in sorted(new)]
            now = now - gone | new
            held += [(ago(back), f"p{n:03d}", t) for t in sorted(now)]
    return held, changes


def test_a_track_is_a_member_where_it_stands_and_for_56_days_where_it_stood(spark):
    held = [
        (ago(0), "hits", "a"), (ago(0), "hits", "a"), (ago(1), "hits", "b"),  # its latest list counts
        (ago(6), "calm", "c"), (ago(7), "old", "d"),  # a list counts for seven days
        (ago(0), "back", "e"),
    ]  # fmt: skip
    changes = [
        (ago(0), "hits", "b", "removed"), (ago(9), "hits", "b", "removed"),
        (ago(55), "hits", "f", "removed"), (ago(56), "hits", "g", "removed"),
        (ago(3), "back", "e", "removed"), (ago(1), "back", "e", "added"),
        (ago(2), "old", "d", "removed"),  # the playlist is not seen any more
        (ago(0), "calm", "h", "added"),  # an addition alone says nothing: the list does
    ]  # fmt: skip
    given = frames(spark, held, changes)
    rows = memberships(given["playlist_positions_v1"], given["playlist_changes_v1"], [DAY]).collect()
    found = {(row["playlist"], row["track_id"]): row["age"] for row in rows}
    assert found == {
        ("hits", "a"): 0, ("hits", "b"): 1, ("hits", "f"): 56, ("calm", "c"): 0, ("back", "e"): 0
    }  # fmt: skip
    assert len(rows) == len(found)
    assert found == ages(held, changes, DAY)


# Days that lie further apart than anything reaches: one build answers for all of them.
HAND = [(DAY, "p", t) for t in "abcd"] + [(DAY, "q", t) for t in "ae"]
TIES = [(DAY, "p", t) for t in "abcde"] + [(DAY, "q", "d"), (DAY, "q", "z")]
LONELY = [(DAY, "p", "alone"), (DAY, "q", "x"), (DAY, "q", "y")]
# Each playlist lost one of its tracks on another day: all weights differ.
UNEQUAL = [(DAY, f"p{n}", f"t{k}") for n in range(6) for k in range(n, n + 5)]
LOST = [(ago(3 * n + k), f"p{n}", f"g{n}{k}", "removed") for n in range(6) for k in range(3)]
WORLDS: dict[str, tuple[list[Held], list[Changed]]] = {
    "by hand": (HAND, [(ago(13), "q", "b", "removed")]),
    "ties": (TIES, []),
    "lonely": (LONELY, []),
    "one playlist": ([(DAY, "p", t) for t in "abc"], []),
    "unequal": (UNEQUAL, LOST),
    "random": a_world(playlists=40, tracks=150, size=12, days=10),
    "many playlists": a_world(playlists=220, tracks=400, size=12),
    "nothing listed": ([(ago(8), "p", "a")], [(ago(1), "p", "b", "removed")]),
}


@pytest.fixture(scope="module")
def worlds(spark) -> dict[str, dict[str, Any]]:
    """Each world's rows by track."""
    days = {name: DAY + timedelta(100 * n) for n, name in enumerate(WORLDS)}
    held = [(day + timedelta(100 * n), *row) for n, (own, _) in enumerate(WORLDS.values()) for day, *row in own]
    changes = [(day + timedelta(100 * n), *row) for n, (_, own) in enumerate(WORLDS.values()) for day, *row in own]
    rows = built(spark, held, changes, list(days.values()))
    return {name: bits(rows, day) for name, day in days.items()}


def test_scores_of_a_track_add_up_over_playlists(worlds):
    a = worlds["by hand"]["a"]
    # p has size 4; q holds a and e and let b go 14 days ago: size 2.5. b shares p (1/4) and half of q (0.5/2.5).
    assert a["neighbours"] == ["b", "e", "c", "d"]
    assert a["neighbour_scores"] == pytest.approx([0.25 + 0.5 / 2.5, 1 / 2.5, 0.25, 0.25], rel=3e-4)
    assert a["nearest_score"] == pytest.approx(0.45, rel=3e-4)
    assert (a["neighbours_count"], a["playlists_56d"]) == (4, 2)
    assert a["embedding_norm"] == pytest.approx((1 / 4 + 1 / 2.5) ** 0.5, rel=1e-6)


def test_of_equal_scores_the_longer_vector_is_nearer_then_the_smaller_id(worlds):
    assert worlds["ties"]["a"]["neighbours"] == ["d", "b", "c", "e"]  # d is in two playlists
    assert worlds["ties"]["d"]["neighbours"] == ["z", "a", "b", "c", "e"]


def test_a_track_alone_has_no_neighbour_and_a_vector(worlds):
    alone = worlds["lonely"]["alone"]
    assert (alone["neighbours"], alone["neighbour_scores"]) == ([], [])
    assert (alone["neighbours_count"], alone["nearest_score"]) == (0, None)
    assert alone["embedding_norm"] == pytest.approx(1)


def test_a_day_of_one_playlist_has_its_tracks_near_each_other(worlds):
    rows = worlds["one playlist"]
    assert {track: row["neighbours"] for track, row in rows.items()} == {
        "a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]
    }  # fmt: skip
    assert rows["a"]["neighbour_scores"] == pytest.approx([1 / 3] * 2, rel=3e-4)
    assert len(rows["a"]["embedding"]) == DIMENSIONS


def test_a_day_without_lists_has_no_rows(worlds):
    assert worlds["nothing listed"] == {}


def test_scores_and_neighbours_are_those_of_a_recompute_without_vectors(worlds):
    right = expected(ages(*WORLDS["random"], DAY))
    _agree(worlds["random"], right)
    place = {track: n for n, track in enumerate(right.tracks)}
    for n, track in enumerate(right.tracks):
        row = worlds["random"][track]
        assert row["playlists_56d"] == right.playlists[n]
        others = [place[t] for t in row["neighbours"]]
        assert row["neighbour_scores"] == pytest.approx(list(right.scores[n, others]), rel=3e-4)
        # Which of the ones with nearly equal scores are in there is a matter of digits; their scores are not.
        wanted = sorted(np.delete(right.scores[n], n), reverse=True)[:50]
        assert row["neighbour_scores"] == pytest.approx([s for s in wanted if s > 1e-9], rel=3e-4)


def _agree(rows: dict[str, Any], right: Expected) -> None:
    """The tracks are those of the recompute, and the products of their vectors its scores."""
    assert sorted(rows) == right.tracks
    vectors = np.array([rows[track]["embedding"] for track in right.tracks])
    assert vectors.shape[1] == DIMENSIONS
    np.testing.assert_allclose(vectors @ vectors.T, right.scores, atol=1e-6)


def test_neighbours_where_nothing_is_nearly_equal_are_exactly_those_of_the_recompute(worlds):
    right = expected(ages(*WORLDS["unequal"], DAY))
    assert {track: row["neighbours"] for track, row in worlds["unequal"].items()} == {
        track: right.neighbours(track) for track in right.tracks
    }


def test_with_more_playlists_than_dimensions_the_vectors_are_the_best_there_are(worlds):
    right = expected(ages(*WORLDS["many playlists"], DAY))
    vectors = np.array([worlds["many playlists"][track]["embedding"] for track in right.tracks])
    values = np.linalg.svd(right.shares, compute_uv=False) ** 2
    best = float((values[DIMENSIONS:] ** 2).sum() ** 0.5)  # Eckart and Young: nothing of the rank comes closer
    error = float(np.linalg.norm(vectors @ vectors.T - right.scores))
    assert best > 0.1
    assert best * 0.999 <= error <= best * 1.03


def test_a_day_has_the_same_bits_alone_and_among_others_and_vectors_keep_their_directions(spark, monkeypatch):
    monkeypatch.setattr(factors, "TOGETHER", 19)  # several parts of memberships, two of playlists
    monkeypatch.setattr("content_signals.signals.track_neighbours.nearest.BLOCK", 40)  # and two of tracks
    held, changes = a_world(playlists=20, tracks=60, size=6, days=3, churn=1)
    # Alone, and of what was known on the day.
    known = [row for row in held if row[0] <= ago(1)], [row for row in changes if row[0] <= ago(1)]
    alone = bits(built(spark, *known, [ago(1)]), ago(1))
    _agree(alone, expected(ages(*known, ago(1))))
    # With the day after, rows in another order and in other partitions.
    random.Random(1).shuffle(held)
    random.Random(2).shuffle(changes)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    try:
        given = {name: frame.repartition(3) for name, frame in frames(spark, held, changes).items()}
        both = {(row["ds"], row["track_id"]): row for row in compute(given, [ago(1), DAY]).collect()}
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    assert bits(both, ago(1)) == alone
    tracks = [track for ds, track in both if ds == DAY and track in alone]
    one, two = (np.array([both[day, track]["embedding"] for track in tracks]) for day in (ago(1), DAY))
    cosines = (one * two).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
    assert np.mean(cosines) > 0.9


def test_cells_find_what_everybody_against_everybody_finds(spark):
    draw = np.random.default_rng(3)
    centres = draw.standard_normal((12, 16))
    vectors = np.rint((centres[draw.integers(0, 12, 600)] + 0.4 * draw.standard_normal((600, 16))) * 2**20)
    plans = {ago(2): Plan(1, 1, 1), ago(1): Plan(10, 10, 10), DAY: Plan(10, 4, 10)}
    rows = [(day, f"t{n:04d}", [int(x) for x in v]) for day in plans for n, v in enumerate(vectors)]
    tracks = spark.createDataFrame(rows, "ds date, track_id string, steps array<int>")
    found: dict[date, dict[str, list[str]]] = {day: {} for day in plans}
    for row in nearest(tracks, plans).collect():
        found[row["ds"]][row["track_id"]] = [one["track_id"] for one in row["found"]]
    exact, every, some = found.values()
    products = vectors @ vectors.T
    np.fill_diagonal(products, 0)
    for n in range(600):
        assert _nearly(products[n], exact[f"t{n:04d}"])
    assert every == exact  # who asks in every cell has asked everybody
    shared = [len(set(some[track]) & set(exact[track])) / 50 for track in exact]
    assert 0.8 < np.mean(shared) < 1


def _nearly(products: np.ndarray, found: list[str]) -> bool:
    """Whether what was found differs from the best by the digits that count alone."""
    scores = products[[int(track[1:]) for track in found]]
    return bool(np.all(np.abs(scores / np.sort(products)[::-1][:50] - 1) < 3e-4))


def test_the_plan_moves_memberships_a_fixed_number_of_times(spark):
    held, changes = a_world(playlists=20, tracks=90, size=10, days=3)
    given = frames(spark, held, changes)
    members = shares(memberships(given["playlist_positions_v1"], given["playlist_changes_v1"], [DAY]))
    text = members._jdf.queryExecution().executedPlan().toString()
    # The latest list of each playlist is there twice (days, then the latest), as is what it is joined with; then
    # memberships by playlist, in which they stay for sizes and shares.
    assert text.count("Exchange hashpartitioning") <= 8
    assert "CartesianProduct" not in text
    members = members.localCheckpoint()
    tracks = vectors_of_tracks(members, sizes_of(members))
    assert tracks._jdf.queryExecution().executedPlan().toString().count("Exchange hashpartitioning") <= 2


def test_the_driver_is_a_signal_and_reaches_as_far_as_weights_do():
    assert TRACK_NEIGHBOURS_V1.driver == Input("playlist_changes_v1", days=56)
    assert TRACK_NEIGHBOURS_V1.reach("playlist_positions_v1") == 7


@pytest.mark.slow
@pytest.mark.skipif(not DAILY.exists(), reason=f"the real playlists are not at {DAILY}")
def test_a_real_day_is_that_of_the_recompute(spark):
    last = date(2020, 3, 12)
    files = [path for path in sorted(DAILY.glob("*.csv.gz")) if path.name[:10] <= str(last)][-3:]
    held = []
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            # A name may hold a comma and is quoted then; ids and positions never do.
            cut = [(line.rstrip("\n").split(",", 1)[1]).rsplit(",", 2) for line in lines]
        held += [(date.fromisoformat(path.name[:10]), name, track) for name, _, track in cut]
    given = frames(spark, held, [])
    days = sorted({day for day, _, _ in held})
    changes = changes_of(given, days)
    found = [tuple(row) for row in changes.select("ds", "playlist", "track_id", "change").collect()]
    rows = {row["track_id"]: row for row in compute(frames(spark, held, found), [last]).collect()}
    right = expected(ages(held, found, last))
    place = {track: n for n, track in enumerate(right.tracks)}
    _agree(rows, right)
    for track in right.tracks[::97]:
        row, scores = rows[track], right.scores[place[track]]
        others = [place[t] for t in row["neighbours"]]
        assert row["neighbour_scores"] == pytest.approx(list(scores[others]), rel=3e-4)
        wanted = np.sort(np.delete(scores, place[track]))[::-1][:50]
        assert row["neighbour_scores"] == pytest.approx(list(wanted[wanted > 0]), rel=3e-4)
