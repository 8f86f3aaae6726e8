"""What the text of an episode is like, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from content_signals.signals.episode_text.explicit_words import is_explicit
from content_signals.signals.episode_text.readability import readability, stretches
from content_signals.signals.episode_text.sponsor import Said, ad_reads
from content_signals.signals.episode_text.turns import Transcript, read
from content_signals.signals.episode_text.words import Sentence, sentences

# A share of distinct words falls with the length of the text, over 1,212 real episodes with r = -0.81. Means over
# windows do not (-0.05): the moving-average type-token ratio of Covington and McFall (2010), with their window.
_WINDOW = 500
# Words a sentence, on average: above that marks are missing, as in what a machine wrote down, and formulas that were
# fitted to sentences say nothing.
_LONGEST_SENTENCES = 100
_LANGUAGE_CHARACTERS = 2_000
_LANGUAGE_STRETCHES = 5


@dataclass(frozen=True)
class Episode:
    """A transcript, read, with the sentences of each of its paragraphs."""

    transcript: Transcript
    sentences: tuple[tuple[Sentence, ...], ...]

    @cached_property
    def all_sentences(self) -> list[Sentence]:
        """The sentences of every paragraph, in order."""
        return [sentence for paragraph in self.sentences for sentence in paragraph]


@dataclass(frozen=True, slots=True)
class Measures:
    """The signals of an episode, apart from its language. None where a signal does not apply."""

    word_count: int
    speakers_count: int
    largest_speaker_share: float | None
    questions_ratio: float
    words_per_turn: float | None
    readability: float | None
    sponsor_share: float | None
    explicit_ratio: float | None
    links_count: int
    distinct_word_ratio: float
    reading_level: float | None


def read_episode(transcript: str) -> Episode:
    """Paragraphs and sentences of a transcript."""
    found = read(transcript)
    return Episode(found, tuple(tuple(sentences(paragraph.text)) for paragraph in found.paragraphs))


def language_sample(episode: Episode) -> str:
    """What of an episode its language is told by: five stretches of 400 characters, evenly spaced."""
    text = " ".join(sentence.text.strip() for sentence in episode.all_sentences)
    return stretches(text, _LANGUAGE_STRETCHES, _LANGUAGE_CHARACTERS)


def measure(episode: Episode, language: str | None) -> Measures:
    """The signals of an episode in a language (ISO 639-1). Those that need English are None in any other.

    Raises:
        ValueError: when nothing is said in it.
    """
    every = episode.all_sentences
    said = [word.casefold().replace("’", "'") for sentence in every for word in sentence.words]
    if not said:
        raise ValueError("no word is said in the transcript")
    is_english = language == "en"
    is_readable = is_english and len(said) <= _LONGEST_SENTENCES * len(every)
    ease, grade = readability(every) if is_readable else (None, None)
    by_speaker, turns_count = _spoken_by(episode)
    named = sum(by_speaker.values())
    return Measures(
        word_count=len(said),
        speakers_count=len(by_speaker),
        largest_speaker_share=max(by_speaker.values()) / named if named else None,
        questions_ratio=sum(sentence.is_question for sentence in every) / len(every),
        words_per_turn=named / turns_count if turns_count else None,
        readability=ease,
        sponsor_share=_ad_words(episode) / len(said) if is_english else None,
        explicit_ratio=sum(map(is_explicit, said)) / len(said) if is_english else None,
        links_count=episode.transcript.links,
        distinct_word_ratio=_distinct_ratio(said),
        reading_level=grade,
    )


def ads_of(episode: Episode) -> list[list[bool]]:
    """For each paragraph, which of its sentences are in ad reads."""
    paragraphs = episode.transcript.paragraphs
    placed = [
        Said(sentence, paragraph.turn, n, paragraph.is_ad)
        for n, (paragraph, found) in enumerate(zip(paragraphs, episode.sentences, strict=True))
        for sentence in found
    ]
    flags = iter(ad_reads(placed, {paragraph.speaker for paragraph in paragraphs}))
    return [[next(flags) for _ in found] for found in episode.sentences]


def _ad_words(episode: Episode) -> int:
    judged = zip(episode.sentences, ads_of(episode), strict=True)
    return sum(len(one.words) * flag for found, flags in judged for one, flag in zip(found, flags, strict=True))


def _spoken_by(episode: Episode) -> tuple[Counter[str], int]:
    """Words of each named speaker who says any, and how many turns they take."""
    by_speaker: Counter[str] = Counter()
    turns = set()
    for paragraph, found in zip(episode.transcript.paragraphs, episode.sentences, strict=True):
        if paragraph.speaker and found:
            by_speaker[paragraph.speaker] += sum(len(sentence.words) for sentence in found)
            turns.add(paragraph.turn)
    return by_speaker, len(turns)


def _distinct_ratio(said: Sequence[str]) -> float:
    """Mean share of distinct words in all windows of `_WINDOW` running words; of a shorter text, its own."""
    size = min(_WINDOW, len(said))
    inside = Counter(said[:size])
    distinct = total = len(inside)
    for leaving, coming in zip(said, said[size:], strict=False):
        inside[leaving] -= 1
        distinct -= inside[leaving] == 0
        distinct += inside[coming] == 0
        inside[coming] += 1
        total += distinct
    return total / (len(said) - size + 1) / size
