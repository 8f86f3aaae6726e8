"""Quotes found in a transcript, and the exact place of each.

A model does not copy byte by byte: it straightens quotation marks, joins lines, decodes entities, writes one dash where
two stand. Both sides are brought to one spelling, which remembers where each of its characters came from; nothing else
may differ, not a letter and not its case.
"""

from __future__ import annotations

import html
import io
import re
import unicodedata
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

QUOTE = "quote"  # the name of every property that holds one
# Shorter quotes are found by chance: see docs/language-models.md.
SHORTEST = 12
# Nor do dots, dashes and digits: at least half of the shortest quote is letters, or marks of letters.
FEWEST_LETTERS = 6

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SAME = r"[A-Za-z0-9.,;:!?()]+"
_PIECE = re.compile(rf"(?P<same>{_SAME}(?: {_SAME})*)|.", re.DOTALL)
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´ʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        "−": "-",  # a minus; what Unicode calls dashes is in `_spelt`
    }
)
# They choose between looks of the character before them, as of an emoji in colour or plain.
_VARIATION = re.compile(r"[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_DASH = "-"
_AROUND = "\"' "  # marks that a model may put around what it quotes
_ELLIPSIS = "..."


@dataclass(frozen=True)
class Evidence:
    """A quote that stands in the transcript: `quote` is transcript[start:end], in code points.

    Attributes:
        of: which part of the answer it supports, as in `topics.0`.
    """

    of: str
    quote: str
    start: int
    end: int


class Transcript:
    """A transcript, ready to be searched for quotes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._plain, self._starts, self._ends = _normalised(text)

    def find(self, quote: str) -> tuple[int, int] | None:
        """Where a quote first stands, as [start, end) in code points; None: nowhere, or it proves nothing.

        What is too short proves nothing, nor what has hardly a letter. It stands there in whole words: "art" is no
        quote from "party".
        """
        wanted = _trimmed(_normalised(quote)[0])
        if len(wanted) < SHORTEST or _letters(wanted) < FEWEST_LETTERS:
            return None
        at = self._plain.find(wanted)
        while at >= 0:
            found = self._place(at, at + len(wanted))
            if found:
                return found
            at = self._plain.find(wanted, at + 1)
        return None

    def _place(self, first: int, after: int) -> tuple[int, int] | None:
        """The place in the text; None where the match begins or ends within a word, or within a character."""
        plain = self._plain
        if first and (self._starts[first] == self._starts[first - 1] or _joined(plain[first - 1], plain[first])):
            return None
        if after < len(plain) and (
            self._ends[after] == self._ends[after - 1] or _joined(plain[after - 1], plain[after])
        ):
            return None
        return self._starts[first], self._ends[after - 1]

    def evidence(self, answer: Mapping[str, Any]) -> tuple[list[Evidence], list[str]]:
        """The quotes of an answer that stand here, and the parts of it whose quote does not."""
        found: list[Evidence] = []
        missing: list[str] = []
        for of, quote in quotes_of(answer):
            place = self.find(quote)
            if place is None:
                missing.append(of)
            else:
                found.append(Evidence(of, self._text[slice(*place)], *place))
        return found, missing


def quotes_of(answer: Any, of: str = "") -> Iterator[tuple[str, str]]:
    """Every quote of an answer, with the part it supports."""
    if isinstance(answer, Mapping):
        parts: Iterator[tuple[object, Any]] = iter(answer.items())
        if isinstance(answer.get(QUOTE), str):
            yield of or "answer", answer[QUOTE]
    elif isinstance(answer, list | tuple):
        parts = iter(enumerate(answer))
    else:
        return
    for name, value in parts:
        yield from quotes_of(value, f"{of}.{name}" if of else str(name))


def _normalised(text: str) -> tuple[str, array[int], array[int]]:
    """A text in one spelling, and for each of its characters the start and end of what it came from."""
    made = _Spelling()
    last = 0
    for entity in chain(_ENTITY.finditer(text), [None]):
        upto = entity.start() if entity else len(text)
        for piece in _PIECE.finditer(text, last, upto):
            if piece["same"]:
                made.add_same(piece["same"], piece.start())
            else:
                made.add(_spelt(piece[0]), piece.start(), piece.end())
        if entity:
            for character in html.unescape(entity[0]):
                made.add(_spelt(character), entity.start(), entity.end())
            last = entity.end()
    return made.plain.getvalue(), made.starts, made.ends


class _Spelling:
    """A text in one spelling as it is written: runs of white space are one space, and runs of dashes one dash.

    White space around a dash is left out: the same break is written as "so--then", "so -- then" and "so—then".
    """

    def __init__(self) -> None:
        self.plain, self.starts, self.ends = io.StringIO(), array("I"), array("I")  # lists would take eight times more
        self._last = ""  # nothing, or a dash: no space is written after it
        self._space: tuple[int, int] | None = None  # white space that is written if a word follows

    def add(self, characters: str, start: int, end: int) -> None:
        """Add what some of the text, from start to end, is spelt as."""
        for character in characters:
            if character == " ":
                self._space = (self._space[0] if self._space else start, end)
                continue
            if character == self._last == _DASH:
                self.ends[-1] = end
            else:
                if self._space and self._last not in ("", _DASH) and character != _DASH:
                    self._put(" ", *self._space)
                self._put(character, start, end)
            self._last, self._space = character, None

    def add_same(self, run: str, start: int) -> None:
        """Add words that are spelt as they are, one space between each two."""
        if self._space and self._last not in ("", _DASH):
            self._put(" ", *self._space)
        self.plain.write(run)
        self.starts.extend(range(start, start + len(run)))
        self.ends.extend(range(start + 1, start + len(run) + 1))
        self._last, self._space = run[-1], None

    def _put(self, character: str, start: int, end: int) -> None:
        self.plain.write(character)
        self.starts.append(start)
        self.ends.append(end)


@cache
def _spelt(character: str) -> str:
    """One character as all its likes are spelt: none for what is invisible, several for a ligature."""
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Pd":
        return _DASH
    if category in ("Cf", "Cc") or _VARIATION.match(character):
        return ""
    return unicodedata.normalize("NFKD", character.translate(_PLAIN)).translate(_PLAIN)


def _trimmed(quote: str) -> str:
    """A quote without the marks around it and without dots for what was left out before and after."""
    before = None
    while before != quote:
        before = quote
        quote = quote.strip(_AROUND).removeprefix(_ELLIPSIS).removesuffix(_ELLIPSIS)
    return quote


def _letters(text: str) -> int:
    return sum(unicodedata.category(character)[0] in "LM" for character in text)


def _joined(one: str, other: str) -> bool:
    """Whether two characters are within one word, in scripts that write words apart."""
    return all(c.isdigit() or c.lower() != c.upper() or unicodedata.combining(c) for c in (one, other))
