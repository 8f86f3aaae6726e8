"""All that is said of one clip: its bytes are decoded once, block by block, and every meter sees each block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import IO

import numpy as np

from content_signals.models.voice import VoiceDetector, voice_detector
from content_signals.signals.audio_clip.classes import Classifier, classifier
from content_signals.signals.audio_clip.decoding import Sound, opened
from content_signals.signals.audio_clip.excerpt import Excerpt
from content_signals.signals.audio_clip.levels import LevelMeter
from content_signals.signals.audio_clip.loudness import LoudnessMeter
from content_signals.signals.audio_clip.rhythm import rhythm_of
from content_signals.signals.audio_clip.spectrum import RATE, Floats, Frames, frames_of

Value = str | int | float | None


@dataclass(frozen=True)
class Analyst:
    """The models that a clip is described with."""

    voice: VoiceDetector
    classes: Classifier

    def describe(self, file: IO[bytes]) -> dict[str, Value]:
        """The columns of the contract, by name.

        Args:
            file: the bytes of an asset: an unbuffered file of the operating system, at its start.

        Raises:
            Unusable: nothing can be said of it.
        """
        with opened(file) as sound:
            found, samples = _measured(sound)
        frames, speech = frames_of(samples), self.voice.probabilities(samples)
        rhythm = rhythm_of(frames.bands)
        return {
            **found,
            "tempo_bpm": rhythm.tempo_bpm,
            "tempo_confidence": rhythm.tempo_confidence,
            "onsets_per_second": rhythm.onsets_per_second,
            **_colour(frames),
            "speech_probability": float(speech.mean()) if len(speech) else None,
            **{f"class_{name}_probability": p for name, p in self.classes.probabilities(frames, speech).items()},
        }


@cache
def analyst() -> Analyst:
    """With the pinned models, loaded once a process."""
    return Analyst(voice_detector(), classifier())


def _measured(sound: Sound) -> tuple[dict[str, Value], Floats]:
    """What is taken of the whole recording, and its excerpt."""
    level = LevelMeter(sound.rate, sound.channels, sound.full_scale)
    loudness = LoudnessMeter(sound.rate, sound.channels)
    excerpt = Excerpt(sound.rate, sound.frames)
    count = 0
    for block in sound.blocks():
        count += len(block)
        for meter in (level, loudness, excerpt):
            meter.see(block)
    samples = excerpt.samples()
    found = level.level()
    return {
        "duration_ms": round(1000 * count / sound.rate),
        "analysed_ms": round(1000 * len(samples) / RATE),
        "sample_rate_hz": sound.rate,
        "channels_count": sound.channels,
        "encoding": sound.encoding,
        "loudness_lufs": loudness.lufs(),
        "peak_dbfs": found.peak_dbfs,
        "rms_dbfs": found.rms_dbfs,
        "clipping_ratio": found.clipping_ratio,
        "silence_ratio": found.silence_ratio,
    }, samples


def _colour(frames: Frames) -> dict[str, Value]:
    """Means over the frames that are no pauses."""
    heard = frames.audible
    shapes = {
        "spectral_centroid_hz": frames.centroid_hz,
        "spectral_bandwidth_hz": frames.bandwidth_hz,
        "spectral_rolloff_hz": frames.rolloff_hz,
        "spectral_flatness": frames.flatness,
    }
    if not heard.any():
        return dict.fromkeys([*shapes, "low_energy_ratio"])
    means = {name: float(values[heard].mean(dtype=np.float64)) for name, values in shapes.items()}
    # Of Scheirer and Slaney, "Construction and evaluation of a robust multifeature speech/music discriminator", ICASSP
    # 1997: speech has pauses, most music has none.
    strengths = np.sqrt(frames.power.astype(np.float64))
    return {**means, "low_energy_ratio": float((strengths < 0.5 * strengths.mean()).mean())}
