"""What is shown of a transcript: all of it, or the best parts within the budget."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content_signals.llm.costs import tokens_of
from content_signals.llm.excerpts import BY_WORDS, GAP, Ranking, by_words, chosen, cut, excerpt
from content_signals.llm.prompt import Excerpts
from tests.transcripts import TRANSCRIPTS, real_transcripts

FLAT = Ranking("flat", lambda texts, queries: [0.0] * len(texts))


def wanted(
    max_tokens: int, chunk_tokens: int = 20, lead: int = 1, queries: tuple[str, ...] = ("food eating",)
) -> Excerpts:
    return Excerpts(max_tokens=max_tokens, chunk_tokens=chunk_tokens, lead_chunks=lead, queries=queries)


def test_what_fits_is_shown_whole():
    text = "word " * 40  # 200 bytes
    assert excerpt(text, wanted(50), 4.0, BY_WORDS) == text.strip()
    assert len(excerpt(text, wanted(49), 4.0, BY_WORDS)) < len(text.strip())


def test_the_beginning_and_what_speaks_of_the_queries_are_shown_in_order():
    filler = [f"Number {n} is about nothing in particular, as they say." for n in range(40)]
    filler[21] = "Then we came to eating noodles, and food was all we spoke of."
    filler[33] = "The food was gone by then, as food is when people are eating."
    shown = excerpt("\n".join(filler), wanted(80), 3.0, BY_WORDS)
    parts = shown.split(GAP)
    assert parts[0].startswith("Number 0")
    assert "noodles" in parts[1]
    assert "food was gone" in parts[2]
    assert tokens_of(shown, 3.0) <= 80


def test_each_query_brings_its_best_part():
    filler = [f"Number {n} is about nothing in particular, as they say." for n in range(40)]
    filler[10] = "A goalkeeper caught the ball with one hand, one hand alone."
    for n in range(20, 30):
        filler[n] = f"Soup, bread, noodles and soup again, for the {n}th time."
    shown = excerpt("\n".join(filler), wanted(80, queries=("soup noodles", "goalkeeper")), 3.0, BY_WORDS)
    assert "goalkeeper" in shown
    assert "Soup" in shown


def test_without_a_word_in_common_parts_are_spread_evenly():
    text = "".join(f"<{n:03}>..............." for n in range(100))  # 100 parts of 20 bytes
    parts = chosen(text, wanted(90, chunk_tokens=10, lead=1), 2.0, FLAT)
    places = [start // 20 for start, _ in parts]
    assert places == [0, 16, 32, 64, 80, 96]


def test_of_equal_scores_the_earlier_comes_first():
    assert (
        by_words(["noodles", "rain", "noodles"], ["noodles"])[0]
        > by_words(["noodles", "rain", "noodles"], ["noodles"])[2]
    )
    assert by_words(["noodles", "rain"], ["snow"]) == [0.0, 0.0]


def test_scores_that_somebody_brings_decide():
    text = "".join(f"Part {n:02} of the text.\n" for n in range(50))
    last_best = Ranking("last", lambda texts, queries: list(range(len(texts))))
    shown = excerpt(text, wanted(27, chunk_tokens=8, lead=0), 3.0, last_best)
    assert shown == "Part 47 of the text.\nPart 48 of the text.\nPart 49 of the text."


@given(st.text(max_size=400), st.integers(4, 60))
def test_parts_are_the_whole_text_and_none_is_too_long(text, limit):
    parts = list(cut(text, limit))
    assert "".join(text[slice(*part)] for part in parts) == text
    assert all(len(text[slice(*part)].encode("utf-8", "surrogatepass")) <= limit for part in parts)
    assert all(start < end for start, end in parts)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one. two three\n\nfour five six seven eight", "one. two three\n\n"),
        ("one. two three\nfour five six seven eight", "one. two three\n"),
        ("one two three. four five six seven eight", "one two three. "),
        ("one two three four five six seven eight", "one two three four "),
        ("onetwothreefourfivesixseveneight", "onetwothreefourfivesi"),
        ("一二三四五六七八九十", "一二三四五六七"),
    ],
)
def test_texts_are_cut_where_it_hurts_least(text, first):
    start, end = next(iter(cut(text, 21)))
    assert text[start:end] == first


def test_a_limit_that_holds_no_character_is_refused():
    with pytest.raises(ValueError, match="holds no character"):
        list(cut("text", 3))


@given(
    st.text(alphabet=st.sampled_from("ab .\n東🔥&"), max_size=3000),
    st.integers(10, 200),
    st.integers(3, 50),
    st.integers(0, 3),
)
def test_the_budget_is_never_exceeded(text, max_tokens, chunk_tokens, lead):
    shown = excerpt(text, wanted(max_tokens, chunk_tokens, lead, ("a", "東")), 3.0, BY_WORDS)
    assert tokens_of(shown, 3.0) <= max_tokens
    assert all(part in text for part in shown.split(GAP))


@real_transcripts
def test_real_transcripts_fill_their_budget():
    """Of 60 real transcripts: between 80 % and all of the budget is used, and every part is found in the transcript."""
    texts = pq.read_table(TRANSCRIPTS, columns=["transcript"]).column(0)
    for number in range(0, len(texts), 20):
        text = texts[number].as_py()
        shown = excerpt(text, wanted(3000, 300, 1, ("in this episode we talk about",)), 3.0, BY_WORDS)
        assert all(part in text for part in shown.split(GAP))
        assert min(2400, tokens_of(text, 3.0) * 0.99) <= tokens_of(shown, 3.0) <= 3000
