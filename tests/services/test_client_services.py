"""Services of every shape, read by the client as Feast's SDK reads them: renamed, joined otherwise, keyed otherwise."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast import types as feast_types
from feast.value_type import ValueType

from content_signals.errors import UnknownName, UsageError
from content_signals.features.answer import Status
from content_signals.features.client import FeatureClient
from content_signals.features.keys import read_from_text
from content_signals.features.service_plan import service_plan
from content_signals.features.store import feast_connection
from tests.services.conftest import BOTH_STORES

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRACK = Entity(name="track", join_keys=["track_id"], value_type=ValueType.STRING)
ARTIST = Entity(name="artist", join_keys=["artist_id"], value_type=ValueType.STRING)
NUMBER = Entity(name="number", join_keys=["number"], value_type=ValueType.INT64)
SMALL = Entity(name="small", join_keys=["small"], value_type=ValueType.INT32)
SHARE = Entity(name="share", join_keys=["share"], value_type=ValueType.DOUBLE)


def view_of(name: str, **keys: tuple[Entity, object]) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[entity for entity, _ in keys.values()],
        schema=[
            *(Field(name=key, dtype=kind) for key, (_, kind) in keys.items()),
            Field(name="plays", dtype=feast_types.Int64),
            Field(name="title", dtype=feast_types.String),
        ],
        source=FileSource(name=f"{name}_source", path="none", timestamp_field="event_ts"),
        ttl=timedelta(days=2),
    )


STATS = view_of("stats_v1", track_id=(TRACK, feast_types.String))
PAIR = view_of("pair_v1", track_id=(TRACK, feast_types.String), artist_id=(ARTIST, feast_types.String))
MIXED = view_of("mixed_v1", track_id=(TRACK, feast_types.String), number=(NUMBER, feast_types.Int64))
NUMBERED = view_of("number_v1", number=(NUMBER, feast_types.Int64))
SMALLS = view_of("small_v1", small=(SMALL, feast_types.Int32))
SHARED = view_of("share_v1", share=(SHARE, feast_types.Float64))
SERVICES = {
    "renamed": [STATS.with_name("other_tracks")],
    "mapped": [STATS.with_join_key_map({"track_id": "seed_id"})],
    "two_of_one": [
        STATS.with_name("seed").with_join_key_map({"track_id": "seed_id"}),
        STATS[["plays"]].with_name("candidate"),
        PAIR,
    ],
    "pair": [PAIR],
    "mixed": [MIXED, NUMBERED, STATS],
    "pair_mapped": [PAIR.with_join_key_map({"artist_id": "zzz"})],
    "number": [NUMBERED],
    "small": [SMALLS],
}
TRACKS, ARTISTS, NUMBERS = ["t1", "é", ""], ["a1", "a2", "a1"], [2**63 - 1, -(2**63), 0]
ROWS = {
    "stats_v1": {"track_id": TRACKS},
    "pair_v1": {"track_id": TRACKS, "artist_id": ARTISTS},
    "mixed_v1": {"track_id": TRACKS, "number": NUMBERS},
    "number_v1": {"number": NUMBERS},
    "small_v1": {"small": pd.array([2**31 - 1, -(2**31), 0], "int32")},
}
COLUMNS = {
    "track_id": [*TRACKS, "none"],
    "seed_id": ["é", "none", "t1", "t1"],
    "artist_id": [*ARTISTS, "a1"],
    "zzz": [*ARTISTS, "a1"],
    "number": [*NUMBERS, 5],
    "small": [2**31 - 1, -(2**31), 0, 5],
}
MAPPED = ("seed_id", "zzz")


@pytest.fixture
def feast(store, store_settings, tmp_path):
    """The views, with rows that Feast has written, and the services."""
    config = RepoConfig(
        project="content_signals",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{tmp_path}/registry.db", "cache_ttl_seconds": 1},
        online_store={
            "type": "redis",
            "connection_string": feast_connection(store_settings.online_store.get_secret_value()),
        },
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    entities, views = [TRACK, ARTIST, NUMBER, SMALL, SHARE], [STATS, PAIR, MIXED, NUMBERED, SMALLS, SHARED]
    made.apply([*entities, *views, *(FeatureService(name=name, features=some) for name, some in SERVICES.items())])
    for name, keys in ROWS.items():
        values = {"plays": [1, 2**53 + 1, 3], "title": [f"{name} {n}" for n in "abc"], "event_ts": [NOW] * 3}
        made.write_to_online_store(name, pd.DataFrame(keys | values))
    return made


@BOTH_STORES
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_any_shape_as_the_sdk_reads_it(feast, store_settings, service):
    with closing(FeatureClient(service, store_settings, store=feast)) as client:
        columns = service_plan(feast, service).columns
        keys = {column: COLUMNS[column] for column in columns}
        found = client.get(keys if len(keys) > 1 else COLUMNS[columns[0]], NOW)
    # Where a key's own column is there too, the SDK takes the last of them for a view that maps it.
    ordered = {name: keys[name] for name in sorted(keys, key=lambda name: name in MAPPED)}
    rows = [dict(zip(ordered, row, strict=True)) for row in zip(*ordered.values(), strict=True)]
    expected = feast.get_online_features(
        features=feast.get_feature_service(service), entity_rows=rows, full_feature_names=True
    ).to_dict()
    answered = {name.replace(":", "__"): [row[name] for row in found.dicts()] for name in found.names}
    assert answered == {name: values for name, values in expected.items() if name not in keys}
    assert any(value is not None for values in answered.values() for value in values)
    assert {name: list(values) for name, values in found.arrow().select(list(keys)).to_pydict().items()} == keys
    present = {name: set(found.status(name)) for name in found.names}
    assert all(statuses <= {Status.PRESENT, Status.MISSING} for statuses in present.values())


def test_the_same_view_by_two_columns(feast, store_settings):
    with closing(FeatureClient("two_of_one", store_settings, store=feast)) as client:
        assert client.names == ("seed:plays", "seed:title", "candidate:plays", "pair_v1:plays", "pair_v1:title")
        found = client.get({"track_id": ["t1"], "seed_id": ["é"], "artist_id": ["a2"]}, NOW)
        assert found.dicts() == [
            {
                "seed:plays": 2**53 + 1,
                "seed:title": "stats_v1 b",
                "candidate:plays": 1,
                "pair_v1:plays": None,
                "pair_v1:title": None,
            }
        ]
        assert [cell["pair_v1:plays"].status for cell in found.cells()] == [Status.MISSING]
        with pytest.raises(UnknownName, match="seed_it"):
            client.get({"track_id": ["t1"], "seed_it": ["é"], "artist_id": ["a2"]})


def test_last_known_values_of_a_key_of_two_columns(feast, store, store_settings):
    with closing(FeatureClient("pair", store_settings, store=feast, last_known=10, timeout=0.2)) as client:
        client.get({"track_id": ["t1"], "artist_id": ["a1"]}, NOW)
        store.client_pause(600)
        found = client.get({"track_id": ["t1", "t1"], "artist_id": ["a1", "a2"]}, NOW)
        store.client_unpause()
    assert found["plays"].tolist() == [1, None]
    assert list(found.status("plays")) == [Status.LAST_KNOWN, Status.UNAVAILABLE]


@pytest.mark.parametrize(
    ("service", "keys", "told"),
    [
        ("number", ["5"], "a whole number of 64 bits, not '5'"),
        ("number", [2**63], "a whole number of 64 bits"),
        ("number", [True], "a whole number of 64 bits"),
        ("small", [2**31], "a whole number of 32 bits"),
        ("renamed", [5], "a key of track_id is a text, not 5"),
        ("mixed", {"track_id": ["t1"], "number": [1.5]}, "a key of number is a whole number"),
    ],
)
def test_keys_of_another_kind_are_refused(feast, store_settings, service, keys, told):
    with closing(FeatureClient(service, store_settings, store=feast)) as client, pytest.raises(UsageError, match=told):
        client.get(keys)


def test_no_keys_have_their_type(feast, store_settings):
    with closing(FeatureClient("mixed", store_settings, store=feast)) as client:
        found = client.get({"track_id": [], "number": []}).arrow()
    assert found.num_rows == 0
    assert [found.schema.field(name).type for name in ("track_id", "number")] == [pa.string(), pa.int64()]


def test_keys_that_were_typed_are_numbers_where_the_column_has_those(feast):
    kinds = service_plan(feast, "mixed").key_kinds
    typed = {"track_id": ["7", "x"], "number": ["7", "x"], "other": ["7", "x"]}
    assert read_from_text(kinds, typed) == {"track_id": ["7", "x"], "number": [7, "x"], "other": ["7", "x"]}
    number = service_plan(feast, "number").key_kinds
    assert read_from_text(number, ["-5", "1_000", " 5", "٣", ""]) == [-5, "1_000", " 5", "٣", ""]


def test_whole_numbers_of_numpy_are_keys(feast, store_settings):
    with closing(FeatureClient("mixed", store_settings, store=feast)) as client:
        plain = client.get({"track_id": TRACKS, "number": NUMBERS}, NOW)
        found = client.get({"track_id": np.array(TRACKS), "number": np.array(NUMBERS, np.int64)}, NOW)
        assert found.dicts() == plain.dicts()
        assert found.arrow().equals(plain.arrow())


def test_a_view_that_is_called_as_a_feature_hides_no_feature(feast, store_settings):
    hidden = NUMBERED[["title"]].with_name("plays")
    feast.apply([FeatureService(name="hiding", features=[STATS[["plays"]], hidden])])
    with closing(FeatureClient("hiding", store_settings, store=feast)) as client:
        found = client.get({"track_id": ["t1"], "number": [4]}, NOW)
    assert (found["plays"][0], *found.status("plays"), *found.age("plays")) == (1, Status.PRESENT, 0.0)
    assert list(found.status("title")) == [Status.MISSING]


def test_what_only_the_sdk_can_read_is_refused(feast, store_settings):
    services = {
        "by_share": [SHARED],
        "twice": [STATS, STATS[["plays"]]],
        "alike": [STATS.with_name("PAIR_v1"), PAIR],
        "odd": [STATS.with_name("seed:track")],
        "odder": [STATS.with_name("seed__track")],
        "odd_column": [STATS.with_join_key_map({"track_id": "seed id"})],
        "two_kinds": [STATS.with_join_key_map({"track_id": "id"}), NUMBERED.with_join_key_map({"number": "id"})],
    }
    feast.apply([FeatureService(name=name, features=some) for name, some in services.items()])
    for name, reason in [
        ("by_share", "its view share_v1 is not keyed by texts and whole numbers"),
        ("twice", "it reads stats_v1 and stats_v1 under one name, stats_v1"),
        ("alike", "it reads stats_v1 and pair_v1 under one name, pair_v1"),
        ("odd", "'seed:track', which stats_v1 is given, is no name"),
        ("odder", "'seed__track', which stats_v1 is given, is no name"),
        ("odd_column", "'seed id', which stats_v1 is given, is no name"),
        ("two_kinds", "has a text in column id, and another has a whole number of 64 bits there"),
    ]:
        with pytest.raises(UsageError, match=f"service {name}: .*{reason}"):
            FeatureClient(name, store_settings, store=feast)
