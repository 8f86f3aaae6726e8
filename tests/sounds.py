"""Sounds made on the fly, files of them, and where the real ones are."""

from __future__ import annotations

import io
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parents[1]
AUDIO = Path(os.environ.get("CONTENT_SIGNALS_DATA") or PROJECT.parent / "shared" / "data") / "audio"
needs_audio = pytest.mark.skipif(not AUDIO.is_dir(), reason="real sounds are not here: set CONTENT_SIGNALS_DATA")

Samples = NDArray[np.float32]


def sine(hz: float, seconds: float, rate: int = 16_000, amplitude: float = 0.5) -> Samples:
    """A tone."""
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, rate: int = 16_000, amplitude: float = 0.1, seed: int = 0) -> Samples:
    """White noise of a root mean square of `amplitude`."""
    return (amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def clicks(bpm: float, seconds: float, rate: int = 16_000) -> Samples:
    """A click track: a short tone on each beat, the first after a tenth of a second."""
    found = np.zeros(round(seconds * rate), np.float32)
    click = sine(1_000, 0.03, rate, 0.8) * np.exp(-np.arange(round(0.03 * rate)) / (0.005 * rate)).astype(np.float32)
    for beat in np.arange(0.1, seconds - 0.05, 60 / bpm):
        at = round(beat * rate)
        found[at : at + len(click)] += click[: len(found) - at]
    return found


def bytes_of(
    samples: NDArray[np.generic], rate: int = 16_000, kind: str = "WAV", encoding: str | None = None, **more: Any
) -> bytes:
    """A file of [frames] or [frames, channels]."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=encoding, **more)
    return buffer.getvalue()


def file_of(content: bytes) -> IO[bytes]:
    """The bytes as the family reads them: an unbuffered file, at its start."""
    file = TemporaryFile(buffering=0)  # noqa: SIM115  # closed with the test
    file.write(content)
    file.seek(0)
    return file
