"""MiniLM in plain numpy, from the same weights: another way to the same vectors, with no ONNX in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import erf

Array = NDArray[np.float64]


def vector_of(weights_file: Path, pieces: list[int]) -> Array:
    """The vector of one text, given as the numbers of its word pieces: BERT as Devlin et al. 2018 describe it."""
    w = {name: value.astype(np.float64) for name, value in load_file(weights_file).items() if value.dtype.kind == "f"}

    def dense(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normal(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    e = "embeddings"
    x = w[f"{e}.word_embeddings.weight"][pieces] + w[f"{e}.position_embeddings.weight"][: len(pieces)]
    x = normal(x + w[f"{e}.token_type_embeddings.weight"][0], f"{e}.LayerNorm")
    for number in range(6):
        layer = f"encoder.layer.{number}"
        q, k, v = (dense(x, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for start in range(0, 384, 32):
            part = slice(start, start + 32)
            scores = q[:, part] @ k[:, part].T / np.sqrt(32)
            share = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(share / share.sum(-1, keepdims=True) @ v[:, part])
        mixed = dense(np.concatenate(heads, -1), f"{layer}.attention.output.dense")
        x = normal(x + mixed, f"{layer}.attention.output.LayerNorm")
        wide = dense(x, f"{layer}.intermediate.dense")
        wide = wide * (1 + erf(wide / np.sqrt(2))) / 2
        x = normal(x + dense(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)
