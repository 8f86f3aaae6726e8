"""Silero's voice detector: how likely it is that somebody speaks, for each 32 ms of a recording.

The weights are a file of the wheel `silero-vad`, read by path: to import that package would want torch. The network is
a short-time Fourier transform, four convolutions, an LSTM whose state runs on from window to window, and a sigmoid;
each window is read with the last 64 samples of the one before. Of the wheel's exports this one takes many windows in
one call, and says the same as the one that takes them one by one.
"""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from content_signals.models.files import PinnedFile

MODEL = PinnedFile(
    "silero_vad/data/silero_vad_16k_sequence.onnx", "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"
)
MODEL_ID = f"silero-vad-16k:{MODEL.sha256[:12]}"

RATE = 16_000  # samples a second; the model knows no other
WINDOW = 512  # samples
_CONTEXT = 64  # samples of the window before
_STATE = (1, 1, 128)
_TOGETHER = 512  # windows a call, 16 s: more takes more memory and gains nothing

Samples = NDArray[np.float32]


class VoiceDetector:
    """The model, in memory.

    Args:
        model: the ONNX file.
        threads: how many threads one call may use. Spark runs a worker a core: there it is one.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Nobody waits between two clips: threads that spin would only take the core from another worker.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def probabilities(self, samples: Samples) -> Samples:
        """One probability a window of 512 samples; the last is filled up with zeros.

        Args:
            samples: one channel at 16 kHz, full scale 1.

        Returns:
            float32 [windows]; empty for no samples.
        """
        count = -(-len(samples) // WINDOW)
        padded = np.zeros(_CONTEXT + count * WINDOW, np.float32)
        padded[_CONTEXT : _CONTEXT + len(samples)] = samples
        windows = sliding_window_view(padded, _CONTEXT + WINDOW)[::WINDOW] if count else padded[:0]
        hidden = cell = np.zeros(_STATE, np.float32)
        found = [padded[:0]]
        for start in range(0, count, _TOGETHER):
            block = np.ascontiguousarray(windows[start : start + _TOGETHER])
            said, hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": block, "h": hidden, "c": cell}
            )
            found.append(said.reshape(-1))
        return np.concatenate(found)


@cache
def voice_detector() -> VoiceDetector:
    """The pinned model, loaded once a process.

    Raises:
        UsageError, BrokenData: its file is missing, or another than the one pinned.
    """
    return VoiceDetector(MODEL.verified(Path(sysconfig.get_path("purelib"))))
