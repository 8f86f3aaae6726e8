"""Search by words: BM25 (Robertson and Zaragoza 2009) by bm25s."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import bm25s
import numpy as np
from bm25s.stopwords import STOPWORDS_EN_PLUS
from numpy.typing import NDArray

# Letters and digits of any script: don't, open-source, node.js, c++ and 3.14 are one word each.
# Vowels of Indic and other scripts are marks, which are no letters to `re`, and are parts of words.
_MARKS = "".join(chr(n) for n in range(0x1_2000) if unicodedata.category(chr(n)) in ("Mn", "Mc"))
_LETTER = rf"[^\W_]|[{_MARKS}]"
_WORD = re.compile(rf"[^\W_](?:{_LETTER})*[+#]*(?:[-'._](?:{_LETTER})+[+#]*)*")
_ACCENTS = re.compile("[\u0300-\u036f\u064b-\u0652]")  # of Latin, Greek, Cyrillic; of Arabic
_STOP = frozenset(STOPWORDS_EN_PLUS)


def terms(text: str) -> list[str]:
    """The words of a text that are searched for. Plural and singular are one word."""
    return [_singular(word) for word in _WORD.findall(_plain(text)) if word not in _STOP]


def _plain(text: str) -> str:
    """A text in which neither case nor accents make another word, nor how its letters are encoded."""
    lower = text.casefold().replace("’", "'")
    if lower.isascii():
        return lower
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", lower)))


def _singular(word: str) -> str:
    """A word without the s of a plural or a third person (Harman's S stemmer, 1991)."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("us", "ss")):
        return word.removesuffix("'s")
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word[:-1].removesuffix("'")


class Words:
    """An index of texts by their words.

    Args:
        index: as bm25s keeps it; None where no text has a word.
        total: how many texts there are.
    """

    def __init__(self, index: bm25s.BM25 | None, total: int) -> None:
        self._index, self._total = index, total
        self._known = frozenset(index.vocab_dict) - {""} if index else frozenset()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """The index of texts, which are found by their places."""
        split = [terms(text) for text in texts]
        index = bm25s.BM25() if any(split) else None
        if index:
            index.index(split, show_progress=False)
        return cls(index, len(texts))

    @classmethod
    def read(cls, folder: Path, total: int) -> Words:
        """What `write` wrote. Read as it is needed, and shared by the processes that read it."""
        return cls(bm25s.BM25.load(folder, mmap=True) if folder.exists() else None, total)

    def write(self, folder: Path) -> None:
        """Write the index; no folder where no text has a word."""
        if self._index:
            self._index.save(folder, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float64]:
        """What each text scores for the words of a query; 0 where it has none of them."""
        asked = [term for term in terms(query) if term in self._known]
        if not asked or not self._index:
            return np.zeros(self._total)
        return np.asarray(self._index.get_scores(asked), np.float64)
