"""Which language a text is in: by its letters where they tell, else by the n-grams of lingua.

lingua knows 75 languages. It is asked in its high accuracy mode, one text at a time: its calls for many texts start
threads, and a Spark worker has one core. Three things are made of what it says:

* Below 120 characters its confidence values come from mean log-probabilities of n-grams, which do not grow surer with
  the length of the text. They are raised to a power and scaled to 1 again, so that of texts called with confidence c
  about the share c is right. The powers were fitted on half of the samples (`benchmarks.track_language`).
* From 120 characters on lingua looks at trigrams alone. A longer text is read in pieces below that, and what they say
  is multiplied.
* Its values hold when all languages are as frequent. Where they are not, `weights` say so: Bayes' rule. Texts of many
  letters say enough themselves: what is assumed of the others is not assumed of them.

Values differ in their last digits from process to process; confidences are rounded, so that results do not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from lingua import Language, LanguageDetector, LanguageDetectorBuilder
from numpy.typing import NDArray

UNKNOWN = "und"  # ISO 639-2: undetermined
EVEN: Mapping[str, float] = {}

LONGEST = 119  # characters of a piece
PIECES = 8  # of one text; they are spread over it
FLOOR = 1e-6  # what no piece's confidence is below: no piece alone rules a language out
SHORT, SHARPNESS_OF_SHORT, SHARPNESS = 10, 1.5, 1.75

# A text is called a language from this confidence on. What one word says is often a name; what many words leave open
# is which of two sisters, such as Bosnian and Croatian, and the better guess is of use.
CUT_OF_ONE_WORD, CUT, CUT_OF_MANY_LETTERS, MANY_LETTERS = 0.8, 0.55, 0.3, 25

# Scripts with one language of weight, none of them known to lingua: first word of their letters' names in Unicode.
SCRIPTS = {
    "KANNADA": "kn", "KHMER": "km", "LAO": "lo", "MALAYALAM": "ml", "MYANMAR": "my", "ORIYA": "or", "SINHALA": "si",
    "THAANA": "dv",
}  # fmt: skip
_HAN = ("CJK", "IDEOGRAPHIC")
SYMBOLS_A_LETTER = 2  # with more the letters are there for their looks
HAN_IS_CHINESE = 5  # characters: of so many a Japanese text shows kana
# Letters of Kazakh that Ukrainian has not. For some Ukrainian sentences lingua's rules leave Kazakh alone.
_KAZAKH = frozenset("әғқңөұүһӘҒҚҢӨҰҮҺ")

CODES = tuple(sorted(language.iso_code_639_1.name.lower() for language in Language.all()))
LANGUAGES = tuple(sorted({*CODES, *SCRIPTS.values()}))  # all that can be told
_PLACE = {language: CODES.index(language.iso_code_639_1.name.lower()) for language in Language.all()}

Matrix = NDArray[np.float64]


class Guess(NamedTuple):
    """The most likely language, ISO 639-1, and how likely it is; `UNKNOWN` and 0 where nothing speaks for any."""

    code: str
    confidence: float


@cache
def detector() -> LanguageDetector:
    """lingua, once a process. It loads the models of a script when the first text in it comes."""
    return LanguageDetectorBuilder.from_all_languages().build()


def detect(texts: Sequence[str], weights: Mapping[str, float] = EVEN) -> tuple[list[str], list[float]]:
    """The language of each text, `UNKNOWN` where the text cannot tell, and the confidence in the best guess.

    Args:
        texts: of any length, empty ones too.
        weights: how frequent a language is among such texts, beside one that is not named here; of few letters.

    Returns:
        ISO 639-1 codes, and probabilities to four decimals; 0 where there is no guess.
    """
    guesses = guess(texts, weights)
    codes = [g.code if g.confidence >= cut(text) else UNKNOWN for text, g in zip(texts, guesses, strict=True)]
    return codes, [g.confidence for g in guesses]


def cut(text: str) -> float:
    """The confidence from which on the guess for a text is believed."""
    if len(text.split()) == 1:
        return CUT_OF_ONE_WORD
    return CUT_OF_MANY_LETTERS if _has_many_letters(text) else CUT


def _has_many_letters(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= MANY_LETTERS


def guess(texts: Sequence[str], weights: Mapping[str, float] = EVEN) -> list[Guess]:
    """The best guess for each text, however unsure."""
    guesses = [_by_letters(text) for text in texts]
    open_texts = [(n, texts[n]) for n, made in enumerate(guesses) if made is None]
    if open_texts:
        frequent = np.array([weights.get(code, 1.0) for code in CODES])
        few = np.array([not _has_many_letters(text) for _, text in open_texts])
        chances = likelihoods([text for _, text in open_texts]) * np.where(few[:, None], frequent, 1.0)
        totals = chances.sum(axis=1)
        best = chances.argmax(axis=1)
        for (n, text), row, place, total in zip(open_texts, chances, best, totals, strict=True):
            guesses[n] = _settled(text, CODES[place], round(float(row[place] / total), 4)) if total else None
    return [made or Guess(UNKNOWN, 0.0) for made in guesses]


def likelihoods(texts: Sequence[str]) -> Matrix:
    """How well each language explains each text: [texts, CODES], the best of a row 1; all 0 where lingua knows none."""
    rows = np.zeros((len(texts), len(CODES)))
    for row, text in zip(rows, texts, strict=True):
        logs = [
            (SHARPNESS_OF_SHORT if len(piece) < SHORT else SHARPNESS) * np.log(np.maximum(values, FLOOR))
            for piece in pieces(text)
            if (values := confidences(piece)).any()
        ]
        if logs:
            total = np.sum(logs, axis=0)
            row[:] = np.exp(total - total.max())
    return rows


def confidences(text: str) -> Matrix:
    """Lingua's own values for one text, one a language, in the order of `CODES`; all 0 where it sees no letter."""
    values = np.zeros(len(CODES))
    for found in detector().compute_language_confidence_values(text):
        values[_PLACE[found.language]] = found.value
    return values


def pieces(text: str) -> Iterator[str]:
    """A text in `LONGEST` characters or fewer each, cut at blanks where there are some, at most `PIECES` of them."""
    if len(text) <= LONGEST:
        yield text
        return
    count = -(-len(text) // LONGEST)
    step = len(text) / min(count, PIECES)
    for number in range(min(count, PIECES)):
        piece = text[int(number * step) : int(number * step) + LONGEST]
        first, _, rest = piece.partition(" ")
        whole = rest.rpartition(" ")[0]
        yield whole or rest or first


def _by_letters(text: str) -> Guess | None:
    """What the letters alone tell: nothing where there are none, or few among symbols; a language by its own script."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return Guess(UNKNOWN, 0.0)
    if text.isascii():
        return None
    if sum(unicodedata.category(c)[0] == "S" for c in text) > SYMBOLS_A_LETTER * len(letters):
        return Guess(UNKNOWN, 0.0)
    scripts = [unicodedata.name(c, "").partition(" ")[0] for c in letters]
    if all(script in _HAN for script in scripts):
        return _of_han("".join(letters))
    alone = [script for script in scripts if script in SCRIPTS]
    if 2 * len(alone) > len(scripts):
        return Guess(SCRIPTS[max(set(alone), key=alone.count)], 1.0)
    return None


def _of_han(text: str) -> Guess:
    """Chinese or Japanese: by which of their character sets from before Unicode have all of the characters."""
    japanese = _is_in("shift_jis", text)
    chinese = _is_in("gb2312", text) or _is_in("big5", text)
    if japanese and chinese:
        return Guess("zh", 1.0 if len(text) >= HAN_IS_CHINESE else 0.5)
    return Guess("ja" if japanese else "zh", 1.0)


def _is_in(charset: str, text: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _settled(text: str, code: str, confidence: float) -> Guess:
    if code == "kk" and confidence == 1 and _KAZAKH.isdisjoint(text):
        return Guess("uk", confidence)
    return Guess(code, confidence)
