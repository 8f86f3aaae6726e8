"""A retired version is published until it is cleaned up, then no more, until somebody asks for it or reads it again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.features.client import FeatureClient
from content_signals.features.store import feature_store, online_client
from content_signals.features.sweep import rows
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.check_online import check_online
from content_signals.pipeline.cleanup import clean_retired
from content_signals.pipeline.context import Context
from content_signals.pipeline.flip import flip_family
from content_signals.pipeline.publish import publish
from content_signals.pipeline.takedown import give_back, take_down, view_of
from tests.faults.good_days import FIRST, TITLE, good_rows
from tests.lake import promoted
from tests.settings import settings_in
from tests.stores import store_and_lake

FAMILY, KEYS, REASON = "track_title", 30, "measured better on the golden set"
OLD = f"{FAMILY}_v2"
NEXT = FIRST + timedelta(days=1)
START = datetime.combine(NEXT + timedelta(days=1), datetime.min.time(), UTC)


@pytest.fixture(scope="module")
def running():
    with store_and_lake("retired") as context:
        yield context.settings


@pytest.fixture
def platform(running, monkeypatch, spark, tmp_path) -> Context:
    """Version 2 was live for a month, now it is version 3; `playlist_ranker_v1` pins version 1."""
    online_client(running).flushall()
    changes = {"lake": str(tmp_path / "lake"), "registry": f"sqlite:///{tmp_path}/registry.db"}
    settings = settings_in(Path(running.var).parent, **changes)
    known = catalog.__wrapped__()
    others = [t for t in known.tables if t.family != FAMILY]
    versions = [replace(known.table(FAMILY), version=n) for n in (1, 2, 3)]
    changed = Catalog([*known.sources, *others, *versions])
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: changed)
    said: list[str] = []
    context = Context(settings, Lake(settings.lake), changed, start_run(), said.append)
    object.__setattr__(context, "said", said)
    for version in (2, 3):
        table = changed.table(f"{FAMILY}_v{version}")
        promoted(context.lake.of(table), FIRST, good_rows(TITLE, FIRST, KEYS), run_id=f"run-{version:05}")
        publish(context, spark, table, [FIRST])
    flip_family(days(context, -30), FAMILY, 2, REASON, "ranking")
    flip_family(days(context, 0), FAMILY, 3, REASON, "ranking")
    return context


def days(context: Context, number: float) -> Context:
    """Another run, so many days after version 3 went live."""
    return replace(context, run=replace(start_run(), now=START + timedelta(days=number)))


def build_next(context: Context) -> None:
    promoted(context.lake.of(context.catalog.table(OLD)), NEXT, good_rows(TITLE, NEXT, KEYS), run_id="run-00009")


def held(context: Context) -> set[str]:
    """Keys that the store has a row of the old version of."""
    client = online_client(context.settings)
    return {key for some in rows(client, view_of(context, context.catalog.table(OLD))) for key in some}


def test_until_it_is_cleaned_up_it_is_published_then_skipped_then_brought_back(platform, spark):
    table = platform.catalog.table(OLD)
    build_next(platform)
    assert publish(days(platform, 6), spark, table, [NEXT]).rows_out == KEYS
    clean_retired(days(platform, 7), 7)
    assert held(platform) == set()
    outcome = publish(days(platform, 7.1), spark, table, [NEXT])
    told = f"retired since {START:%Y-%m-%d} and cleaned up; --full brings it back"
    assert (outcome.days, outcome.skipped, outcome.exit_code) == ([], {NEXT: told}, 0)
    assert f"{OLD} {NEXT}: not published; {told}" in platform.said
    assert held(platform) == set()
    assert check_online(days(platform, 7.1), spark, table).rows_in == 0
    assert f"{OLD}: not checked; it is retired and cleaned up" in platform.said
    assert publish(days(platform, 8), spark, table, [NEXT], full=True).rows_out == KEYS
    clean_retired(days(platform, 14.9), 7)  # its grace has begun anew
    flip_family(days(platform, 14.9), FAMILY, None, "it was worse after all", "ranking")
    with FeatureClient(FAMILY, platform.settings) as client:
        found = client.get(["track00003"], START)
    said = {row["track_id"]: row for row in good_rows(TITLE, NEXT, KEYS).to_pylist()}["track00003"]
    assert found["title_length_chars"][0] == said["title_length_chars"]
    assert [name.split(":")[0] for name in found.names] == [OLD] * len(found.names)


def test_what_is_given_back_does_not_bring_a_cleaned_version_back(platform, spark):
    take_down(platform, "track", "track00003", "asked for by the label", "legal")
    clean_retired(days(platform, 7), 7)
    give_back(platform, "track", "track00003", "it was about another track", "legal")
    assert held(platform) == set()


def test_a_takedown_holds_when_a_cleaned_version_is_brought_back(platform, spark):
    take_down(platform, "track", "track00003", "asked for by the label", "legal")
    clean_retired(days(platform, 7), 7)
    assert publish(days(platform, 8), spark, platform.catalog.table(OLD), [FIRST], full=True).rows_out == KEYS - 1
    flip_family(days(platform, 8), FAMILY, None, "it was worse after all", "ranking")
    with FeatureClient(FAMILY, platform.settings) as client:
        found = client.get(["track00003", "track00004"], START - timedelta(days=1))
    assert list(found.status("title_length_chars")) == ["taken down", "present"]


def test_a_service_that_pins_a_cleaned_version_has_it_published_again(platform, spark, monkeypatch, tmp_path):
    clean_retired(days(platform, 7), 7)
    known, repo = Path(feature_store(platform.settings).repo_path), tmp_path / "repo"
    shutil.copytree(known, repo, ignore=shutil.ignore_patterns("__pycache__"))
    with (repo / "services.py").open("a") as file:
        file.write('pins = FeatureService(name="pins", features=[views["track_title_v2"][["is_live"]]])\n')
    monkeypatch.setattr("content_signals.features.registry.REPO", repo)
    assert publish(days(platform, 8), spark, platform.catalog.table(OLD), [FIRST]).rows_out == KEYS
    clean_retired(days(platform, 80), 7)
    assert len(held(platform)) == KEYS
