"""Titles and artist lines to their languages, once for each pair of them.

What is asked of a title are its words without "(feat. …)", "- Remastered 2011" and the like. Where they are Han
characters alone, Chinese and Japanese may be written alike; kana in the artist line decides then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame

from content_signals.content import CONTENT_ID, REASON
from content_signals.signals.track_language.wording import wording

# How frequent languages are among titles, beside one that is not named: an assumption, and a cautious one. In the
# catalogue at hand English is a hundred times as frequent as any other. The last are spelt as names and invented words
# are, and lingua takes such a title for one of them far more often than a title is in it.
WEIGHTS: Mapping[str, float] = {
    "en": 10.0,
    **dict.fromkeys(("de", "es", "fr", "id", "it", "ja", "ko", "pt", "zh"), 2.0),
    **dict.fromkeys(
        ("cy", "eo", "eu", "ga", "la", "lg", "mi", "sn", "so", "st", "sw", "tn", "ts", "xh", "yo", "zu"), 0.1
    ),
}
NAMES_CUT = 0.9  # an artist line is names, and their spelling is all it has

_HAN_ALONE = re.compile(r"[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_KANA = re.compile(r"[\u3041-\u30fa\u30fc-\u30ff]+")

_COLUMNS: dict[str, pa.DataType] = {
    CONTENT_ID: pa.string(),
    "language": pa.string(),
    "language_confidence": pa.float64(),
    "artists_language": pa.string(),
    "artists_language_confidence": pa.float64(),
    REASON: pa.string(),
}
_MADE = pa.schema(_COLUMNS)
_MADE_IN_SPARK = (
    f"{CONTENT_ID} string, language string, language_confidence double, artists_language string, "
    f"artists_language_confidence double, {REASON} string"
)


class Languages(NamedTuple):
    """Of some tracks, in order: codes and confidences."""

    language: list[str]
    language_confidence: list[float]
    artists_language: list[str]
    artists_language_confidence: list[float]


def compute(contents: DataFrame) -> DataFrame:
    """The languages of each content, from (content_id, title, artists).

    Returns:
        content_id, the columns of the contract, reason: one row a content. The reason is always null: what tells
        nothing is `und`, a missing title too.
    """
    return contents.select(CONTENT_ID, "title", "artists").mapInArrow(_told, _MADE_IN_SPARK)


def languages(titles: Sequence[str | None], artists: Sequence[str | None]) -> Languages:
    """What the titles and artist lines of some tracks are written in."""
    from content_signals.models.language import UNKNOWN, detect, guess  # loaded in the worker alone

    lines = [line or "" for line in artists]
    words = [_with_kana(wording(title or ""), line) for title, line in zip(titles, lines, strict=True)]
    names = guess(lines, WEIGHTS)
    return Languages(
        *detect(words, WEIGHTS),
        [name.code if name.confidence >= NAMES_CUT else UNKNOWN for name in names],
        [name.confidence for name in names],
    )


def _with_kana(words: str, line: str) -> str:
    """A title of Han characters with the kana that its artist line has."""
    return " ".join([words, *_KANA.findall(line)]) if _HAN_ALONE.fullmatch(words) else words


def _told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker."""
    for batch in batches:
        found = languages(batch.column("title").to_pylist(), batch.column("artists").to_pylist())
        columns = {CONTENT_ID: batch.column(CONTENT_ID), **found._asdict(), REASON: [None] * batch.num_rows}
        yield pa.RecordBatch.from_pydict(columns, _MADE)
