"""An online store of its own, alone or with a lake beside it, for as long as a block lasts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from content_signals.catalog import catalog
from content_signals.features import store as feast_store
from content_signals.features.store import online_client
from content_signals.lake.layout import Lake, start_run
from content_signals.local import services
from content_signals.pipeline.context import Context
from content_signals.settings import Settings
from tests.settings import settings_in


@contextmanager
def running_store(settings: Settings) -> Iterator[None]:
    """The Valkey of these settings; their folder is a short one."""
    services.up(settings, airflow=False, features=False, say=lambda _: None)
    try:
        yield
    finally:
        services.down(settings, say=lambda _: None)


@contextmanager
def store_and_lake(name: str) -> Iterator[Context]:
    """A store that runs, and a lake beside it, in a folder of this name: nothing in either."""
    with tempfile.TemporaryDirectory(prefix=f"cs-{name}-") as folder:  # a socket's path must be short
        settings = settings_in(Path(folder))
        with running_store(settings):
            yield Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)


def point_feast(patch: pytest.MonkeyPatch, folder: Path, **entries: str) -> None:
    """Have Feast use the online store that these entries of its file say; the file is written into `folder`."""
    there = (feast_store.REPO / "feature_store.yaml").read_text()
    before, after = there.split("online_store:")[0], there.split("offline_store:")[1]
    lines = "".join(f"  {name}: {value}\n" for name, value in entries.items())
    (folder / "feature_store.yaml").write_text(f"{before}online_store:\n{lines}offline_store:{after}")
    patch.setattr(feast_store, "REPO", folder)


def empty(context: Context) -> None:
    """Leave nothing in the store, nothing in the lake."""
    online_client(context.settings).flushall()
    shutil.rmtree(context.settings.lake, ignore_errors=True)
