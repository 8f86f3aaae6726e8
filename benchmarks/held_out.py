"""Queries whose answer is known: passages of episodes, taken out of what is searched."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from content_signals.models.spoken import spoken
from content_signals.signals.episode_chunks.chunking import Chunk

WORDS = 100
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Passage:
    """A stretch [start, end) of a transcript, and the words spoken in it."""

    start: int
    end: int
    query: str


def passage_of(transcript: str, seed: str, words: int = WORDS) -> Passage:
    """A passage of so many spoken words, anywhere in a transcript; the seed alone decides where.

    Raises:
        ValueError: so many words are not spoken in the whole transcript.
    """
    places = [found.span() for found in _WORD.finditer(transcript)]
    first = random.Random(seed).randrange(len(places))  # noqa: S311 a sample, no secret
    for start in [*range(first, len(places)), *range(first)]:
        # A label or an aside counts several words in the transcript and none when spoken.
        for end in range(start + words, len(places) + 1):
            said = spoken(transcript[places[start][0] : places[end - 1][1]]).split()
            if len(said) == words:
                return Passage(places[start][0], places[end - 1][1], " ".join(said))
            if len(said) > words:
                break
    raise ValueError(f"no {words} words in a row are spoken in the transcript")


def without(chunk: Chunk, passage: Passage) -> str:
    """What is spoken in a chunk and not in a passage."""
    start, end = (min(max(place - chunk.start, 0), len(chunk.text)) for place in (passage.start, passage.end))
    return " ".join(f"{spoken(chunk.text[:start])} {spoken(chunk.text[end:])}".split())


def near(chunks: Sequence[Chunk], passage: Passage, characters: int) -> list[bool]:
    """Which chunks begin or end within so many characters of a passage, or overlap with it."""
    return [chunk.start < passage.end + characters and chunk.end > passage.start - characters for chunk in chunks]
