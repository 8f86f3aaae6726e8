"""How hard a text is to read, by textstat's Flesch formulas. English only: they were fitted to English.

textstat counts the syllables of English by a pronouncing dictionary that it downloads when first asked. A worker must
not wait for a server, nor its values hang on what that one has today. Under the name `en-US` textstat takes the same
formula and counts by hyphenation patterns (pyphen), as it does for every other language; `docs/content/episode_text.md`
says what difference that makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from textstat.textstat import textstatistics

from content_signals.signals.episode_text.words import Sentence

_MOST_CHARACTERS = 100_000
_STRETCHES = 10
_STATISTICS = textstatistics()
_STATISTICS.set_lang("en-US")


def readability(sentences: Sequence[Sentence]) -> tuple[float, float]:
    """Flesch reading ease (higher is easier; speech is 60 to 90) and Flesch-Kincaid grade (years of US school).

    Of a text above `_MOST_CHARACTERS` ten stretches that long together are read, evenly spaced.
    """
    text = text_of(sentences)
    return _STATISTICS.flesch_reading_ease(text), _STATISTICS.flesch_kincaid_grade(text)


def text_of(sentences: Sequence[Sentence]) -> str:
    """What is read of these sentences. Each has a mark at its end: to textstat one without goes on in the next."""
    closed = (text if text[-1:] in ".!?" else f"{text}." for text in (one.text.strip() for one in sentences))
    return stretches(" ".join(closed), _STRETCHES, _MOST_CHARACTERS)


def stretches(text: str, count: int, characters: int) -> str:
    """The text, or of a longer one so many evenly spaced stretches, so many characters together."""
    if len(text) <= characters:
        return text
    length = characters // count
    starts = [(len(text) - length) * n // (count - 1) for n in range(count)]
    return " ".join(text[start : start + length] for start in starts)
