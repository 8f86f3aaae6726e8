"""MiniLM: texts to vectors whose scalar product says how alike in meaning two texts are.

all-MiniLM-L6-v2 reads English, 256 word pieces at most (about 190 words): what stands after them is not seen. Its
vectors have 384 numbers and length 1, so that the scalar product is the cosine.

Texts are encoded together only with texts of the very same number of word pieces. So there is no padding to compute,
and a text's vector does not depend on which texts it happened to stand beside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from content_signals.models.files import MINILM_ID, MINILM_MODEL, MINILM_TOKENIZER

MODEL_ID = MINILM_ID
WIDTH = 384
LONGEST = 256  # word pieces, the two that mark start and end included: the model's own max_seq_length
TOGETHER = 16  # texts in one call: more takes more memory and gains nothing on one thread

Vectors = NDArray[np.float32]


class Encoder:
    """The model and its tokenizer, in memory.

    Args:
        model: the ONNX file.
        tokenizer: the tokenizer's file.
        threads: how many threads one call may use. Spark runs a worker a core: there it is one.
    """

    def __init__(self, model: Path, tokenizer: Path, threads: int = 1) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Every length has a memory plan of its own; kept, they would add up.
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, in order: float32 [texts, 384], each of length 1."""
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        vectors = np.empty((len(pieces), WIDTH), np.float32)
        for rows in _of_one_length([len(ids) for ids in pieces]):
            ids = np.array([pieces[row] for row in rows], np.int64)
            (vectors[rows],) = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return vectors

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text as the model reads it, at most `LONGEST`."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]


@cache
def encoder() -> Encoder:
    """The pinned model, loaded once a process.

    Raises:
        UsageError, BrokenData: its files are missing, or others than those pinned.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one worker a core, here too
    return Encoder(MINILM_MODEL.verified(), MINILM_TOKENIZER.verified())


def embed(texts: Sequence[str]) -> Vectors:
    """What `Encoder.embed` says, by the pinned model."""
    return encoder().embed(texts)


def _of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of equal lengths, at most `TOGETHER` at a time, the shortest first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    start = 0
    for end in range(1, len(order) + 1):
        whole = end == len(order) or lengths[order[end]] != lengths[order[start]]
        if whole or end - start == TOGETHER:
            yield order[start:end]
            start = end
