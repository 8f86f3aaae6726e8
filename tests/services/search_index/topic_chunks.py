"""Chunks of episodes about a topic each, with vectors of their own: what is to be found is known without a model."""

from __future__ import annotations

import hashlib
import zlib
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from tests.lake import promoted

DAY, NEXT_DAY = date(2024, 3, 1), date(2024, 3, 2)
AT = datetime(2024, 3, 1, tzinfo=UTC)
MODEL = "toy:1"
TOPICS = ("goroutines", "channels", "compilers", "neural networks", "browsers", "databases")
# Episodes e0 to e5 are about a topic each, e6 about the first, and the signals know nothing of it.
EPISODES = {f"e{n}": TOPICS[n % 6] for n in range(7)}
CHUNKS_EACH = 40


def embed(texts):
    """A vector of its own for each topic, a little turned by the text: who is asked for a topic finds its chunks."""
    made = []
    for text in texts:
        topic = next((n for n, name in enumerate(TOPICS) if name in text), 6)
        noise = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 0.01, 384)
        vector = np.eye(384)[topic] + noise
        made.append(vector / np.linalg.norm(vector))
    return np.array(made, np.float32)


def chunks_of(episodes, model=MODEL):
    rows = []
    for episode, topic in episodes.items():
        for n in range(CHUNKS_EACH):
            text = f"**Ann:** In part {n} of {episode} we say what {topic} are."
            rows.append((f"{episode}#{n:04d}", episode, n, 100 * n, 100 * n + len(text), text, model))
    columns = list(zip(*rows, strict=True))
    names = ("chunk_id", "episode_id", "chunk_index", "start_char", "end_char", "text", "model")
    kinds = (pa.string(), pa.string(), pa.int32(), pa.int32(), pa.int32(), pa.string(), pa.string())
    made = {n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)}
    made["embedding"] = pa.array(list(embed(columns[5])), pa.list_(pa.float32()))
    return with_times(pa.table(made))


def signals_of(values):
    """Rows of `episode_text_v1`: language and explicit_ratio of some episodes."""
    made = {
        "episode_id": pa.array(list(values)),
        "language": pa.array([language for language, _ in values.values()], pa.string()),
        "word_count": pa.array([100] * len(values), pa.int64()),
        "explicit_ratio": pa.array([ratio for _, ratio in values.values()], pa.float64()),
    }
    return with_times(pa.table(made))


def tags_of(values):
    """Rows of `episode_tags_llm_v1`: topics and flags of some episodes."""
    lists = pa.list_(pa.string())
    made = {
        "episode_id": pa.array(list(values)),
        "topics": pa.array([topics for topics, _ in values.values()], lists),
        "brand_safety_flags": pa.array([flags for _, flags in values.values()], lists),
    }
    return with_times(pa.table(made))


def put(context, table, day, rows):
    """Promote a day, its digest one of what is in it, as that of a run is."""
    written = rows.drop_columns(["event_ts", "computed_at"]).to_pylist()
    digest = f"{len(written):x}-{hashlib.sha256(repr(written).encode()).hexdigest()[:16]}"
    promoted(context.lake.of(context.catalog.table(table)), day, rows, digest=digest)


def with_times(rows):
    at = pa.array([AT] * rows.num_rows, pa.timestamp("us", "UTC"))
    return rows.append_column("event_ts", at).append_column("computed_at", at)


TEXT = {
    "e0": ("en", 0.0),
    "e1": ("en", 0.02),
    "e2": ("de", 0.0),
    "e3": (None, None),
    "e4": ("en", 0.5),
    "e5": ("en", 0),
}

TAGS = {
    "e0": (["gotime", "jsparty"], []),
    "e1": (["practicalai"], ["profanity"]),
    "e2": ([], None),
    "e4": (["jsparty"], ["violence", "profanity"]),
}


def episodes_of(answer):
    return {hit.episode_id for hit in answer.hits}
