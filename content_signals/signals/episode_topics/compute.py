"""Topics of episodes, from the vectors and words of their chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.errors import BrokenData
from content_signals.models.spoken import spoken
from content_signals.models.topics import count_words, mean_direction, topic_manifest, topic_model

CHUNKS = "episode_chunks_v1"
_KEYS = ("ds", "episode_id")

_COLUMNS: dict[str, pa.DataType] = {
    "ds": pa.date32(),
    "episode_id": pa.string(),
    "topic": pa.string(),
    "topic_probability": pa.float64(),
    "topics": pa.list_(pa.string()),
    "probabilities": pa.list_(pa.float64()),
    "top_terms": pa.list_(pa.string()),
    "model": pa.string(),
}
_ROW = pa.schema(_COLUMNS)
_ROW_IN_SPARK = (
    "ds date, episode_id string, topic string, topic_probability double, topics array<string>, "
    "probabilities array<double>, top_terms array<string>, model string"
)
_ROWS_A_BATCH = 1_000


class Chunk(NamedTuple):
    """A row of the chunks."""

    ds: date
    episode_id: str
    start_char: int
    end_char: int
    text: str
    embedding: NDArray[np.float32]


def compute(inputs: Mapping[str, DataFrame], days: Sequence[date]) -> DataFrame:
    """The topics of every episode that has chunks on each of `days`.

    Args:
        inputs: `episode_chunks_v1` with `ds`.
        days: the days wanted.

    Returns:
        One row per episode_id and ds: ds, episode_id and the columns of the contract.

    Raises:
        BrokenData: vectors of a model that the classifier was not trained on.
    """
    chunks = inputs[CHUNKS].where(F.col("ds").isin(list(days)))
    _refuse_other_models(chunks)
    # In the order of the chunks, so that a sum of floats is the same whatever the files are.
    in_order = chunks.repartition(*_KEYS).sortWithinPartitions(*_KEYS, "chunk_index")
    return in_order.select(*Chunk._fields).mapInArrow(_told, _ROW_IN_SPARK)


def topics_of(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """The row of an episode, from its chunks in order."""
    model = topic_model()
    ranked = model.ranked(mean_direction(np.stack([chunk.embedding for chunk in chunks])))
    return {
        "ds": chunks[0].ds,
        "episode_id": chunks[0].episode_id,
        "topic": ranked[0][0],
        "topic_probability": ranked[0][1],
        "topics": [topic for topic, _ in ranked],
        "probabilities": [probability for _, probability in ranked],
        "top_terms": model.top_terms(count_words(fresh_texts(chunks))),
        "model": topic_manifest().model,
    }


def fresh_texts(chunks: Sequence[Chunk]) -> Iterator[str]:
    """What is said in chunks in order, each stretch once: chunks overlap."""
    said_to = 0
    for chunk in chunks:
        yield spoken(chunk.text[max(said_to - chunk.start_char, 0) :])
        said_to = max(said_to, chunk.end_char)


def _refuse_other_models(chunks: DataFrame) -> None:
    ours = topic_manifest().embedding_model
    others = [row.model for row in chunks.where(F.col("model") != ours).select("model").distinct().limit(3).collect()]
    if others:
        raise BrokenData(
            f"{CHUNKS}: column model has {', '.join(map(repr, others))}; topics were learnt from vectors of {ours!r}",
            state="no topic was computed; readers see what was promoted before",
            next_step=f"rebuild_signals.py --tables {CHUNKS} for these days, or train: python -m tools.topics.train",
        )


def _told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a worker: chunks in order to rows, holding one episode's chunks at a time."""
    chunks = (chunk for batch in batches for chunk in _chunks(batch))
    rows: list[dict[str, Any]] = []
    for _, of_episode in groupby(chunks, key=lambda chunk: (chunk.ds, chunk.episode_id)):
        rows.append(topics_of(list(of_episode)))
        if len(rows) == _ROWS_A_BATCH:
            yield pa.RecordBatch.from_pylist(rows, _ROW)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, _ROW)


def _chunks(batch: pa.RecordBatch) -> Iterator[Chunk]:
    embeddings = batch.column("embedding")
    plain = [batch.column(name).to_pylist() for name in Chunk._fields[:-1]]
    for row, values in enumerate(zip(*plain, strict=True)):
        yield Chunk._make((*values, embeddings[row].values.to_numpy(zero_copy_only=False)))
