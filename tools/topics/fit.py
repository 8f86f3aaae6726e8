"""A linear classifier of episodes, fitted and calibrated on different ones, and what its probabilities are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from content_signals.models.topics import TopicModel, softmax

FOLDS = 5
STRENGTHS = {"C": [1.0, 3.0, 10.0, 30.0, 100.0, 300.0]}  # of the regularisation, the weaker the greater
BINS = 10

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """Places of episodes to fit on, to calibrate on and to judge by. No episode is in two of them."""

    fit: Places
    calibrate: Places
    judge: Places


def splits(labels: Sequence[str], groups: Sequence[str], seed: int = 1) -> Iterator[Split]:
    """Each fifth of the episodes once to judge by, another to calibrate on; each with its share of every label."""
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    parts = [judged for _, judged in folds.split(np.zeros(len(labels)), labels, groups)]
    for number, judged in enumerate(parts):
        others = parts[number + 1 :] + parts[:number]
        yield Split(np.sort(np.concatenate(others[1:])), others[0], judged)


def fitted(directions: Floats, labels: Sequence[str], split: Split, groups: Sequence[str]) -> TopicModel:
    """A classifier without terms. How much it is regularised is decided within the episodes it is fitted on."""
    of_fit = np.asarray(labels)[split.fit]
    search = GridSearchCV(
        LogisticRegression(max_iter=2_000), STRENGTHS, scoring="neg_log_loss",
        cv=StratifiedGroupKFold(FOLDS, shuffle=True, random_state=1),
    )  # fmt: skip
    search.fit(directions[split.fit], of_fit, groups=np.asarray(groups)[split.fit])
    best = search.best_estimator_
    raw = TopicModel(tuple(best.classes_.tolist()), best.coef_, best.intercept_, 1.0, {})
    seen = [labels[place] for place in split.calibrate]
    return replace(raw, temperature=temperature_of(raw.scores(directions[split.calibrate]), seen, raw.labels))


def temperature_of(logits: Floats, labels: Sequence[str], classes: Sequence[str]) -> float:
    """What scores [episodes, classes] are divided by for the labels to be likeliest (Guo et al. 2017)."""
    places = np.array([classes.index(label) for label in labels])

    def surprise(logarithm: float) -> float:
        found = softmax(logits / np.exp(logarithm))[np.arange(len(places)), places]
        return float(-np.log(np.maximum(found, 1e-300)).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-4, 4), method="bounded").x))


def cooled(seen: Floats, labels: Sequence[str], logits: Floats, classes: Sequence[str]) -> Floats:
    """The probabilities of scores, under the temperature that others with known labels ask for."""
    return softmax(logits / temperature_of(seen, labels, classes))


@dataclass(frozen=True)
class Bin:
    """The episodes whose top topic has a probability within a tenth: how many, what was promised and what was kept."""

    above: float
    episodes: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Scores:
    """How good probabilities are. ECE: expected calibration error, the mean gap of the bins, weighed by episodes."""

    episodes: int
    accuracy: float
    macro_f1: float
    ece: float
    log_loss: float
    bins: tuple[Bin, ...]


def scores(labels: Sequence[str], probabilities: Floats, classes: Sequence[str]) -> Scores:
    """Of probabilities [episodes, classes] against what the labels are."""
    true = np.asarray(labels)
    told = np.asarray(classes)[probabilities.argmax(axis=1)]
    bins = reliability(probabilities.max(axis=1), told == true)
    gaps = [bin_.episodes * abs(bin_.accuracy - bin_.confidence) for bin_ in bins]
    return Scores(
        episodes=len(true),
        accuracy=float(accuracy_score(true, told)),
        macro_f1=float(f1_score(true, told, average="macro", labels=sorted(set(labels)), zero_division=0)),
        ece=sum(gaps) / len(true),
        log_loss=float(log_loss(true, probabilities, labels=list(classes))),
        bins=tuple(bins),
    )


def reliability(confidence: Floats, right: NDArray[np.bool_]) -> list[Bin]:
    """Confidence against accuracy, in ten bins of equal width, those without an episode left out."""
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(
            place / BINS,
            int((places == place).sum()),
            float(confidence[places == place].mean()),
            float(right[places == place].mean()),
        )
        for place in range(BINS)
        if (places == place).any()
    ]
