"""Services of one machine: real child processes, started, found again and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from content_signals.local import services
from content_signals.local.process import Command, Running, ServiceError, StateFile, start, start_time, stop, wait_ready
from content_signals.local.service import Service, bring_down, bring_up, free_port, port_is_free, status_of
from content_signals.local.valkey import answers, valkey_service
from content_signals.settings import Settings
from tests.settings import with_ports

if not Path("/proc").is_dir():
    pytest.skip("whole families of processes are found through /proc", allow_module_level=True)

SLEEP = "import time; time.sleep(60)"
# Starts a child in a process group of its own, as Airflow does with its tasks, and notes both ids.
FAMILY = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], preexec_fn=lambda: os.setpgid(0, 0))
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's may not be long."""
    with tempfile.TemporaryDirectory(prefix="cs-") as name:
        yield Path(name)


@pytest.fixture
def state(folder: Path) -> Iterator[StateFile]:
    file = StateFile(folder / "run", "thing")
    yield file
    running = file.read()
    if running:
        stop(running, seconds=0)


def command(folder: Path, program: str) -> Command:
    return Command("thing", [sys.executable, "-u", "-c", program], folder, dict(os.environ), folder / "thing.log")


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def started(folder: Path, state: StateFile, program: str) -> Running:
    running, _ = start(command(folder, program), state)
    return running


def said(folder: Path) -> str:
    log = folder / "thing.log"
    wait_for(lambda: log.read_text())
    return log.read_text().strip()


def test_the_whole_family_ends_groups_of_its_own_included(folder: Path, state: StateFile) -> None:
    running = started(folder, state, FAMILY)
    child = int(said(folder))
    assert set(running.family()) == {running.pid, child}
    assert os.getpgid(child) != os.getpgid(running.pid)
    assert bring_down(state, seconds=10)
    assert start_time(running.pid) is None
    assert start_time(child) is None
    assert not bring_down(state, seconds=10), "safe to repeat"


def test_children_are_found_when_the_first_process_was_killed(folder: Path, state: StateFile) -> None:
    running = started(folder, state, FAMILY)
    child = int(said(folder))
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    found = state.read()
    assert found is not None
    assert found.family() == [child]
    assert bring_down(state, seconds=10)
    wait_for(lambda: start_time(child) is None)


def test_what_does_not_listen_is_killed(folder: Path, state: StateFile) -> None:
    running = started(folder, state, STUBBORN)
    said(folder)
    began = time.monotonic()
    stop(running, seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert running.family() == []


def test_a_recycled_process_id_is_never_signalled(folder: Path, state: StateFile) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    try:
        state.write(Running("thing", stranger.pid, "12345", "mark", str(folder / "thing.log")))
        assert state.read() is None
        assert not state.path.exists()
        assert not bring_down(state, seconds=1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stranger_in_a_session_of_the_same_id_is_left_alone(folder: Path, state: StateFile) -> None:
    # A daemon whose session has lost its leader: nothing about it says that it is ours.
    leader = subprocess.Popen([sys.executable, "-u", "-c", FAMILY], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    member = int(leader.stdout.readline())
    leader.kill()
    leader.wait()
    try:
        state.write(Running("thing", leader.pid, "12345", "mark", str(folder / "thing.log")))
        assert state.read() is None
        assert start_time(member) is not None
    finally:
        os.kill(member, signal.SIGKILL)
        leader.stdout.close()


def test_half_a_state_file_is_no_service(state: StateFile) -> None:
    state.path.parent.mkdir()
    state.path.write_text('{"name": "thi')
    assert state.read() is None


def test_a_service_that_ends_at_once_shows_its_log(folder: Path, state: StateFile) -> None:
    running, child = start(command(folder, "raise SystemExit('no such table: dag')"), state)
    with pytest.raises(ServiceError, match=r"exit code 1 instead of starting(.|\n)*no such table: dag"):
        wait_ready(running, child, lambda: False, seconds=10)


def test_a_service_that_never_answers_is_ended(folder: Path, state: StateFile) -> None:
    service = Service(command(folder, SLEEP), "nowhere", lambda: False, start_seconds=0.3, stop_seconds=5)
    with pytest.raises(ServiceError, match="did not answer within 0 s"):
        bring_up(service, state)
    assert state.read() is None
    assert status_of(service, state).state == "stopped"


def test_what_ends_with_this_process_is_not_handed_on(folder: Path, state: StateFile) -> None:
    told = "import os; print(sorted(name for name in os.environ if name.startswith('PROMETHEUS')), flush=True)"
    thing = command(folder, f"{told}; {SLEEP}")
    mine = {"PROMETHEUS_MULTIPROC_DIR": f"{folder}/feast_metrics_x", "PROMETHEUS_KEPT": str(folder)}
    thing = replace(thing, environment={**thing.environment, **mine})
    running, child = start(thing, state)
    wait_ready(running, child, lambda: bool(thing.log.read_text()), seconds=10)
    assert thing.log.read_text() == "['PROMETHEUS_KEPT']\n"


def test_up_attaches_to_what_runs(folder: Path, state: StateFile) -> None:
    port = free_port()
    server = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    service = Service(
        command(folder, server), "here", lambda: not port_is_free(port), start_seconds=10, stop_seconds=5, port=port
    )
    first = bring_up(service, state)
    assert (first.state, first.pid) == ("running", bring_up(service, state).pid)
    assert bring_down(state, seconds=5)
    assert port_is_free(port)


def test_a_port_held_by_a_stranger_is_named(folder: Path, state: StateFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        service = Service(command(folder, SLEEP), "here", lambda: True, start_seconds=1, stop_seconds=1, port=port)
        with pytest.raises(ServiceError, match=f"port {port}, which thing needs, is in use by a program that was not"):
            bring_up(service, state)
    assert state.read() is None


def settings(folder: Path, store: str | None = None) -> Settings:
    changes = {"online_store": store} if store else {}
    return with_ports(folder, var=str(folder), **changes)


def ask(folder: Path, *lines: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "valkey.sock"))
        client.sendall("".join(f"{line}\r\n" for line in lines).encode())
        return client.recv(100)


def test_the_store_keeps_its_data_over_a_restart(folder: Path) -> None:
    here, lines = settings(folder), list[str]()
    try:
        for _ in range(2):
            services.up(here, airflow=False, features=False, say=lines.append)
        assert len({status.pid for status in services.status(here) if status.name == "valkey"}) == 1
        assert ask(folder, "SET track 7") == b"+OK\r\n"
        services.down(here, say=lines.append)
        assert not answers(folder / "valkey.sock")
        services.down(here, say=lines.append)
        services.up(here, airflow=False, features=False, say=lines.append)
        assert ask(folder, "GET track") == b"$1\r\n7\r\n"
    finally:
        services.down(here, say=lines.append)
    assert [status.state for status in services.status(here)] == ["stopped"] * 4


def test_a_store_started_by_others_is_used_and_never_stopped(folder: Path) -> None:
    here = settings(folder)
    service = valkey_service(here)
    assert service is not None
    service.prepare()
    other = subprocess.Popen(list(service.command.words), stdout=subprocess.DEVNULL)
    try:
        wait_for(service.ready)
        (status,) = services.up(here, airflow=False, features=False, say=lambda _: None)
        assert status.state == "external"
        services.down(here, say=lambda _: None)
        assert other.poll() is None
    finally:
        other.terminate()
        other.wait(timeout=10)


def test_a_store_named_by_the_settings_is_not_started(folder: Path) -> None:
    assert valkey_service(settings(folder, "redis://store.example:6379/0")) is None


def test_a_socket_path_too_long_is_refused_with_a_way_out(folder: Path) -> None:
    here = settings(folder, f"unix://{folder}/{'x' * 120}/valkey.sock")
    with pytest.raises(ServiceError, match=r"107 bytes(.|\n)*CONTENT_SIGNALS_ONLINE_STORE=unix:///tmp"):
        services.up(here, airflow=False, features=False, say=lambda _: None)
