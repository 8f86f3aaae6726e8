"""How strong a recording is, and how much of it is clipped or silent. Seen block by block, at its own rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -60.0
_SILENT_POWER = 10 ** (SILENCE_DBFS / 10)
_FRAME_S = 0.02
# A wave that only touches full scale leaves one sample there, or two. One that is cut off stays for longer.
_RUN = 3


@dataclass(frozen=True)
class Level:
    """What was seen.

    Attributes:
        peak_dbfs, rms_dbfs: in decibels of full scale; None where every sample is zero.
        clipping_ratio: share of the samples of all channels that stand at full scale, three or more in a row.
        silence_ratio: share of the duration whose 20 ms are weaker than `SILENCE_DBFS`, all channels together.
    """

    peak_dbfs: float | None
    rms_dbfs: float | None
    clipping_ratio: float
    silence_ratio: float


class LevelMeter:
    """Sees a recording once.

    Args:
        rate: samples a second.
        channels: how many.
        full_scale: the smallest value that counts as full scale.
    """

    def __init__(self, rate: int, channels: int, full_scale: float) -> None:
        self._full_scale, self._channels = np.float32(full_scale), channels
        self._frame = max(1, round(rate * _FRAME_S))
        self._peak, self._frames, self._clipped, self._silent = 0.0, 0, 0, 0
        self._energy = 0.0
        self._open_frame = np.zeros(0)  # mean powers of a frame that goes on in the next block
        self._last = np.zeros((2 * (_RUN - 1), channels), np.bool_)

    def see(self, block: NDArray[np.float32]) -> None:
        """The next samples, [frames, channels]."""
        magnitudes = np.abs(block)
        self._peak = max(self._peak, float(magnitudes.max()))
        self._frames += len(block)
        self._count_clipped(magnitudes >= self._full_scale)
        # In double precision: the square of 1e-23 is 0 in single, and a recording would have a peak and no mean.
        squares = np.einsum("fc,fc->f", block, block, dtype=np.float64)
        powers = np.concatenate([self._open_frame, squares / self._channels])
        whole = len(powers) - len(powers) % self._frame
        self._count_silent(powers[:whole].reshape(-1, self._frame))
        self._open_frame = powers[whole:]

    def level(self) -> Level:
        """Of all that was seen, at its end."""
        self._count_clipped(np.zeros((_RUN - 1, self._channels), np.bool_))
        if len(self._open_frame):
            self._count_silent(self._open_frame[np.newaxis])
        return Level(
            _decibels(self._peak**2),
            _decibels(self._energy / self._frames),
            self._clipped / (self._frames * self._channels),
            self._silent / self._frames,
        )

    def _count_clipped(self, at_full_scale: NDArray[np.bool_]) -> None:
        """Samples of runs, each counted when the two after it are known: so it does not matter where a block ends."""
        seen = np.concatenate([self._last, at_full_scale])
        self._last = seen[-len(self._last) :]
        if seen.any():
            runs = seen[:-2] & seen[1:-1] & seen[2:]
            self._clipped += int((runs[:-2] | runs[1:-1] | runs[2:]).sum())

    def _count_silent(self, frames: NDArray[np.float64]) -> None:
        means = frames.mean(axis=1)
        self._energy += float(means.sum()) * frames.shape[1]
        self._silent += int((means < _SILENT_POWER).sum()) * frames.shape[1]


def _decibels(power: float) -> float | None:
    return 10 * math.log10(power) if power > 0 else None
