"""How long a search takes in an index of fifty thousand chunks, and what the index finds of what an exact search does.

    .venv/jobs/bin/python -m benchmarks.search --transcripts transcripts.parquet --cache FOLDER --write

The chunks are those of real episodes whose vectors `benchmarks.retrieval` has left in the cache folder. Where they are
fewer than asked for, each further one has the text of a real chunk and a vector halfway between its own and that of
another. Queries are passages of 100 words, and of 8. Milvus Lite is embedded, an engine in Python in the process that
asks: a Milvus server is another matter.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.held_out import passage_of
from benchmarks.measured import PACKAGE, tell
from benchmarks.promoted_day import folder_of, promote_files
from benchmarks.retrieval import sample
from benchmarks.sides import machine
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake, LakeTable, start_run
from content_signals.local.services import running
from content_signals.models.minilm import MODEL_ID, embed
from content_signals.pipeline.context import Context
from content_signals.pipeline.search_index import build_search_index
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.search import Searcher
from content_signals.retrieval.version import CHUNKS
from content_signals.settings import Settings
from content_signals.signals.episode_chunks.chunking import chunks_of
from tools.topics.corpus import Vectors

COMMAND = "python -m benchmarks.search --transcripts transcripts.parquet --cache FOLDER --write"
MEASURED = PACKAGE / "retrieval" / "measured_search.json"
DAY = date(2024, 1, 1)
_KINDS: dict[str, Any] = {
    "chunk_index": "integer",
    "start_char": "integer",
    "end_char": "integer",
    "embedding": {"type": "array", "elementType": "float", "containsNull": True},
    "event_ts": "timestamp",
    "ds": "date",
}


def rows_of(transcripts: Path, cache: Path, episodes: int, total: int) -> tuple[pa.Table, int]:
    """So many chunks, and how many of them have vectors of their own."""
    chosen, vectors = sample(transcripts, "reported", episodes), Vectors(cache)
    ids, owners, places, texts, found = [], [], [], [], []
    for episode in chosen:
        for n, chunk in enumerate(chunks_of(episode.transcript)):
            ids.append(f"{episode.episode_id}#{n:04d}")
            owners.append(episode.episode_id)
            places.append((n, chunk.start, chunk.end))
            texts.append(chunk.text)
        found.append(vectors.of(episode))
    real = np.concatenate(found)
    more = max(total - len(real), 0)
    drawn = np.random.default_rng(1).integers(0, len(real), (more, 2))
    between = real[drawn[:, 0]] + real[drawn[:, 1]]
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    of = np.concatenate([np.arange(min(len(real), total)), drawn[:, 0]])
    numbers = np.array(places, np.int32)[of]
    width = real.shape[1]
    flat = pa.array(np.concatenate([real[:total], between]).astype(np.float32).reshape(-1))
    rows = pa.table({
        "chunk_id": [ids[place] if n < len(real) else f"{ids[place]}~{n}" for n, place in enumerate(of)],
        "episode_id": [owners[place] for place in of],
        "chunk_index": numbers[:, 0],
        "start_char": numbers[:, 1],
        "end_char": numbers[:, 2],
        "text": [texts[place] for place in of],
        "embedding": pa.ListArray.from_arrays(np.arange(0, len(of) * width + 1, width, dtype=np.int32), flat),
        "model": [MODEL_ID] * len(of),
        "event_ts": pa.array([datetime(2024, 1, 2, tzinfo=UTC)] * len(of), pa.timestamp("us", "UTC")),
    })  # fmt: skip
    return rows, min(len(real), total)


def promote_rows(table: LakeTable, rows: pa.Table) -> None:
    """Stage and promote them."""
    run = start_run()
    folder = folder_of(table, run, DAY)
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part-0.parquet")
    promote_files(table, run, DAY, {name: _KINDS.get(name, "string") for name in [*rows.column_names, "ds"]})


def milliseconds(search: Searcher, queries: Sequence[str], k: int) -> list[float]:
    """What each query takes."""
    taken = []
    for query in queries:
        started = time.perf_counter()
        answer = search.search(query, k, deadline=60)
        taken.append(1000 * (time.perf_counter() - started))
        assert not answer.missing
        assert len(answer.hits) == k
    return taken


def main() -> None:
    """Measure, print, and with --write keep it beside the room."""
    parser = argparse.ArgumentParser(description="Time of a search.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: show, episode_id, transcript")
    parser.add_argument("--cache", type=Path, required=True, help="folder in which chunk vectors are kept")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--write", action="store_true", help="write measured_search.json")
    given = parser.parse_args()
    rows, real = rows_of(given.transcripts, given.cache, given.episodes, given.chunks)
    with tempfile.TemporaryDirectory(prefix="cs-bench-") as name:
        settings = Settings(
            landing=f"{name}/landing", lake=f"{name}/lake", online_store=f"unix://{name}/v.sock",
            registry=f"sqlite:///{name}/registry.db", var=f"{name}/var",
        )  # fmt: skip
        context = Context(settings, Lake(settings.lake), catalog(), start_run(), lambda line: print(line, flush=True))
        promote_rows(context.lake.of(context.catalog.table(CHUNKS)), rows)
        with running(settings, airflow=False, features=False):
            started = time.monotonic()
            built = build_search_index(context, [DAY])
            build_seconds = time.monotonic() - started
        passages = [
            passage_of(episode.transcript, f"speed {episode.episode_id}").query
            for episode in sample(given.transcripts, "tuning", 150)
        ]
        short = [" ".join(passage.split()[:8]) for passage in passages]
        with closing(Documents(settings)) as documents, Searcher(documents, context.lake, embed, MODEL_ID) as search:
            started = time.monotonic()
            search.search(passages[0], 10, deadline=600)
            first = time.monotonic() - started
            taken = {"100 words": milliseconds(search, passages, 10), "8 words": milliseconds(search, short, 10)}
            memory = psutil.Process().memory_info().rss / 2**20
    on = f"{rows.num_rows:,} chunks, {real:,} of them with vectors of their own"
    quality = [
        {"what": f"a query of {what}, k 10: p50, p99",
         "value": f"{statistics.median(ms):.0f} ms, {statistics.quantiles(ms, n=100)[98]:.0f} ms",
         "on": f"{len(ms)} queries; {on}"}
        for what, ms in taken.items()
    ]  # fmt: skip
    quality += [
        {"what": "recall@10 of the index against exact search", "value": f"{built.details['recall']:.3f}", "on": on},
        {"what": "building the index", "value": f"{build_seconds:.0f} s", "on": on},
        {"what": "the first query of a process, which loads the index", "value": f"{first:.1f} s", "on": on},
        {"what": "memory of the process that has built and searches", "value": f"{memory:,.0f} MiB", "on": on},
    ]
    measured = {"command": COMMAND, "machine": machine(), "quality": quality}
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
