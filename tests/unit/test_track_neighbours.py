"""The arithmetic of neighbours and of the benchmark that judges them; no Spark."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy import sparse

from benchmarks.additions import Archive, by_items, by_vectors, judged, mean_of, questions, top, vectors
from content_signals.signals.track_neighbours import linear, nearest
from content_signals.signals.track_neighbours.factors import Grid

DRAW = np.random.default_rng(7)


def test_signs_are_the_bits_of_the_hashes():
    words = np.array([[0b101, -1]])
    made = linear.signs(words, 68)
    assert made.shape == (1, 68)
    assert made[0, :4].tolist() == [1, -1, 1, -1]
    assert (made[0, 3:64] == -1).all()
    assert (made[0, 64:] == 1).all()


def test_products_are_those_of_a_library():
    rows, small = DRAW.standard_normal((50, 7)), DRAW.standard_normal((7, 5))
    np.testing.assert_allclose(linear.times(rows, small), rows @ small, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(linear.gram(rows, rows), rows.T @ rows, rtol=1e-12, atol=1e-12)
    starts = np.array([0, 3, 20])
    np.testing.assert_allclose(linear.sums(rows, starts), [rows[:3].sum(0), rows[3:20].sum(0), rows[20:].sum(0)])


def test_columns_are_made_orthonormal_and_lost_rank_is_left_out():
    wide = DRAW.standard_normal((60, 4)) @ DRAW.standard_normal((4, 9))
    made = wide @ linear.orthonormal(wide.T @ wide)
    assert made.shape == (60, 4)
    np.testing.assert_allclose(made.T @ made, np.eye(4), atol=1e-8)
    strongest = wide @ linear.orthonormal(wide.T @ wide, 1)
    left = np.linalg.svd(wide)[0][:, :1]
    assert abs(float((strongest.T @ left)[0, 0])) == pytest.approx(1)


def test_the_turn_hangs_on_the_span_alone():
    span, reference = DRAW.standard_normal((40, 6)), DRAW.standard_normal((40, 6))
    other = span @ DRAW.standard_normal((6, 6))  # the same span, another basis
    made = [w @ linear.aligned(w.T @ w, w.T @ reference) for w in (span, other)]
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)
    np.testing.assert_allclose(made[0].T @ made[0], np.eye(6), atol=1e-8)


def test_with_fewer_directions_than_columns_scalar_products_stay():
    span, reference = DRAW.standard_normal((30, 3)), DRAW.standard_normal((30, 8))
    made = span @ linear.aligned(span.T @ span, span.T @ reference)
    left = np.linalg.svd(span, full_matrices=False)[0]
    assert made.shape == (30, 8)
    np.testing.assert_allclose(made @ made.T, left @ left.T, atol=1e-8)


@pytest.mark.parametrize("strongest", [1e-6, 0.3, 1.0, 1.0001, 300.0, 1e6])
def test_the_grid_is_as_fine_as_products_stay_exact(strongest):
    longest = strongest**0.5 / Grid.of(strongest).step
    assert 2**22 < longest <= 2**24


def test_short_numbers_keep_their_order_and_thirteen_digits():
    numbers = np.sort(DRAW.uniform(0, 2**48, 1000))
    short = nearest.short(numbers)
    assert (np.diff(short) >= 0).all()
    np.testing.assert_allclose(nearest.long(short), numbers, rtol=2**-13)
    assert nearest.long(nearest.short(np.zeros(1)))[0] == 0
    one = np.array([1.0, 1 + 2**-15, 1 + 2**-11])
    assert (nearest.short(one) - nearest.short(one[:1])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("width", [3, 50, 51, 400])
def test_the_best_of_equal_scores_are_the_first(width):
    scores = DRAW.integers(0, 6, (30, width))
    places = nearest.best(scores, 50)
    for row, found in zip(scores, places, strict=True):
        assert sorted(found) == sorted(np.lexsort((np.arange(width), -row))[:50])


def test_nobody_meets_itself_and_what_points_away_has_no_score():
    vectors_ = np.array([[4.0, 0], [2, 0], [-1, 0], [0, 3]])
    places, scores = nearest.meet(vectors_, vectors_, np.array([0, 1, 2, 3]))
    assert np.take_along_axis(scores, np.argsort(places, axis=1), axis=1).tolist() == [
        [0, 8, 0, 0], [8, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]
    ]  # fmt: skip


def test_a_vector_is_at_home_where_it_points():
    centres = nearest.directions(np.array([[1.0, 0], [0, 5], [-3, 0]]))
    cells = nearest.cells_of(np.array([[9.0, 2], [1, 2], [-4, 1]]), centres, 2)
    assert cells.tolist() == [[0, 1], [1, 0], [2, 1]]


def test_up_to_some_tracks_everybody_meets_everybody():
    assert nearest.Plan.of(4096) == (1, 1, 1)
    assert nearest.Plan.of(65_536) == (1, 1, 256)
    assert nearest.Plan.of(1_000_000) == (245, 8, 1960)
    assert nearest.Plan.of(10**9).cells == 16_384


# The benchmark

MONDAY = date(2020, 3, 2)


def an_archive(days: dict[int, dict[str, str]]) -> Archive:
    names = sorted({name for lists in days.values() for name in lists})
    tracks = sorted({t for lists in days.values() for held in lists.values() for t in held})
    held = {}
    for n, lists in days.items():
        matrix = np.zeros((len(names), len(tracks)))
        for name, own in lists.items():
            matrix[names.index(name), [tracks.index(t) for t in own]] = 1
        held[MONDAY + timedelta(n)] = sparse.csr_array(matrix)
    return Archive(None, names, tracks, held)


def test_a_question_is_what_a_playlist_adds_in_the_week_that_somebody_held():
    archive = an_archive({0: {"p": "abc", "q": "de"}, 1: {"p": "ab", "q": "de"}, 3: {"p": "abdx"}, 8: {"p": "ce"},
                          9: {"q": "a"}})  # fmt: skip
    day = MONDAY + timedelta(1)
    every = questions(archive, day, first=False)
    assert every.playlists == ["p"]  # q is not seen again within the week
    assert [archive.tracks[t] for t in every.answers[0]] == ["c", "d", "e"]
    assert (every.unknown, every.returns) == (pytest.approx(1 / 4), pytest.approx(1 / 3))  # x; c
    open_ = {t for t, shut in zip(archive.tracks, every.closed[0], strict=True) if not shut}
    assert open_ == set("cde")
    first = questions(archive, day, first=True)
    assert [archive.tracks[t] for t in first.answers[0]] == ["d", "e"]
    assert not (set("c") & {t for t, shut in zip(archive.tracks, first.closed[0], strict=True) if not shut})


def test_recall_and_ndcg_by_hand():
    archive = an_archive({0: {"p": "a", "q": "bcdef"}, 1: {"p": "acf"}})
    asked = questions(archive, MONDAY, first=False)
    found = judged(asked, np.array([[9.0, 5, 4, 3, 0, 0]]))  # answers b, c, d: c is right, at the second place
    assert found["recall"] == {"p": 0.5}
    assert found["ndcg"]["p"] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_an_interval_is_of_playlists_not_of_days():
    days = [{"p": 1.0, "q": 0.0}] * 50
    interval = mean_of(days)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.0, 1.0)
    assert mean_of(days, days).high == 0


def test_rankings_score_candidates_by_what_is_held():
    archive = an_archive({0: {"p": "ab", "q": "cd"}, 1: {"p": "abc"}})
    asked = questions(archive, MONDAY, first=False)
    alike = sparse.csr_array(np.array([[0, 1, 0, 0], [1, 0, 0, 0], [2.0, 3, 0, 1], [0, 0, 1, 0]]))
    assert by_items(alike)(asked)[0].tolist() == [1, 1, 5, 0]
    assert top(alike, 1).toarray().max(axis=1).tolist() == [1, 1, 3, 1]
    own = np.array([[2.0, 0], [0, 2], [1, 1], [3, 0]])
    assert by_vectors(own)(asked)[0].tolist() == [2, 2, 2, 3]


def test_vectors_of_the_benchmark_have_the_products_of_the_definition():
    weights = sparse.csr_array(np.array([[1.0, 0.5, 0, 1], [0, 1, 1, 0]]))
    made = vectors(weights, 2)
    scaled = weights.toarray() / np.sqrt([[2.5], [2.0]])
    np.testing.assert_allclose(made @ made.T, scaled.T @ scaled, atol=1e-12)
