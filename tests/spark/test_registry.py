"""Registration: written when definitions change, and only then; a locked registry is waited for. Needs no session."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.errors import Temporary
from content_signals.features.registry import register, registry_answers
from content_signals.features.store import feature_store
from tests.settings import settings_in


@pytest.fixture
def settings(tmp_path: Path):
    return settings_in(tmp_path)


def content(folder: Path) -> list[str]:
    """All that the registry holds."""
    with sqlite3.connect(folder / "feast" / "registry.db") as connection:
        return list(connection.iterdump())


def test_nothing_is_written_while_definitions_are_as_registered(settings, tmp_path):
    names = register(feature_store(settings), settings)
    assert {"track_popularity", "track_title", "playlist_ranker_v1"} <= set(names)
    before = content(tmp_path)
    store = feature_store(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store), "apply", lambda *_: pytest.fail("applied again"))
        assert register(store, settings) == names
    assert content(tmp_path) == before


@pytest.mark.parametrize("change", ["about", "column", "lake"])
def test_a_changed_definition_is_applied(settings, monkeypatch, tmp_path, change):
    register(feature_store(settings), settings)
    if change == "lake":
        settings = settings.model_copy(update={"lake": f"{tmp_path}/elsewhere"})
    else:
        known, table = catalog(), catalog().table("track_title")
        fewer = tuple(column for column in table.columns if column.name != "has_featured_artist")
        new = {"about": "Other words."} if change == "about" else {"columns": fewer}
        others = [t for t in known.tables if t.table != table.table]
        changed = Catalog([*known.sources, *others, replace(table, **new)])
        monkeypatch.setattr("content_signals.catalog.catalog", lambda: changed)
    register(feature_store(settings), settings)
    view = feature_store(settings).get_feature_view("track_title_v1")
    if change == "about":
        assert view.description == "Other words."
    elif change == "column":
        assert [field.name for field in view.features] == [column.name for column in fewer]
    else:
        assert f"{tmp_path}/elsewhere" in view.batch_source.query


def test_a_locked_registry_is_temporary(settings, tmp_path):
    register(feature_store(settings), settings)
    url = type(settings.registry)(f"sqlite:///{tmp_path}/feast/registry.db?timeout=0.1")
    waits_less = settings.model_copy(update={"registry": url})
    with sqlite3.connect(tmp_path / "feast" / "registry.db", isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(Temporary, match="the registry does not answer: database is locked"), registry_answers():
            register(feature_store(waits_less), waits_less)
        other.execute("rollback")
