"""Search: ranks, words and meaning joined, and never two models in one index."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_signals.errors import BrokenData, UsageError
from content_signals.retrieval.filters import conditions
from content_signals.retrieval.fusion import best_first, reciprocal_ranks
from content_signals.retrieval.index import ChunkIndex, Chunks, Hit, Plan
from content_signals.retrieval.lexical import Words, terms

TEXTS = ["goroutines and channels", "channels of communication", "a neural network", "the cat"]
VECTORS = np.eye(4, dtype=np.float32)


def an_index(**changes) -> ChunkIndex:
    whole = {
        "chunk_ids": ["a#0", "a#1", "b#0", "c#0"],
        "episode_ids": ["a", "a", "b", "c"],
        "texts": TEXTS,
        "vectors": VECTORS,
        "models": ["m"] * 4,
    }
    return ChunkIndex(Chunks(**{**whole, **changes}))


@given(st.lists(st.integers(-3, 3), max_size=20), st.integers(0, 25))
def test_the_best_are_those_of_a_stable_sort(scores, most):
    expected = sorted(range(len(scores)), key=lambda place: -scores[place])[:most]
    assert best_first(np.array(scores, float), most).tolist() == expected


def test_reciprocal_ranks_by_hand():
    fused = reciprocal_ranks([np.array([2, 0]), np.array([0])], (1, 3), 3)
    assert np.allclose(fused, [1 / 62 + 3 / 61, 0, 1 / 61])


def test_terms_leave_out_what_everybody_says_and_endings_of_plurals():
    assert terms("The libraries of Go's channels are classes") == ["library", "go", "channel", "classe"]
    assert terms("canvas status glass queries") == ["canva", "status", "glass", "query"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café, CAFÉ, cafe\u0301 and cafe", ["cafe"] * 4),
        ("In 2020 Python 3.14 was 1_000 miles away", ["2020", "python", "3.14", "1_000", "mile", "away"]),
        ("Straße, STRASSE", ["strasse", "strasse"]),
        ("Ёлка и ёжик, ΑΘΗΝΑ", ["елка", "и", "ежик", "αθηνα"]),
        ("東京 ２０２０ ﬁne", ["東京", "2020", "fine"]),
        ("서울에서", ["서울에서"]),
        ("हिन्दी भाषा में খোঁজ বাংলা", ["हिन्दी", "भाषा", "में", "খোঁজ", "বাংলা"]),
        ("العربيّة العربية", ["العربية", "العربية"]),
        ("เด็ก", ["เด็ก"]),
        ("c++, c#, node.js, don’t, -x- __init__", ["c++", "c#", "node.j", "x", "init"]),
    ],
)
def test_terms_are_words_of_any_script_whatever_their_case_accents_and_encoding(text, expected):
    assert terms(text) == expected


def test_words_score_as_robertson_says():
    """BM25 as Lucene has it, by hand: k1 1.5, b 0.75."""
    found = Words.of(TEXTS).scores("channels channels?")
    lengths = np.array([2, 2, 2, 1])
    idf = np.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    saturated = 1 / (1 + 1.5 * (1 - 0.75 + 0.75 * lengths / lengths.mean()))
    assert np.allclose(found, 2 * idf * saturated * [1, 1, 0, 0], rtol=1e-5)


@pytest.mark.parametrize("query", ["", "zebra", "the and of"])
def test_words_that_are_nowhere_score_nothing(query):
    assert Words.of(TEXTS).scores(query).tolist() == [0, 0, 0, 0]
    assert Words.of(["", "the"]).scores(query).tolist() == [0, 0]


def test_what_words_and_meaning_both_find_comes_first():
    found = an_index().search("channels", VECTORS[1], "m")
    assert found == [Hit("a#1", "a", pytest.approx(1 / 62 + 1 / 61)), Hit("a#0", "a", pytest.approx(1 / 61))]


def test_weights_decide_between_them():
    query, vector = "cat", VECTORS[2]
    assert an_index().search(query, vector, "m", plan=Plan(words=2))[0].chunk_id == "c#0"
    assert an_index().search(query, vector, "m", plan=Plan(meaning=2))[0].chunk_id == "b#0"


def test_no_more_are_found_than_wanted_and_nothing_hidden():
    assert len(an_index().search("channels cat", VECTORS[2], "m", most=2)) == 2
    hidden = np.array([False, True, False, False])
    assert [hit.chunk_id for hit in an_index().search("channels", VECTORS[1], "m", hidden=hidden)] == ["a#0"]


def test_vectors_of_two_models_are_never_in_one_index():
    with pytest.raises(BrokenData, match="of one model, not of 'm', 'n'"):
        an_index(models=["m", "m", "n", "m"])
    with pytest.raises(BrokenData, match="not of none"):
        an_index(models=[])


def test_a_query_of_another_model_is_refused():
    with pytest.raises(UsageError, match="cannot be compared"):
        an_index().search("channels", VECTORS[0], "n")


def test_parts_of_different_lengths_are_refused():
    with pytest.raises(BrokenData, match="index of 4 chunks"):
        an_index(texts=TEXTS[:3])


@pytest.mark.parametrize(
    ("text", "sign", "values"),
    [
        ('title="a, b"', "=", ("a, b",)),
        ("title == 'a, b' , c", "=", ("a, b", "c")),
        ("title!=a,b", "!=", ("a", "b")),
        ('title=5" disk', "=", ('5" disk',)),
        ("title=", "=", ("",)),
    ],
)
def test_a_condition_on_a_text_means_what_it_says(text, sign, values):
    [found] = conditions([text], pa.schema([("title", pa.string())]))
    assert (found.sign, found.values) == (sign, values)
