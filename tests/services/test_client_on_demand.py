"""Features computed on demand, by the client as by Feast's SDK: of tables, of the question, of both."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureView, Field, FileSource, RequestSource
from feast import types as feast_types
from feast.aggregation import Aggregation
from feast.on_demand_feature_view import OnDemandFeatureView, on_demand_feature_view

from content_signals.errors import BrokenData, UnknownName, UsageError
from content_signals.features.answer import Status
from content_signals.features.client import FeatureClient
from content_signals.features.keys import read_from_text
from tests.services.conftest import BOTH_STORES
from tests.services.test_client_services import NOW, NUMBERED, STATS, TRACK, feast  # noqa: F401  a fixture

ASKED = RequestSource(
    name="asked",
    schema=[Field(name="factor", dtype=feast_types.Int64), Field(name="words", dtype=feast_types.String)],
)
INT, DOUBLE, TEXT, TRUTH = feast_types.Int64, feast_types.Float64, feast_types.String, feast_types.Bool


SMALLS_WIDE = FeatureView(
    name="wide_inputs_v1",
    entities=[TRACK],
    schema=[
        Field(name="track_id", dtype=TEXT),
        Field(name="count", dtype=feast_types.Int32),
        Field(name="share", dtype=feast_types.Float32),
        Field(name="since", dtype=feast_types.UnixTimestamp),
    ],
    source=FileSource(name="wide_source", path="none", timestamp_field="event_ts"),
)


@on_demand_feature_view(
    sources=[STATS, ASKED], schema=[Field(name="times", dtype=DOUBLE), Field(name="both", dtype=TEXT)]
)
def frame_v1(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"times": rows["plays"].astype("float64") * rows["factor"], "both": rows["words"] + "/" + rows["title"]}
    )


@on_demand_feature_view(
    sources=[STATS[["plays"]], NUMBERED[["title"]]],
    mode="python",
    schema=[Field(name="sum", dtype=INT), Field(name="each", dtype=feast_types.Array(INT))],
)
def lists_v1(rows: dict) -> dict:
    pairs = list(zip(rows["stats_v1__plays"], rows["title"], strict=True))
    return {
        "sum": [None if None in pair else pair[0] + len(pair[1]) for pair in pairs],
        "each": [[pair[0] or 0, len(pair[1] or "")] for pair in pairs],
    }


@on_demand_feature_view(
    sources=[STATS[["plays"]], NUMBERED[["plays"]]], mode="python", schema=[Field(name="sum", dtype=INT)]
)
def alike_v1(rows: dict) -> dict:
    pairs = zip(rows["stats_v1__plays"], rows["number_v1__plays"], strict=True)
    return {"sum": [None if None in pair else sum(pair) for pair in pairs]}


@on_demand_feature_view(
    sources=[ASKED],
    mode="python",
    singleton=True,
    schema=[Field(name="length", dtype=INT), Field(name="since", dtype=feast_types.UnixTimestamp)],
)
def single_v1(row: dict) -> dict:
    from datetime import UTC, datetime

    return {"length": len(row["words"]), "since": datetime(2026, 1, row["factor"] + 1, 1, 2, 3, 500, tzinfo=UTC)}


SERVICES = {
    "frame": [frame_v1],
    "frame_and_table": [STATS[["title"]], frame_v1[["times"]]],
    "lists": [lists_v1, NUMBERED[["title"]]],
    "single": [single_v1],
    "alike": [alike_v1],
    "all": [frame_v1, lists_v1.with_name("pairs"), single_v1],
}
TRACKS, NUMBERS = ["t1", "é", "none", "t1"], [2**63 - 1, 5, 0, 5]
COLUMNS = {"track_id": TRACKS, "number": NUMBERS, "factor": [2, -1, 0, 3], "words": ["a", "ü", "", "a,b"]}


@pytest.fixture
def registered(feast):  # noqa: F811
    services = [FeatureService(name=name, features=some) for name, some in SERVICES.items()]
    feast.apply([ASKED, frame_v1, lists_v1, single_v1, alike_v1, *services])
    return feast


def wanted(client: FeatureClient, rows: int = 4) -> dict:
    return {column: COLUMNS[column][:rows] for column in client.key_kinds}


@BOTH_STORES
@pytest.mark.parametrize("service", ["frame", "frame_and_table", "lists"])
def test_what_is_computed_is_what_the_sdk_computes(registered, store_settings, service):
    with closing(FeatureClient(service, store_settings, store=registered)) as client:
        keys = wanted(client)
        found = client.get(keys, NOW)
    rows = [dict(zip(keys, row, strict=True)) for row in zip(*keys.values(), strict=True)]
    expected = registered.get_online_features(
        features=registered.get_feature_service(service), entity_rows=rows
    ).to_dict()
    answered = {name.split(":")[1]: [row[name] for row in found.dicts()] for name in found.names}
    expected = {
        name: [None if isinstance(value, float) and np.isnan(value) else value for value in values]
        for name, values in expected.items()
        if name not in keys
    }
    assert answered == expected
    assert {name: list(values) for name, values in found.arrow().select(list(keys)).to_pydict().items()} == keys


def test_many_at_once_as_computed_by_hand(registered, store_settings):
    with closing(FeatureClient("all", store_settings, store=registered)) as client:
        assert client.names == (
            "frame_v1:times",
            "frame_v1:both",
            "pairs:sum",
            "pairs:each",
            "single_v1:length",
            "single_v1:since",
        )
        found = client.get(wanted(client, 2) | {"number": np.array([2**63 - 1, -(2**63)]), "factor": [2, 1]}, NOW)
    assert found["times"].tolist() == [2.0, 2.0**53]  # doubles, as the function makes them
    assert found["both"].tolist() == ["a/stats_v1 a", "ü/stats_v1 b"]
    assert found["pairs:sum"].tolist() == [1 + len("number_v1 a"), 2**53 + 1 + len("number_v1 b")]
    assert found["each"].tolist() == [[1, 11], [2**53 + 1, 11]]
    assert found["length"].tolist() == [1, 1]
    since = [row["single_v1:since"] for row in found.dicts()]
    assert since == [datetime(2026, 1, 3, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2, 1, 2, 3, tzinfo=UTC)]
    assert found.arrow().schema.field("pairs:each").type == pa.list_(pa.int64())


def test_two_inputs_of_one_name_are_told_apart_by_their_views(registered, store_settings):
    with closing(FeatureClient("alike", store_settings, store=registered)) as client:
        found = client.get({"track_id": ["t1", "é", "t1"], "number": [0, 2**63 - 1, 5]}, NOW)
    assert found["sum"].tolist() == [4, 2**53 + 2, None]
    assert list(found.status("sum")) == [Status.PRESENT, Status.PRESENT, Status.MISSING]


@on_demand_feature_view(
    sources=[SMALLS_WIDE, ASKED],
    schema=[Field(name="product", dtype=INT), Field(name="micros", dtype=INT), Field(name="types", dtype=TEXT)],
)
def wide_v1(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product": rows["count"] * 1_000_000,
            "micros": rows["since"].astype("int64"),
            "types": [" ".join(str(kind) for kind in rows[["count", "share", "since"]].dtypes)] * len(rows),
        }
    )


def test_functions_see_the_types_that_the_sdk_gives_them(registered, store_settings):
    """A whole number of 32 bits would wrap round, and only where no key beside it is missing."""
    registered.apply([SMALLS_WIDE, wide_v1, FeatureService(name="wide", features=[wide_v1])])
    rows = {"track_id": ["t1"], "count": pd.array([5000], "int32"), "share": pd.array([0.5], "float32")}
    registered.write_to_online_store("wide_inputs_v1", pd.DataFrame(rows | {"since": [NOW], "event_ts": [NOW]}))
    asked = {"track_id": ["t1"], "factor": [1], "words": ["a"]}
    expected = registered.get_online_features(
        features=registered.get_feature_service("wide"), entity_rows=[{name: some[0] for name, some in asked.items()}]
    ).to_dict()
    with closing(FeatureClient("wide", store_settings, store=registered)) as client:
        [found] = client.get(asked, NOW).dicts()
    assert {f"wide_v1:{name}": values[0] for name, values in expected.items() if name not in asked} == found
    assert found["wide_v1:product"] == 5_000_000_000


@pytest.mark.parametrize("mode", ["pandas", "python"])
def test_a_feature_may_be_called_as_what_it_is_made_of(registered, store_settings, mode):
    def clipped(rows):
        return {"plays": [None if plays is None else min(plays, 2) for plays in rows["plays"]]}

    def clipped_frame(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[["plays"]].clip(upper=2)

    body = clipped if mode == "python" else clipped_frame
    view = on_demand_feature_view(sources=[STATS[["plays"]]], mode=mode, schema=[Field(name="plays", dtype=INT)])(body)
    view.name = view.projection.name = "clipped_v1"
    registered.apply([view, FeatureService(name="clipped", features=[view, STATS[["plays"]]])])
    with closing(FeatureClient("clipped", store_settings, store=registered)) as client:
        found = client.get(["t1", "é"], NOW)
    assert found["clipped_v1:plays"].tolist() == [1, 2]
    assert found["stats_v1:plays"].tolist() == [1, 2**53 + 1]


def test_status_and_age_are_those_of_the_worst_input(registered, store_settings):
    keys = {"track_id": ["t1", "none"], "number": [0, 0]}
    with closing(FeatureClient("alike", store_settings, store=registered, last_known=10, timeout=0.2)) as client:
        later = client.get(keys, NOW + timedelta(days=3))
        found = client.get(keys, NOW + timedelta(hours=1))
        online = registered._get_provider().online_store._client
        online.client_pause(600)
        kept = client.get({"track_id": ["t1", "t1"], "number": [0, 7]}, NOW)
        online.client_unpause()
    assert list(later.status("alike_v1")) == [Status.STALE, Status.MISSING]
    assert list(found.status("sum")) == [Status.PRESENT, Status.MISSING]
    assert found.age("sum").tolist() == pytest.approx([3600, float("nan")], nan_ok=True)
    assert later["sum"].tolist() == [None, None]
    assert list(kept.status("sum")) == [Status.LAST_KNOWN, Status.UNAVAILABLE]
    assert kept["sum"].tolist() == [4, None]
    assert set(kept.states) == {"alike_v1"}


def test_what_is_made_of_the_question_alone_needs_no_store(registered, store_settings):
    with closing(FeatureClient("single", store_settings, store=registered)) as client:
        found = client.get({"factor": [0, 1], "words": ["a", "é"]}, NOW)
        nothing = client.get({"factor": [], "words": []}, NOW)
    assert found["length"].tolist() == [1, 1]
    assert (list(found.status("length")), found.age("length").tolist()) == ([Status.PRESENT] * 2, [0.0, 0.0])
    assert nothing.arrow().schema.field("single_v1:since").type == pa.timestamp("s", "UTC")
    assert len(nothing) == 0


def test_some_of_the_features_read_only_what_they_need(registered, store_settings):
    with closing(FeatureClient("all", store_settings, store=registered, features=["single_v1:length"])) as client:
        assert (client.names, set(client.key_kinds)) == (("single_v1:length",), {"factor", "words"})
    with closing(FeatureClient("lists", store_settings, store=registered, features=["sum"])) as client:
        found = client.get({"track_id": ["t1"], "number": [2**63 - 1]}, NOW)
        assert found.dicts() == [{"lists_v1:sum": 12}]
        with pytest.raises(UnknownName, match="plays"):
            found["plays"]  # read, but not given


async def asked(client: FeatureClient, keys: dict) -> list:
    return (await client.aget(keys, NOW)).dicts()


def test_asynchronous_callers_too(registered, store_settings):
    import asyncio

    with closing(FeatureClient("all", store_settings, store=registered)) as client:
        assert asyncio.run(asked(client, wanted(client, 2) | {"factor": [0, 1]})) == (
            client.get(wanted(client, 2) | {"factor": [0, 1]}, NOW).dicts()
        )


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"factor": [1.5, 1]}, UsageError, "a value of factor is int64: .*1.5"),
        ({"factor": ["1", "2"]}, UsageError, "a value of factor is int64: string is not"),
        ({"words": [1, 2]}, UsageError, "a value of words is string: int64 is not"),
        ({"words": ["a"]}, UsageError, "2 of track_id, 2 of factor, 1 of words"),
        ({"wrods": ["a", "b"]}, UnknownName, "words"),
    ],
)
def test_what_comes_with_a_question_is_checked(registered, store_settings, change, error, told):
    keys = {"track_id": ["t1", "é"], "factor": [1, None], "words": ["a", None]}
    with closing(FeatureClient("frame", store_settings, store=registered)) as client:
        assert client.get(keys, NOW)["both"].tolist() == ["a/stats_v1 a", None]
        with pytest.raises(error, match=told):
            client.get(keys | change, NOW)
        with pytest.raises(UsageError, match="is about track_id, factor, words"):
            client.get(["t1"], NOW)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (lambda rows: {"sum": [1]}, "ValueError: 1 values of sum for 2 rows"),
        (lambda rows: {"sum": [1.5, 2] if len(rows["plays"]) > 1 else [1]}, "ArrowInvalid: .*1.5"),
        (lambda rows: {"sum" if len(rows["plays"]) == 1 else "other": [1]}, "KeyError: 'sum'"),
        (lambda rows: {"sum": [plays + 1 for plays in rows["plays"]]}, "TypeError: "),
    ],
)
def test_a_function_that_fails_says_which(registered, store_settings, body, told):
    broken = on_demand_feature_view(sources=[STATS[["plays"]]], mode="python", schema=[Field(name="sum", dtype=INT)])(
        body
    )
    broken.name = broken.projection.name = "broken_v1"
    registered.apply([broken, FeatureService(name="broken", features=[broken])])
    with (
        closing(FeatureClient("broken", store_settings, store=registered)) as client,
        pytest.raises(BrokenData, match=f"view broken_v1, computed on demand, fails: {told}"),
    ):
        client.get(["t1", "none"], NOW)


def test_a_function_that_is_registered_anew_is_used_within_a_second(registered, store_settings):
    import time

    def doubled(rows: dict) -> dict:
        return {"sum": [plays * 2 for plays in rows["plays"]]}

    def thrice(rows: dict) -> dict:
        return {"sum": [plays * 3 for plays in rows["plays"]]}

    def put(body) -> None:
        view = on_demand_feature_view(sources=[STATS[["plays"]]], mode="python", schema=[Field(name="sum", dtype=INT)])(
            body
        )
        view.name = view.projection.name = "changed_v1"
        registered.apply([view, FeatureService(name="changed", features=[view])])

    put(doubled)
    with closing(FeatureClient("changed", store_settings, store=registered)) as client:
        assert client.get(["t1"], NOW)["sum"].tolist() == [2]
        put(thrice)
        time.sleep(1)
        assert client.get(["t1"], NOW)["sum"].tolist() == [3]


def test_a_view_on_demand_that_is_kept_in_the_store_is_read_from_it(registered, store_settings):
    @on_demand_feature_view(
        sources=[STATS[["plays"]]],
        entities=[feast_entity(registered)],
        mode="python",
        schema=[Field(name="twice", dtype=INT)],
        write_to_online_store=True,
    )
    def stored_v1(rows: dict) -> dict:
        return {"twice": [plays * 2 for plays in rows["plays"]]}

    registered.apply([stored_v1, FeatureService(name="stored", features=[stored_v1])])
    registered.write_to_online_store(
        "stored_v1", pd.DataFrame({"track_id": ["t1"], "plays": [5], "twice": [10], "event_ts": [NOW]})
    )
    with closing(FeatureClient("stored", store_settings, store=registered)) as client:
        found = client.get(["t1", "none"])  # Feast writes such rows as of now
    assert found["twice"].tolist() == [10, None]


def feast_entity(store):
    return store.get_entity("track")


def test_what_cannot_be_computed_row_by_row_is_refused(registered, store_settings):
    totals = OnDemandFeatureView(
        name="totals_v1",
        sources=[STATS],
        entities=[feast_entity(registered)],
        mode="python",
        schema=[Field(name="sum_plays", dtype=INT)],
        aggregations=[Aggregation(column="plays", function="sum")],
    )
    clashing = RequestSource(name="clashing", schema=[Field(name="track_id", dtype=TEXT)])
    named = on_demand_feature_view(sources=[STATS, clashing], mode="python", schema=[Field(name="sum", dtype=INT)])(
        lambda rows: {"sum": rows["plays"]}
    )
    named.name = named.projection.name = "named_v1"
    plays = RequestSource(name="plays", schema=[Field(name="plays", dtype=INT)])
    clash = on_demand_feature_view(sources=[STATS, plays], mode="python", schema=[Field(name="sum", dtype=INT)])(
        lambda rows: {"sum": rows["plays"]}
    )
    clash.name = clash.projection.name = "clash_v1"
    services = {
        "totals": ([totals], "view totals_v1 aggregates over what it is asked for together"),
        "named": ([named], "view named_v1 asks for track_id, which is a key"),
        "two": ([STATS.with_name("number_v1"), alike_v1], "view number_v1 is two things"),
        "cased": ([STATS.with_name("Number_V1"), alike_v1], "view Number_V1 is called as number_v1 is"),
        "clash": ([clash], "view clash_v1 asks for plays, and is made of a feature of that name"),
    }
    registered.apply(
        [
            totals,
            named,
            clashing,
            plays,
            clash,
            *(FeatureService(name=name, features=some) for name, (some, _) in services.items()),
        ]
    )
    for name, (_, told) in services.items():
        with pytest.raises(UsageError, match=told):
            FeatureClient(name, store_settings, store=registered)


def test_what_was_typed_has_the_kind_of_its_column():
    kinds = {"share": 5, "small": 6, "is": 7, "text": 2}
    typed = {"share": ["1.5", "-2", "1e3", "x"], "small": ["0.5"], "is": ["true", "false", "yes"], "text": ["1.5"]}
    assert read_from_text(kinds, typed) == {
        "share": [1.5, -2.0, 1000.0, "x"],
        "small": [0.5],
        "is": [True, False, "yes"],
        "text": ["1.5"],
    }
