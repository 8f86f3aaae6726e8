"""The clips that the classes are learned from: real recordings with a label, and a group that is never split.

A folder with `music/*.ogg`, `speech/DIGIT_SPEAKER_TAKE.wav` and `environment/CLASS/FOLD-SOURCE-TAKE.ogg`. A group is
whatever two clips could share apart from their class: the speaker, the recording that clips were cut from, the piece of
music.

Nothing in an example but its sound may give its class away. So each class has examples of the same lengths: words of
one speaker are joined for the long ones, and others are cut for the short ones. And each example is there twice, as it
landed and *equalised*: without anything above 4 kHz, at one loudness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from content_signals.errors import UsageError
from content_signals.signals.audio_clip.spectrum import RATE, Floats

LENGTHS_S = (0.4, 1.0, 2.0, 5.0)
_SEGMENT_S, _SEGMENTS = 5.0, 8  # a piece of music lands as so many clips
_CUTS = {"music": 8, "environment": 2}  # of each length: a piece of music, or an environmental clip
_JOINED = 8  # of each length and speaker
_TELEPHONE_RATE, _RMS = 8_000, 0.05


@dataclass(frozen=True)
class Example:
    """A recording with a label.

    Attributes:
        group: what it may share with others.
        length: `whole` as it landed (music: in segments of 5 s), else its seconds.
        samples: one channel at 16 kHz.
    """

    label: str
    group: str
    length: str
    samples: Floats

    def equalised(self) -> Example:
        """The same, band-limited to 4 kHz and at one loudness."""
        narrow = soxr.resample(soxr.resample(self.samples, RATE, _TELEPHONE_RATE), _TELEPHONE_RATE, RATE)
        strength = float(np.sqrt(np.mean(np.square(narrow))))
        return replace(self, samples=(narrow * (_RMS / strength) if strength else narrow).astype(np.float32))


def examples(folder: Path, seed: int = 0) -> list[Example]:
    """All of them, the same at each call.

    Raises:
        UsageError: the folder lacks one of the classes.
    """
    random = np.random.default_rng(seed)
    found = [*_music(folder, random), *_environment(folder, random), *_speech(folder, random)]
    missing = {"music", "environment", "speech"} - {example.label for example in found}
    if missing:
        raise UsageError(
            f"no clips of {', '.join(sorted(missing))} in {folder}", next_step="name the folder with --data"
        )
    return found


def _music(folder: Path, random: np.random.Generator) -> list[Example]:
    found = []
    for path in sorted((folder / "music").glob("*.ogg")):
        whole = Example("music", f"music {path.stem}", "whole", _read(path))
        size = min(len(whole.samples), round(_SEGMENT_S * RATE))
        count = min(_SEGMENTS, len(whole.samples) // size)
        starts = np.linspace(0, len(whole.samples) - size, count).astype(int)
        found += [replace(whole, samples=whole.samples[start : start + size]) for start in starts]
        found += _cuts(whole, random)
    return found


def _environment(folder: Path, random: np.random.Generator) -> list[Example]:
    found = []
    for path in sorted((folder / "environment").glob("*/*.ogg")):
        source = path.stem.split("-")[1]
        whole = Example("environment", f"source {source}", "whole", _read(path))
        found += [whole, *_cuts(whole, random)]
    return found


def _speech(folder: Path, random: np.random.Generator) -> list[Example]:
    takes: dict[str, list[Floats]] = {}
    for path in sorted((folder / "speech").glob("*.wav")):
        takes.setdefault(path.stem.split("_")[1], []).append(_read(path))
    found = [Example("speech", f"speaker {s}", "whole", take) for s, own in takes.items() for take in own]
    for speaker, own in takes.items():
        for seconds in LENGTHS_S:
            joined = [np.concatenate([own[n] for n in random.permutation(len(own))]) for _ in range(_JOINED)]
            wholes = [Example("speech", f"speaker {speaker}", "whole", samples) for samples in joined]
            found += [_cut(whole, seconds, random) for whole in wholes]
    return found


def _cuts(whole: Example, random: np.random.Generator) -> list[Example]:
    return [_cut(whole, seconds, random) for seconds in LENGTHS_S for _ in range(_CUTS[whole.label])]


def _cut(whole: Example, seconds: float, random: np.random.Generator) -> Example:
    size = min(len(whole.samples), round(seconds * RATE))
    start = int(random.integers(len(whole.samples) - size + 1))
    return replace(whole, length=f"{seconds:g} s", samples=whole.samples[start : start + size])


def _read(path: Path) -> Floats:
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Floats = wave.mean(axis=1)
    return mono if rate == RATE else np.asarray(soxr.resample(mono, rate, RATE))
