"""Where a transcript is cut into chunks: between sentences, rather between turns, each reaching back into the last.

Sizes are in characters (code points), so that a text without spaces or full stops is cut too. `SIZE` and `OVERLAP` were
chosen by measurement: docs/content/episode_chunks.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from content_signals.models.spoken import LABEL, spoken

VERSION = "chunks-1"  # of all that this module decides
SIZE = 900
OVERLAP = 300
WHOLE_TURN = 0.75  # a chunk rather ends with a turn than is filled, when so much of it is

_LINE = re.compile(r"[^\r\n]+")
# After a full stop and what closes with it; ideographic full stops stand without a space.
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]*]*\s+)|[。！？]")
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Sentence:
    """A stretch of a transcript that is not cut: [start, end) in characters, and whether a turn ends with it."""

    start: int
    end: int
    ends_turn: bool


@dataclass(frozen=True)
class Chunk:
    """A stretch of a transcript: `text` is transcript[start:end]."""

    start: int
    end: int
    text: str


def chunks_of(transcript: str, size: int = SIZE, overlap: int = OVERLAP) -> Iterator[Chunk]:
    """The chunks in order; together they hold every word of the transcript. None where nothing is said.

    Args:
        transcript: the text, a turn a line, perhaps with a label of the speaker.
        size: no chunk is longer.
        overlap: a chunk begins with as many whole sentences of the one before as fit into so many characters.
    """
    held: list[Sentence] = []
    fresh = 0  # how many of the held, at their end, are in no chunk yet

    def too_long(sentence: Sentence) -> bool:
        return bool(held) and sentence.end - held[0].start > size

    for sentence in sentences(transcript, size):
        full = too_long(sentence)
        while too_long(sentence):
            if fresh and (full or fresh == len(held)):
                taken = _taken(held, fresh)
                yield _chunk(transcript, held[:taken])
                fresh = len(held) - taken
                held = held[_kept_from(held, taken, overlap) :]
                full = False
            else:
                held.pop(0)  # the sentence and the overlap do not fit together
        held.append(sentence)
        fresh += 1
    if fresh:
        yield _chunk(transcript, held)


def sentences(transcript: str, size: int = SIZE) -> Iterator[Sentence]:
    """The sentences in which something is said, with the label of a turn in its first; none is longer than `size`."""
    for line in _LINE.finditer(transcript):
        pieces = [piece for piece in _pieces(transcript, line.start(), line.end(), size)
                  if _WORD.search(spoken(transcript[slice(*piece)]))]  # fmt: skip
        for number, (start, end) in enumerate(pieces, 1):
            yield Sentence(start, end, ends_turn=number == len(pieces))


def _pieces(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """A line, cut after sentences; a longer sentence is cut between words, and a longer word anywhere."""
    label = LABEL.match(text, start, end)
    first = label.end() if label else start
    ends = [found.end() for found in _SENTENCE_END.finditer(text, first, end)]
    for stop in [*ends, end]:
        while stop - start > size:
            space = text.rfind(" ", start + 1, start + size)
            cut = space + 1 if space > 0 else start + size
            yield start, cut
            start = cut
        if stop > start:
            yield start, stop
        start = stop


def _taken(held: list[Sentence], fresh: int) -> int:
    """How many of the held make the chunk: all, or those up to the last end of a turn if that leaves it full enough."""
    long_enough = held[0].start + WHOLE_TURN * (held[-1].end - held[0].start)
    oldest = len(held) - fresh  # at least one new sentence is taken
    for count in range(len(held), oldest, -1):
        if held[count - 1].end < long_enough:
            break
        if held[count - 1].ends_turn:
            return count
    return len(held)


def _kept_from(held: list[Sentence], taken: int, overlap: int) -> int:
    """The first of the held sentences that begins the next chunk too."""
    start = taken
    while start > 1 and held[taken - 1].end - held[start - 1].start <= overlap:
        start -= 1
    return start


def _chunk(transcript: str, held: list[Sentence]) -> Chunk:
    start, end = held[0].start, held[-1].end
    text = transcript[start:end].rstrip()
    return Chunk(start, start + len(text), text)
