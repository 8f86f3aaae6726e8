"""Jobs as people run them: processes, by spark-submit, on a lake of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from content_signals.catalog import catalog
from content_signals.lake.layout import Lake, LakeTable
from content_signals.local import services
from content_signals.local.job_process import job_command, job_environment, report_of
from content_signals.settings import PROJECT, Settings
from tests.settings import settings_in

SHARED = PROJECT.parent / "shared" / "data"


@dataclass(frozen=True)
class Done:
    """A job that has ended."""

    code: int
    report: dict[str, Any]
    output: str


@dataclass(frozen=True)
class Platform:
    """A landing folder, a lake and an online store."""

    settings: Settings

    def run(self, job: str, *arguments: str, code: int = 0) -> Done:
        """Run a job to its end; it must end with `code`."""
        done = subprocess.run(
            job_command(job, *arguments),
            cwd=PROJECT,
            env=job_environment(self.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (
            f"{job} {arguments} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-6000:]}"
        )
        # spark-submit sends what a job says on stderr to stdout.
        return Done(done.returncode, report_of(done.stdout), done.stdout + done.stderr)

    def start(self, job: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a job in a process group of its own."""
        return subprocess.Popen(
            job_command(job, *arguments), cwd=PROJECT, env=job_environment(self.settings), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def build(self, table: str, *days: str, run_id: str = "") -> None:
        """Extract, validate and promote."""
        run = ["--run-id", run_id] if run_id else []
        for job in ("extract_signals", "validate_signals", "promote_signals"):
            self.run(job, "--table", table, *days, *run)

    def table(self, name: str) -> LakeTable:
        """A table of the lake."""
        return Lake(self.settings.lake).of(catalog().any(name))

    def copy(self, folder: Path) -> Platform:
        """The same landing, and a copy of the lake."""
        shutil.copytree(self.settings.lake, folder / "lake")
        return Platform(self.settings.model_copy(update={"lake": str(folder / "lake")}))


def kill(process: subprocess.Popen[bytes], how: int = signal.SIGKILL) -> None:
    """Signal a job and all it started."""
    os.killpg(process.pid, how)
    if how == signal.SIGKILL:
        process.wait()


def wait_for(
    condition: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 120, every: float = 0.005
) -> None:
    """Wait until something has happened while the job runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the job ended before it could be interrupted"
        assert time.monotonic() < deadline, "the job did not get that far"
        time.sleep(every)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path: a socket's may not be as long as pytest's own."""
    with tempfile.TemporaryDirectory(prefix="cs-e2e-") as name:
        yield Path(name)


def platform_in(folder: Path, landing: Path) -> Platform:
    """A platform with nothing built yet."""
    return Platform(settings_in(folder, landing=str(landing)))


@pytest.fixture(scope="session")
def online(short_folder: Path) -> Iterator[None]:
    """A Valkey for the platforms of this session."""
    settings = platform_in(short_folder, SHARED).settings
    services.up(settings, airflow=False, features=False)
    yield
    services.down(settings)
