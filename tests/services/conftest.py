"""An online store of its own for the tests that write to one: the embedded Valkey, or Debian's redis-server."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from content_signals.features.store import online_client
from tests.servers import redis_server
from tests.settings import settings_in
from tests.stores import running_store

BOTH_STORES = pytest.mark.parametrize("store_settings", ["valkey", "redis-server"], indirect=True)


@pytest.fixture(scope="session")
def store_settings(request):
    with tempfile.TemporaryDirectory(prefix="cs-store-") as name:  # a socket's path must be short
        settings = settings_in(Path(name))
        if getattr(request, "param", "valkey") == "redis-server":
            with redis_server() as url:
                yield settings.model_copy(update={"online_store": SecretStr(url)})
            return
        with running_store(settings):
            yield settings


@pytest.fixture
def store(store_settings):
    """A client of the store, which is empty."""
    client = online_client(store_settings)
    client.flushall()
    yield client
    client.close()
