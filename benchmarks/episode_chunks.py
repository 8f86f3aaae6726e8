"""What chunks of episodes cost, and what a quantised model would save and lose.

    .venv/jobs/bin/python -m benchmarks.episode_chunks --transcripts transcripts.parquet --write

Real transcripts, chosen by the hash of their ids. One core: seconds are CPU seconds of this process, in which models
use one thread; loading them is not counted. The quantised model (weights in 8 bits a channel, activations as they come)
is made for the comparison and thrown away.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np

from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models.files import MINILM_MODEL, MINILM_TOKENIZER
from content_signals.models.minilm import LONGEST, MODEL_ID, Encoder, Vectors, encoder
from content_signals.models.spoken import spoken
from content_signals.signals.episode_chunks.chunking import OVERLAP, SIZE, Chunk, chunks_of

COMMAND = "python -m benchmarks.episode_chunks --transcripts transcripts.parquet --write"
MEASURED = PACKAGE / "signals" / "episode_chunks" / "measured.json"
T = TypeVar("T")


def transcripts(path: Path, count: int) -> list[str]:
    """The transcripts of some episodes: those whose ids have the smallest hashes."""
    query = f"SELECT transcript FROM '{path}' ORDER BY sha256(episode_id) LIMIT {count}"
    return [text for (text,) in duckdb.sql(query).fetchall()]


def cpu(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and its CPU seconds."""
    started = time.process_time()
    return work(), time.process_time() - started


@dataclass(frozen=True)
class Cost:
    """CPU seconds of the steps from transcripts to vectors."""

    episodes: int
    chunks: int
    cutting: float
    embedding: float

    @property
    def chunks_per_second(self) -> float:
        """Chunks a CPU second, all steps together."""
        return self.chunks / (self.cutting + self.embedding)

    @property
    def episodes_per_second(self) -> float:
        """Episodes a CPU second."""
        return self.episodes / (self.cutting + self.embedding)


def cost(texts: Sequence[str]) -> tuple[Cost, list[Chunk], list[str]]:
    """Cut and embed: what it costs, and the chunks with what is spoken in them."""
    encoder()
    chunks, cutting = cpu(lambda: [chunk for text in texts for chunk in chunks_of(text)])
    said, stripping = cpu(lambda: [spoken(chunk.text) for chunk in chunks])
    _, embedding = cpu(lambda: encoder().embed(said))
    return Cost(len(texts), len(chunks), cutting + stripping, embedding), chunks, said


@dataclass(frozen=True)
class Quantised:
    """The quantised model beside the pinned one."""

    times_as_fast: float
    least_cosine: float
    mean_cosine: float
    same_neighbours: float  # of the ten nearest of each chunk, the share that is the same


def quantised(said: Sequence[str], folder: Path) -> Quantised:
    """Quantise, embed the same texts with both, compare."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = folder / "small.onnx"
    quantize_dynamic(
        MINILM_MODEL.verified(), small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
    )  # fmt: skip
    full, seconds = cpu(lambda: encoder().embed(said))
    other = Encoder(small, MINILM_TOKENIZER.verified())
    approximate, other_seconds = cpu(lambda: other.embed(said))
    approximate /= np.linalg.norm(approximate, axis=1, keepdims=True)
    cosines = (full * approximate).sum(axis=1)
    same = [len(set(one) & set(two)) / 10 for one, two in zip(_nearest(full), _nearest(approximate), strict=True)]
    return Quantised(seconds / other_seconds, float(cosines.min()), float(cosines.mean()), float(np.mean(same)))


def _nearest(vectors: Vectors) -> list[list[int]]:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -2)
    return np.argsort(-alike, axis=1)[:, :10].tolist()  # type: ignore[no-any-return]


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Cost of chunks, and of a quantised model.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: episode_id, transcript")
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--compared", type=int, default=200, help="chunks for the quantised model")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    spent, chunks, said = cost(transcripts(given.transcripts, given.episodes))
    with tempfile.TemporaryDirectory() as folder:
        small = quantised(said[:: max(len(said) // given.compared, 1)], Path(folder))
    pieces = np.array(encoder().lengths(said))
    on = f"{spent.episodes} real episodes, {spent.chunks} chunks"
    quality = [
        {"what": what, "value": value, "on": on}
        for what, value in (
            ("chunk size and overlap, characters", f"at most {SIZE}, {OVERLAP}"),
            ("characters of a chunk, median", f"{np.median([len(chunk.text) for chunk in chunks]):.0f}"),
            ("word pieces of a chunk, median and 95th percentile",
             f"{np.median(pieces):.0f} and {np.percentile(pieces, 95):.0f}"),
            ("chunks longer than the model reads (256 word pieces)", f"{(pieces == LONGEST).mean():.2%}"),
            ("quantised to 8 bits: times as fast", f"{small.times_as_fast:.2f}"),
            ("quantised: cosine to the full vectors, least and mean",
             f"{small.least_cosine:.3f} and {small.mean_cosine:.3f}"),
            ("quantised: share of the ten nearest chunks that stay the same", f"{small.same_neighbours:.3f}"),
        )
    ]  # fmt: skip
    measured = {
        "command": COMMAND,
        "machine": "{processor}, {cores} cores, Python {python}".format(**machine()),
        "model": MODEL_ID,
        "quality": quality,
        "cost": {
            "rows_per_cpu_second": round(spent.chunks_per_second, 2),
            "core_hours_per_100_million": round(1e8 / spent.chunks_per_second / 3600),
            "episodes_per_cpu_second": round(spent.episodes_per_second, 4),
            "share_of_embedding": round(spent.embedding / (spent.cutting + spent.embedding), 4),
        },
    }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
