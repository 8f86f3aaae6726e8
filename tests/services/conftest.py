"""An online store of its own for the tests that write to one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from content_signals.features.store import online_client
from content_signals.local import services
from tests.settings import settings_in


@pytest.fixture(scope="session")
def store_settings():
    with tempfile.TemporaryDirectory(prefix="cs-store-") as name:  # a socket's path must be short
        settings = settings_in(Path(name))
        services.up(settings, airflow=False, features=False, say=lambda _: None)
        yield settings
        services.down(settings, say=lambda _: None)


@pytest.fixture
def store(store_settings):
    """A client of the store, which is empty."""
    client = online_client(store_settings)
    client.flushall()
    yield client
    client.close()
