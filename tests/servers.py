"""Debian's own servers, started on a free port of loopback, for as long as a block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[str]:
    """URL of a redis-server that wants a password and a number for its database."""
    binary = shutil.which("redis-server")
    assert binary, "redis-server is not installed: apt-get install redis-server"
    port = free_port()
    command = [binary, "--port", f"{port}", "--bind", "127.0.0.1", "--save", "", "--requirepass", "pass,word"]
    url = f"redis://:pass%2Cword@127.0.0.1:{port}/3"
    with tempfile.TemporaryDirectory() as folder, _running(command, folder, lambda: _pings(url)):
        yield url


@contextmanager
def postgres() -> Iterator[str]:
    """SQLAlchemy URL of an empty database. PostgreSQL does not run as root: there it runs as Debian's own user."""
    assert _POSTGRES, "PostgreSQL is not installed: apt-get install postgresql"
    folder, port = tempfile.mkdtemp(prefix="cs-pg-"), free_port()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    try:
        if as_user:
            shutil.chown(folder, "postgres", "postgres")
        home, binary = f"{folder}/data", str(_POSTGRES[-1])
        initdb = [str(_POSTGRES[-1].with_name("initdb")), "-D", home, "-U", "signals", "-A", "trust", "--no-sync"]
        subprocess.run([*as_user, *initdb], cwd="/", check=True, capture_output=True)
        options = ["-D", home, "-p", f"{port}", "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        url = f"postgresql+psycopg://signals@127.0.0.1:{port}/postgres"
        with _running([*as_user, binary, *options], "/", lambda: _connects(port)):
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], folder: str, answers: Callable[[], bool]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not answers():
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _pings(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url).ping())
    except redis.ConnectionError:
        return False


def _connects(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=signals dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True
