"""The part of a recording that is looked at closely: at most two minutes from its middle, one channel, 16 kHz."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from content_signals.signals.audio_clip.spectrum import RATE, Floats

LONGEST_S = 120  # a beginning is often an intro, and an end fades: the middle stands for the whole


class Excerpt:
    """Sees a recording once and keeps its middle.

    Args:
        rate: samples a second.
        frames: how many there will be.
    """

    def __init__(self, rate: int, frames: int) -> None:
        most = LONGEST_S * rate
        self._start = max(0, frames - most) // 2
        self._end = self._start + most
        self._seen = 0
        self._resampler = None if rate == RATE else soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
        self._kept: list[Floats] = []

    def see(self, block: NDArray[np.float32]) -> None:
        """The next samples, [frames, channels]; their mean over the channels is kept."""
        start, end = self._start - self._seen, self._end - self._seen
        self._seen += len(block)
        wanted = block[max(0, start) : max(0, end)]
        if len(wanted):
            self._keep(wanted.mean(axis=1, dtype=np.float32), last=False)

    def samples(self) -> Floats:
        """What was kept, float32 [samples], when all was seen."""
        self._keep(np.zeros(0, np.float32), last=True)
        return np.concatenate(self._kept)

    def _keep(self, mono: Floats, *, last: bool) -> None:
        self._kept.append(mono if self._resampler is None else self._resampler.resample_chunk(mono, last=last))
