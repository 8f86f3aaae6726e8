"""Child processes that outlive the command that started them: started, found again, and ended, whole families at once.

A service gets a session of its own, so that whatever it starts can be found: Airflow moves its tasks into process
groups of their own, and leaves its components behind when only its first process is signalled. A state file holds the
process id with the process's start time, because the system gives ids out again: nothing is ever signalled that was not
started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from content_signals.errors import Temporary

PROC = Path("/proc")
MARK = "CONTENT_SIGNALS_SERVICE_MARK"
LOG_TAIL_LINES = 15
POLL_SECONDS = 0.1
# After SIGKILL only the kernel's own bookkeeping is left to wait for.
KILL_SECONDS = 10.0


class ServiceError(Temporary):
    """A local service did not start or stop."""


@dataclass(frozen=True)
class Command:
    """How a service is started."""

    name: str
    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path


@dataclass(frozen=True)
class Running:
    """A started service, as its state file keeps it.

    Attributes:
        pid: its first process, which leads the session.
        started: that process's start time, as the system counts it.
        mark: random word in the environment of everything the service starts.
        log: file of its output.
    """

    name: str
    pid: int
    started: str
    mark: str
    log: str

    def alive(self) -> bool:
        """Whether the first process is still there."""
        return start_time(self.pid) == self.started

    def family(self) -> list[int]:
        """Every process of the service; empty when none is left, or when the id belongs to somebody else by now."""
        members = self.session()
        # A session lives on under its id after its leader has ended. Then one member that bears the mark vouches for
        # it; some cannot, because renaming themselves has overwritten their environment.
        return members if self.alive() or any(self._marked(pid) for pid in members) else []

    def session(self) -> list[int]:
        """The members of the session of this id, whoever it belongs to."""
        if not PROC.is_dir():
            return [self.pid] if self.alive() else []
        return [pid for pid in _processes() if _session(pid) == self.pid and not _is_zombie(pid)]

    def _marked(self, pid: int) -> bool:
        try:
            return f"{MARK}={self.mark}".encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


class StateFile:
    """Remembers what was started under a name."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"

    def read(self) -> Running | None:
        """What runs under this name, or None; a file about a service that has ended is removed."""
        try:
            running = Running(**json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # half a file, from a machine that went down
            self.clear()
            return None
        if running.family():
            return running
        self.clear()
        return None

    def write(self, running: Running) -> None:
        """Remember it, all or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(running)), "utf-8")
        unfinished.replace(self.path)

    def clear(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)


def start(command: Command, state: StateFile) -> tuple[Running, subprocess.Popen[bytes]]:
    """Start a service in a session of its own, its output in its log, and remember it."""
    mark = secrets.token_hex(8)
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("ab") as log:
        child = subprocess.Popen(
            list(command.words),
            cwd=command.folder,
            env={**_lasting(command.environment), MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(command.name, child.pid, start_time(child.pid) or "", mark, str(command.log))
    state.write(running)
    return running, child


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what ends with this process: Feast, when imported, names a metrics folder that it removes at exit."""
    return {name: value for name, value in environment.items() if "/feast_metrics_" not in value}


def wait_ready(running: Running, child: subprocess.Popen[bytes], ready: Callable[[], bool], *, seconds: float) -> None:
    """Wait until the service answers.

    Raises:
        ServiceError: with the end of its log, when it ends before that or takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if child.poll() is not None:
            _fail(running, f"{running.name} ended with exit code {child.returncode} instead of starting")
        if time.monotonic() > deadline:
            _fail(running, f"{running.name} did not answer within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def stop(running: Running, *, seconds: float) -> None:
    """End every process of a service: asked first, killed after `seconds`.

    Raises:
        ServiceError: when a process is left even so.
    """
    if _ended(running, signal.SIGTERM, seconds) or _ended(running, signal.SIGKILL, KILL_SECONDS):
        return
    raise ServiceError(f"processes of {running.name} do not end: {running.family()}", next_step=f"see {running.log}")


def start_time(pid: int) -> str | None:
    """When a process was started, in a form to compare; None when there is no such process, or only its remains."""
    if PROC.is_dir():
        fields = _stat(pid)
        return fields[19] if fields and fields[0] != "Z" else None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def log_tail(path: str, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(Path(path).read_text("utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _ended(running: Running, number: signal.Signals, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    asked: set[int] = set()
    members = running.family()
    while members:
        for pid in members:
            # SIGTERM once each: a second one makes many programs give up their orderly end.
            if pid not in asked or number is signal.SIGKILL:
                _send(pid, number)
                asked.add(pid)
        _reap(running.pid)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
        # No further proof is asked for: the id cannot go to another session while the one just seen has a member.
        members = running.session()
    _reap(running.pid)
    return True


def _send(pid: int, number: signal.Signals) -> None:
    try:
        if PROC.is_dir():
            os.kill(pid, number)
        else:  # no way to list a session's members: the group of its leader has to do
            os.killpg(pid, number)
    except ProcessLookupError:
        pass


def _reap(pid: int) -> None:
    """Take a child of this very process off the system's list; of no effect on anybody else's."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _fail(running: Running, what: str) -> NoReturn:
    raise ServiceError(f"{what}. The end of {running.log}:\n{log_tail(running.log)}", next_step=f"see {running.log}")


def _processes() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on; the second, the name, may hold blanks and parentheses."""
    try:
        return (PROC / str(pid) / "stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return not fields or fields[0] == "Z"
