"""Words and sentences of a text, in any script.

Words are those of Unicode's default word boundaries (UAX #29), as far as transcripts need them: letters, digits and the
marks on them; an apostrophe or a full stop between two of them belongs to the word ("don't", "changelog.com"), and a
comma between two digits ("3,000"); a hyphen parts words. In scripts written without spaces a word would need a
dictionary: there each character counts as one, as word processors count them.

A sentence ends in a mark such as ".", "?" or "。" and what closes a quotation, before a space or the end. It goes on
where a small letter follows ("and then... you know", '"Why?" he said'), and after a title ("Dr. Who").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Thai, Lao, Burmese, Khmer; then Hiragana and Katakana; then Han.
_SPACELESS = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)


def _ranges(codes: list[int]) -> str:
    """A regex class of these code points."""
    starts = [code for n, code in enumerate(codes) if n == 0 or codes[n - 1] != code - 1]
    ends = [code for n, code in enumerate(codes) if n == len(codes) - 1 or codes[n + 1] != code + 1]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(starts, ends, strict=True))


# Marks are no letters to Python's \w, and the joiners of Persian and Hindi stand inside words.
_MARKS = _ranges([code for code in range(0x300, 0x1F000) if unicodedata.category(chr(code)).startswith("M")])
_LETTER = rf"[\w{_MARKS}\u00ad\u200c\u200d\u2060*]"  # an asterisk masks a letter: "s**t"
_INSIDE = r"(?:['’.׳״]|(?<=\d),(?=\d))"
_SPACED_WORD = re.compile(rf"\w{_LETTER}*(?:{_INSIDE}{_LETTER}+)*")
_ANY_WORD = re.compile(
    rf"[{_SPACELESS}][{_MARKS}]*"
    rf"|(?![{_SPACELESS}])\w(?:(?![{_SPACELESS}]){_LETTER})*(?:{_INSIDE}(?:(?![{_SPACELESS}]){_LETTER})+)*"
)
_HAS_SPACELESS = re.compile(f"[{_SPACELESS}]")

_MARK = "[.!?…؟۔।॥։።]"
_END = re.compile(rf"(?<!{_MARK}){_MARK}++[\"'”’»)\]]*+(?:\s++|$)|[。！？｡]++[」』”’）]*+\s*+")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof)\.\s+$")
_QUESTION = re.compile("[?？؟]")


def words(text: str) -> list[str]:
    """The words of a text, as they are written."""
    pattern = _ANY_WORD if _HAS_SPACELESS.search(text) else _SPACED_WORD
    return pattern.findall(text)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that says something.

    Attributes:
        text: as written, the mark at its end included.
        start: where it begins in the text it was found in.
        words: its words; at least one.
        is_question: whether a question mark ends it.
    """

    text: str
    start: int
    words: tuple[str, ...]
    is_question: bool


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a paragraph, in order. What has no word in it is none."""
    start = 0
    for end, mark in _ends(text):
        found = words(text[start:end])
        if found:
            yield Sentence(text[start:end], start, tuple(found), bool(_QUESTION.search(mark)))
        start = end


def _ends(text: str) -> Iterator[tuple[int, str]]:
    """Where sentences end, and with which mark; the end of the text ends one too."""
    for mark in _END.finditer(text):
        goes_on = text[mark.end() : mark.end() + 1].islower()
        if not goes_on and not _TITLE.search(text, max(0, mark.start() - 5), mark.end()):
            yield mark.end(), mark[0]
    yield len(text), ""
