"""Clips in Spark: each content in the folder has its row or its reason. And what librosa says of them."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
import soundfile
import soxr

from content_signals.signals.audio_clip.clip import analyst
from content_signals.signals.audio_clip.compute import compute, row_of
from content_signals.signals.audio_clip.contract import AUDIO_CLIP_V1
from content_signals.signals.audio_clip.decoding import LONGEST_S
from content_signals.signals.audio_clip.rhythm import rhythm_of
from content_signals.signals.audio_clip.spectrum import FRAME, HOP, RATE, frames_of, mel_filters
from tests.sounds import AUDIO, bytes_of, clicks, file_of, needs_audio, noise, sine

pytestmark = pytest.mark.spark

GOOD = bytes_of(clicks(120, 6))
CUT = bytes_of(noise(3, 44_100), 44_100, "OGG", "VORBIS")[:-100]
HOURS = bytes_of(np.zeros((LONGEST_S + 1) * 4_000, np.int16), 4_000, "FLAC")
NO_NUMBERS = bytes_of(np.array([0, np.nan, 0], np.float32), encoding="FLOAT")
# Name -> bytes, and the reason that is expected of them.
FILES = {
    "good.wav": (GOOD, None),
    "a flac.wav": (bytes_of(sine(440, 1), kind="FLAC"), None),
    "deep/silent.wav": (bytes_of(np.zeros(16_000, np.float32)), None),
    "cut.ogg": (CUT, "cut short: it ends before its end"),
    "text.wav": (b"hello, I am a text", "not audio that is read here: neither WAV, AIFF, FLAC, Ogg nor MP3"),
    "hours.flac": (HOURS, f"longer than {LONGEST_S // 60} minutes"),
    "nan.wav": (NO_NUMBERS, "samples that are no numbers"),
}
SCHEMA = "content_id string, path string, bytes bigint"


def landed(folder: Path, name: str, content: bytes) -> tuple[str, str, int]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), str(path), len(content)


@pytest.fixture(scope="module")
def found(spark, tmp_path_factory):
    """Name -> what was computed of it, in one go; an empty one, one that is gone and one that changed are there too."""
    folder = tmp_path_factory.mktemp("clips")
    names = {name: landed(folder, name, content) for name, (content, _) in FILES.items()}
    names["empty.wav"] = landed(folder, "empty.wav", b"")
    names["gone.wav"] = ("0" * 64, str(folder / "gone.wav"), 9)
    names["changed.wav"] = ("1" * 64, names["good.wav"][1], len(GOOD))
    rows = {row.content_id: row for row in compute(spark.createDataFrame(list(names.values()), SCHEMA)).collect()}
    return {name: rows.get(asset[0]) for name, asset in names.items()}


def test_each_content_has_its_signals_or_its_reason(found):
    assert {name: found[name].reason for name in FILES} == {name: reason for name, (_, reason) in FILES.items()}
    assert found["empty.wav"].reason == "zero bytes"
    for row in found.values():
        if row is not None:
            assert (row.reason is None) == (row.duration_ms is not None)


def test_what_is_gone_or_has_changed_has_no_row(found):
    assert (found["gone.wav"], found["changed.wav"]) == (None, None)


def test_a_row_says_what_its_clip_says(found):
    with file_of(GOOD) as file:
        expected = analyst().describe(file)
    row = found["good.wav"].asDict()
    assert {name: row.pop(name) for name in ("content_id", "reason")} == {
        "content_id": hashlib.sha256(GOOD).hexdigest(), "reason": None
    }  # fmt: skip
    numbers = {name: value for name, value in expected.items() if isinstance(value, float)}
    # A worker has one thread, this process perhaps more: sums are in another order.
    assert {name: row.pop(name) for name in numbers} == pytest.approx(numbers, rel=1e-6)
    assert row == {name: value for name, value in expected.items() if name not in numbers}
    assert found["a flac.wav"].encoding == "FLAC/PCM_16"


def test_columns_have_the_types_of_the_contract(spark):
    schema = compute(spark.createDataFrame([], SCHEMA)).schema
    made = {column.name: column.type for column in AUDIO_CLIP_V1.computed}
    assert {f.name: f.dataType.simpleString() for f in schema} == {"content_id": "string", **made, "reason": "string"}
    assert list(schema.names) == ["content_id", *made, "reason"]


def test_a_defect_of_ours_is_told_in_the_row_of_the_clip_that_shows_it(tmp_path):
    class Broken:
        def describe(self, file):
            raise IndexError("out of bounds")

    content_id, path, size = landed(tmp_path, "a.wav", GOOD)
    row = row_of({"content_id": content_id, "path": path, "bytes": size}, Broken())
    assert row == {"content_id": content_id, "reason": "unexpected IndexError: out of bounds"}


# --- what does not belong into quick tests ----------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_clip(tmp_path):
    """A minute, and as long as a clip may be: 86 MB as it lies, 330 MB as floats."""
    peaks = []
    for seconds in (60, LONGEST_S):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_U8") as file:
            for _ in range(seconds):
                file.write(np.stack([noise(1, 48_000)] * 2, axis=1))
        script = (
            "import resource, sys; from content_signals.signals.audio_clip.clip import analyst;"
            "print(analyst().describe(open(sys.argv[1], 'rb', buffering=0))['duration_ms'],"
            "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        duration, peak = map(int, done.stdout.split())
        assert duration == 1_000 * seconds
        peaks.append(peak * (1 if sys.platform == "darwin" else 1_024))
    assert peaks[1] - peaks[0] < 80e6, peaks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["noise", "chord", "clicks"])
def test_librosa_says_the_same_of_spectra(name):
    import librosa  # it compiles code when it is new

    samples = {
        "noise": noise(2.0),
        "chord": sine(220, 2.0, amplitude=0.2) + sine(277, 2.0, amplitude=0.2) + noise(2.0, amplitude=0.001),
        "clicks": clicks(120, 2.0) + noise(2.0, amplitude=1e-4),
    }[name]
    magnitude = np.abs(librosa.stft(samples, n_fft=FRAME, hop_length=HOP, center=False))
    found = frames_of(samples)
    given = {"S": magnitude, "sr": RATE}
    pairs = {
        "centroid_hz": librosa.feature.spectral_centroid(**given),
        "bandwidth_hz": librosa.feature.spectral_bandwidth(**given),
        "rolloff_hz": librosa.feature.spectral_rolloff(**given, roll_percent=0.85),
        "flatness": librosa.feature.spectral_flatness(S=magnitude),
    }
    for column, expected in pairs.items():
        np.testing.assert_allclose(getattr(found, column), expected[0], rtol=2e-3, atol=1e-4, err_msg=column)
    mel = librosa.filters.mel(sr=RATE, n_fft=FRAME, n_mels=40, fmin=0, fmax=RATE / 2, htk=True)
    np.testing.assert_allclose(mel_filters(40, 0, RATE / 2).T, mel, atol=1e-6)


@pytest.mark.slow
@needs_audio
def test_librosa_finds_the_same_tempo_in_most_real_music():
    """Within 4 %, give or take an octave: librosa knows tempos only where a lag is a whole frame.

    Two of the seven differ: a trumpet alone, and a piece that librosa reads two ways itself, by the rate it is given.
    """
    import librosa

    same = []
    for path in sorted((AUDIO / "music").glob("*.ogg")):
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = soxr.resample(wave.mean(axis=1), rate, RATE)[: 60 * RATE]
        expected = librosa.feature.tempo(y=samples, sr=RATE, hop_length=HOP)[0]
        found = rhythm_of(frames_of(samples).bands).tempo_bpm
        same.append(min(abs(found / (expected * times) - 1) for times in (0.5, 1, 2)) < 0.04)
    assert sum(same) >= 5, same
