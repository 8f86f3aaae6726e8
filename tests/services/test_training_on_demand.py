"""Training sets with what is computed on demand: of the oracle's values, by a function that a replay has kept."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from content_signals.errors import UsageError
from content_signals.features.registry import register
from content_signals.features.store import feature_store
from content_signals.features.training import training_set, training_set_from
from tests.settings import settings_in
from tests.training_oracle import TITLE, Story, asked, expected, tell
from tests.versions import LENGTH, with_services

SERVICE = "lengths = FeatureService(name='lengths', features=[views['track_title_v1'][['is_live']], length_v1])"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    made = settings_in(tmp_path)
    with_services(tmp_path, monkeypatch, f"{LENGTH}{SERVICE}")
    register(feature_store(made), made)
    return made


@pytest.fixture
def story(settings) -> Story:
    return Story(settings)


def questions(story: Story, chance: random.Random) -> pa.Table:
    rows = asked(story, chance)
    given = [chance.choice([0, 1, 2**63 - 1, -(2**63), None]) for _ in range(rows.num_rows)]
    return rows.append_column("asked_ms", pa.array(given, pa.int64()))


def mixed(story: Story, rows: pa.Table, mode: str) -> list[int | None]:
    pairs = zip(expected(story, rows, mode), rows.column("asked_ms").to_pylist(), strict=True)
    return [None if None in pair else pair[0] ^ pair[1] for pair in pairs]


@pytest.mark.parametrize("mode", ["event", "known"])
def test_what_is_computed_is_made_of_what_the_oracle_says(story, settings, mode, tmp_path):
    chance = random.Random(11)
    tell(story, chance)
    rows = questions(story, chance)
    made = training_set(rows, "lengths", mode, settings=settings)
    found = made.arrow()
    assert found.column_names == [*rows.column_names, f"{TITLE}__is_live", "length_v1__mixed_ms"]
    assert found.column("length_v1__mixed_ms").to_pylist() == mixed(story, rows, mode)
    assert any(value is not None for value in mixed(story, rows, mode))
    assert found.column("label").equals(rows.column("label"))
    made.write(f"{tmp_path}/rows.parquet")
    assert pq.read_table(f"{tmp_path}/rows.parquet").equals(found)


def test_pieces_are_put_together_in_order(story, settings, monkeypatch):
    monkeypatch.setattr("content_signals.features.training._BATCH", 2048)
    chance = random.Random(12)
    tell(story, chance)
    rows = pa.concat_tables([questions(story, chance)] * 60)
    found = training_set(rows, "lengths", settings=settings, keep=False).arrow()
    assert found.num_rows == 160 * 60
    assert found.column("length_v1__mixed_ms").to_pylist() == mixed(story, rows, "event")


def test_a_replay_computes_what_was_computed(story, settings, tmp_path, monkeypatch):
    """Byte for byte, though the function is another one by now."""
    chance = random.Random(13)
    tell(story, chance)
    rows = questions(story, chance)
    made = training_set(rows, "lengths", settings=settings)
    made.write(f"{tmp_path}/first.parquet")
    with_services(tmp_path, monkeypatch, f"{LENGTH.replace('^', '& 7 |')}{SERVICE}")
    register(feature_store(settings), settings)
    training_set_from(made.name, settings).write(f"{tmp_path}/again.parquet")
    assert Path(f"{tmp_path}/again.parquet").read_bytes() == Path(f"{tmp_path}/first.parquet").read_bytes()
    assert not training_set(rows, "lengths", settings=settings, keep=False).arrow().equals(made.arrow())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "the entities lack asked_ms"),
        (pa.array(["1"] * 160), "asked_ms, which is asked for on demand, does not fit: string is not int64"),
        (pa.array([0.5] * 160), "asked_ms, which is asked for on demand, does not fit: .*0.5"),
    ],
)
def test_entities_without_what_is_asked_for_are_refused(story, settings, given, told):
    tell(story, random.Random(1))
    rows = asked(story, random.Random(1))
    if given is not None:
        rows = rows.append_column("asked_ms", given)
    with pytest.raises(UsageError, match=told):
        training_set(rows, "lengths", settings=settings, keep=False)
