"""The feature server on this machine: Feast's own, over the feature repository of this checkout."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

from content_signals.features.store import REPO, feast_environment
from content_signals.local.process import Command, ServiceError
from content_signals.local.service import LOOPBACK, Service, make_folder
from content_signals.settings import PROJECT, Settings


def features_url(settings: Settings) -> str:
    """Where services read features."""
    return f"http://{LOOPBACK}:{settings.features_port}"


def features_service(settings: Settings) -> Service:
    """The feature server as a service."""
    url = features_url(settings)
    program = Path(sys.prefix) / "bin" / "feast"
    folder = Path(settings.var) / "features"
    words = [str(program), "-c", str(REPO), "serve", "-h", LOOPBACK, "-p", str(settings.features_port), "-r", "5"]
    # feature_store.yaml takes its places from the environment.
    own = {**feast_environment(settings), "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **own}
    command = Command("feature-server", [*words, "--no-access-log"], PROJECT, environment, folder / "features.log")

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
        where=url,
        port=settings.features_port,
        ready=lambda: _answers(f"{url}/health"),
        prepare=prepare,
        start_seconds=90,
        stop_seconds=15,
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  the URL is our own
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
