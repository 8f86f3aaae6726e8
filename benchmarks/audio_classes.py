"""How well the classes of clips are told apart, when no speaker, source recording or piece of music is in both halves.

Five times the groups of each class are dealt into six parts, and each part is judged by a model of the other five. The
interval is a bootstrap of the groups of each class (95 %, 10,000 draws): it says how much depends on which speakers,
recordings and pieces happen to be here, not how much another corpus would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from content_signals.signals.audio_clip.classes import CLASSES
from content_signals.signals.audio_clip.corpus import Example, examples
from content_signals.signals.audio_clip.spectrum import RATE, frames_of
from content_signals.signals.audio_clip.train import described, fit

PARTS, REPEATS, DRAWS = 6, 5, 10_000

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Balanced accuracy, its interval, and the recall of each class."""

    accuracy: float
    low: float
    high: float
    recalls: dict[str, float]

    def __str__(self) -> str:
        recalls = ", ".join(f"{name} {recall:.2f}" for name, recall in self.recalls.items())
        return f"{self.accuracy:.3f} ({self.low:.3f} to {self.high:.3f}); recall: {recalls}"


@dataclass(frozen=True)
class Judged:
    """A version of the clips: what a model of other groups said of each.

    Attributes:
        right: share of the repeats in which it was right, [examples].
    """

    found: list[Example]
    right: Doubles

    def of(self, length: str) -> Found:
        """Over the examples of a length."""
        kept = [(e, r) for e, r in zip(self.found, self.right, strict=True) if e.length == length]
        return _balanced([e for e, _ in kept], np.array([r for _, r in kept]))


def judge(folder: Path) -> dict[str, Judged]:
    """By version of the clips. The shipped model's features, but for the last two, which add what it leaves out."""
    landed = examples(folder)
    own = described(landed)
    equal = described([example.equalised() for example in landed])
    coded = described([through_one_encoder(example) for example in landed])
    both = [*own[0], *equal[0]], np.concatenate([own[1], equal[1]])
    cues = np.array([_cues(example) for example in own[0]])
    return {
        "as they landed": _judged(both, own),
        "band-limited, one loudness": _judged(both, equal),
        "band-limited, one loudness, one encoder": _judged(both, coded),
        "as they landed, with level and bandwidth as features": _judged_alone(own[0], np.hstack([own[1], cues])),
        "level and bandwidth alone": _judged_alone(own[0], cues),
    }


def through_one_encoder(example: Example) -> Example:
    """Equalised, and encoded as Vorbis at 8 kHz: all clips then have been through the same."""
    narrow, coded = soxr.resample(example.equalised().samples, RATE, RATE // 2), BytesIO()
    soundfile.write(coded, narrow, RATE // 2, format="OGG", subtype="VORBIS")
    decoded, rate = soundfile.read(BytesIO(coded.getvalue()), dtype="float32")
    return replace(example, samples=soxr.resample(decoded, rate, RATE).astype(np.float32))


def _cues(example: Example) -> list[float]:
    """Level, and where in the spectrum a clip lies: what would tell corpora apart."""
    frames = frames_of(example.samples)
    heard = frames.audible
    shapes = (frames.centroid_hz, frames.bandwidth_hz, frames.rolloff_hz, np.log(frames.flatness))
    return [10 * np.log10(np.mean(np.square(example.samples))), *(float(s[heard].mean()) for s in shapes)]


def _judged(known: tuple[list[Example], Doubles], asked: tuple[list[Example], Doubles]) -> Judged:
    return Judged(asked[0], _right(*known, *asked))


def _judged_alone(found: list[Example], features: Doubles) -> Judged:
    return Judged(found, _right(found, features, found, features))


def _right(known: list[Example], learned: Doubles, asked: list[Example], features: Doubles) -> Doubles:
    """Share of the repeats in which a model that knows no clip of its group was right, [asked]."""
    labels, right = np.array([e.label for e in asked]), np.zeros(len(asked))
    for repeat in range(REPEATS):
        part_of = _dealt(known, repeat)
        parts, asked_parts = (np.array([part_of[e.group] for e in side]) for side in (known, asked))
        for part in range(PARTS):
            kept, here = np.flatnonzero(parts != part), asked_parts == part
            model = fit(learned[kept], [known[n] for n in kept])
            scores = (features[here] - model["mean"]) / model["scale"] @ np.array(model["weights"]).T + model["bias"]
            right[here] += np.array(CLASSES)[scores.argmax(axis=1)] == labels[here]
    return right / REPEATS


def _dealt(found: Sequence[Example], seed: int) -> dict[str, int]:
    """Group -> part; the groups of each class are spread over all parts."""
    random, dealt = np.random.default_rng(seed), {}
    for label in CLASSES:
        groups = random.permutation(sorted({e.group for e in found if e.label == label}))
        dealt |= {str(group): n % PARTS for n, group in enumerate(groups)}
    return dealt


def _balanced(found: Sequence[Example], right: Doubles) -> Found:
    random, drawn, recalls = np.random.default_rng(0), np.zeros(DRAWS), {}
    for label in CLASSES:
        groups = sorted({e.group for e in found if e.label == label})
        of_group = [np.array([e.label == label and e.group == group for e in found]) for group in groups]
        hits, sizes = (np.array([f(m) for m in of_group]) for f in (lambda m: right[m].sum(), np.sum))
        recalls[label] = float(hits.sum() / sizes.sum())
        picked = random.integers(len(groups), size=(DRAWS, len(groups)))
        drawn += hits[picked].sum(axis=1) / sizes[picked].sum(axis=1) / len(CLASSES)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Found(float(np.mean(list(recalls.values()))), float(low), float(high), recalls)
