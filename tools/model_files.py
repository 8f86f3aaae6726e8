"""What set-up adds to the jobs environment for models: their files, each compared with its pinned hash.

The weights come inside packages of the lock, whose code is never imported. Pins are in
`content_signals/models/minilm.json`, which the jobs read too: they load nothing else.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from steps import ROOT, VENV, SetupError, Step, call, digest, stamp_of

MODELS = VENV / "jobs" / "models"
PINS = ROOT / "content_signals" / "models" / "minilm.json"
CONVERTER = ROOT / "tools" / "minilm_onnx.py"


def pins() -> dict[str, Any]:
    """Names and hashes of the files."""
    return json.loads(PINS.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def packaged(file: str) -> Path:
    """A file of a package of the jobs environment, by its path below site-packages."""
    return next((VENV / "jobs" / "lib").glob(f"python3.*/site-packages/{file}"), VENV / "jobs" / "missing" / file)


def require_pinned(path: Path, sha256: str) -> None:
    """Stop set-up unless a file is the pinned one."""
    if not path.exists():
        raise SetupError(f"No {path}: the jobs environment is incomplete.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SetupError(f"{path} is not what {PINS.name} pins: expected {sha256}, found {found}")


def write_models() -> None:
    """Write MiniLM as ONNX beside its tokenizer; both are put in place only when every hash is the pinned one."""
    pinned = pins()
    sources = {name: packaged(pinned[name]["package_file"]) for name in ("weights", "tokenizer")}
    for name, path in sources.items():
        require_pinned(path, pinned[name]["sha256"])
    # Inside .venv, so that the last move stays on one file system.
    folder = VENV / "models.new"
    shutil.rmtree(str(folder), ignore_errors=True)
    folder.mkdir()
    model, tokenizer = folder / pinned["model"]["file"], folder / pinned["tokenizer"]["file"]
    call(VENV / "jobs" / "bin" / "python", CONVERTER, sources["weights"], model)
    require_pinned(model, pinned["model"]["sha256"])
    shutil.copyfile(str(sources["tokenizer"]), str(tokenizer))
    MODELS.mkdir(exist_ok=True)
    for path in (model, tokenizer):
        path.replace(MODELS / path.name)
    shutil.rmtree(str(folder))


def models_step() -> Step:
    """The models as the jobs load them. The lock is in the key because it says which packages bring and write them."""
    makes = [MODELS / pins()[name]["file"] for name in ("model", "tokenizer")]
    key = digest(PINS, CONVERTER, stamp_of("jobs", "lock").read_text(encoding="ascii"))
    return Step("models", stamp_of("jobs", "models"), key, makes, write_models, [])
