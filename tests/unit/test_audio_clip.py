"""A clip as a whole: bytes in, the columns of the contract out; and which class it is."""

from __future__ import annotations

import json
import math
import sys
from subprocess import run

import duckdb
import numpy as np
import pytest

from content_signals.models import voice
from content_signals.quality.suite import read_suite
from content_signals.signals.audio_clip.classes import CLASSES, FEATURES, MODEL, Classifier, classifier, features_of
from content_signals.signals.audio_clip.clip import analyst
from content_signals.signals.audio_clip.contract import AUDIO_CLIP_V1
from content_signals.signals.audio_clip.spectrum import frames_of
from tests.sounds import AUDIO, bytes_of, clicks, file_of, needs_audio, noise, sine

PROBABILITIES = [f"class_{name}_probability" for name in CLASSES]
SOUNDLESS = {
    "loudness_lufs", "peak_dbfs", "rms_dbfs", "tempo_bpm", "tempo_confidence", "spectral_centroid_hz",
    "spectral_bandwidth_hz", "spectral_rolloff_hz", "spectral_flatness", "low_energy_ratio", *PROBABILITIES,
}  # fmt: skip


def described(content: bytes) -> dict:
    with file_of(content) as file:
        return analyst().describe(file)


def test_the_columns_are_those_of_the_contract_in_order():
    found = described(bytes_of(clicks(120, 6) + noise(6, amplitude=0.001)))
    assert list(found) == [column.name for column in AUDIO_CLIP_V1.computed]
    types = {"bigint": int, "int": int, "double": float, "string": str}
    assert {name: type(value) for name, value in found.items()} == {
        column.name: types[column.type] for column in AUDIO_CLIP_V1.computed
    }


def test_silence_has_nulls_where_nothing_can_be_said():
    found = described(bytes_of(np.zeros(80_000, np.float32)))
    assert {name for name, value in found.items() if value is None} == SOUNDLESS
    assert (found["silence_ratio"], found["clipping_ratio"], found["onsets_per_second"]) == (1.0, 0.0, 0.0)
    assert found["duration_ms"] == found["analysed_ms"] == 5_000


FAINT = {
    "a tone": sine(440, 1, amplitude=1e-30),
    "one sample": 1e-25 * np.eye(1, 16_000, 5, dtype=np.float32)[0],
    "the smallest numbers": sine(440, 1, amplitude=1e-43),
    "tone and silence": np.concatenate([sine(440, 1, amplitude=1e-21), np.zeros(80_000, np.float32)]),
}


@pytest.mark.parametrize("name", FAINT)
def test_no_critical_rule_holds_a_day_for_a_faint_clip(name):
    """Conditions of the suite that say how columns go together, asked in DuckDB."""
    found = described(bytes_of(FAINT[name], encoding="FLOAT"))
    types = {"bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "string": "VARCHAR"}
    columns = ", ".join(f"?::{types[column.type]} AS {column.name}" for column in AUDIO_CLIP_V1.computed)
    rules = [rule["kwargs"] for rule in read_suite("audio_clip_v1")["expectations"] if rule["severity"] == "critical"]
    conditions = [
        (kwargs["column"], kwargs["row_condition"]["pass_through_filter"])
        for kwargs in rules
        if "row_condition" in kwargs and kwargs["column"] in found
    ]
    assert len(conditions) > 5
    for column, condition in conditions:
        query = f"SELECT count({column}) FROM (SELECT {columns}) WHERE {condition}"
        assert duckdb.execute(query, list(found.values())).fetchone() == (0,), condition


def test_one_sample_is_a_clip():
    found = described(bytes_of(np.full(1, 0.5, np.float32), 8_000))
    assert (found["duration_ms"], found["loudness_lufs"], found["tempo_bpm"]) == (0, None, None)
    assert found["peak_dbfs"] == pytest.approx(20 * math.log10(0.5))


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_every_rate_and_number_of_channels(rate, channels):
    wave = np.stack([sine(440, 1.5, rate)] * channels, axis=1)
    found = described(bytes_of(wave, rate))
    assert (found["sample_rate_hz"], found["channels_count"], found["duration_ms"]) == (rate, channels, 1_500)
    assert found["spectral_centroid_hz"] == pytest.approx(440, abs=60)
    assert (found["loudness_lufs"] is None) == (channels > 5)
    assert all(value is None or not isinstance(value, float) or math.isfinite(value) for value in found.values())


def test_a_square_wave_at_full_scale():
    assert described(bytes_of(np.sign(sine(441, 1))))["clipping_ratio"] > 0.95


def test_a_long_clip_is_analysed_in_its_middle():
    found = described(bytes_of(noise(150, 8_000), 8_000))
    assert (found["duration_ms"], found["analysed_ms"]) == (150_000, 120_000)


def test_values_do_not_change_from_run_to_run():
    content = bytes_of(clicks(100, 5) + noise(5, amplitude=0.01))
    assert described(content) == described(content)


def test_where_it_is_stored_at_does_not_matter_much():
    """The same sound at other rates, volumes and encodings: what is said of its content stays."""
    wave = clicks(110, 8, 48_000) + noise(8, 48_000, 0.005)
    first = described(bytes_of(wave, 48_000))
    for other in (bytes_of(wave[::3], 16_000), bytes_of(wave, 48_000, "OGG", "VORBIS"), bytes_of(wave / 4, 48_000)):
        found = described(other)
        assert found["tempo_bpm"] == pytest.approx(first["tempo_bpm"], rel=0.01)
        assert found["onsets_per_second"] == pytest.approx(first["onsets_per_second"], abs=0.3)


# --- classes ----------------------------------------------------------------------------------------------------------


def test_probabilities_are_the_softmax_of_the_model_by_hand():
    """One class after the other, in plain Python, from the file."""
    model = json.loads((MODEL.folder / "class-v1.json").read_text())
    frames, speech = frames_of(clicks(100, 5) + noise(5, amplitude=0.01)), np.full(157, 0.25, np.float32)
    values = features_of(frames, speech)
    scores = []
    for weights, bias in zip(model["weights"], model["bias"], strict=True):
        parts = [w * (x - m) / s for w, x, m, s in zip(weights, values, model["mean"], model["scale"], strict=True)]
        scores.append(math.exp(sum(parts) + bias))
    expected = [score / sum(scores) for score in scores]
    assert list(classifier().probabilities(frames, speech).values()) == pytest.approx(expected)


def test_features_know_neither_level_nor_what_stands_above_a_telephone():
    """At 54 dB less, or with hiss above 5 kHz: the same features."""
    wave, speech = clicks(100, 5) + noise(5, amplitude=0.02), np.full(157, 0.25, np.float32)
    hiss = np.fft.rfft(noise(5, amplitude=0.5, seed=9))
    hiss[: (5_000 * 5)] = 0
    first = features_of(frames_of(wave), speech)
    for other in (wave * np.float32(2e-3), wave + np.fft.irfft(hiss).astype(np.float32)):
        np.testing.assert_allclose(features_of(frames_of(other), speech), first, rtol=0.03, atol=0.02)


def test_pauses_before_and_after_are_not_seen():
    wave = sine(300, 2) + noise(2, amplitude=0.05)
    padded = np.concatenate([np.zeros(16_384, np.float32), wave, np.zeros(81_920, np.float32)])
    speech = np.full(500, 0.25, np.float32)
    found, expected = (features_of(frames_of(samples), speech) for samples in (padded, wave))
    near = dict(zip(FEATURES, np.abs(found - expected), strict=True))
    # Frames at the edges are half silent.
    assert near["pause_ratio"] == 0
    assert near["tones"] < 0.5
    assert near["persistence"] < 0.05


def test_a_model_of_other_features_is_refused():
    model = MODEL.content()
    with pytest.raises(ValueError, match="the features are"):
        Classifier(model | {"features": [*FEATURES[1:], FEATURES[0]]})


def test_the_revision_names_the_models():
    revision = AUDIO_CLIP_V1.content.revision
    assert voice.MODEL_ID in revision
    assert f"{MODEL.name}:{MODEL.manifest()['sha256'][:12]}" in revision


def test_the_models_were_made_with_the_voice_detector_that_is_used():
    assert MODEL.manifest()["voice"] == voice.MODEL_ID


@needs_audio
def test_real_clips_are_mostly_what_they_are():
    """Clips that the model has seen: how good it is on others is what benchmarks/audio_clip.py says."""
    right = {}
    for label, files in (
        ("music", sorted((AUDIO / "music").glob("*.ogg"))[::2]),
        ("speech", sorted((AUDIO / "speech").glob("*_0.wav"))[::6]),
        ("environment", sorted((AUDIO / "environment").glob("*/*.ogg"))[::8]),
    ):
        found = [described(path.read_bytes()) for path in files]
        likely = [max(CLASSES, key=lambda name, row=row: row[f"class_{name}_probability"]) for row in found]
        right[label] = np.mean([name == label for name in likely])
        assert all(sum(row[name] for name in PROBABILITIES) == pytest.approx(1) for row in found)
    assert min(right.values()) > 0.7, right


def test_a_worker_loads_neither_torch_nor_librosa_nor_scikit_learn():
    """What compiles, or takes seconds to import, is for training and tests alone."""
    script = (
        "import sys; from content_signals.signals.audio_clip.clip import analyst; analyst();"
        "print([m for m in ('torch', 'librosa', 'numba', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_contract_and_compute_load_no_model():
    script = (
        "import sys; import content_signals.signals.audio_clip.compute;"
        "print([m for m in ('soundfile', 'onnxruntime', 'scipy', 'cryptography') if m in sys.modules])"
    )
    done = run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
