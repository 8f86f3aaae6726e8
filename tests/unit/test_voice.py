"""The voice detector: against a recompute of its network in NumPy, and on real speech and other sounds."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import distribution

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import soxr
from onnx.numpy_helper import to_array

from content_signals.errors import BrokenData
from content_signals.models import voice
from content_signals.models.voice import WINDOW, voice_detector
from tests.sounds import AUDIO, needs_audio, noise, sine


def wheel(name: str) -> str:
    return str(distribution("silero-vad").locate_file(f"silero_vad/data/{name}"))


def recomputed(samples: np.ndarray) -> np.ndarray:
    """The network as its authors write it down (silero_vad/tinygrad_model.py of the wheel), window by window.

    Its weights are those of the ONNX file: the wheel's safetensors are of another training.
    """
    graph = onnx.load(wheel("silero_vad_16k_sequence.onnx")).graph
    w = {one.name: to_array(one).astype(np.float64) for one in graph.initializer}
    (lstm,) = [node for node in graph.node if node.op_type == "LSTM"]
    of_input, of_hidden, bias = (w[name][0] for name in lstm.input[1:4])
    hidden, cell, found = np.zeros(128), np.zeros(128), []
    padded = np.concatenate([np.zeros(64), samples, np.zeros(-len(samples) % WINDOW)])
    for start in range(0, len(padded) - 64, WINDOW):
        x = np.pad(padded[start : start + 64 + WINDOW], (0, 64), mode="reflect")
        x = convolved(x[np.newaxis], w["stft.forward_basis_buffer"], None, 128, 0)
        x = np.sqrt(x[:129] ** 2 + x[129:] ** 2)
        for n, stride in ((0, 1), (1, 2), (2, 2), (3, 1)):
            x = np.maximum(0, convolved(x, w[f"encoder.{n}.weight"], w[f"encoder.{n}.bias"], stride, 1))
        gates = of_input @ x[:, 0] + of_hidden @ hidden + bias[:512] + bias[512:]
        let_in, let_out, forget, new = np.split(gates, 4)  # the order of ONNX
        cell = sigmoid(forget) * cell + sigmoid(let_in) * np.tanh(new)
        hidden = sigmoid(let_out) * np.tanh(cell)
        found.append(sigmoid(w["output.weight"][:, :, 0] @ np.maximum(0, hidden) + w["output.bias"])[0])
    return np.array(found)


def one_by_one(samples: np.ndarray) -> np.ndarray:
    """By the wheel's other export, which takes one window a call and is given state and context by hand."""
    session = onnxruntime.InferenceSession(wheel("silero_vad.onnx"))
    state, context, found = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for window in np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW):
        given = np.concatenate([context, window])[np.newaxis]
        said, state = session.run(None, {"input": given, "state": state, "sr": np.array(16_000)})
        found.append(said[0, 0])
        context = window[-64:]
    return np.array(found)


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int, pad: int) -> np.ndarray:
    x = np.pad(x, ((0, 0), (pad, pad)))
    size = weight.shape[2]
    steps = range(0, x.shape[1] - size + 1, stride)
    found = np.stack([np.tensordot(weight, x[:, at : at + size], axes=2) for at in steps], axis=1)
    return found if bias is None else found + bias[:, np.newaxis]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def read(path) -> np.ndarray:
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(wave.mean(axis=1), rate, 16_000)


@needs_audio
def test_it_says_what_its_network_says_by_hand():
    """Speech, so that the state has something to carry; 21 windows and a bit."""
    digits = [read(path) for path in sorted((AUDIO / "speech").glob("?_jackson_0.wav"))[:3]]
    samples = np.concatenate(digits)[: 21 * WINDOW + 100]
    found = voice_detector().probabilities(samples)
    assert found.shape == (22,)
    assert found.max() > 0.9
    np.testing.assert_allclose(found, recomputed(samples), atol=2e-5)


def test_many_windows_a_call_say_what_one_by_one_says():
    samples = noise(20.0, amplitude=0.3) * np.abs(sine(3, 20.0, amplitude=1.0))  # two calls
    np.testing.assert_allclose(voice_detector().probabilities(samples), one_by_one(samples), atol=1e-5)


def test_state_runs_on_from_call_to_call(monkeypatch):
    samples = noise(1.0, amplitude=0.3) * np.abs(sine(4, 1.0, amplitude=1.0))
    whole = voice_detector().probabilities(samples)
    monkeypatch.setattr(voice, "_TOGETHER", 5)
    np.testing.assert_allclose(voice_detector().probabilities(samples), whole, atol=1e-5)


def test_one_recording_knows_nothing_of_the_one_before():
    first = voice_detector().probabilities(noise(0.5))
    voice_detector().probabilities(noise(0.5, seed=1))
    assert (voice_detector().probabilities(noise(0.5)) == first).all()


@pytest.mark.parametrize(("samples", "windows"), [(0, 0), (1, 1), (511, 1), (512, 1), (513, 2)])
def test_every_sample_is_in_a_window(samples, windows):
    assert voice_detector().probabilities(np.zeros(samples, np.float32)).shape == (windows,)


@needs_audio
def test_real_speech_is_told_from_other_real_sounds():
    """Every digit said, and every environmental sound: by the mean, hardly a pair stands in the wrong order."""
    speech = [voice_detector().probabilities(read(p)).mean() for p in sorted((AUDIO / "speech").glob("*.wav"))]
    others = [voice_detector().probabilities(read(p)).mean() for p in sorted((AUDIO / "environment").glob("*/*.ogg"))]
    assert np.mean([s > o for s in speech for o in others]) > 0.98


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(voice, "MODEL", replace(voice.MODEL, sha256="0" * 64))
    with pytest.raises(BrokenData, match="is pinned"):
        voice_detector.__wrapped__()
