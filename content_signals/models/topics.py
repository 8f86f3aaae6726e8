"""Topics of an episode: calibrated probabilities from the vectors of its chunks, and the terms that mark it.

The classifier is linear: softmax((W v + b) / T) of the mean v of an episode's chunk vectors, at length 1. T, the
temperature, was fitted on episodes that W and b had not seen (Guo et al. 2017, arXiv 1706.04599). Terms are weighed by
how often the episode says them and how few episodes of the training set do (tf-idf, Spärck Jones 1972).

`tools/topics` trains it; `topics.json` says on what, how, and how good it is. It is arrays alone, read by numpy.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from content_signals.models.files import PinnedFile
from content_signals.models.spoken import words

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "topics.json"
TERMS = 10  # an episode has so many top terms at most
SAID_OFTEN = 3  # a term is said so often, or marks nothing


def mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of some vectors [chunks, width], at length 1. Added up in double precision, in the order given.

    Raises:
        ValueError: there is no vector, or they cancel out.
    """
    mean = vectors.astype(np.float64).sum(axis=0)
    length = float(np.sqrt((mean * mean).sum()))
    if length == 0:
        raise ValueError(f"{len(vectors)} vectors have no direction in common")
    return np.asarray(mean / length, np.float64)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities whose odds are the exponentials of scores [rows, classes]."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float64)


@dataclass(frozen=True)
class TopicModel:
    """The trained model.

    Attributes:
        labels: the topics.
        weights: W, [topics, width].
        bias: b, [topics].
        temperature: T.
        rarity: term -> log(episodes / episodes that say it); other terms are never top terms.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    temperature: float
    rarity: Mapping[str, float]

    def scores(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each topic scores [episodes, topics] for directions [episodes, width], before the temperature."""
        return np.asarray(directions @ self.weights.T + self.bias, np.float64)

    def probabilities(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability of each topic [episodes, topics]."""
        return softmax(self.scores(directions) / self.temperature)

    def ranked(self, direction: NDArray[np.float64]) -> list[tuple[str, float]]:
        """An episode's topics with their probabilities, the likeliest first; equal ones in the order of the labels."""
        (found,) = self.probabilities(direction[np.newaxis]).tolist()
        return sorted(zip(self.labels, found, strict=True), key=lambda pair: -pair[1])

    def top_terms(self, counts: Mapping[str, int], most: int = TERMS) -> list[str]:
        """The terms that mark an episode which says each so often, the strongest first, equal ones by name."""
        weighed = {term: count * self.rarity[term] for term, count in counts.items()
                   if count >= SAID_OFTEN and term in self.rarity}  # fmt: skip
        return sorted(weighed, key=lambda term: (-weighed[term], term))[:most]

    def save(self, path: Path) -> None:
        """Write the model. The same model is the same bytes."""
        terms = sorted(self.rarity)
        np.savez_compressed(
            path,
            labels=np.array(self.labels),
            weights=self.weights.astype(np.float32),
            bias=self.bias.astype(np.float32),
            temperature=np.float64(self.temperature),
            terms=np.frombuffer("\n".join(terms).encode("ascii"), np.uint8),
            rarity=np.array([self.rarity[term] for term in terms], np.float32),
        )


def read_model(path: Path) -> TopicModel:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        terms = arrays["terms"].tobytes().decode("ascii").split("\n")
        return TopicModel(
            labels=tuple(arrays["labels"].tolist()),
            weights=arrays["weights"].astype(np.float64),
            bias=arrays["bias"].astype(np.float64),
            temperature=float(arrays["temperature"]),
            rarity=dict(zip(terms, arrays["rarity"].tolist(), strict=True)),
        )


@dataclass(frozen=True)
class TopicManifest:
    """What goes with the pinned model.

    Attributes:
        model: names this model, for the column of that name.
        embedding_model: whose vectors it was trained on; of others it says nothing.
    """

    file: PinnedFile
    model: str
    embedding_model: str


@cache
def topic_manifest() -> TopicManifest:
    """The pinned model's."""
    read = json.loads(MANIFEST.read_text("utf-8"))
    file = PinnedFile(read["file"], read["sha256"])
    return TopicManifest(file, f"topics-{read['version']}:{file.sha256[:12]}", read["embedding_model"])


@cache
def topic_model() -> TopicModel:
    """The pinned model, read once a process.

    Raises:
        UsageError, BrokenData: its file is missing, or another one than pinned.
    """
    return read_model(topic_manifest().file.verified(FOLDER))


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word is said in some texts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text))
    return counts


def rarity_of(episodes: Sequence[Counter[str]], names: frozenset[str], least: int, most: float) -> dict[str, float]:
    """Term -> log(episodes / episodes that say it), of the terms that some episodes say and not nearly all.

    Args:
        episodes: the words of each.
        names: terms left out: who speaks is no topic.
        least: so many episodes say a term.
        most: at most this share of the episodes does.
    """
    said_in = Counter(term for counts in episodes for term in counts)
    return {
        term: float(np.log(len(episodes) / count))
        for term, count in said_in.items()
        if count >= least and count <= most * len(episodes) and term not in names
    }
