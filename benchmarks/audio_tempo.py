"""How well tempos are found: on click tracks, whose tempo is known.

A tempo counts as found when it is within 1 % of the true one, or of its half or double: to a listener too 60 and 120
can be the same piece.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from content_signals.signals.audio_clip.rhythm import Rhythm, rhythm_of
from content_signals.signals.audio_clip.spectrum import RATE, frames_of

SLOWEST, FASTEST, SECONDS, NEAR = 60, 180, 20, 0.01


def tempo() -> list[dict[str, str]]:
    """Shares found, on 121 click tracks each."""
    random = np.random.default_rng(0)

    def hiss(track: NDArray[np.float32]) -> NDArray[np.float32]:
        return track + (0.02 * random.standard_normal(len(track))).astype(np.float32)

    def late(bpm: float) -> NDArray[np.float32]:
        return clicks(bpm, lateness=0.02, random=random)

    conditions: dict[str, Callable[[float], NDArray[np.float32]]] = {
        "clicks": clicks,
        "clicks under noise": lambda bpm: hiss(clicks(bpm)),
        "clicks, each up to 20 ms early or late": late,
    }
    found = []
    for name, track in conditions.items():
        bpms = range(SLOWEST, FASTEST + 1)
        rhythms = [rhythm_of(frames_of(track(bpm)).bands) for bpm in bpms]
        right = np.mean([_near(rhythm, bpm, (0.5, 1, 2)) for rhythm, bpm in zip(rhythms, bpms, strict=True)])
        exact = np.mean([_near(rhythm, bpm, (1,)) for rhythm, bpm in zip(rhythms, bpms, strict=True)])
        sure = np.median([rhythm.tempo_confidence or 0 for rhythm in rhythms])
        value = f"{right:.3f}; the very octave {exact:.3f}; median confidence {sure:.2f}"
        on = f"{len(bpms)} tracks of {SECONDS} s, {SLOWEST} to {FASTEST} a minute: {name}"
        found.append({"what": "tempo_bpm: within 1 %, give or take an octave", "value": value, "on": on})
    return found


def clicks(bpm: float, lateness: float = 0.0, random: np.random.Generator | None = None) -> NDArray[np.float32]:
    """A click track; `lateness` is the most seconds that a click may be off its beat."""
    track, size = np.zeros(SECONDS * RATE, np.float32), round(0.03 * RATE)
    at = np.arange(size) / RATE
    click = (0.8 * np.sin(2 * np.pi * 1_000 * at) * np.exp(-at / 0.005)).astype(np.float32)
    for beat in np.arange(0.1, SECONDS - 0.1, 60 / bpm):
        off = random.uniform(-lateness, lateness) if random else 0.0
        start = round((beat + off) * RATE)
        track[start : start + size] += click
    return track


def _near(rhythm: Rhythm, bpm: float, times: tuple[float, ...]) -> bool:
    return rhythm.tempo_bpm is not None and any(abs(rhythm.tempo_bpm / (bpm * t) - 1) <= NEAR for t in times)
