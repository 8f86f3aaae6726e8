"""Episodes to learn topics from: their words and the vectors of their chunks, kept so that they are made once."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from content_signals.models.files import MINILM_MODEL, MINILM_TOKENIZER
from content_signals.models.minilm import MODEL_ID, Encoder
from content_signals.models.spoken import LABEL, spoken, words
from content_signals.models.topics import count_words, mean_direction
from content_signals.signals.episode_chunks.chunking import OVERLAP, SIZE, VERSION, chunks_of

Prepare = Callable[[str], str]


@dataclass(frozen=True)
class Episode:
    """An episode: its weak label is its show."""

    show: str
    episode_id: str
    transcript: str

    @property
    def sha256(self) -> str:
        """Of the transcript: episodes that share it are one episode to a split."""
        return hashlib.sha256(self.transcript.encode()).hexdigest()


def read_episodes(path: Path, least: int = 1) -> list[Episode]:
    """The episodes in which something is said, of the shows that have enough of them, in the order of their ids."""
    rows = pq.read_table(path, columns=["show", "episode_id", "transcript"]).to_pylist()
    said = [Episode(**row) for row in rows if next(chunks_of(row["transcript"] or ""), None)]
    episodes = Counter(episode.show for episode in said)
    return sorted(
        (episode for episode in said if episodes[episode.show] >= least), key=lambda episode: episode.episode_id
    )


def words_of(episode: Episode) -> Counter[str]:
    """How often the episode says each word."""
    return count_words([spoken(episode.transcript)])


def speakers(episodes: Sequence[Episode]) -> frozenset[str]:
    """The words of all labels of speakers: names, mostly."""
    labels = (label for episode in episodes for label in LABEL.findall(episode.transcript))
    return frozenset(word for label in set(labels) for word in words(label))


class Vectors:
    """Chunk vectors of episodes, each kept in a file named after all that it depends on.

    Args:
        folder: where they are kept.
        prepare: what of a chunk's text is embedded; `name` names it.
        every: only each so-manieth chunk is embedded.
        threads: how many threads the model may use.
    """

    def __init__(
        self, folder: Path, prepare: Prepare = spoken, name: str = "spoken", every: int = 1, threads: int = 2
    ) -> None:
        self._folder = (
            folder / hashlib.sha256(repr((MODEL_ID, VERSION, SIZE, OVERLAP, name, every)).encode()).hexdigest()[:16]
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self.every = every
        self._prepare, self._threads = prepare, threads
        self._encoder: Encoder | None = None

    def of(self, episode: Episode) -> NDArray[np.float32]:
        """The episode's, in order: [chunks, 384]."""
        path = self._folder / f"{episode.sha256}.npy"
        if not path.exists():
            if self._encoder is None:
                self._encoder = Encoder(MINILM_MODEL.verified(), MINILM_TOKENIZER.verified(), self._threads)
            texts = [self._prepare(chunk.text) for chunk in chunks_of(episode.transcript)][:: self.every]
            unfinished = path.with_suffix(".new")
            with unfinished.open("wb") as file:
                np.save(file, self._encoder.embed(texts))
            unfinished.replace(path)
        return np.asarray(np.load(path), np.float32)

    def directions(self, episodes: Sequence[Episode]) -> NDArray[np.float64]:
        """The mean direction of each episode: [episodes, 384]."""
        return np.stack([mean_direction(self.of(episode)) for episode in episodes])


def without(names: frozenset[str]) -> Prepare:
    """What is spoken with some names left out, however they are written."""
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile(rf"(?i)\b(?:{'|'.join(map(re.escape, longest_first))})\b")
    return lambda text: " ".join(pattern.sub(" ", spoken(text)).split())


def with_labels(text: str) -> str:
    """What is spoken, with the names of those who speak."""
    return spoken(text.replace("**", ""))
