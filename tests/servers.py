"""Debian's own servers, started on a free port of loopback, for as long as a block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
_SLOTS = 16_384  # of every Redis Cluster


def free_port() -> int:
    """A port nobody listens on."""
    [port] = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """So many ports nobody listens on, each another."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


@contextmanager
def redis_server() -> Iterator[str]:
    """URL of a redis-server that wants a password and a number for its database."""
    port = free_port()
    command = [*_redis(port), "--requirepass", "pass,word"]
    url = f"redis://:pass%2Cword@127.0.0.1:{port}/3"
    with tempfile.TemporaryDirectory() as folder, _running(command, folder, lambda: _pings(url)):
        yield url


@contextmanager
def redis_cluster(password: str, masters: int = 3) -> Iterator[list[redis.Redis]]:
    """A client of each node of a Redis Cluster. Every node is a master; they share the slots and have no replicas."""
    ports = free_ports(2 * masters)  # another for the cluster's own bus: the default is 10000 higher, taken or not
    nodes = [redis.Redis("127.0.0.1", port, password=password) for port in ports[:masters]]
    with ExitStack() as stack:
        for port, bus in zip(ports[:masters], ports[masters:], strict=True):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cs-node-"))
            command = [*_redis(port), "--cluster-enabled", "yes", "--cluster-port", f"{bus}", "--requirepass", password]
            url = f"redis://:{password}@127.0.0.1:{port}"
            stack.enter_context(_running(command, folder, lambda url=url: _pings(url)))
        for place, node in enumerate(nodes):
            first, after = (_SLOTS * n // masters for n in (place, place + 1))
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, after - 1)
            if place:
                nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[place], ports[masters + place])
        _until(lambda: all(_is_joined(node, masters) for node in nodes), "the nodes do not form a cluster")
        yield nodes


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

    def is_there() -> bool:
        assert process.poll() is None, f"{command} ended with {process.returncode}"
        return answers()

    try:
        _until(is_there, f"{command} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(30)


def _until(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def _redis(port: int) -> list[str]:
    binary = shutil.which("redis-server")
    assert binary, "redis-server is not installed: apt-get install redis-server"
    return [binary, "--port", f"{port}", "--bind", "127.0.0.1", "--save", ""]


def _is_joined(node: redis.Redis, nodes: int) -> bool:
    """Whether a node knows all of them, and that somebody answers for every slot."""
    said = node.execute_command("CLUSTER INFO")
    wanted = {"cluster_state": "ok", "cluster_known_nodes": f"{nodes}", "cluster_slots_ok": f"{_SLOTS}"}
    return said.items() >= wanted.items()


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
