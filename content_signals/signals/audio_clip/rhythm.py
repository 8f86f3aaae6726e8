"""Onsets and tempo, from how much a recording's bands rise from frame to frame.

The method is librosa's: onset strength is the mean rise of the mel bands in decibels; its autocorrelation in windows of
8 s shows how well it repeats after each lag; a broad preference for tempos near 120 chooses among its peaks. librosa
itself would compile code in every new worker's image, and takes a window at every frame where one a second says the
same. Three things are added: lags are read between frames, so that a tempo is not one of few values; there is a
confidence; and where nothing rises as far as sounds do, there is no beat. All else is relative to the clip's strongest
rise: without that floor the rounding of a steady tone would beat with a confidence of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import find_peaks

from content_signals.signals.audio_clip.spectrum import FRAMES_PER_S, Floats

SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
SHORTEST_S = 4.0  # two beats at the slowest tempo: less cannot repeat
_WINDOW_S, _STEP_S = 8.0, 1.0
_USUAL_BPM, _OCTAVES = 120.0, 1.0  # the preference: a bell over the logarithm of tempo, and its width
_FLOOR_DB = 80.0  # below the strongest band, as in librosa: what is weaker does not rise
# What the clip's strongest rise must reach, in dB. Of tones and chords in 16 bit the rounding rises by up to 0.4; real
# clips of 4 s and more by 1.5 at least, of half a second by 0.33 (`docs/content/audio_clip.md`).
_LEAST_BEAT_DB, _LEAST_ONSET_DB = 0.6, 0.25
_HEARD_DB = 60.0  # below the strongest band: in what is weaker stands the rounding of a tone, and it rises
_PROMINENCE = 0.1  # an onset stands out by this share of the clip's strongest one
_APART_S = 0.05
_SMOOTHING = np.array(
    [0.25, 0.5, 0.25]
)  # beats fall between frames: a rise in one of two repeats as well as in the other

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Rhythm:
    """What repeats.

    Attributes:
        tempo_bpm: beats a minute; None for less than 4 s, and where no rise reaches 0.6 dB. The half or the double of
            what a listener would tap is as good an answer: they repeat as well.
        tempo_confidence: how well the onsets repeat after a beat: 1 perfectly, 0 not at all. None with the tempo.
        onsets_per_second: rises that stand out; 0 where none reaches 0.25 dB.
    """

    tempo_bpm: float | None
    tempo_confidence: float | None
    onsets_per_second: float


def rhythm_of(bands: Floats) -> Rhythm:
    """The rhythm of the powers of mel bands, [frames, bands]."""
    strength, strongest = onset_strength(bands), onset_strength(bands, _HEARD_DB).max()
    seconds = len(strength) / FRAMES_PER_S
    beats = seconds >= SHORTEST_S and strongest >= _LEAST_BEAT_DB
    tempo, confidence = _tempo(strength) if beats else (None, None)
    return Rhythm(tempo, confidence, _onsets(strength) / seconds if strongest >= _LEAST_ONSET_DB else 0.0)


def onset_strength(bands: Floats, within_db: float = _FLOOR_DB) -> Doubles:
    """Mean rise over the bands from the frame before, in decibels, [frames]; the first is 0.

    Args:
        within_db: below the strongest band: what is weaker does not rise.
    """
    strongest = max(float(bands.max()), 1e-10)
    decibels = 10 * np.log10(np.maximum(bands, strongest * 10 ** (-within_db / 10)))
    rises = np.maximum(0, np.diff(decibels, axis=0, prepend=decibels[:1]))
    strength: Doubles = rises.mean(axis=1, dtype=np.float64)
    return strength


def _onsets(strength: Doubles) -> int:
    relative = strength / strength.max()
    peaks, _ = find_peaks(relative, prominence=_PROMINENCE, distance=round(_APART_S * FRAMES_PER_S))
    return len(peaks)


def _tempo(strength: Doubles) -> tuple[float | None, float | None]:
    repeats = _autocorrelation(np.convolve(strength, _SMOOTHING, "same"))
    if repeats is None:
        return None, None
    slowest = min(int(60 * FRAMES_PER_S / SLOWEST_BPM), len(repeats) - 2)
    lags = np.arange(int(60 * FRAMES_PER_S / FASTEST_BPM), slowest + 1)
    # Only a lag that repeats better than its neighbours is a beat.
    peaks = lags[(repeats[lags] > 0) & (repeats[lags] >= repeats[lags - 1]) & (repeats[lags] >= repeats[lags + 1])]
    if not len(peaks):
        return None, None
    octaves = np.log2(60 * FRAMES_PER_S / peaks / _USUAL_BPM) / _OCTAVES
    best = int(peaks[np.argmax(repeats[peaks] * np.exp(-0.5 * np.square(octaves)))])
    return 60 * FRAMES_PER_S / _between(repeats, best), float(min(1.0, repeats[best]))


def _between(values: Doubles, at: int) -> float:
    """Where the parabola through a peak and its neighbours is highest."""
    before, peak, after = values[at - 1 : at + 2]
    bend = before - 2 * peak + after
    return at + (float(0.5 * (before - after) / bend) if bend < 0 else 0.0)


def _autocorrelation(strength: Doubles) -> Doubles | None:
    """By lag in frames, 1 at lag 0; None where nothing rises. Windows count by how much rises in them.

    That of the window itself is divided out: without it a slow tempo would seem to repeat less than a fast one.
    """
    size = min(len(strength), round(_WINDOW_S * FRAMES_PER_S))
    parts = sliding_window_view(strength, size)[:: round(_STEP_S * FRAMES_PER_S)]
    window = np.hanning(size + 2)[1:-1]
    found = _products((parts - parts.mean(axis=1, keepdims=True)) * window).sum(axis=0)
    if found[0] <= 1e-12:
        return None
    half = size // 2 + 2  # beyond, too little of the window is left to compare
    own = _products(window[np.newaxis])[0]
    repeats: Doubles = (found[:half] / found[0]) / (own[:half] / own[0])
    return repeats


def _products(parts: Doubles) -> Doubles:
    """Autocorrelation of each row."""
    size = parts.shape[1]
    spectrum = scipy.fft.rfft(parts, scipy.fft.next_fast_len(2 * size, real=True), axis=1)
    products: Doubles = scipy.fft.irfft(np.square(np.abs(spectrum)), axis=1)[:, :size]
    return products
