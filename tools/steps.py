"""Steps of set-up: each leaves a stamp when it is finished, and is skipped as long as the stamp fits.

Standard library only.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path
from typing import Callable, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"


class SetupError(Exception):
    """A step could not be finished; the text says why and what to do."""


class Step(NamedTuple):
    """One thing to put in place: `key` says what it is made from; `makes` must exist for it to be finished."""

    title: str
    stamp: Path
    key: str
    makes: list[Path]
    run: Callable[[], None]
    undoes: list[Path]  # stamps of the steps that have to follow once this one has run


def digest(*parts: object) -> str:
    """One SHA-256 over some texts, and over the contents of files given as paths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def in_place(step: Step) -> bool:
    """Whether the step was finished from the same things as now."""
    try:
        stamped = step.stamp.read_text(encoding="ascii")
    except OSError:
        return False
    return stamped == step.key and all(path.exists() for path in step.makes)


def perform(step: Step) -> None:
    """Run the step unless it is in place, and print its time. The stamp comes last."""
    print(f"  {step.title:<40}", end="", flush=True)
    if in_place(step):
        print("in place")
        return
    started = time.monotonic()
    for stamp in [step.stamp, *step.undoes]:
        stamp.unlink(missing_ok=True)
    step.run()
    unfinished = step.stamp.with_suffix(".new")
    unfinished.write_text(step.key, encoding="ascii")
    unfinished.replace(step.stamp)
    print(f"{time.monotonic() - started:6.1f} s")


def call(*command: object, env: dict[str, str] | None = None) -> str:
    """Run a program from the repository's root and return its output; on failure show all that it said."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=str(ROOT),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # it shares the lock: when only this script is killed, the next set-up waits for the program
    )
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise SetupError(f"{' '.join(words)}\nfailed with exit code {done.returncode}:\n{text.rstrip()}")
    return text


def stamp_of(name: str, what: str) -> Path:
    """Where an environment keeps the stamp of one of its steps."""
    return VENV / name / f".stamp-{what}"
