"""A lake of good days, judged and promoted by the platform itself; each fault gets a copy of it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from content_signals.alerts.alerts import Alerts, utc_now
from content_signals.alerts.message import Message
from content_signals.alerts.records import Records
from content_signals.alerts.send import Delivery
from content_signals.catalog import catalog
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.context import Context
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.validate import validate
from tests.faults.good_days import EARLIER, digest_of, good_rows
from tests.faults.report import pytest_addoption, pytest_runtest_logreport, pytest_sessionfinish
from tests.lake import stage_of
from tests.settings import settings_in
from tests.spark.conftest import spark

__all__ = ["pytest_addoption", "pytest_runtest_logreport", "pytest_sessionfinish", "spark"]


@dataclass
class Owner:
    """Who gets the alerts: keeps them, without the wait of a second process."""

    told: list[Message] = field(default_factory=list)

    def deliver(self, message: Message) -> list[Delivery]:
        self.told.append(message)
        return [Delivery("owner (1)")]


@pytest.fixture
def owner(monkeypatch):
    found = Owner()

    def alerts(urls, lake, known, say):
        records = Records(lake.root, utc_now, sleep=lambda seconds: None)
        return Alerts(urls, lake, known, say, deliver=found.deliver, records=records)

    monkeypatch.setattr("content_signals.pipeline.told.Alerts", alerts)
    return found


def context_in(folder: Path) -> Context:
    settings = settings_in(folder)
    return Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)


@pytest.fixture(scope="session")
def good_lake(spark, tmp_path_factory) -> Callable[[str], Context]:
    """The lake of one table's good days, made when it is first asked for."""

    @functools.cache
    def of(name: str) -> Context:
        context = context_in(tmp_path_factory.mktemp(name))
        table = context.catalog.table(name)
        for day in EARLIER:
            rows = good_rows(name, day)
            stage_of(context.lake.of(table), day, rows, digest=digest_of(rows))
        judged = validate(context, spark, table, EARLIER, None)
        assert judged.verdict == "passed", f"a good day raised a false alarm: {judged}"
        assert promote_days(context, table, EARLIER, None).days == EARLIER
        return context

    return of


@pytest.fixture
def lake_of(good_lake, tmp_path) -> Callable[[str], Context]:
    """A table's lake of good days, for one test to damage."""

    def copy(name: str) -> Context:
        shutil.copytree(good_lake(name).settings.lake, tmp_path / "lake")
        return context_in(tmp_path)

    return copy


def next_day(context: Context) -> Context:
    """The same lake, in a later run."""
    return replace(context, run=start_run())
