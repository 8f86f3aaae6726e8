"""Loudness as people hear it: ITU-R BS.1770-4, integrated and gated, with the filters of pyloudnorm.

pyloudnorm wants the whole recording at once, filters copies of it and keeps an array of its length. Here the filters
run on from block to block, and only the energy of each 100 ms is kept, so that memory hardly grows with the duration.
It says the same: blocks of 400 ms begin every 100 ms, those below -70 LUFS are left out, then those more than 10 LU
below the mean of the rest.
"""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import sosfilt

_STEP_S, _STEPS = 0.1, 4  # a block is four steps
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0
_OFFSET = -0.691  # so that a sine of 997 Hz at full scale in one channel is -3.01 LUFS
_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)  # left, right, centre, and the two surround channels
MOST_CHANNELS = len(_WEIGHTS)


class LoudnessMeter:
    """Sees a recording once.

    Args:
        rate: samples a second.
        channels: how many. For more than five the recommendation has no weights: the loudness is None then.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._weights = np.array(_WEIGHTS[:channels])
        self._step = round(rate * _STEP_S)
        filters = pyloudnorm.Meter(rate)._filters.values()
        self._filters = np.array([[*(f.b * f.passband_gain), *f.a] for f in filters])
        self._state = np.zeros((len(filters), channels, 2))
        self._open_step = np.zeros(0)  # weighted powers of a step that goes on in the next block
        self._steps: list[NDArray[np.float64]] = []
        self._measures = channels <= MOST_CHANNELS

    def see(self, block: NDArray[np.float32]) -> None:
        """The next samples, [frames, channels]."""
        if not self._measures:
            return
        heard, self._state = sosfilt(self._filters, block.T.astype(np.float64), zi=self._state)
        powers = np.concatenate([self._open_step, self._weights @ np.square(heard)])
        whole = len(powers) - len(powers) % self._step
        self._steps.append(powers[:whole].reshape(-1, self._step).mean(axis=1))
        self._open_step = powers[whole:]

    def lufs(self) -> float | None:
        """Integrated loudness; None for less than 400 ms, for silence, and for more than five channels."""
        whole = np.concatenate([np.zeros(0), *self._steps])
        if len(whole) < _STEPS:
            return None
        steps = np.concatenate([whole, self._rest()])
        sums = np.convolve(steps, np.ones(_STEPS), "valid") / _STEPS
        heard = sums[sums > _power(_ABSOLUTE_GATE)]
        if not len(heard):
            return None
        loud = heard[heard > _power(_lufs(heard.mean()) + _RELATIVE_GATE)]
        return _lufs(loud.mean())

    def _rest(self) -> NDArray[np.float64]:
        """The last step, if at least half of it was recorded, as if silence followed: so pyloudnorm rounds too."""
        if 2 * len(self._open_step) < self._step:
            return np.zeros(0)
        return np.array([self._open_step.sum() / self._step])


def _lufs(power: float) -> float:
    return _OFFSET + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))
