"""How good the topics are, against what is simpler, and how much of it is names.

    .venv/jobs/bin/python -m benchmarks.episode_topics --transcripts transcripts.parquet --cache FOLDER --write

Without --names the last two comparisons are left out.

Every episode is judged once, by a classifier that was fitted and calibrated on others (five folds; an episode is in one
of them with all of its chunks). The label is the show, a weak one. Beside the classifier: the majority class, and words
(tf-idf and logistic regression, calibrated in the same way). Then the same with the speakers' labels left in, and with
every name of a speaker or show left out wherever it is said; for these vectors are made of each so-manieth chunk only.

Cost is of what `compute` does for an episode whose chunks are there, on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models.spoken import spoken, words
from content_signals.models.topics import topic_manifest, topic_model
from content_signals.signals.episode_chunks.chunking import chunks_of
from content_signals.signals.episode_topics.compute import Chunk, topics_of
from tools.topics.corpus import Episode, Prepare, Vectors, read_episodes, speakers, with_labels, without
from tools.topics.fit import Scores, Split, cooled, fitted, scores, splits
from tools.topics.train import LEAST_EPISODES

COMMAND = "python -m benchmarks.episode_topics --transcripts transcripts.parquet --cache FOLDER --write"
MEASURED = PACKAGE / "signals" / "episode_topics" / "measured.json"
# How the shows call themselves and their listeners; the names of speakers are read from the labels.
SHOW_NAMES = frozenset(
    {"changelog", "go time", "gophers", "gopher", "js party", "jsparty", "practical ai", "ship it", "founders talk",
     "brain science"}
)  # fmt: skip

Told = NDArray[np.float64]
Fold = Callable[[Split], tuple[Told, Sequence[str]]]


def judged(labels: Sequence[str], folds: Sequence[Split], fold: Fold) -> Scores:
    """The scores of probabilities told for every episode by the fold that judges it."""
    told: Told | None = None
    classes: Sequence[str] = ()
    for split in folds:
        found, classes = fold(split)
        told = np.empty((len(labels), len(classes))) if told is None else told
        told[split.judge] = found
    assert told is not None
    return scores(labels, told, classes)


def of_vectors(directions: Told, labels: Sequence[str], groups: Sequence[str]) -> Fold:
    """Ours: a linear classifier of mean directions."""

    def fold(split: Split) -> tuple[Told, Sequence[str]]:
        model = fitted(directions, labels, split, groups)
        return model.probabilities(directions[split.judge]), model.labels

    return fold


def of_words(texts: Sequence[str], labels: Sequence[str]) -> Fold:
    """Words: tf-idf of those that five episodes say, and logistic regression."""

    def fold(split: Split) -> tuple[Told, Sequence[str]]:
        seen = TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False, min_df=5, sublinear_tf=True)
        matrix = seen.fit_transform([texts[place] for place in split.fit])
        model = LogisticRegression(C=100, max_iter=2_000).fit(matrix, np.asarray(labels)[split.fit])
        logits = {
            name: model.decision_function(seen.transform([texts[place] for place in places]))
            for name, places in (("calibrate", split.calibrate), ("judge", split.judge))
        }
        classes = tuple(model.classes_.tolist())
        return cooled(
            logits["calibrate"], [labels[place] for place in split.calibrate], logits["judge"], classes
        ), classes

    return fold


def of_the_majority(labels: Sequence[str]) -> Fold:
    """Each label with its share among the episodes fitted on."""

    def fold(split: Split) -> tuple[Told, Sequence[str]]:
        classes, counts = np.unique(np.asarray(labels)[split.fit], return_counts=True)
        return np.tile(counts / counts.sum(), (len(split.judge), 1)), classes.tolist()

    return fold


@dataclass(frozen=True)
class Corpus:
    """Episodes with their labels, and folds that are the same for everyone."""

    episodes: Sequence[Episode]
    cache: Path
    every: int

    @property
    def labels(self) -> list[str]:
        """The shows."""
        return [episode.show for episode in self.episodes]

    @property
    def groups(self) -> list[str]:
        """What is not split."""
        return [episode.sha256 for episode in self.episodes]

    def by_vectors(self, prepare: Prepare = spoken, name: str = "spoken") -> Scores:
        """Ours on texts prepared in some way."""
        directions = Vectors(self.cache, prepare, name, self.every).directions(self.episodes)
        return judged(self.labels, self.folds, of_vectors(directions, self.labels, self.groups))

    def by_words(self, prepare: Prepare) -> Scores:
        """Words of texts prepared in some way."""
        texts = [prepare(episode.transcript) for episode in self.episodes]
        return judged(self.labels, self.folds, of_words(texts, self.labels))

    @property
    def folds(self) -> list[Split]:
        """The folds."""
        return list(splits(self.labels, self.groups))


def compared(corpus: Corpus, names: bool) -> dict[str, Scores]:
    """Who is compared, by name.

    Args:
        names: also vectors of texts with labels left in and with names left out, which have to be made.
    """
    nameless = without(speakers(corpus.episodes) | SHOW_NAMES)
    found = {
        "majority class": judged(corpus.labels, corpus.folds, of_the_majority(corpus.labels)),
        "words (tf-idf, logistic regression)": corpus.by_words(spoken),
        "words, labels of speakers left in": corpus.by_words(with_labels),
        "words, names of speakers and shows left out": corpus.by_words(nameless),
        "vectors": corpus.by_vectors(),
    }
    if names:
        found |= {
            "vectors, labels of speakers left in": corpus.by_vectors(with_labels, "with labels"),
            "vectors, names of speakers and shows left out": corpus.by_vectors(nameless, "nameless"),
        }
    return found


def episodes_per_second(episodes: Sequence[Episode], vectors: Vectors) -> float:
    """Episodes a CPU second, chunks and vectors given."""
    day = date(2024, 1, 1)
    given = [_chunks(day, episode, vectors) for episode in episodes]
    topic_model()
    started = time.process_time()
    for chunks in given:
        topics_of(chunks)
    return len(given) / (time.process_time() - started)


def _chunks(day: date, episode: Episode, vectors: Vectors) -> list[Chunk]:
    """An episode's chunks; vectors that were not made are those of a neighbour."""
    near = np.repeat(vectors.of(episode), vectors.every, axis=0)
    return [
        Chunk(day, episode.episode_id, chunk.start, chunk.end, chunk.text, vector)
        for chunk, vector in zip(chunks_of(episode.transcript), near, strict=False)
    ]


def in_words(found: Scores) -> str:
    """Scores in a line."""
    interval = binomtest(round(found.accuracy * found.episodes), found.episodes).proportion_ci(method="wilson")
    return (
        f"accuracy {found.accuracy:.3f} (95 % {interval.low:.3f}-{interval.high:.3f}), macro F1 {found.macro_f1:.3f}, "
        f"calibration error {found.ece:.3f}, log loss {found.log_loss:.3f}"
    )


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Quality and cost of topics.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: show, episode_id, transcript")
    parser.add_argument("--cache", type=Path, required=True, help="folder in which chunk vectors are kept")
    parser.add_argument("--every", type=int, default=16, help="each so-manieth chunk of an episode is embedded")
    parser.add_argument("--names", action="store_true", help="also how much of the vectors is names; takes long")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    corpus = Corpus(read_episodes(given.transcripts, LEAST_EPISODES), given.cache, given.every)
    found = compared(corpus, given.names)
    on = f"{len(corpus.episodes)} episodes of {len(set(corpus.labels))} shows, five folds"
    quality = [{"what": name, "value": in_words(score), "on": on} for name, score in found.items()]
    quality += [
        {
            "what": f"vectors: confidence {bin_.above:.1f} to {bin_.above + 0.1:.1f}",
            "value": f"mean {bin_.confidence:.3f}, right {bin_.accuracy:.3f}",
            "on": f"{bin_.episodes} episodes",
        }
        for bin_ in found["vectors"].bins
    ]
    speed = episodes_per_second(corpus.episodes[::40], Vectors(given.cache, every=given.every))
    measured = {
        "command": COMMAND,
        "machine": "{processor}, {cores} cores, Python {python}".format(**machine()),
        "model": topic_manifest().model,
        "quality": quality,
        "cost": {
            "rows_per_cpu_second": round(speed, 1),
            "core_hours_per_100_million": round(1e8 / speed / 3600),
        },
    }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
