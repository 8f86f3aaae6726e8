"""What signals of clips cost, and how good they are: on real clips, and on click tracks.

    .venv/jobs/bin/python -m benchmarks.audio_clip --data FOLDER --write

FOLDER has `music`, `speech` and `environment` (content_signals/signals/audio_clip/corpus.py). One core: seconds are CPU
seconds of this process, libraries use one thread as in a worker of Spark, and loading models is not counted. The plain
way beside ours takes the same clips through librosa and pyloudnorm as their manuals show, and through the voice
detector window by window; what it compiles when it is new is measured apart.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
import soundfile
from threadpoolctl import threadpool_limits

from benchmarks.audio_classes import judge
from benchmarks.audio_tempo import tempo
from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models.voice import RATE, WINDOW, voice_detector
from content_signals.signals.audio_clip.asset import read_asset
from content_signals.signals.audio_clip.classes import classifier
from content_signals.signals.audio_clip.clip import analyst
from content_signals.signals.audio_clip.corpus import examples
from content_signals.signals.audio_clip.decoding import opened
from content_signals.signals.audio_clip.excerpt import Excerpt
from content_signals.signals.audio_clip.levels import LevelMeter
from content_signals.signals.audio_clip.loudness import LoudnessMeter
from content_signals.signals.audio_clip.rhythm import rhythm_of
from content_signals.signals.audio_clip.spectrum import FRAME, HOP, frames_of

COMMAND = "python -m benchmarks.audio_clip --data FOLDER --write"
MEASURED = PACKAGE / "signals" / "audio_clip" / "measured.json"
T = TypeVar("T")


def cpu(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and its CPU seconds."""
    started = time.process_time()
    return work(), time.process_time() - started


def clips(folder: Path) -> list[Path]:
    """All of them."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".ogg", ".wav"))


def stages(paths: Sequence[Path]) -> dict[str, float]:
    """CPU seconds of each stage, over all clips, and the seconds of sound under `sound`."""
    spent: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        done, seconds = cpu(work)
        spent[stage] = spent.get(stage, 0) + seconds
        return done

    for path in paths:
        sha256, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
        file = timed("reading and hashing", lambda: read_asset(str(path), size, sha256))  # noqa: B023
        assert file is not None
        with file, opened(file) as sound:
            blocks = timed("decoding", lambda: list(sound.blocks()))
            spent["sound"] = spent.get("sound", 0) + sum(map(len, blocks)) / sound.rate
            meters = {
                "levels": LevelMeter(sound.rate, sound.channels, sound.full_scale),
                "loudness": LoudnessMeter(sound.rate, sound.channels),
                "resampling": Excerpt(sound.rate, sound.frames),
            }
        for stage, meter in meters.items():
            timed(stage, lambda: [meter.see(block) for block in blocks])  # noqa: B023
        timed("levels", meters["levels"].level)
        timed("loudness", meters["loudness"].lufs)
        samples = timed("resampling", meters["resampling"].samples)
        frames = timed("spectrum", lambda: frames_of(samples))  # noqa: B023
        timed("rhythm", lambda: rhythm_of(frames.bands))  # noqa: B023
        speech = timed("voice", lambda: voice_detector().probabilities(samples))  # noqa: B023
        timed("classes", lambda: classifier().probabilities(frames, speech))  # noqa: B023
    return spent


def whole(paths: Sequence[Path]) -> float:
    """CPU seconds of describing the clips as a worker does."""

    def describe() -> None:
        for path in paths:
            file = read_asset(str(path), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            assert file is not None
            with file:
                analyst().describe(file)

    return cpu(describe)[1]


def plain(paths: Sequence[Path]) -> float:
    """CPU seconds of the plain way. Everything it compiles is compiled before."""
    import librosa
    import pyloudnorm

    session = _one_by_one()

    def describe(path: Path) -> None:
        samples, _ = librosa.load(path, sr=RATE)
        given = {"y": samples, "sr": RATE, "n_fft": FRAME, "hop_length": HOP}
        for shape in (librosa.feature.spectral_centroid, librosa.feature.spectral_bandwidth):
            shape(**given)
        librosa.feature.spectral_rolloff(**given)
        librosa.feature.spectral_flatness(y=samples, n_fft=FRAME, hop_length=HOP)
        strength = librosa.onset.onset_strength(y=samples, sr=RATE, hop_length=HOP)
        librosa.onset.onset_detect(onset_envelope=strength, sr=RATE, hop_length=HOP)
        librosa.feature.tempo(onset_envelope=strength, sr=RATE, hop_length=HOP)
        session(samples)
        wave, rate = soundfile.read(path)
        if len(wave) >= 0.4 * rate:
            pyloudnorm.Meter(rate).integrated_loudness(wave)

    describe(paths[0])
    return cpu(lambda: [describe(path) for path in paths])[1]


def _one_by_one() -> Callable[[Any], None]:
    from importlib.metadata import distribution

    path = distribution("silero-vad").locate_file("silero_vad/data/silero_vad.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)

    def run(samples: Any) -> None:
        state, context = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32)
        for window in np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW):
            given = np.concatenate([context, window])[np.newaxis]
            _, state = session.run(None, {"input": given, "state": state, "sr": np.array(RATE)})
            context = window[-64:]

    return run


def first_clip(path: Path) -> dict[str, float]:
    """CPU seconds of a new process until its first clip is described: ours, librosa's, and librosa's when it is new."""
    ours = (
        "import sys; from content_signals.signals.audio_clip.clip import analyst;"
        "analyst().describe(open(sys.argv[1], 'rb', buffering=0))"
    )
    theirs = (
        "import sys, librosa; y, r = librosa.load(sys.argv[1], sr=16000);"
        "librosa.feature.spectral_flatness(y=y); s = librosa.onset.onset_strength(y=y, sr=r);"
        "librosa.onset.onset_detect(onset_envelope=s, sr=r); librosa.feature.tempo(onset_envelope=s, sr=r)"
    )
    with tempfile.TemporaryDirectory() as empty:
        sides = {"ours": (ours, {}), "librosa": (theirs, {}), "librosa, new": (theirs, {"NUMBA_CACHE_DIR": empty})}
        return {side: _process(script, path, extra) for side, (script, extra) in sides.items()}


def _process(script: str, path: Path, extra: dict[str, str]) -> float:
    before = os.times()
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | extra
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def voices(folder: Path) -> list[dict[str, str]]:
    """How well the mean of the voice detector orders speech before other sounds."""
    landed = [example for example in examples(folder) if example.length == "whole"]
    means = {
        label: np.array([voice_detector().probabilities(e.samples).mean() for e in landed if e.label == label])
        for label in ("speech", "environment", "music")
    }
    found = []
    for other in ("environment", "music"):
        pairs = (means["speech"][:, np.newaxis] > means[other]).mean()
        on = f"{len(means['speech'])} spoken digits, {len(means[other])} clips of {other}"
        found.append(
            {"what": f"speech_probability: higher for speech than for {other}", "value": f"{pairs:.3f}", "on": on}
        )
    return found


def classes(folder: Path) -> list[dict[str, str]]:
    """Balanced accuracy by version of the clips and by length."""
    found = []
    for version, judged in judge(folder).items():
        for length in dict.fromkeys(example.length for example in judged.found):
            count = sum(example.length == length for example in judged.found)
            on = f"{count} clips, {'as long as they are' if length == 'whole' else f'{length} of each'}; {version}"
            found.append({"what": "class: balanced accuracy, groups apart", "value": str(judged.of(length)), "on": on})
    return found


def cost(paths: Sequence[Path]) -> dict[str, Any]:
    """Clips a second, where the time goes, and the plain way beside it."""
    stages(paths[:3])
    spent = stages(paths)
    sound, total = spent.pop("sound"), whole(paths)
    some = paths[::6]
    return {
        "rows_per_cpu_second": round(len(paths) / total, 1),
        "core_hours_per_100_million": round(1e8 / len(paths) * total / 3600),
        "sound_seconds_per_cpu_second": round(sound / total, 1),
        "clips": len(paths),
        "sound_seconds": round(sound, 1),
        "share_of_stage": {stage: round(seconds / sum(spent.values()), 3) for stage, seconds in spent.items()},
        "times_as_fast_as_the_plain_way": round(plain(some) / whole(some), 1),
        "cpu_seconds_to_the_first_clip": {side: round(s, 1) for side, s in first_clip(paths[0]).items()},
    }


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Cost and quality of signals of clips.")
    parser.add_argument("--data", type=Path, required=True, help="folder with music, speech and environment")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    with threadpool_limits(1):
        measured = {
            "command": COMMAND,
            "machine": machine(),
            "cost": cost(clips(given.data)),
            "quality": [*tempo(), *voices(given.data), *classes(given.data)],
        }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
