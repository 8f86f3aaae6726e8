"""Models of our own: a file, a manifest that says what it is, and a detached Ed25519 signature of the manifest.

The public key stands in the code that loads the model, not beside the file: who can change a file in an image or a
package could change a key beside it as well. A file, manifest or signature that does not fit is refused before any of
it is used. Files are JSON: to load one runs no code of it, as a pickle's would be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from content_signals.errors import BrokenData, UsageError


@dataclass(frozen=True)
class SignedModel:
    """`<name>.json`, `<name>.manifest.json` and `<name>.sig` in a folder.

    Attributes:
        signer: the public key, 64 hexadecimal digits.
    """

    folder: Path
    name: str
    signer: str

    def manifest(self) -> dict[str, Any]:
        """What the model says of itself, when the signature is the signer's.

        Raises:
            UsageError: a file is missing.
            BrokenData: somebody else signed it, or it was changed since.
        """
        content = self._read(".manifest.json")
        try:
            signature = bytes.fromhex(self._read(".sig").decode("ascii"))
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.signer)).verify(signature, content)
        except (ValueError, InvalidSignature):  # UnicodeDecodeError is a ValueError
            raise self._refused(f"{self.name}.manifest.json is not signed by {self.signer}") from None
        found: dict[str, Any] = json.loads(content)
        return found

    def content(self) -> dict[str, Any]:
        """The model, when it is the one that the signed manifest names.

        Raises:
            UsageError: a file is missing.
            BrokenData: the signature or the file is another.
        """
        pinned, content = self.manifest()["sha256"], self._read(".json")
        found = hashlib.sha256(content).hexdigest()
        if found != pinned:
            raise self._refused(f"{self.name}.json has SHA-256 {found}, its manifest says {pinned}")
        model: dict[str, Any] = json.loads(content)
        return model

    def _read(self, ending: str) -> bytes:
        path = self.folder / f"{self.name}{ending}"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UsageError(f"the model file {path} is missing", next_step="install the package again") from None

    def _refused(self, what: str) -> BrokenData:
        return BrokenData(
            f"model refused: {what}",
            state="nothing was computed with it",
            next_step=f"install the package again, or train and sign {self.name} anew",
        )


def write_signed(folder: Path, name: str, model: dict[str, Any], facts: dict[str, Any], key: Ed25519PrivateKey) -> str:
    """Write the three files; the public key to pin."""
    content = _json(model)
    manifest = _json({"model": name, "sha256": hashlib.sha256(content).hexdigest(), **facts})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(content)
    (folder / f"{name}.manifest.json").write_bytes(manifest)
    (folder / f"{name}.sig").write_bytes(key.sign(manifest).hex().encode("ascii"))
    return key.public_key().public_bytes_raw().hex()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("utf-8")
