"""Feast's own servers as services of this machine, over the feature repository of this checkout."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from content_signals.features.store import REPO, feast_environment
from content_signals.local.process import Command, ServiceError
from content_signals.local.service import LOOPBACK, Service, make_folder
from content_signals.settings import PROJECT, Settings


def feast_service(
    settings: Settings, name: str, verb: str, port: int, *, ready: str, options: Sequence[str] = ()
) -> Service:
    """`feast VERB`, listening on the loopback alone; `ready` is the path that answers once it is up."""
    program = Path(sys.prefix) / "bin" / "feast"
    folder = Path(settings.var) / "features"
    words = [str(program), "-c", str(REPO), verb, "-h", LOOPBACK, "-p", str(port), *options]
    # feature_store.yaml takes its places from the environment.
    own = {**feast_environment(settings), "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    command = Command(name, words, PROJECT, {**os.environ, **own}, folder / f"{verb}.log")

    def prepare() -> None:
        for needed in (program, REPO / "feature_store.yaml"):
            if not needed.exists():
                raise ServiceError(f"there is no {needed}", next_step="make setup")
        make_folder(folder)
        registry = settings.registry.get_secret_value()
        if registry.startswith("sqlite:///"):
            make_folder(Path(registry.removeprefix("sqlite:///")).parent)

    return Service(
        command,
        where=f"http://{LOOPBACK}:{port}",
        port=port,
        ready=lambda: _answers(f"http://{LOOPBACK}:{port}{ready}"),
        prepare=prepare,
        start_seconds=90,
        stop_seconds=15,
    )


def features_service(settings: Settings) -> Service:
    """Feast's feature server: features over HTTP. It looks for changes of the registry every 5 seconds."""
    options = ("-r", "5", "--no-access-log")
    return feast_service(settings, "feature-server", "serve", settings.features_port, ready="/health", options=options)


def feast_ui_service(settings: Settings) -> Service:
    """Feast's own UI: what is registered, and what is made of what."""
    return feast_service(settings, "feast-ui", "ui", settings.feast_ui_port, ready="/projects-list.json")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  the URL is our own
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
