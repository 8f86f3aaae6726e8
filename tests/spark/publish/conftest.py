"""A store and a lake beside it, days to build, and publications of the newest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from content_signals.features.store import online_client
from content_signals.lake.layout import start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.pipeline.publish import publish
from tests.faults.good_days import TITLE
from tests.spark.publish.days import Days
from tests.stores import empty, store_and_lake


@pytest.fixture(scope="module")
def running() -> Iterator[Context]:
    """A store, and a lake beside it."""
    with store_and_lake("publish") as context:
        yield context


@pytest.fixture
def platform(running: Context) -> Context:
    """Nothing in the store, nothing in the lake; what is said is kept."""
    online_client(running.settings).config_set("maxmemory", 0)
    empty(running)
    said: list[str] = []
    made = replace(running, say=said.append)
    object.__setattr__(made, "said", said)
    return made


@pytest.fixture
def table(platform):
    return platform.catalog.table(TITLE)


@pytest.fixture
def days(platform) -> Days:
    return Days(platform)


@pytest.fixture
def send(platform, table, spark):
    """Publish the newest day; its counts."""

    def run(day: date | None = None, **options: bool) -> dict:
        newest = day or Snapshot(platform.lake.of(table)).days[-1]
        return publish(replace(platform, run=start_run()), spark, table, [newest], **options).details

    return run
