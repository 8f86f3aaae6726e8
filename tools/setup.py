"""Set up everything that content-signals needs on this machine, under .venv in the repository.

    python3 tools/setup.py [--test]

Checks what must be there already and names all that is missing before anything is installed. Then installs, in this
order: uv; the jobs environment and the Airflow environment from their hashed locks; the package itself into both; the
jars that Delta needs and the models, compared with pinned hashes; and a class-data archive with which Spark starts in
about half the time. `--test` installs the test tools too.

Each step leaves a stamp that names exactly what it was made from, written when the step is finished. A step whose stamp
still fits is skipped, so that running this again takes a moment, and a run that was stopped anywhere is simply
repeated.

Standard library only, here and in the modules beside it that this one imports. Their syntax is kept such that an old
Python 3 can parse them and say that it is too old.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib.util
import os
import shutil
import sys
import time
from typing import Iterator, NoReturn

from model_files import models_step
from spark_files import archive_step, jars_step, java_problem
from steps import REQUIREMENTS, ROOT, VENV, SetupError, Step, call, digest, perform, stamp_of

UV = VENV / "tools" / "bin" / "uv"

OLDEST_PYTHON = (3, 11)
USAGE = 64
FAILED = 1


# ---------------------------------------------------------------- what must be there before


def missing_prerequisites() -> list[str]:
    """One line for each thing that this machine lacks, with the package that brings it."""
    missing = []
    if sys.version_info < OLDEST_PYTHON:
        missing.append(
            f"Python 3.11 or newer: {sys.executable} is {sys.version.split()[0]}. Debian and Ubuntu: python3.11 and "
            "python3.11-venv; then say which one: make demo PYTHON=python3.11"
        )
    elif importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        missing.append("Python's venv module with pip. Debian and Ubuntu: python3-venv")
    java = java_problem()
    if java:
        missing.append(f"{java} Debian and Ubuntu: openjdk-17-jre-headless")
    for command in ("make", "git"):
        if shutil.which(command) is None:
            missing.append(f"{command}. Debian and Ubuntu: {command}")
    return missing


# ---------------------------------------------------------------- environments


def this_python() -> str:
    """The Python that the environments are made from. Another build of the same one need not make them anew."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def tools_step() -> Step:
    """uv, pinned, in an environment of its own: it makes and fills the others."""
    lock = REQUIREMENTS / "tools.txt"
    folder = VENV / "tools"

    def run() -> None:
        call(sys.executable, "-m", "venv", "--clear", folder)
        call(folder / "bin" / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", lock)

    return Step("uv", stamp_of("tools", "lock"), digest(lock, this_python()), [UV], run, [])


def has_test_tools(name: str) -> bool:
    """Whether an environment was last filled with its test tools too."""
    return stamp_of(name, "test").exists()


def environment_step(name: str, test: bool) -> Step:
    """One environment, exactly as its lock says. Test tools, once installed, stay."""
    locks = [REQUIREMENTS / f"{name}.txt"]
    if test or has_test_tools(name):
        locks.append(REQUIREMENTS / f"{name}-test.txt")
    python = VENV / name / "bin" / "python"

    def run() -> None:
        # An environment of another Python, or one whose filling was cut short, is made anew; a good one is only
        # brought up to date, which takes a second or two.
        filled_by = stamp_of(name, "python")
        if not python.exists() or not filled_by.exists() or filled_by.read_text(encoding="ascii") != this_python():
            call(UV, "venv", "-q", "--clear", "--python", sys.executable, VENV / name)
        filled_by.unlink(missing_ok=True)
        if len(locks) > 1:
            stamp_of(name, "test").touch()
        # Compiled now, within the time shown, and not at the first start of each job.
        call(UV, "pip", "sync", "-q", "--compile-bytecode", "--python", python, "--require-hashes", *locks)
        filled_by.write_text(this_python(), encoding="ascii")

    title = f"{name} environment" + (", with test tools" if len(locks) > 1 else "")
    # A sync removes whatever is not in the locks, so the package itself has to be installed again after it.
    undoes = [stamp_of(name, "package")]
    return Step(title, stamp_of(name, "lock"), digest(*locks, this_python(), str(VENV)), [python], run, undoes)


def package_step(name: str) -> Step:
    """This repository's package, editable, in an environment."""
    python = VENV / name / "bin" / "python"

    def run() -> None:
        call(UV, "pip", "install", "-q", "--python", python, "--no-deps", "--no-build-isolation", "-e", ROOT)

    # The package's folder is in the key because an editable install finds the folders that are there when it is made.
    declared = digest(ROOT / "setup.py", (ROOT / "content_signals").is_dir(), str(ROOT))
    makes = [VENV / name / "bin" / "content-signals"]
    return Step(f"content-signals in {name}", stamp_of(name, "package"), declared, makes, run, [])


# ---------------------------------------------------------------- all of it


def all_steps(test: bool) -> Iterator[Step]:
    """The steps in order; each is worked out only when the ones before it are in place."""
    yield tools_step()
    for name in ("jobs", "airflow"):
        yield environment_step(name, test)
        yield package_step(name)
    yield jars_step()
    yield models_step()
    yield archive_step()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for another set-up of the same repository; the lock goes with its processes, however they end."""
    VENV.mkdir(exist_ok=True)
    with (VENV / ".lock").open("w", encoding="ascii") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running here; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fail(code: int, text: str) -> NoReturn:
    """Stop with a message."""
    print(text, file=sys.stderr)
    raise SystemExit(code)


def main() -> None:
    """Check, then set up."""
    parser = argparse.ArgumentParser(description="Set up everything content-signals needs, under .venv.")
    parser.add_argument("--test", action="store_true", help="install the test tools too")
    test = parser.parse_args().test
    missing = missing_prerequisites()
    if missing:
        fail(USAGE, "Nothing was installed. Missing on this machine:\n  - " + "\n  - ".join(missing))
    started = time.monotonic()
    print(f"Setting up {VENV}")
    try:
        with alone():
            for step in all_steps(test):
                perform(step)
    except SetupError as error:
        fail(FAILED, f"\nSet-up stopped: {error}\nWhat is finished stays; run it again to go on.")
    except KeyboardInterrupt:
        fail(130, "\nSet-up was interrupted. What is finished stays; run it again to go on.")
    print(f"Ready in {time.monotonic() - started:.1f} s.")


if __name__ == "__main__":
    main()
