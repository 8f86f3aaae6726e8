"""Train the classifier of topics and write it, with what it was trained on and how good it is.

    .venv/jobs/bin/python -m tools.topics.train --transcripts transcripts.parquet --cache FOLDER

The labels are weak: the show an episode belongs to, of the shows that have enough episodes. Three fifths of the
episodes are fitted on, a fifth calibrates, a fifth judges; an episode is in one of them, with all of its chunks. The
model that is written is the very one that was judged. Embedding the transcripts takes nearly all of the time; the
vectors are kept in the cache folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from content_signals.models.minilm import MODEL_ID
from content_signals.models.topics import FOLDER, MANIFEST, rarity_of
from content_signals.signals.episode_chunks.chunking import VERSION as CHUNKING
from tools.topics.corpus import Episode, Vectors, read_episodes, speakers, words_of
from tools.topics.fit import fitted, scores, splits

COMMAND = "python -m tools.topics.train --transcripts transcripts.parquet --cache FOLDER"
VERSION = 1
FILE = "topics.npz"
LEAST_EPISODES = 20  # of a show: fewer leave none or one to calibrate on and to judge by
SEED = 1
TERM_EPISODES, TERM_SHARE = 10, 0.5  # a term is said in so many episodes at least, and in this share at most


def corpus_hash(episodes: Sequence[Episode]) -> str:
    """SHA-256 over ids, labels and transcripts."""
    total = hashlib.sha256()
    for episode in episodes:
        total.update(f"{episode.episode_id}\t{episode.show}\t{episode.sha256}\n".encode())
    return total.hexdigest()


def train(episodes: Sequence[Episode], vectors: Vectors, folder: Path) -> dict[str, Any]:
    """Fit, calibrate, judge, write; the manifest."""
    directions = vectors.directions(episodes)
    labels, groups = [episode.show for episode in episodes], [episode.sha256 for episode in episodes]
    split = next(splits(labels, groups, SEED))
    model = fitted(directions, labels, split, groups)
    judged = scores(
        np.asarray(labels)[split.judge].tolist(), model.probabilities(directions[split.judge]), model.labels
    )
    fit_on = [episodes[place] for place in split.fit]
    rarity = rarity_of([words_of(episode) for episode in fit_on], speakers(episodes), TERM_EPISODES, TERM_SHARE)
    model = replace(model, rarity=rarity)
    model.save(folder / FILE)
    return {
        "name": "topics",
        "version": VERSION,
        "file": FILE,
        "sha256": hashlib.sha256((folder / FILE).read_bytes()).hexdigest(),
        "embedding_model": MODEL_ID,
        "chunking": CHUNKING,
        "command": f"{COMMAND} --every {vectors.every}",
        "corpus": "thechangelog/transcripts, CC BY-SA 4.0",
        "corpus_sha256": corpus_hash(episodes),
        "labels": dict(sorted(Counter(labels).items())),
        "episodes": {"fit": len(split.fit), "calibrate": len(split.calibrate), "judge": len(split.judge)},
        "terms": len(rarity),
        "temperature": round(model.temperature, 4),
        "scores": {name: round(value, 4) for name, value in asdict(judged).items() if isinstance(value, float)},
    }


def main() -> None:
    """Train on a file of transcripts."""
    parser = argparse.ArgumentParser(description="Train the classifier of topics.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: show, episode_id, transcript")
    parser.add_argument("--cache", type=Path, required=True, help="folder in which chunk vectors are kept")
    parser.add_argument("--every", type=int, default=1, help="each so-manieth chunk of an episode is embedded")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write the model to")
    given = parser.parse_args()
    episodes = read_episodes(given.transcripts, LEAST_EPISODES)
    manifest = train(episodes, Vectors(given.cache, every=given.every), given.output)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (given.output / MANIFEST.name).write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
