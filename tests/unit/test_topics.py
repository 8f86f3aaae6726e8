"""Topics: probabilities, terms, and a file that is read back as it was written."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from content_signals.models.files import MINILM_ID
from content_signals.models.spoken import words
from content_signals.models.topics import (
    FOLDER,
    TopicModel,
    count_words,
    mean_direction,
    rarity_of,
    read_model,
    topic_manifest,
    topic_model,
)

MODEL = TopicModel(
    labels=("cats", "dogs"),
    weights=np.array([[np.log(3.0), 0.0], [0.0, 0.0]]),
    bias=np.zeros(2),
    temperature=1.0,
    rarity={"purr": 2.0, "mouse": 1.0, "paw": 1.0, "rare": 9.0},
)


def test_probabilities_are_odds_of_the_scores():
    assert np.allclose(MODEL.probabilities(np.array([[1.0, 0.0], [0.0, 1.0]])), [[3 / 4, 1 / 4], [1 / 2, 1 / 2]])


def test_a_temperature_takes_the_root_of_the_odds():
    warm = TopicModel(MODEL.labels, MODEL.weights, MODEL.bias, 0.5, {})
    assert np.allclose(warm.probabilities(np.array([[1.0, 0.0]])), [[9 / 10, 1 / 10]])


def test_scores_that_are_far_apart_do_not_overflow():
    steep = TopicModel(MODEL.labels, MODEL.weights * 1e6, MODEL.bias, 1.0, {})
    assert np.array_equal(steep.probabilities(np.array([[1.0, 0.0]])), [[1.0, 0.0]])


def test_topics_are_ranked_by_probability_and_equal_ones_by_label():
    assert [topic for topic, _ in MODEL.ranked(np.array([-1.0, 0.0]))] == ["dogs", "cats"]
    assert [topic for topic, _ in MODEL.ranked(np.array([0.0, 1.0]))] == ["cats", "dogs"]


def test_top_terms_are_weighed_by_count_and_rarity():
    assert MODEL.top_terms({"paw": 4, "mouse": 4, "purr": 3, "rare": 2, "unknown": 99}) == ["purr", "mouse", "paw"]
    assert MODEL.top_terms({"paw": 4, "mouse": 4, "purr": 3}, most=1) == ["purr"]


def test_a_mean_has_length_one_whatever_the_number_of_vectors():
    found = mean_direction(np.array([[1, 0], [1, 0], [0, 2]], np.float32))
    assert np.allclose(found, [2**-0.5, 2**-0.5])
    with pytest.raises(ValueError, match="no direction"):
        mean_direction(np.array([[1, 0], [-1, 0]], np.float32))


def test_words_of_programmers_are_one_each():
    said = "Don’t use C++ or Node.js, open-source e-mail. C# isn't 3 GO!"
    assert words(said) == ["don't", "use", "c++", "or", "node.js", "open-source", "e-mail", "c#", "isn't", "go"]


def test_rarity_is_of_terms_that_some_say_and_not_most():
    episodes = [Counter(text.split()) for text in ("ada tea tea", "ada tea cup", "ada jam", "ada jam")]
    found = rarity_of(episodes, frozenset({"jam"}), least=2, most=0.5)
    assert found == {"tea": pytest.approx(np.log(2))}


def test_words_are_counted_over_all_texts():
    assert count_words(["Tea, tea!", "no tea"]) == {"tea": 3, "no": 1}


def test_a_model_is_read_as_it_was_written_and_written_the_same_again(tmp_path):
    MODEL.save(tmp_path / "a.npz")
    read = read_model(tmp_path / "a.npz")
    assert (read.labels, read.temperature, read.rarity) == (MODEL.labels, MODEL.temperature, MODEL.rarity)
    assert np.allclose(read.weights, MODEL.weights)
    read.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_pinned_model_was_trained_on_vectors_as_they_are_made_now():
    assert topic_manifest().embedding_model == MINILM_ID
    assert topic_manifest().model.endswith(topic_manifest().file.sha256[:12])
    assert topic_manifest().file.verified(FOLDER)
    assert topic_model().weights.shape == (len(topic_model().labels), 384)


def test_a_language_model_is_asked_for_the_same_topics():
    from content_signals.signals.episode_tags_llm.answer import TOPICS

    assert sorted(topic_model().labels) == sorted(TOPICS)
