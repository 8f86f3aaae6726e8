"""What set-up adds to the Spark of the jobs environment: the jars that Delta needs, and a class-data archive.

Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterable, NamedTuple
from xml.sax.saxutils import quoteattr

from steps import REQUIREMENTS, ROOT, VENV, SetupError, Step, call, digest, stamp_of

ARCHIVE = VENV / "jobs" / "spark.jsa"
LOGGING = "-Dlog4j2.configurationFile=conf/log4j2.properties"
OLDEST_JAVA = 17


# ---------------------------------------------------------------- java


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
