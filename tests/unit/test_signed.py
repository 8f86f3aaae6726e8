"""Signed models: what was signed is loaded, anything else is refused before it is used."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_signals.errors import BrokenData, UsageError
from content_signals.models.signed import SignedModel, write_signed

MODEL = {"weights": [0.1, 0.2]}


@pytest.fixture
def signed(tmp_path):
    signer = write_signed(tmp_path, "m-v1", MODEL, {"command": "train"}, Ed25519PrivateKey.generate())
    return SignedModel(tmp_path, "m-v1", signer)


def test_what_was_signed_is_loaded(signed):
    assert signed.content() == MODEL
    assert signed.manifest()["command"] == "train"


def test_another_model_is_refused(signed):
    (signed.folder / "m-v1.json").write_text(json.dumps({"weights": [9, 9]}))
    with pytest.raises(BrokenData, match=r"m-v1\.json has SHA-256"):
        signed.content()


def test_another_model_with_its_own_hash_in_the_manifest_is_refused(signed):
    """Whoever changes both has no signature for it."""
    other = signed.folder / "other"
    write_signed(other, "m-v1", {"weights": [9, 9]}, {}, Ed25519PrivateKey.generate())
    for name in ("m-v1.json", "m-v1.manifest.json"):
        (signed.folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(BrokenData, match="is not signed by"):
        signed.content()


def test_a_model_signed_by_somebody_else_is_refused(signed):
    write_signed(signed.folder, "m-v1", MODEL, {}, Ed25519PrivateKey.generate())
    with pytest.raises(BrokenData, match="is not signed by"):
        signed.content()


@pytest.mark.parametrize("signature", ["", "zz", "00" * 64, "\u00e9"])
def test_what_is_no_signature_is_refused(signed, signature):
    (signed.folder / "m-v1.sig").write_text(signature)
    with pytest.raises(BrokenData, match="is not signed by"):
        signed.content()


@pytest.mark.parametrize("name", ["m-v1.json", "m-v1.manifest.json", "m-v1.sig"])
def test_a_missing_file_is_named(signed, name):
    (signed.folder / name).unlink()
    with pytest.raises(UsageError, match=f"{name} is missing"):
        signed.content()
