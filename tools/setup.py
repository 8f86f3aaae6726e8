"""Set up everything that content-signals needs on this machine, under .venv in the repository.

    python3 tools/setup.py [--test]

Checks what must be there already and names all that is missing before anything is installed. Then installs, in this
order: uv; the jobs environment and the Airflow environment from their hashed locks; the package itself into both; the
jars that Delta needs, compared with pinned hashes; and a class-data archive with which Spark starts in about half the
time. `--test` installs the test tools too.

Each step leaves a stamp that names exactly what it was made from, written when the step is finished. A step whose stamp
still fits is skipped, so that running this again takes a moment, and a run that was stopped anywhere is simply
repeated.

The syntax is kept such that an old Python 3 can parse this file and say that it is too old.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple, NoReturn
from xml.sax.saxutils import quoteattr

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
UV = VENV / "tools" / "bin" / "uv"
ARCHIVE = VENV / "jobs" / "spark.jsa"

LOGGING = "-Dlog4j2.configurationFile=conf/log4j2.properties"

OLDEST_PYTHON = (3, 11)
OLDEST_JAVA = 17
USAGE = 64
FAILED = 1


class SetupError(Exception):
    """A step could not be finished; the text says why and what to do."""


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


def java_command() -> str:
    """The java that Spark will start: JAVA_HOME's when it is set, else the first on the path."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def java_version() -> str | None:
    """What `java -version` prints, or None where there is no java to run."""
    try:
        command = [java_command(), "-version"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode(errors="replace")


def java_problem() -> str:
    """What is wrong with this machine's Java, or nothing."""
    wanted = f"a Java runtime, {OLDEST_JAVA} or newer"
    text = java_version()
    if text is None:
        if os.environ.get("JAVA_HOME"):
            return f"{wanted}: JAVA_HOME is set, but {java_command()} does not run; correct or unset it."
        return f"{wanted}."
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    if found is None or int(found.group(1)) < OLDEST_JAVA:
        first_line = text.strip().splitlines()[0] if text.strip() else "an unknown version"
        return f"{wanted}: {java_command()} is {first_line}."
    return ""


# ---------------------------------------------------------------- steps and stamps


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


# ---------------------------------------------------------------- environments


def this_python() -> str:
    """The Python that the environments are made from. Another build of the same one need not make them anew."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def stamp_of(name: str, what: str) -> Path:
    """Where an environment keeps the stamp of one of its steps."""
    return VENV / name / f".stamp-{what}"


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


# ---------------------------------------------------------------- jars


class Jar(NamedTuple):
    """A jar as requirements/jars.txt pins it."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name under which it is fetched and kept."""
        return f"{self.artifact}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """The jars in requirements/jars.txt."""
    jars = []
    for line in (REQUIREMENTS / "jars.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = re.match(r"^([^:\s]+):([^:\s]+):([^:\s]+) sha256:([0-9a-f]{64})$", line.strip())
        if found is None:
            raise SetupError(f"requirements/jars.txt: not `group:artifact:version sha256:HEX`: {line}")
        jars.append(Jar(*found.groups()))
    return jars


def spark_home() -> Path:
    """The folder of the Spark that the jobs environment holds."""
    return next((VENV / "jobs" / "lib").glob("python3.*/site-packages/pyspark"), VENV / "jobs" / "no-pyspark")


def ivy_module(jars: Iterable[Jar]) -> str:
    """The jars as an Ivy module: exactly these, nothing that they depend on."""
    lines = [
        f"<dependency org={quoteattr(jar.group)} name={quoteattr(jar.artifact)} rev={quoteattr(jar.version)} "
        'transitive="false" conf="default-&gt;master"/>'
        for jar in jars
    ]
    return (
        '<ivy-module version="2.0"><info organisation="content-signals" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def fetch_jars(jars: list[Jar], folder: Path) -> None:
    """Download jars into a folder with the Ivy that Spark ships, so that no Maven has to be installed."""
    ivy = next((spark_home() / "jars").glob("ivy-*.jar"), None)
    if ivy is None:
        raise SetupError(f"No Ivy in {spark_home() / 'jars'}: the jobs environment is incomplete.")
    module = folder / "ivy.xml"
    module.write_text(ivy_module(jars), encoding="utf-8")
    where = ["-ivy", module, "-cache", folder / "cache", "-retrieve", f"{folder}/[artifact]-[revision].[ext]"]
    call(java_command(), "-jar", ivy, *where, "-types", "jar", "bundle")


def install_jars() -> None:
    """Fetch the jars that are not in Spark's folder yet; copy them there only when every hash is the pinned one."""
    target = spark_home() / "jars"
    wanted = [jar for jar in pinned_jars() if not _is_pinned(target / jar.file, jar)]
    if not wanted:
        return
    # Inside .venv, so that the last move stays on one file system.
    folder = VENV / "jars.new"
    shutil.rmtree(str(folder), ignore_errors=True)
    folder.mkdir()
    fetch_jars(wanted, folder)
    wrong = [_mismatch(folder / jar.file, jar) for jar in wanted if not _is_pinned(folder / jar.file, jar)]
    if wrong:
        raise SetupError("Not what requirements/jars.txt pins; nothing was copied:\n  " + "\n  ".join(wrong))
    for jar in wanted:
        (folder / jar.file).replace(target / jar.file)
    shutil.rmtree(str(folder))


def _is_pinned(path: Path, jar: Jar) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def _mismatch(path: Path, jar: Jar) -> str:
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "nothing"
    return f"{jar.file}: expected {jar.sha256}, found {found}"


def jars_step() -> Step:
    """The jars in Spark's own folder: found there, a session starts in a third of the time of any other way."""
    makes = [spark_home() / "jars" / jar.file for jar in pinned_jars()]
    key = digest(REQUIREMENTS / "jars.txt", str(spark_home()))
    return Step("Delta's jars", stamp_of("jobs", "jars"), key, makes, install_jars, [])


# ---------------------------------------------------------------- class-data archive


def make_archive() -> None:
    """Run a small job and have its JVM keep the classes that it loaded."""
    unfinished = ARCHIVE.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    python = str(VENV / "jobs" / "bin" / "python")
    env = dict(os.environ, SPARK_HOME=str(spark_home()), PYSPARK_PYTHON=python, PYSPARK_DRIVER_PYTHON=python)
    env.pop("SPARK_CONF_DIR", None)  # a folder with files on the class path forbids the archive
    said = call(
        spark_home() / "bin" / "spark-submit",
        "--properties-file",
        "conf/spark.conf",
        "--conf",
        f"spark.driver.defaultJavaOptions=-XX:ArchiveClassesAtExit={unfinished} {LOGGING}",
        "tools/warm_up.py",
        env=env,
    )
    if not unfinished.exists():
        raise SetupError("Spark ran, but Java left no class-data archive. It said:\n" + said)
    unfinished.replace(ARCHIVE)


def archive_step() -> Step:
    """The archive fits one Java and one set of jars, compared as the JVM does: by their paths, sizes and times."""
    jars = sorted((spark_home() / "jars").glob("*.jar"))
    facts = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in jars]
    key = digest(java_command(), java_version(), ROOT / "tools" / "warm_up.py", *facts)
    return Step("class-data archive for Spark", stamp_of("jobs", "archive"), key, [ARCHIVE], make_archive, [])


# ---------------------------------------------------------------- all of it


def steps(test: bool) -> Iterator[Step]:
    """The steps in order; each is worked out only when the ones before it are in place."""
    yield tools_step()
    for name in ("jobs", "airflow"):
        yield environment_step(name, test)
        yield package_step(name)
    yield jars_step()
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
            for step in steps(test):
                perform(step)
    except SetupError as error:
        fail(FAILED, f"\nSet-up stopped: {error}\nWhat is finished stays; run it again to go on.")
    except KeyboardInterrupt:
        fail(130, "\nSet-up was interrupted. What is finished stays; run it again to go on.")
    print(f"Ready in {time.monotonic() - started:.1f} s.")


if __name__ == "__main__":
    main()
