"""Which file a model is loaded from, and proof that it is that file. No model is loaded here: contracts read the names.

Set-up writes the files into `models/` of the environment whose Python runs (`tools/model_files.py`); an image of that
environment has them with it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from content_signals.errors import BrokenData, UsageError

FOLDER = Path(sys.prefix) / "models"
_PINS = Path(__file__).parent / "minilm.json"


@dataclass(frozen=True)
class PinnedFile:
    """A file of a model: its name and the SHA-256 that it must have, as 64 hexadecimal digits."""

    file: str
    sha256: str

    def verified(self, folder: Path = FOLDER) -> Path:
        """Where the file is.

        Raises:
            UsageError: it is not there.
            BrokenData: it is another file.
        """
        path = folder / self.file
        if not path.is_file():
            raise UsageError(f"the model file {path} is missing", next_step="make setup writes it")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise BrokenData(
                f"the model file {path} has SHA-256 {found}, and {self.sha256} is pinned",
                state="nothing was computed with it",
                next_step=f"delete {path.parent}, then make setup",
            )
        return path


def _pinned(what: str) -> PinnedFile:
    entry = json.loads(_PINS.read_text("utf-8"))[what]
    return PinnedFile(entry["file"], entry["sha256"])


MINILM_MODEL, MINILM_TOKENIZER = _pinned("model"), _pinned("tokenizer")

# Names the very weights, graph and tokenizer: vectors of two ids are never compared with each other.
MINILM_ID = "all-MiniLM-L6-v2:" + hashlib.sha256(
    (MINILM_MODEL.sha256 + MINILM_TOKENIZER.sha256).encode("ascii")
).hexdigest()[:12]  # fmt: skip
