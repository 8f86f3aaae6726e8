"""One local service: how it is started, when it is ready, and how it is found again."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from content_signals.local.process import Command, Running, ServiceError, StateFile, start, stop, wait_ready

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A service to run on this machine.

    Attributes:
        where: what its users connect to.
        port: TCP port it listens on, loopback only; None for a socket file.
        prepare: run before it is started.
        ready: whether it answers.
        settle: run once it answers, each time it is brought up.
        stop_seconds: how long it may take to end by itself.
    """

    command: Command
    where: str
    ready: Callable[[], bool]
    start_seconds: float
    stop_seconds: float
    port: int | None = None
    prepare: Callable[[], None] = field(default=lambda: None)
    settle: Callable[[], None] = field(default=lambda: None)

    @property
    def name(self) -> str:
        """What it is called in messages and state files."""
        return self.command.name


@dataclass(frozen=True)
class Status:
    """What is known about a service.

    Attributes:
        state: `external` is one that answers but was not started here: it is used, and never stopped.
    """

    name: str
    state: Literal["running", "stopped", "external"]
    where: str
    pid: int | None = None
    log: str = ""

    def __str__(self) -> str:
        process = f", process {self.pid}" if self.pid else ""
        return f"{self.name:<16} {self.state:<9} {self.where}{process}"


def status_of(service: Service, state: StateFile) -> Status:
    """Whether the service runs."""
    running = state.read()
    if running:
        return Status(service.name, "running", service.where, running.pid, running.log)
    if service.port is None and service.ready():
        return Status(service.name, "external", service.where)
    return Status(service.name, "stopped", service.where)


def bring_up(service: Service, state: StateFile) -> Status:
    """Start the service, or attach to it where it runs already.

    Raises:
        ServiceError: when it does not start, or when its port is taken.
    """
    found = status_of(service, state)
    running = state.read()
    if running:
        _wait_attached(service, running)
    elif found.state == "stopped":
        if service.port is not None and not port_is_free(service.port):
            raise ServiceError(
                f"port {service.port}, which {service.name} needs, is in use by a program that was not started here",
                next_step=f"end that program, or choose another port: {_port_setting(service)}",
            )
        service.prepare()
        _start(service, state)
    service.settle()
    return status_of(service, state)


def bring_down(state: StateFile, *, seconds: float) -> bool:
    """End the service if it was started here; whether there was anything to end."""
    running = state.read()
    if running is None:
        return False
    stop(running, seconds=seconds)
    state.clear()
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def make_folder(path: Path) -> None:
    """A folder for this user alone: it holds sockets, secrets and logs."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


def _start(service: Service, state: StateFile) -> None:
    running, child = start(service.command, state)
    try:
        wait_ready(running, child, service.ready, seconds=service.start_seconds)
    except BaseException:
        # Half a service, holding its port and its memory, would only be in the way of the next try.
        stop(running, seconds=service.stop_seconds)
        state.clear()
        raise


def _wait_attached(service: Service, running: Running) -> None:
    deadline = time.monotonic() + service.start_seconds
    while not service.ready():
        if time.monotonic() > deadline or not running.family():
            raise ServiceError(
                f"{service.name} runs (process {running.pid}) but does not answer at {service.where}",
                next_step=f"see {running.log}; then make down && make up",
            )
        time.sleep(0.2)


def _port_setting(service: Service) -> str:
    setting = {"airflow": "airflow_port", "feast-ui": "feast_ui_port"}.get(service.name, "features_port")
    return f"{setting} in the settings file"
