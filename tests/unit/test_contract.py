"""Contracts: what they refuse, what follows from them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from content_signals.content import Content
from content_signals.contract import Column, Computed, Entity, Input, Source, Table, Windowed
from content_signals.errors import USAGE, ContractError, UnknownName

TRACK = Entity("track", join_key="track_id", about="A track")
ALBUM = Entity("album", join_key="album_id", about="An album")
CODED = Computed("coded", "int", about="Coded")
ALBUM_ID = Computed("album_id", "string", about="The album")


def windowed(name: str = "w", **changes: Any) -> Windowed:
    given: dict[str, Any] = {"name": name, "op": "count", "of": "events_v1", "days": 7, "about": "A test"}
    return Windowed(**given | changes)


def table(**changes: Any) -> Table:
    given: dict[str, Any] = {
        "name": "family",
        "version": 1,
        "entity": TRACK,
        "driver": Input("events_v1"),
        "columns": (CODED,),
        "owner": "tests",
        "about": "A test",
    }
    return Table(**given | changes)


def source(**changes: Any) -> Source:
    given: dict[str, Any] = {
        "name": "events",
        "version": 1,
        "format": "csv",
        "landing": ("events/{day}.csv",),
        "columns": (Column("track_id", "string", "The track"), Column("amount", "int", "How much")),
        "key": ("track_id",),
        "owner": "tests",
        "about": "A test",
    }
    return Source(**given | changes)


# --- contradictions


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Upper"}, "'Upper' is not a column name"),
        ({"name": "7d"}, "'7d' is not a column name"),
        ({"name": "a b"}, "'a b' is not a column name"),
        ({"name": "a\n"}, "is not a column name"),
        ({"name": ""}, "'' is not a column name"),
        ({"days": 0}, "w: a window has at least one day, not 0"),
        ({"days": -7}, "not -7"),
        ({"column": "amount"}, "w: op count takes no column"),
        ({"op": "days_since", "column": "amount"}, "w: op days_since takes no column"),
        *(
            ({"op": op}, f"w: op {op} takes a column")
            for op in ("sum", "min", "max", "mean", "last", "distinct", "approx_distinct")
        ),
        *(
            ({"op": op, "column": "amount", "half_life_days": 5}, "w: only count and sum decay")
            for op in ("min", "max", "mean", "last", "distinct", "approx_distinct")
        ),
        ({"op": "days_since", "half_life_days": 5}, "w: only count and sum decay"),
        ({"half_life_days": 0}, "w: a half-life is positive"),
        ({"half_life_days": -1}, "w: a half-life is positive"),
        ({"half_life_days": float("nan")}, "w: a half-life is positive"),
        ({"order_by": "minute"}, "w: order_by goes with op last"),
        ({"op": "max", "column": "amount", "order_by": "minute"}, "w: order_by goes with op last"),
    ],
)
def test_a_window_that_contradicts_itself_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError) as error:
        windowed(**changes)
    assert told in error.value.what


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Family"}, "'Family_v1' is not a table name"),
        ({"version": -1}, "'family_v-1' is not a table name"),
        ({"columns": (Computed("Bad", "int", about=""),)}, "family_v1: 'Bad' is not a column name"),
        *(
            ({"columns": (Computed(name, "date", about=""),)}, f"family_v1: column {name} is written by the platform")
            for name in ("ds", "event_ts", "computed_at", "run_id")
        ),
        ({"columns": (CODED, windowed("run_id"))}, "family_v1: column run_id is written by the platform"),
        ({"columns": (CODED, windowed("coded"))}, "family_v1: columns declared twice: coded"),
        ({"columns": (CODED, CODED, windowed(), windowed())}, "family_v1: columns declared twice: coded, w"),
        ({"entity": None}, "family_v1: give an entity or a key"),
        ({"entity": None, "key": ("track_id",)}, "family_v1: a served table has an entity"),
        ({"key": ("playlist", "track_id")}, "family_v1: a served table has one key"),
        ({"columns": (windowed(),)}, "family_v1: no Computed column and no keep_days: no rows"),
        ({"columns": (), "keep_days": 28}, "family_v1: declares no column"),
        ({"key": ("other_id",)}, "family_v1: key other_id lacks track_id, the entity's join key"),
        ({"key": ("a", "b"), "serve": False}, "family_v1: key a, b lacks track_id, the entity's join key"),
        ({"columns": (Computed("track_id", "string", about=""),)}, "family_v1: track_id is the key and a column"),
        ({"columns": (CODED, windowed("track_id"))}, "family_v1: track_id is the key and a column"),
        *(
            ({"entity": None, "serve": False, "key": key}, f"family_v1: {told}")
            for key, told in (
                (("ds", "a"), "key column ds is written by the platform"),
                (("a", "a", "b"), "key columns declared twice: a"),
                (("A b",), "'A b' is not a key column name"),
            )
        ),
        ({"keep_days": -1}, "family_v1: keep_days is 0 or more, not -1"),
        ({"part_of": ALBUM}, "family_v1: part_of needs an entity of its own and a column album_id"),
        (
            {"part_of": ALBUM, "columns": (Computed("album_id", "int", about=""),)},
            "family_v1: part_of needs an entity of its own and a column album_id",
        ),
        (
            {"part_of": ALBUM, "columns": (ALBUM_ID,), "entity": None, "key": ("a",), "serve": False},
            "family_v1: part_of needs an entity of its own and a column album_id",
        ),
        ({"max_quarantine_ratio": 2}, "family_v1: max_quarantine_ratio is a share between 0 and 1, not 2"),
        ({"max_quarantine_ratio": -0.1}, "max_quarantine_ratio is a share between 0 and 1, not -0.1"),
        ({"max_quarantine_ratio": float("nan")}, "max_quarantine_ratio is a share between 0 and 1, not nan"),
        ({"version": 0}, "family_v0: versions start at 1"),
        ({"fresh_within": timedelta(0)}, "family_v1: fresh_within is positive, not 0:00:00"),
        ({"fresh_within": timedelta(hours=-1)}, "family_v1: fresh_within is positive"),
        ({"inputs": (Input("events_v1", where="x"),)}, "family_v1: events_v1 is listed under two inputs"),
        ({"inputs": (Input("events_v1"),)}, "family_v1: events_v1 is listed under two inputs"),
        ({"inputs": (Input("a_v1"), Input("b_v1"), Input("a_v1"))}, "family_v1: a_v1 is listed under two inputs"),
        (
            {"columns": (CODED, windowed(of=Input("events_v1", where="x")))},
            "family_v1: w is of events_v1 where 'x', its input where ''",
        ),
        (
            {"driver": Input("events_v1", where="x"), "columns": (CODED, windowed(of=Input("events_v1")))},
            "family_v1: w is of events_v1 where '', its input where 'x'",
        ),
        (
            {"columns": (CODED, *(windowed(name, of=Input("more_v1", where=name)) for name in ("v", "w")))},
            "family_v1: more_v1 is listed under two inputs",
        ),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError) as error:
        table(**changes)
    assert told in error.value.what
    assert error.value.next_step
    assert error.value.exit_code == USAGE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Events"}, "'Events_v1' is not a table name"),
        ({"columns": (Column("ds", "date", ""),), "key": ("ds",)}, "events_v1: column ds is written by the platform"),
        ({"columns": (Column("a", "int", ""),) * 2, "key": ("a",)}, "events_v1: columns declared twice: a"),
        ({"columns": ()}, "events_v1: declares no column"),
        ({"columns": (Column("A", "int", ""),)}, "events_v1: 'A' is not a column name"),
        ({"key": ("nowhere",)}, "events_v1: key nowhere is none of its columns"),
        ({"order_by": ("nowhere",)}, "events_v1: order_by nowhere is none of its columns"),
        ({"key": ()}, "events_v1: give a key"),
        ({"key": ("amount", "amount")}, "events_v1: key columns declared twice: amount"),
        ({"landing": ()}, "events_v1: give a landing path"),
        ({"version": 0}, "events_v0: versions start at 1"),
        ({"max_malformed_ratio": 1.01}, "events_v1: max_malformed_ratio is a share between 0 and 1, not 1.01"),
        ({"fresh_within": timedelta(0)}, "events_v1: fresh_within is positive"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractError) as error:
        source(**changes)
    assert told in error.value.what


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: Input("events_v1", days=0), "input events_v1: at least the day itself is read, not 0 days"),
        (lambda: Input(""), "input '' is not a table name"),
        (lambda: Input("events_v1", previous=("ds",)), "previous column ds is written by the platform"),
        (lambda: Input("events_v1", previous=("a", "a")), "input events_v1: previous columns declared twice: a"),
        (lambda: Entity("a track", "track_id", about=""), "'a track' is not an entity name"),
        (lambda: Entity("track", "Track", about=""), "entity track: 'Track' is not a join key name"),
        (lambda: Entity("track", "ds", about=""), "entity track: join key ds is written by the platform"),
    ],
)
def test_an_input_or_entity_that_cannot_be_is_refused(declare: Any, told: str) -> None:
    with pytest.raises(ContractError) as error:
        declare()
    assert told in error.value.what


@pytest.mark.parametrize(
    ("kind", "default", "allowed"),
    [
        *(("int", default, "int") for default in (0.0, True, "0")),
        *(("bigint", default, "int") for default in (1.5, False)),
        *(("double", default, "int or float") for default in (True, "0.5")),
        *(("boolean", default, "bool") for default in (0, 1, "yes")),
        *(("string", default, "str") for default in (0, True)),
        *((kind, default, "None") for kind in ("date", "timestamp") for default in (0, "2020-03-01")),
    ],
)
def test_a_default_of_another_type_than_its_column_is_refused(kind: Any, default: Any, allowed: str) -> None:
    with pytest.raises(ContractError) as error:
        Computed("c", kind, about="", default=default)
    assert error.value.what == f"c: the default of a column of type {kind} is {allowed}, not {default!r}"
    assert error.value.next_step


def test_what_is_allowed() -> None:
    table(serve=False, key=("playlist", "track_id"))
    table(max_quarantine_ratio=0, keep_days=0, fresh_within=timedelta(seconds=1))
    table(max_quarantine_ratio=1, inputs=(Input("others_v1", where="x"),), columns=(CODED, windowed(of="others_v1")))
    table(serve=False, entity=None, key=("playlist", "track_id"))
    table(columns=(windowed(),), keep_days=28)
    table(columns=(CODED, windowed()))
    windowed(op="last", column="amount", order_by="minute")
    windowed(op="sum", column="amount", half_life_days=0.5)
    windowed(days=1)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: windowed(op="median", column="amount"), "Windowed 'w': op: Input should be 'count', 'sum', "),
        (lambda: Windowed("w", "medain", "a_v1", 7, about=""), "Windowed 'w': op: Input"),  # type: ignore[arg-type]
        (lambda: windowed(day=7), "Windowed 'w': day: Unexpected keyword argument"),
        (lambda: windowed(days="week"), "Windowed 'w': days: Input should be a valid integer"),
        (lambda: Windowed("w", "count", of="events_v1", days=7), "Windowed 'w': about: "),  # type: ignore[call-arg]
        (lambda: Computed("c", "integer", about=""), "Computed 'c': "),  # type: ignore[arg-type]
        (lambda: Column("c", "long", ""), "Column 'c': "),  # type: ignore[arg-type]
        (lambda: table(colums=()), "Table 'family': colums: Unexpected keyword argument"),
        (lambda: table(driver="events_v1"), "Table 'family': driver: "),
        (lambda: table(columns=("coded",)), "Table 'family': columns.0"),
        (lambda: Source("events", 1, "json"), "Source 'events': format: Input should be"),  # type: ignore[call-arg, arg-type]
        (
            lambda: source(format="json"),
            "Source 'events': format: Input should be 'csv', 'parquet', 'events' or 'folder'",
        ),
        (lambda: Input("events_v1", day=3), "Input 'events_v1': day: "),  # type: ignore[call-arg]
        (lambda: Input(), "Input '': table: "),  # type: ignore[call-arg]
    ],
)
def test_unknown_fields_ops_and_types_are_refused_by_name(declare: Any, told: str) -> None:
    with pytest.raises(ContractError) as error:
        declare()
    assert told in error.value.what
    assert error.value.next_step


def test_a_contract_cannot_be_changed() -> None:
    for contract, field in ((table(), "version"), (windowed(), "days"), (source(), "version"), (CODED, "default")):
        with pytest.raises(FrozenInstanceError):
            setattr(contract, field, 2)


# --- what follows from a declaration


def test_names() -> None:
    t, s = table(version=2), source()
    assert (t.table, t.family, t.area, t.tiles) == ("family_v2", "family", "signals", "family_v2_tiles")
    assert (s.table, s.family, s.area) == ("events_v1", "events", "sources")


def test_the_key_is_the_entitys_or_ones_own() -> None:
    assert table().keys == ("track_id",)
    assert table(entity=None, key=("playlist", "track_id"), serve=False).keys == ("playlist", "track_id")


def test_columns_keep_their_order_and_kind() -> None:
    t = table(columns=(windowed("b"), CODED, windowed("a")))
    assert t.values == ("b", "coded", "a")
    assert [w.name for w in t.windowed] == ["b", "a"]
    assert t.computed == (CODED,)


def test_a_sources_schema_ends_with_the_run_and_the_day() -> None:
    s = source()
    assert list(s.schema.items()) == [("track_id", "string"), ("amount", "int"), ("run_id", "string"), ("ds", "date")]
    assert s.values == ("track_id", "amount")
    assert s.dated
    assert not source(landing=("all.parquet",)).dated


@pytest.mark.parametrize(
    ("changes", "default"),
    [
        ({}, 0),
        ({"op": "sum", "column": "x"}, 0),
        ({"op": "distinct", "column": "x"}, 0),
        ({"op": "approx_distinct", "column": "x"}, 0),
        ({"half_life_days": 50}, 0.0),
        ({"op": "sum", "column": "x", "half_life_days": 50}, 0.0),
        *(({"op": op, "column": "x"}, None) for op in ("min", "max", "mean", "last")),
        ({"op": "days_since"}, None),
    ],
)
def test_an_empty_window_has_a_value_of_its_type(changes: dict[str, Any], default: float | None) -> None:
    found = windowed(**changes).default
    assert found == default
    assert type(found) is type(default)


def test_the_default_of_a_coded_column_keeps_its_type() -> None:
    for kind, default in (
        ("int", 0),
        ("double", 0.0),
        ("double", 0),
        ("boolean", False),
        ("string", "1"),
        ("date", None),
    ):
        assert type(Computed("c", kind, about="", default=default).default) is type(default)


def test_inputs_are_the_driver_the_named_and_those_of_windows_each_once() -> None:
    driver, other = Input("events_v1", where="x > 0"), Input("others_v1", days=3)
    columns = (CODED, windowed("a", of=driver), windowed("b", of="more_v1"), windowed("c", of="more_v1"))
    t = table(driver=driver, inputs=(other,), columns=columns)
    assert t.all_inputs == (driver, other, Input("more_v1"))
    assert t.tiled_inputs == ("events_v1", "more_v1")


def test_an_input_that_only_a_window_gives_is_taken_as_it_is() -> None:
    held = Input("positions_v1", where="observed", days=3)
    columns = (CODED, windowed("a", of="positions_v1"), windowed("b", of=held), windowed("c", of=held))
    t = table(columns=columns)
    assert t.all_inputs == (Input("events_v1"), held)  # also for the window that names its table before
    assert t.tiled_inputs == ("positions_v1",)


def test_the_driver_has_tiles_when_it_keeps_keys() -> None:
    columns = (CODED, windowed(of="more_v1"))
    assert table(columns=columns).tiled_inputs == ("more_v1",)
    assert table(columns=columns, keep_days=28).tiled_inputs == ("events_v1", "more_v1")
    assert table().tiled_inputs == ()


def test_reach_is_the_longest_of_input_windows_and_keeping() -> None:
    t = table(
        driver=Input("events_v1", days=2),
        inputs=(Input("others_v1", days=10),),
        columns=(CODED, windowed("a", days=7), windowed("b", days=400), windowed("c", of="others_v1", days=3)),
    )
    assert t.reach("events_v1") == 400
    assert t.reach("others_v1") == 10
    assert table().reach("events_v1") == 1
    assert table(columns=(CODED, windowed(of="more_v1", days=28))).reach("more_v1") == 28


def test_a_kept_key_reaches_back_to_its_last_driver_row_and_no_other_input() -> None:
    t = table(keep_days=28, inputs=(Input("others_v1"),), columns=(CODED, windowed(days=7)))
    assert t.reach("events_v1") == 28
    assert t.reach("others_v1") == 1


def test_a_table_reaches_back_to_its_inputs_alone() -> None:
    with pytest.raises(UnknownName, match="unknown input of family_v1 'evnts_v1'") as error:
        table().reach("evnts_v1")
    assert error.value.nearest == ("events_v1",)


def test_days_are_late_after_thirty_hours_unless_said_otherwise() -> None:
    assert table().fresh_within == source().fresh_within == timedelta(hours=30)
    assert table().max_quarantine_ratio == source().max_malformed_ratio == 0.01


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: Content(reads=(), revision="1"), "name the columns that compute reads"),
        (lambda: Content(reads=("text",), revision=""), "give a revision"),
        (lambda: Content(reads=("content_id",), revision="1"), "content_id is written by the platform"),
        (lambda: Content(reads=("Text",), revision="1"), "'Text' is not a column name"),
        (lambda: Content(reads=("a",), revision="1", each=("b",), id="h"), "`each` names columns that compute reads"),
        (lambda: Content(reads=("a",), revision="1", each=("a",)), "need its `id`"),
        (lambda: Content(reads=("a",), revision="1", batch=0), "at least one content, not 0"),
        (lambda: table(content=Content(reads=("a",), revision="1"), keep_days=3), "reads its day alone"),
        (lambda: source(contents=(Column("text", "string", "t"),)), "contents are kept by a column sha256"),
    ],
)
def test_what_cannot_be_computed_by_content_is_refused(declare: Any, told: str) -> None:
    with pytest.raises(ContractError) as error:
        declare()
    assert told in error.value.what
