"""Held-out passages: of the wanted length, always the same, and in no text that is searched."""

from __future__ import annotations

import pytest

from benchmarks.held_out import near, passage_of, without
from content_signals.signals.episode_chunks.chunking import chunks_of

# Every word is another one, so that a word tells where it stands.
TALK = "\n\n".join(
    f"**Ada:** {' '.join(f'w{turn}x{n}' for n in range(30))}. \\[laughter\\] Yes{turn}." for turn in range(60)
)


@pytest.mark.parametrize("seed", range(20))
def test_a_passage_has_so_many_spoken_words_and_no_chunk_says_any_of_them(seed):
    passage = passage_of(TALK, str(seed))
    assert len(passage.query.split()) == 100
    assert "Ada" not in passage.query
    assert passage.query.split()[0] in TALK[passage.start : passage.start + 30]
    chunks = list(chunks_of(TALK))
    said = {word for chunk in chunks for word in without(chunk, passage).split()}
    assert said.isdisjoint(passage.query.split())
    everything = {word for turn in range(60) for word in [*(f"w{turn}x{n}" for n in range(30)), f"Yes{turn}."]}
    kept = {word.rstrip(".") for word in said | set(passage.query.split())}
    assert {word.rstrip(".") for word in everything} == kept


def test_the_seed_alone_decides_which_passage():
    assert passage_of(TALK, "1") == passage_of(TALK, "1") != passage_of(TALK, "2")


def test_a_talk_that_is_too_short_has_no_passage():
    with pytest.raises(ValueError, match="no 100 words"):
        passage_of("only a few words", "1")


def test_near_are_chunks_that_a_passage_touches_or_nearly_does():
    chunks = list(chunks_of(TALK, 300, 0))
    passage = passage_of(TALK, "1")
    touched = [chunk.start < passage.end and chunk.end > passage.start for chunk in chunks]
    assert near(chunks, passage, 0) == touched
    assert sum(near(chunks, passage, 310)) > sum(touched) > 1
