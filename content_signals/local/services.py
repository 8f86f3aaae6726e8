"""The services of one machine: the online store, Airflow and Feast's servers, brought up and down together."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from content_signals.local.airflow import airflow_service, airflow_url
from content_signals.local.feast_service import feast_ui_service, features_service
from content_signals.local.process import StateFile
from content_signals.local.service import Service, Status, bring_down, bring_up, make_folder, status_of
from content_signals.local.valkey import valkey_service
from content_signals.settings import Settings


def up(
    settings: Settings,
    *,
    airflow: bool = True,
    valkey: bool = True,
    features: bool = True,
    say: Callable[[str], None] = print,
) -> list[Status]:
    """Bring the services up and wait until they answer. Those that run already are attached to.

    Args:
        features: Feast's feature server and its UI.

    Raises:
        ServiceError: naming the service, with the end of its log, or the port that somebody else holds.
    """
    wanted = {"valkey": valkey, "airflow": airflow, "feature-server": features, "feast-ui": features}
    states: list[Status] = []
    with _alone(settings):
        for service in _services(settings):
            if wanted[service.name]:
                status = bring_up(service, _state(settings, service.name))
                say(str(status))
                states.append(status)
    if airflow:
        say(
            f"Airflow's UI: {airflow_url(settings)}\n"
            "ingest_sources and maintain_lake, started by the clock, are paused at first; unpause them for daily use"
        )
    return states


def down(settings: Settings, *, say: Callable[[str], None] = print) -> None:
    """End every service that was started here, each with all its processes. Safe to repeat.

    Raises:
        ServiceError: when a process does not end even when killed.
    """
    with _alone(settings):
        # The online store last: what is being published may still need it.
        for service in reversed(_services(settings)):
            ended = bring_down(_state(settings, service.name), seconds=service.stop_seconds)
            say(f"{service.name:<16} {'stopped' if ended else 'was not running'}")


def status(settings: Settings) -> list[Status]:
    """What runs."""
    return [status_of(service, _state(settings, service.name)) for service in _services(settings)]


@contextmanager
def running(
    settings: Settings, *, airflow: bool = True, valkey: bool = True, features: bool = True
) -> Iterator[list[Status]]:
    """The services for as long as a block lasts; for tests, with a temporary `var` and free ports."""
    try:
        yield up(settings, airflow=airflow, valkey=valkey, features=features)
    finally:
        down(settings)


def _services(settings: Settings) -> list[Service]:
    """The services in the order they are brought up."""
    found = [valkey_service(settings), airflow_service(settings)]
    found += [features_service(settings), feast_ui_service(settings)]
    return [service for service in found if service is not None]


def _state(settings: Settings, name: str) -> StateFile:
    return StateFile(Path(settings.var) / "run", name)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One `up` or `down` at a time for a `var` folder; the lock goes with the process, however it ends."""
    folder = Path(settings.var) / "run"
    make_folder(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
