"""Transcripts to signals, once for each transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from content_signals.content import CONTENT_ID, REASON
from content_signals.signals.episode_text.contract import EPISODE_TEXT_V1
from content_signals.signals.episode_text.measures import Episode, language_sample, measure, read_episode

TOGETHER = 32  # transcripts whose languages are asked for in one call
MOST_CHARACTERS = 20_000_000  # a day and a half of speech; more is another file
NOTHING_SAID = "nothing is said in the transcript"

Detect = Callable[[Sequence[str]], tuple[Sequence[str | None], Sequence[float]]]
Signals = dict[str, Any]

_TYPES: dict[str, pa.DataType] = {"string": pa.string(), "int": pa.int32(), "double": pa.float64()}
_COLUMNS: dict[str, pa.DataType] = {
    CONTENT_ID: pa.string(),
    **{column.name: _TYPES[column.type] for column in EPISODE_TEXT_V1.computed},
    REASON: pa.string(),
}
_MADE = pa.schema(_COLUMNS)
_MADE_IN_SPARK = ", ".join(
    [f"{CONTENT_ID} string", *(f"{c.name} {c.type}" for c in EPISODE_TEXT_V1.computed), f"{REASON} string"]
)


def compute(contents: DataFrame) -> DataFrame:
    """The signals of each content, from (content_id, transcript).

    Returns:
        content_id, the columns of the contract and reason: one row a content. For a transcript in which nothing is
        said, or one that cannot be measured, the reason, the other columns null.
    """
    return contents.select(CONTENT_ID, "transcript").mapInArrow(_measured, _MADE_IN_SPARK)


def signals(transcripts: Sequence[str | None], detect: Detect) -> list[Signals]:
    """The signals of some transcripts, in their order.

    Args:
        transcripts: the texts.
        detect: texts to their languages (ISO 639-1; anything else where it is not sure) and how sure it is of each.

    Returns:
        For each the columns of the contract, or `reason`: why there are none.
    """
    read = [_read(transcript) for transcript in transcripts]
    episodes = [episode for episode in read if isinstance(episode, Episode)]
    codes = iter(detect([language_sample(episode) for episode in episodes])[0] if episodes else ())
    return [_row(one, next(codes)) if isinstance(one, Episode) else {REASON: one} for one in read]


def _read(transcript: str | None) -> Episode | str:
    """An episode in which something is said, or the reason why there is none."""
    if transcript is not None and len(transcript) > MOST_CHARACTERS:
        return f"the transcript has {len(transcript)} characters, more than {MOST_CHARACTERS}"
    try:
        episode = read_episode(transcript or "")
    except Exception as error:  # one transcript that no rule foresaw must not end the worker
        return f"the transcript cannot be read: {error!r}"
    return episode if episode.all_sentences else NOTHING_SAID


def _row(episode: Episode, code: str | None) -> Signals:
    language = code if code and len(code) == 2 else None
    try:
        return {"language": language, **asdict(measure(episode, language))}
    except Exception as error:  # as above
        return {REASON: f"the transcript cannot be measured: {error!r}"}


def _measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker. A batch of Spark's may hold ten thousand transcripts: few are read at a time."""
    from content_signals.models.language import detect  # loaded in the worker alone

    rows = (row for batch in batches for row in _rows(batch))
    while together := list(islice(rows, TOGETHER)):
        made = signals([transcript for _, transcript in together], detect)
        yield pa.RecordBatch.from_pylist(
            [{CONTENT_ID: content_id, **row} for (content_id, _), row in zip(together, made, strict=True)], _MADE
        )


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, str | None]]:
    for content_id, transcript in zip(batch.column(CONTENT_ID), batch.column("transcript"), strict=True):
        yield content_id.as_py(), transcript.as_py()
