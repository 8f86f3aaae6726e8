"""Chunks of transcripts: where they are cut, what they hold, and what of them is spoken."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_signals.models.spoken import spoken
from content_signals.signals.episode_chunks.chunking import OVERLAP, SIZE, Chunk, chunks_of, sentences

TALK = (
    "**Ada:** Hello there. We talk about Go.\n\n"
    "**Bob:** Go is fine! Is it? It is.\n\n"
    "**Break:** \\[10:15\\]\n\n"
    "**Ada:** And we are back."
)


def texts(transcript: str, size: int = SIZE, overlap: int = OVERLAP) -> list[str]:
    return [chunk.text for chunk in chunks_of(transcript, size, overlap)]


# ---------------------------------------------------------------- what is spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Jerod Santo:** Alright, man.", "Alright, man."),
        ("one\n\n**A:** two\n**B. C-D (guest):** three", "one two three"),
        ("**Break:** \\[27:45\\]", ""),
        ("so \\[laughter\\] I said [unintelligible 00:10:22] no", "so I said no"),
        ("it is *really* **big** and `fmt.Println` too", "it is really big and fmt.Println too"),
        ("see [the docs](https://go.dev/doc) now", "see the docs now"),
        ("a ratio of 3:1, **not:** more", "a ratio of 3:1, not: more"),
        ("  \n\t ", ""),
    ],
)
def test_only_what_is_said_is_spoken(written, said):
    assert spoken(written) == said


# ---------------------------------------------------------------- where it is cut


def test_a_short_talk_is_one_chunk_from_its_first_to_its_last_word():
    assert list(chunks_of(f"\n{TALK}\n\n")) == [Chunk(1, 1 + len(TALK), TALK)]


def test_a_sentence_of_a_turn_begins_with_its_label_and_a_break_says_nothing():
    found = [TALK[s.start : s.end].strip() for s in sentences(TALK)]
    assert found == [
        "**Ada:** Hello there.",
        "We talk about Go.",
        "**Bob:** Go is fine!",
        "Is it?",
        "It is.",
        "**Ada:** And we are back.",
    ]
    assert [s.ends_turn for s in sentences(TALK)] == [False, True, False, False, True, True]


def test_a_chunk_begins_with_whole_sentences_of_the_one_before():
    text = "One is first. Two is second. Three is third. Four is fourth."
    assert texts(text, size=45, overlap=16) == [
        "One is first. Two is second. Three is third.",
        "Three is third. Four is fourth.",
    ]
    assert texts(text, size=45, overlap=15) == ["One is first. Two is second. Three is third.", "Four is fourth."]


def test_a_chunk_rather_ends_with_a_turn():
    text = "**A:** " + "a" * 40 + ". " + "b" * 30 + ".\n**B:** Hm. " + "c" * 60 + "."
    first, second = texts(text, size=100, overlap=0)
    assert first.endswith("b.")  # "Hm." would still fit
    assert second.startswith("**B:** Hm.")


def test_a_chunk_that_would_be_too_short_does_not_end_with_the_turn():
    text = "**A:** " + "a" * 20 + ".\n**B:** " + "b" * 50 + ". " + "c" * 60 + "."
    assert texts(text, size=100, overlap=0)[0].endswith("b.")


def test_a_sentence_without_end_is_cut_between_words_and_a_word_without_end_anywhere():
    assert texts("aa bb cc dd ee", size=6, overlap=0) == ["aa bb", "cc dd", "ee"]
    assert texts("a" * 25, size=10, overlap=0) == ["a" * 10, "a" * 10, "a" * 5]


def test_ideographic_full_stops_end_sentences():
    assert texts("一二三。四五六。七八九。", size=8, overlap=0) == ["一二三。四五六。", "七八九。"]


def test_offsets_count_code_points():
    text = "😀😀. é́ is one. End."
    assert [text[c.start : c.end] for c in chunks_of(text, 12, 0)] == texts(text, 12, 0)


@pytest.mark.parametrize("nothing", ["", " \n\n ", "**Break:** \\[27:45\\]", "... !\n—", "\\[music\\]"])
def test_where_nothing_is_said_there_is_no_chunk(nothing):
    assert texts(nothing) == []


WORDS = st.lists(
    st.sampled_from(["a", "word", "longer-word", "Ω", "語", "x" * 40, ".", "end.", "why?", "\n", "\r\n", "\t"])
)


@given(WORDS, st.integers(1, 60), st.integers(0, 60))
def test_whatever_the_text_every_word_is_in_a_chunk_of_the_right_size(words, size, overlap):
    text = " ".join(words)
    found = list(chunks_of(text, size, overlap))
    held: set[int] = set()
    for chunk in found:
        assert chunk.text == text[chunk.start : chunk.end]
        assert 0 < len(chunk.text) <= size
        held.update(range(chunk.start, chunk.end))
    assert {place.start() for place in re.finditer(r"\w", text)} <= held
    for one, other in pairwise(found):
        assert one.start < other.start
        assert one.end < other.end
        assert one.end - other.start <= overlap


@given(WORDS, st.integers(1, 60))
def test_without_overlap_no_word_is_in_two_chunks(words, size):
    text = " ".join(words)
    said = "".join(texts(text, size, 0))
    assert re.findall(r"\w", said) == re.findall(r"\w", text)
