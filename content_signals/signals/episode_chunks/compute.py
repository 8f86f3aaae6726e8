"""Transcripts to chunks with vectors, once for each transcript, however many days and episodes have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.content import CONTENT_ID, REASON
from content_signals.models.files import MINILM_ID
from content_signals.models.spoken import spoken
from content_signals.signals.episode_chunks.chunking import chunks_of
from content_signals.signals.episode_chunks.contract import EPISODE_CHUNKS_V1

# Chunks that are embedded and handed on together: some are of one length, and a worker never holds more of them.
TOGETHER = 256
NOTHING_SAID = "nothing is said in the transcript"

_COLUMNS: dict[str, pa.DataType] = {
    CONTENT_ID: pa.string(),
    "chunk_index": pa.int32(),
    "start_char": pa.int32(),
    "end_char": pa.int32(),
    "text": pa.string(),
    "embedding": pa.list_(pa.float32()),
    "model": pa.string(),
    REASON: pa.string(),
}
_MADE = pa.schema(_COLUMNS)
_MADE_IN_SPARK = (
    f"{CONTENT_ID} string, chunk_index int, start_char int, end_char int, text string, embedding array<float>, "
    f"model string, {REASON} string"
)


class Piece(NamedTuple):
    """A chunk of a content without its vector, or the reason why the content has none."""

    content_id: str
    chunk_index: int | None = None
    start_char: int | None = None
    end_char: int | None = None
    text: str | None = None
    reason: str | None = None


def compute(contents: DataFrame) -> DataFrame:
    """The chunks of each content, from (content_id, transcript).

    Returns:
        content_id, chunk_index, start_char, end_char, text, embedding, model, reason: a row a chunk; for a transcript
        in which nothing is said one row with the reason, its other columns null.
    """
    return contents.select(CONTENT_ID, "transcript").mapInArrow(_chunked, _MADE_IN_SPARK)


def place(found: DataFrame) -> DataFrame:
    """The table's rows, from the driver's rows of some days and what was computed of their contents.

    Args:
        found: `ds`, the driver's columns, content_id, and the columns that `compute` made, a row a chunk.

    Returns:
        ds, chunk_id and the columns of the contract.
    """
    chunk_id = F.format_string("%s#%04d", "episode_id", "chunk_index").alias("chunk_id")
    return found.select("ds", chunk_id, *EPISODE_CHUNKS_V1.values)


def pieces_of(content_id: str, transcript: str | None) -> Iterator[Piece]:
    """A content's chunks; where it has none one piece that says so."""
    number = -1
    for number, chunk in enumerate(chunks_of(transcript or "")):
        yield Piece(content_id, number, chunk.start, chunk.end, chunk.text)
    if number < 0:
        yield Piece(content_id, reason=NOTHING_SAID)


def _chunked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker. However long a transcript is, its chunks go out as they are made."""
    pieces = (piece for batch in batches for row in _rows(batch) for piece in pieces_of(*row))
    while together := list(islice(pieces, TOGETHER)):
        yield _embedded(together)


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, str | None]]:
    for content_id, transcript in zip(batch.column(CONTENT_ID), batch.column("transcript"), strict=True):
        yield content_id.as_py(), transcript.as_py()


def _embedded(pieces: list[Piece]) -> pa.RecordBatch:
    """Pieces with their vectors, as a batch of `_MADE`."""
    from content_signals.models.minilm import embed  # loaded in the worker alone

    vectors = iter(embed([spoken(piece.text) for piece in pieces if piece.text is not None]))
    rows = [
        {**piece._asdict(), "embedding": next(vectors), "model": MINILM_ID} if piece.reason is None else piece._asdict()
        for piece in pieces
    ]
    return pa.RecordBatch.from_pylist(rows, _MADE)
