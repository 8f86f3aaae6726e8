"""Settings of a platform of its own, for one test or for many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from content_signals.local.service import free_port
from content_signals.settings import Settings


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings with everything below `folder`. A store starts only in a short one: a socket's path has a limit."""
    given: dict[str, Any] = {
        "landing": str(folder / "landing"),
        "lake": str(folder / "lake"),
        "online_store": f"unix://{folder}/valkey.sock",
        "registry": f"sqlite:///{folder}/feast/registry.db",
        "var": str(folder / "var"),
    }
    return Settings(**given | changes)


def with_ports(folder: Path, **changes: Any) -> Settings:
    """The same, with ports that are free now: nothing else on this machine is in the way."""
    ports = {name: free_port() for name in ("airflow_port", "features_port", "feast_ui_port")}
    return settings_in(folder, **ports | changes)
