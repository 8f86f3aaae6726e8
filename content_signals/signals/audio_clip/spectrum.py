"""What a recording sounds like: its spectrum in frames of 64 ms, and what a frame's shape says.

One pass over the frames serves the descriptors, the rhythm and the classes. Everything is taken at 16 kHz: what stands
above 8 kHz is not looked at, so that a clip's values do not depend on the rate it happened to be stored at (while that
was at least 16 kHz).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

RATE = 16_000
FRAME, HOP = 1024, 256  # samples: 64 ms, every 16 ms
FRAMES_PER_S = RATE / HOP
BANDS = 40  # of the whole spectrum, for onsets
SPEECH_BANDS, SPEECH_RANGE_HZ = 26, (100.0, 3_400.0)
ROLLOFF = 0.85
_FLOOR = 1e-10  # of power, as librosa has it: the logarithm of nothing
_AUDIBLE = 1e-6  # frames weaker than this share of the strongest, 60 dB, are pauses: they have no colour of their own
_SMOOTH = 15  # bins, 234 Hz: what is narrower is fine structure
_TONE_DB = 8.0
_APART = FRAME // HOP  # frames that share no sample
_TOGETHER = 256  # frames a step: their spectra stay in the cache

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Frames:
    """Values of each frame, float32 [frames].

    Attributes:
        power: mean square of the windowed samples, up to a constant.
        centroid_hz, bandwidth_hz: mean and standard deviation of frequency, weighted by magnitude.
        rolloff_hz: below it lie 85 % of the magnitudes.
        flatness: geometric by arithmetic mean of power: 1 for white noise, near 0 for a tone.
        bands: power in mel bands of the whole spectrum, [frames, BANDS].
        speech_bands: power in mel bands of the range of a telephone, [frames, SPEECH_BANDS].
        relief_db: how far the lines of the spectrum stand out of their surroundings, in that range: the standard
            deviation of the fine structure. Tones stand out; noise does so a little, by chance.
        tones: how many lines stand out by 8 dB or more.
        persistence: correlation of the fine structure with that of 64 ms before, which shares no sample: a held tone
            stays where it is, chance does not. 0 for the first frames.
    """

    power: Floats
    centroid_hz: Floats
    bandwidth_hz: Floats
    rolloff_hz: Floats
    flatness: Floats
    bands: Floats
    speech_bands: Floats
    relief_db: Floats
    tones: Floats
    persistence: Floats

    @property
    def audible(self) -> NDArray[np.bool_]:
        """Which frames are no pauses. None of silence is."""
        audible: NDArray[np.bool_] = (self.power > 0) & (self.power >= _AUDIBLE * self.power.max(initial=0))
        return audible


def mel_filters(bands: int, low_hz: float, high_hz: float) -> Floats:
    """Triangles, equally wide on the mel scale (O'Shaughnessy: 2595 log10(1 + f/700)), of area 1, [bins, bands]."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    bins = np.arange(FRAME // 2 + 1)[:, np.newaxis] * (RATE / FRAME)
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(up, down)) * (2 / (edges[2:] - edges[:-2]))
    return triangles.astype(np.float32)


_HZ = (np.arange(FRAME // 2 + 1) * (RATE / FRAME)).astype(np.float32)
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)  # Hann, periodic
_FILTERS = np.hstack([mel_filters(BANDS, 0, RATE / 2), mel_filters(SPEECH_BANDS, *SPEECH_RANGE_HZ)])
_FINE = slice(_SMOOTH // 2, round(SPEECH_RANGE_HZ[1] * FRAME / RATE))  # bins, from 109 Hz
_SURROUNDED = slice(_FINE.start - _SMOOTH // 2, _FINE.stop + _SMOOTH // 2)
_ABOUT_ZERO = np.stack([np.ones_like(_HZ), _HZ, np.square(_HZ)], axis=1)


def frames_of(samples: Floats) -> Frames:
    """The frames of one channel at 16 kHz. One frame at least: a shorter recording is filled up with zeros."""
    padded = np.pad(samples, (0, max(0, FRAME - len(samples))))
    windows = sliding_window_view(padded, FRAME)[::HOP]
    parts, before = [], np.zeros((_APART, _FINE.stop - _FINE.start), np.float32)
    for start in range(0, len(windows), _TOGETHER):
        power = _power(windows[start : start + _TOGETHER])
        fine = np.concatenate([before, _fine_structure(power)])
        before = fine[-_APART:]
        parts.append((*_shapes(power), *_bands(power), *_lines(fine)))
    return Frames(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _power(windows: Floats) -> Floats:
    spectrum = scipy.fft.rfft(windows * _WINDOW, axis=1)
    power: Floats = np.square(spectrum.real) + np.square(spectrum.imag)
    return power


def _shapes(power: Floats) -> tuple[Floats, ...]:
    """power, centroid_hz, bandwidth_hz, rolloff_hz, flatness."""
    magnitude = np.sqrt(power)
    total, first, second = (magnitude @ _ABOUT_ZERO).T
    safe = np.where(total > 0, total, np.float32(1))
    centroid = first / safe
    bandwidth = np.sqrt(np.maximum(0, second / safe - np.square(centroid)))
    below = np.cumsum(magnitude, axis=1)
    rolloff = _HZ[np.argmax(below >= ROLLOFF * below[:, -1:], axis=1)]
    floored = np.maximum(power, _FLOOR)
    flatness = np.minimum(1, np.exp(np.log(floored).mean(axis=1)) / floored.mean(axis=1))
    return power.mean(axis=1), centroid, bandwidth, rolloff, flatness


def _bands(power: Floats) -> tuple[Floats, Floats]:
    bands = power @ _FILTERS
    return bands[:, :BANDS], bands[:, BANDS:]


def _fine_structure(power: Floats) -> Floats:
    """Decibels of the lines in the range of a telephone, less the mean of their surroundings."""
    decibels = 10 * np.log10(np.maximum(power[:, _SURROUNDED], _FLOOR))
    inner = slice(_SMOOTH // 2, -(_SMOOTH // 2))
    fine: Floats = (decibels - uniform_filter1d(decibels, _SMOOTH, axis=1))[:, inner]
    return fine


def _lines(fine: Floats) -> tuple[Floats, ...]:
    """relief_db, tones, persistence of all frames but the first four."""
    now, line = fine[_APART:], fine[_APART:, 1:-1]
    tones = (line >= _TONE_DB) & (line > now[:, :-2]) & (line >= now[:, 2:])
    centred = fine - fine.mean(axis=1, keepdims=True)
    relief = np.sqrt(np.square(centred).mean(axis=1))
    alike = (centred[_APART:] * centred[:-_APART]).mean(axis=1)
    both = relief[_APART:] * relief[:-_APART]
    persistence = np.divide(alike, both, out=np.zeros_like(alike), where=both > 0)
    return relief[_APART:], tones.sum(axis=1).astype(np.float32), persistence
