"""The list of what was taken down: entries are only added, the last one counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import yaml

from content_signals.features.store import PROJECT_NAME, REPO
from content_signals.lake.layout import Lake
from content_signals.lake.takedowns import (
    GIVEN_BACK,
    TAKEN_DOWN,
    Takedown,
    add_takedown,
    create_takedowns,
    entries_of,
    taken_down,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_last_entry_of_a_key_counts(tmp_path):
    lake = Lake(str(tmp_path))
    create_takedowns(lake, "track")
    actions = [
        ("a", TAKEN_DOWN),
        ("b", TAKEN_DOWN),
        ("a", GIVEN_BACK),
        ("c", TAKEN_DOWN),
        ("a", TAKEN_DOWN),
        ("b", GIVEN_BACK),
    ]
    for minute, (key, action) in enumerate(actions):
        add_takedown(lake, "track", Takedown(key, action, "a reason", "legal", NOW + timedelta(minutes=minute)))
    assert [(entry.key, entry.action) for entry in entries_of(lake, "track")] == actions
    assert set(taken_down(lake, "track")) == {"a", "c"}
    create_takedowns(lake, "track")  # again: nothing is lost
    assert len(entries_of(lake, "track")) == len(actions)


def test_where_nothing_was_ever_taken_down(tmp_path):
    assert taken_down(Lake(str(tmp_path)), "track") == {}


def test_the_project_is_feasts():
    assert yaml.safe_load((REPO / "feature_store.yaml").read_text("utf-8"))["project"] == PROJECT_NAME
