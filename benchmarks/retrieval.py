"""Whether a passage finds the episode it was taken from.

    .venv/jobs/bin/python -m benchmarks.retrieval --transcripts transcripts.parquet --cache FOLDER --write

Two hundred real episodes. Of each a passage of 100 spoken words is drawn and taken out of the text that is indexed, out
of words and vectors; the passage is the query. A hit: one of the ten chunks found is of the same episode. Three seeds
draw three passages of each episode. What stands beside the held-out passage speaks of the same things: the second half
of the table hides every chunk within 1,500 characters (about 270 words) of it too.

The mean is over seeds; its interval, 95 %, is a bootstrap over episodes, for the three passages of one are alike. What
was chosen was chosen on other episodes (`--sample tuning`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from benchmarks.held_out import near, passage_of, without
from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models.minilm import MODEL_ID, embed
from content_signals.retrieval.index import ChunkIndex, Chunks, Plan
from content_signals.signals.episode_chunks.chunking import OVERLAP, SIZE, Chunk, chunks_of
from tools.topics.corpus import Episode, Vectors

COMMAND = "python -m benchmarks.retrieval --transcripts transcripts.parquet --cache FOLDER --write"
MEASURED = PACKAGE / "retrieval" / "measured.json"
SEEDS = (1, 2, 3)
FOUND = 10
FAR = 1_500  # characters
PLANS = {
    "words alone (BM25)": Plan(meaning=0),
    "meaning alone (MiniLM)": Plan(words=0),
    "both, by reciprocal rank": Plan(),
}


def sample(path: Path, name: str, count: int) -> list[Episode]:
    """Some episodes; those of two names share none."""
    half = "<" if name == "reported" else ">="
    query = (
        f"SELECT \"show\", episode_id, transcript FROM '{path}' WHERE sha256(episode_id) {half} '8' "
        f"ORDER BY sha256(episode_id || '{name}') LIMIT {count}"
    )
    return [Episode(*row) for row in duckdb.sql(query).fetchall()]


@dataclass(frozen=True)
class Library:
    """Episodes with their chunks and vectors."""

    episodes: Sequence[Episode]
    chunks: Sequence[Sequence[Chunk]]
    vectors: Sequence[NDArray[np.float32]]


def library(episodes: Sequence[Episode], vectors: Vectors) -> Library:
    """Cut and embedded."""
    return Library(episodes, [list(chunks_of(e.transcript)) for e in episodes], [vectors.of(e) for e in episodes])


@dataclass(frozen=True)
class Trial:
    """Queries and what they are asked of: an index that holds no word of them."""

    index: ChunkIndex
    queries: Sequence[str]
    vectors: NDArray[np.float32]
    episode_ids: Sequence[str]
    nearby: Sequence[NDArray[np.bool_]]

    def hits(self, plan: Plan, far: bool) -> NDArray[np.bool_]:
        """Whether each query finds its episode."""
        return np.array([
            any(hit.episode_id == episode_id for hit in self.index.search(
                query, vector, MODEL_ID, FOUND, plan, hidden if far else None))
            for query, vector, episode_id, hidden in zip(
                self.queries, self.vectors, self.episode_ids, self.nearby, strict=True)
        ])  # fmt: skip


def trial(given: Library, seed: int) -> Trial:
    """A passage of each episode, and all episodes without their passages."""
    passages = [passage_of(episode.transcript, f"{seed} {episode.episode_id}") for episode in given.episodes]
    ids, owners, texts, vectors, nearby = [], [], [], [], []
    for episode, chunks, known, passage in zip(given.episodes, given.chunks, given.vectors, passages, strict=True):
        cut = dict(enumerate(known))
        said = [without(chunk, passage) for chunk in chunks]
        changed = [place for place, overlaps in enumerate(near(chunks, passage, 0)) if overlaps]
        cut.update(zip(changed, embed([said[place] for place in changed]), strict=True))
        left = [place for place in range(len(chunks)) if said[place]]
        ids += [f"{episode.episode_id}#{place:04d}" for place in left]
        owners += [episode.episode_id] * len(left)
        texts += [said[place] for place in left]
        vectors += [cut[place] for place in left]
        close = near(chunks, passage, FAR)
        nearby += [(episode.episode_id, close[place]) for place in left]
    index = ChunkIndex(Chunks(ids, owners, texts, np.stack(vectors), [MODEL_ID] * len(ids)))
    queries = [passage.query for passage in passages]
    hidden = [np.array([close and owner == e.episode_id for owner, close in nearby]) for e in given.episodes]
    return Trial(index, queries, embed(queries), [e.episode_id for e in given.episodes], hidden)


def interval(hits: NDArray[np.bool_], draws: int = 10_000) -> tuple[float, float]:
    """95 % of the mean of hits [seeds, episodes], episodes drawn anew with all of their queries."""
    of_episode = hits.mean(axis=0)
    drawn = np.random.default_rng(1).integers(0, len(of_episode), (draws, len(of_episode)))
    low, high = np.quantile(of_episode[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def in_words(hits: NDArray[np.bool_]) -> str:
    """Mean, interval and seeds."""
    low, high = interval(hits)
    seeds = ", ".join(f"{value:.3f}" for value in hits.mean(axis=1))
    return f"{hits.mean():.3f} (95 % {low:.3f}-{high:.3f}; seeds {seeds})"


def main() -> None:
    """Measure, print, and with --write keep it beside the room."""
    parser = argparse.ArgumentParser(description="Same-episode hit@10.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: show, episode_id, transcript")
    parser.add_argument("--cache", type=Path, required=True, help="folder in which chunk vectors are kept")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--sample", choices=("reported", "tuning"), default="reported")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    whole = library(sample(given.transcripts, given.sample, given.episodes), Vectors(given.cache))
    trials = [trial(whole, seed) for seed in SEEDS]
    chunks = sum(map(len, whole.chunks))
    quality, started, asked = [], time.process_time(), 0
    for far in (False, True):
        where = f"; chunks within {FAR:,} characters of the passage hidden" if far else ""
        for name, plan in PLANS.items():
            hits = np.stack([one.hits(plan, far) for one in trials])
            asked += hits.size
            what = f"same-episode hit@{FOUND}, {name}{where}"
            quality.append({"what": what, "value": in_words(hits), "on": f"{hits.size} queries, {chunks} chunks"})
            print(quality[-1], flush=True)
    per_query = (time.process_time() - started) / asked
    measured = {
        "command": COMMAND,
        "machine": "{processor}, {cores} cores, Python {python}".format(**machine()),
        "model": MODEL_ID,
        "chunking": f"at most {SIZE} characters, {OVERLAP} overlap",
        "quality": quality,
        "cost": {"cpu_ms_per_query": round(1000 * per_query, 2)},
    }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
