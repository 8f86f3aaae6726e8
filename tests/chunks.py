"""Rows of `episode_chunks_v1` as its days have them, without a model: vectors of a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

CHUNKS = "episode_chunks_v1"
_STAMP = pa.timestamp("us", "UTC")
_COLUMNS: dict[str, pa.DataType] = {
    "chunk_id": pa.string(),
    "episode_id": pa.string(),
    "chunk_index": pa.int32(),
    "start_char": pa.int32(),
    "end_char": pa.int32(),
    "text": pa.string(),
    "embedding": pa.list_(pa.float32()),
    "model": pa.string(),
    "event_ts": _STAMP,
    "computed_at": _STAMP,
    "run_id": pa.string(),
}


def chunk_rows(day: date, episodes: Mapping[str, int], known_at: datetime | None = None) -> pa.Table:
    """So many chunks of each episode, named as the table names them.

    Args:
        known_at: when they were computed; None: two hours after the day.
    """
    over = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    rows = [
        {
            "chunk_id": f"{episode}#{number:04}",
            "episode_id": episode,
            "chunk_index": number,
            "start_char": 10 * number,
            "end_char": 10 * number + 12,
            "text": f"{number} of {episode}",
            "embedding": [0.5, number / 8],
            "model": "m",
            "event_ts": over,
            "computed_at": known_at or over + timedelta(hours=2),
            "run_id": "run-00001",
        }
        for episode, chunks in episodes.items()
        for number in range(chunks)
    ]
    return pa.Table.from_pylist(rows, pa.schema(_COLUMNS))
