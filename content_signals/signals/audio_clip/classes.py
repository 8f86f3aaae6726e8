"""Music, speech or neither: a small linear model over how a sound moves, not over where in the spectrum it lies.

Level, bandwidth and timbre would tell the classes of our training clips apart by where they were recorded: all speech
in them is of 8 kHz, all else is not. So no feature knows them. All are ratios, counts or differences of decibels in the
range of a telephone, 100 to 3,400 Hz, and a pause before the first sound or after the last one is not seen. The voice
detector alone hears more, up to 8 kHz; it was trained elsewhere, and knows nothing of our clips.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from content_signals.models.signed import SignedModel
from content_signals.models.voice import WINDOW
from content_signals.signals.audio_clip.spectrum import FRAME, HOP, Floats, Frames

CLASSES = ("music", "speech", "environment")
FEATURES = (
    "spread_db",  # standard deviation of the level over frames that sound
    "rise_unevenness",  # standard deviation by mean of the rise from frame to frame: 0 steady, large where things start
    "pause_ratio",  # share of frames 40 dB below the strongest
    "relief_db",  # how far tones stand out
    "tones",  # how many do
    "persistence",  # how well they are held
    "speech",  # mean of the voice detector
)
MODEL = SignedModel(
    Path(__file__).parent / "models",
    "class-v1",
    signer="4b94d7cc3f920d60dbce3fc0157858c92a3856488df9d01d44a29ff647008c85",
)

_PAUSE = 1e-4  # of the strongest frame's power: 40 dB
_FLOOR = 1e-9

Doubles = NDArray[np.float64]


def features_of(frames: Frames, speech: Floats) -> Doubles | None:
    """The values of `FEATURES`, [features]; None of silence.

    Args:
        frames: of the excerpt.
        speech: probability of speech of each window of it.
    """
    bands = frames.speech_bands.astype(np.float64)
    power = bands.sum(axis=1)
    sounds = (power > 0) & (power >= _PAUSE * power.max())
    if not sounds.any():
        return None
    first, last = np.flatnonzero(sounds)[[0, -1]]
    span = slice(first, last + 1)
    decibels, sounds = 10 * np.log10(np.maximum(bands[span], _FLOOR * power.max())), sounds[span]
    rises = np.maximum(0, np.diff(decibels, axis=0, prepend=decibels[:1])).mean(axis=1)[sounds]
    spoken = speech[first * HOP // WINDOW : max(1, (last * HOP + FRAME) // WINDOW)]
    return np.array(
        [
            decibels[sounds].mean(axis=1).std(),
            rises.std() / max(rises.mean(), _FLOOR),
            1 - sounds.mean(),
            frames.relief_db[span][sounds].mean(),
            frames.tones[span][sounds].mean(),
            frames.persistence[span][sounds].mean(),
            spoken.mean(),
        ]
    )


class Classifier:
    """A multinomial logistic regression over standardised features.

    Args:
        model: `classes`, `features`, `mean` and `scale` [features], `weights` [classes, features], `bias` [classes].
    """

    def __init__(self, model: dict[str, Any]) -> None:
        if (tuple(model["classes"]), tuple(model["features"])) != (CLASSES, FEATURES):
            raise ValueError(f"a model of {model['features']}, and the features are {FEATURES}")
        self._mean, self._scale, self._weights, self._bias = (
            np.array(model[name], np.float64) for name in ("mean", "scale", "weights", "bias")
        )

    def probabilities(self, frames: Frames, speech: Floats) -> dict[str, float | None]:
        """Class -> its probability; they add up to 1. None of silence."""
        features = features_of(frames, speech)
        if features is None:
            return dict.fromkeys(CLASSES)
        scores = self._weights @ ((features - self._mean) / self._scale) + self._bias
        shares = np.exp(scores - scores.max())
        return dict(zip(CLASSES, (shares / shares.sum()).tolist(), strict=True))


@cache
def classifier() -> Classifier:
    """The shipped model, loaded and its signature checked once a process.

    Raises:
        UsageError, BrokenData: a file is missing, or is not what was signed.
    """
    return Classifier(MODEL.content())
