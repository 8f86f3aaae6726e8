"""Train and sign the model of classes.

    python -m content_signals.signals.audio_clip.train --data FOLDER --key KEY.pem

KEY.pem is an Ed25519 private key (`openssl genpkey -algorithm ed25519 -out KEY.pem`). The three files go to `models/`,
and the public key that is printed into `classes.py`, where a review sees it. How good it is: `python -m
benchmarks.audio_clip`, which fits the same model without the groups that it is judged on.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from content_signals.errors import UsageError
from content_signals.models import voice
from content_signals.models.signed import write_signed
from content_signals.models.voice import voice_detector
from content_signals.signals.audio_clip.classes import CLASSES, FEATURES, MODEL, Doubles, features_of
from content_signals.signals.audio_clip.corpus import Example, examples
from content_signals.signals.audio_clip.spectrum import frames_of

STRENGTH = 0.3  # of scikit-learn's C: features are few, groups too; nothing was tuned on it


def described(found: Sequence[Example]) -> tuple[list[Example], Doubles]:
    """Those that are not silent, and their features, [examples, features]."""
    rows = [(example, features_of(frames_of(example.samples), _speech(example))) for example in found]
    heard = [(example, features) for example, features in rows if features is not None]
    return [example for example, _ in heard], np.array([features for _, features in heard])


def _speech(example: Example) -> NDArray[np.float32]:
    return voice_detector().probabilities(example.samples)


def fit(features: Doubles, found: Sequence[Example]) -> dict[str, Any]:
    """The model as `Classifier` reads it. Every class weighs as much as another, and in it every group."""
    labels = np.array([example.label for example in found])
    weights = group_weights(found)
    mean = np.average(features, axis=0, weights=weights)
    scale = np.sqrt(np.average(np.square(features - mean), axis=0, weights=weights))
    regression = LogisticRegression(C=STRENGTH, max_iter=5_000)
    regression.fit((features - mean) / scale, labels, sample_weight=weights)
    order = [list(regression.classes_).index(name) for name in CLASSES]
    return {
        "classes": list(CLASSES),
        "features": list(FEATURES),
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "weights": regression.coef_[order].tolist(),
        "bias": regression.intercept_[order].tolist(),
    }


def group_weights(found: Sequence[Example]) -> Doubles:
    """One a example, 1 on average: a speaker of a hundred words counts as much as one of ten."""
    sizes = Counter((example.label, example.group) for example in found)
    groups = Counter(label for label, _ in sizes)
    weights = np.array([1 / (groups[e.label] * sizes[e.label, e.group]) for e in found])
    scaled: Doubles = weights * (len(found) / weights.sum())
    return scaled


def main(given: Sequence[str] | None = None) -> None:
    """Train on all clips, write, sign, say the key."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with music, speech and environment")
    parser.add_argument("--key", type=Path, required=True, help="an Ed25519 private key, PEM")
    parser.add_argument("--out", type=Path, default=MODEL.folder, help="where the three files go")
    arguments = parser.parse_args(given)
    key = load_pem_private_key(arguments.key.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{arguments.key} is no Ed25519 key", next_step="openssl genpkey -algorithm ed25519")
    landed = examples(arguments.data)
    found, features = described([*landed, *(example.equalised() for example in landed)])
    facts = {
        "command": "python -m content_signals.signals.audio_clip.train",
        "examples": dict(sorted(Counter(example.label for example in found).items())),
        "groups": dict(sorted(Counter(label for label, _ in {(e.label, e.group) for e in found}).items())),
        "voice": voice.MODEL_ID,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
    signer = write_signed(arguments.out, MODEL.name, fit(features, found), facts, key)
    print(f"wrote {arguments.out}/{MODEL.name}.json; its signer, for classes.py: {signer}")


if __name__ == "__main__":
    main()
