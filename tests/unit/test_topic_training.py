"""Training of topics: episodes are split whole, calibration mends what it can, scores are as by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tools.topics.corpus import Episode, speakers, with_labels, without
from tools.topics.fit import Bin, cooled, fitted, reliability, scores, splits, temperature_of

LABELS = [name for name in "abc" for _ in range(40)]
GROUPS = [str(number // 2) for number in range(120)]  # each transcript stands twice


def test_no_episode_is_on_two_sides_of_a_split_and_each_is_judged_once():
    judged = []
    for split in splits(LABELS, GROUPS):
        sides = [{GROUPS[place] for place in side} for side in (split.fit, split.calibrate, split.judge)]
        assert len(set.union(*sides)) == sum(map(len, sides)) == 60
        assert sum(map(len, (split.fit, split.calibrate, split.judge))) == 120
        judged += split.judge.tolist()
    assert sorted(judged) == list(range(120))


def test_every_label_has_its_share_of_each_side():
    for split in splits(LABELS, GROUPS):
        for side in (split.fit, split.calibrate, split.judge):
            counts = [sum(LABELS[place] == label for place in side) for label in "abc"]
            assert max(counts) - min(counts) <= 4


def test_a_classifier_learns_what_is_there_to_learn():
    chance = np.random.default_rng(1)
    centres = np.eye(3)[[ord(label) - 97 for label in LABELS]]
    directions = centres + chance.normal(0, 0.1, centres.shape)
    split = next(splits(LABELS, GROUPS))
    model = fitted(directions, LABELS, split, GROUPS)
    found = scores([LABELS[place] for place in split.judge], model.probabilities(directions[split.judge]), model.labels)
    assert (found.accuracy, found.macro_f1) == (1, 1)


def test_the_temperature_makes_too_bold_probabilities_true():
    """Labels drawn with odds of 3 to 1, told with odds of 27 to 1: the temperature is 3."""
    logits = np.tile([0.0, np.log(27.0)], (1000, 1))
    labels = ["yes"] * 750 + ["no"] * 250
    assert temperature_of(logits, labels, ("no", "yes")) == pytest.approx(3, rel=1e-3)
    assert cooled(logits, labels, logits[:1], ("no", "yes")) == pytest.approx(np.array([[1 / 4, 3 / 4]]), rel=1e-3)


def test_reliability_and_calibration_error_by_hand():
    told = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.45, 0.55]])
    found = scores(["a", "b", "b", "b"], told, ("a", "b"))
    assert found.bins == (Bin(0.5, 1, 0.55, 1.0), Bin(0.8, 1, 0.8, 1.0), Bin(0.9, 2, 0.9, 0.5))
    assert found.ece == pytest.approx((0.45 + 0.2 + 2 * 0.4) / 4)
    assert found.accuracy == 3 / 4
    # a: precision 1/2, recall 1; b: precision 1, recall 2/3
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.1, 0.8, 0.55]).mean())


def test_a_confidence_of_one_is_in_the_last_bin():
    assert reliability(np.array([1.0]), np.array([True])) == [Bin(0.9, 1, 1.0, 1.0)]


def test_speakers_and_their_names_are_left_out_or_kept():
    text = "**Ada B:** Thanks, Ada. Adaptive is fine.\n**Bob:** **Yes**"
    names = speakers([Episode("show", "one", text)])
    assert names == {"ada", "b", "bob"}
    assert without(names)(text) == "Thanks, . Adaptive is fine. Yes"
    assert with_labels(text) == "Ada B: Thanks, Ada. Adaptive is fine. Bob: Yes"
