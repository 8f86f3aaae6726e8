"""The catalogue: names, versions, dependencies; and what importing the core costs."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Column, Computed, Entity, Input, Source, Table, Windowed
from content_signals.errors import ContractError, UnknownName, UsageError

ROOT = Path(__file__).resolve().parents[2]
TRACK = Entity("track", join_key="track_id", about="A track")


def a_source(name: str, version: int = 1) -> Source:
    columns = (Column("track_id", "string", "The track"), Column("amount", "int", "How much"))
    return Source(
        name, version, format="csv", landing=("x",), columns=columns, key=("track_id",), owner="tests", about="A test"
    )


def a_table(name: str, *inputs: str, version: int = 1, columns: tuple[Windowed, ...] = ()) -> Table:
    return Table(
        name=name,
        version=version,
        entity=TRACK,
        driver=Input(inputs[0]),
        inputs=tuple(Input(table) for table in inputs[1:]),
        columns=(Computed("best", "int", about="Coded"), *columns),
        owner="tests",
        about="A test",
    )


def windowed(name: str, op: str, of: str, column: str = "", **more: Any) -> Windowed:
    return Windowed(name, op=op, of=of, days=7, column=column, about="A test", **more)  # type: ignore[arg-type]


def names(tables: tuple[Table | Source, ...]) -> list[str]:
    return [t.table for t in tables]


# a feeds b and c, both feed d; e stands alone.
DIAMOND = Catalog(
    [
        a_table("d", "b_v1", "c_v1"),
        a_table("e", "other_v1"),
        a_table("c", "a_v1"),
        a_table("b", "a_v1"),
        a_table("a", "src_v1"),
        a_source("src"),
        a_source("other"),
    ]
)


# --- this package's own


def test_every_family_of_the_issue_is_found() -> None:
    found = catalog()
    sources = {"catalogue_tracks_v1", "play_events_v1", "playlist_positions_v1"}
    sources |= {"artist_catalogue_v1", "audio_clips_v1", "episode_transcripts_v1"}
    assert set(names(found.sources)) == sources
    tables = {"playlist_changes_v1", "track_engagement_v1", "track_popularity_v1", "track_title_v1"}
    tables |= {"track_neighbours_v1"}
    assert set(names(found.tables)) >= tables


def test_a_table_and_its_folder_have_one_name() -> None:
    contracts: list[Source | Table] = [*catalog().sources, *catalog().tables]
    for contract in contracts:
        room = ROOT / "content_signals" / ("sources" if isinstance(contract, Source) else "signals")
        assert (room / contract.family / "contract.py").is_file()
        assert contract.about
        assert contract.owner
        assert all(column.about for column in contract.columns)


def test_what_the_playlists_feed_in_the_order_it_is_built() -> None:
    found = names(catalog().downstream(["playlist_positions_v1"]))
    assert found.index("playlist_changes_v1") < found.index("track_popularity_v1")
    assert "track_title_v1" not in found
    assert "track_popularity_v1" in names(catalog().consumers("playlist_changes_v1"))


def test_popularity_reaches_back_as_far_as_the_issue_says() -> None:
    popularity = catalog().table("track_popularity_v1")
    assert popularity.reach("playlist_changes_v1") == 400
    assert popularity.reach("playlist_positions_v1") == 28
    assert catalog().table("playlist_changes_v1").reach("playlist_positions_v1") == 1


def test_popularity_has_the_columns_and_types_of_the_issue_and_codes_three_of_them() -> None:
    popularity = catalog().table("track_popularity_v1")
    counts = [f"playlists_{change}_{days}d" for change in ("added", "removed") for days in (1, 7, 28)]
    assert catalog().types(popularity) == {
        "track_id": "string",
        "playlists_count": "bigint",
        "best_position": "int",
        "mean_position": "double",
        **dict.fromkeys(counts, "bigint"),
        "distinct_playlists_28d": "bigint",
        "decayed_adds_50d": "double",
        "days_since_added": "int",
    }
    assert {c.name for c in popularity.computed} == {"playlists_count", "best_position", "mean_position"}
    assert popularity.keys == ("track_id",)


def test_titles_have_the_columns_of_the_issue() -> None:
    flags = ["live", "remix", "remaster", "acoustic", "instrumental", "cover"]
    assert catalog().types(catalog().table("track_title_v1")) == {
        "track_id": "string",
        **dict.fromkeys([*(f"is_{flag}" for flag in flags), "has_featured_artist"], "boolean"),
        "artists_count": "int",
        "title_length_chars": "int",
        "script": "string",
        "duration_ms": "bigint",
        "catalogue_age_days": "int",
    }


def test_engagement_is_declared_and_has_the_columns_of_the_issue() -> None:
    table = catalog().table("track_engagement_v1")
    assert table.computed == ()
    assert (table.keys, table.driver.table, table.keep_days) == (("track_id",), "play_events_v1", 28)
    kinds = {
        "plays": "bigint",
        "skips": "bigint",
        "skip_ratio": "double",
        "listened_ms": "bigint",
        "listeners": "bigint",
        "saves": "bigint",
    }
    of_days = {f"{name}_{days}d": kind for days in (1, 7, 28) for name, kind in kinds.items()}
    assert catalog().types(table) == {"track_id": "string", **of_days, "plays_decayed_50d": "double"}
    assert table.reach("play_events_v1") == 400


def test_events_of_a_track_are_one_when_their_ids_are() -> None:
    source = catalog().source("play_events")
    assert (source.key, source.order_by) == (("track_id", "event_id"), ("ingest_ts",))
    assert catalog().types(source) == {
        "event_id": "string",
        "kind": "string",
        "track_id": "string",
        "user_id": "bigint",
        "ms_played": "bigint",
        "event_ts": "timestamp",
        "ingest_ts": "timestamp",
    }


def test_changes_feed_others_and_are_not_served() -> None:
    changes = catalog().table("playlist_changes_v1")
    assert changes.keys == ("playlist", "track_id")
    assert not changes.serve


# --- names


def test_a_family_means_its_newest_version_by_number() -> None:
    versions = Catalog([a_source("src"), *(a_table("t", "src_v1", version=n) for n in (10, 9, 2))])
    assert versions.table("t").version == 10
    assert versions.live("t").version == 10
    assert versions.table("t_v9").version == 9


def test_sources_and_tables_are_not_mixed_up() -> None:
    assert DIAMOND.source("src").table == DIAMOND.source("src_v1").table == DIAMOND.any("src").table == "src_v1"
    assert DIAMOND.any("d_v1").table == "d_v1"
    with pytest.raises(UnknownName, match="unknown table 'src_v1'"):
        DIAMOND.table("src_v1")
    with pytest.raises(UnknownName, match="unknown source 'd_v1'"):
        DIAMOND.source("d_v1")


@pytest.mark.parametrize("name", ["track_popularty", "track_popularity_v7", "popularity_v1", "TRACK_POPULARITY_V1", ""])
def test_an_unknown_name_is_answered_with_names_there_are(name: str) -> None:
    with pytest.raises(UnknownName) as error:
        catalog().table(name)
    assert isinstance(error.value, UsageError)
    assert error.value.nearest
    assert set(error.value.nearest) <= set(names(catalog().tables))
    if "popular" in name:
        assert error.value.nearest[0] == "track_popularity_v1"


# --- dependencies


def test_tables_come_after_what_they_are_made_from() -> None:
    order = names(DIAMOND.tables)
    assert sorted(order) == ["a_v1", "b_v1", "c_v1", "d_v1", "e_v1"]
    for table in DIAMOND.tables:
        assert all(order.index(i.table) < order.index(table.table) for i in table.all_inputs if i.table in order)


def test_the_order_does_not_hang_on_the_order_of_declaration() -> None:
    contracts: list[Source | Table] = [*DIAMOND.tables, *DIAMOND.sources]
    assert names(Catalog(contracts).tables) == names(Catalog(contracts[::-1]).tables) == names(DIAMOND.tables)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (["src_v1"], ["a_v1", "b_v1", "c_v1", "d_v1"]),
        (["a_v1"], ["a_v1", "b_v1", "c_v1", "d_v1"]),
        (["b_v1"], ["b_v1", "d_v1"]),
        (["d_v1"], ["d_v1"]),
        (["other_v1"], ["e_v1"]),
        (["c_v1", "e_v1"], ["c_v1", "d_v1", "e_v1"]),
        ([], []),
    ],
)
def test_downstream_is_the_table_and_all_it_feeds_in_build_order(start: list[str], found: list[str]) -> None:
    downstream = names(DIAMOND.downstream(start))
    assert sorted(downstream) == found
    assert downstream == [name for name in names(DIAMOND.tables) if name in found]


def test_consumers_are_the_direct_ones() -> None:
    assert sorted(names(DIAMOND.consumers("a_v1"))) == ["b_v1", "c_v1"]
    assert names(DIAMOND.consumers("d_v1")) == []


def test_a_name_that_is_not_there_has_nothing_downstream_and_says_so() -> None:
    with pytest.raises(UnknownName, match="unknown table 'srcc_v1'") as error:
        DIAMOND.downstream(["a_v1", "srcc_v1"])
    assert error.value.nearest[0] == "src_v1"
    with pytest.raises(UnknownName, match="unknown table 'srcc_v1'"):
        DIAMOND.consumers("srcc_v1")


def test_no_source_named_means_all() -> None:
    assert names(DIAMOND.chosen_sources([])) == names(DIAMOND.sources)
    assert names(DIAMOND.chosen_sources(["src", "src_v1"])) == ["src_v1"]
    with pytest.raises(UnknownName, match="unknown source 'scr'"):
        DIAMOND.chosen_sources(["src", "scr"])


def test_tables_are_fed_by_sources_that_give_all_their_inputs() -> None:
    found = catalog()
    assert names(found.fed_by(["play_events"])) == ["track_engagement_v1"]
    both = names(found.fed_by(["playlist_positions_v1", "catalogue_tracks_v1"]))
    assert set(both) >= {"playlist_changes_v1", "track_popularity_v1", "track_title_v1"}
    assert "track_engagement_v1" not in both
    assert names(found.fed_by(names(found.sources))) == names(found.tables)
    assert found.fed_by([]) == ()


def test_a_family_is_its_newest_version_here_too() -> None:
    assert names(DIAMOND.downstream(["c"])) == ["c_v1", "d_v1"]
    assert sorted(names(DIAMOND.consumers("a"))) == ["b_v1", "c_v1"]


def test_a_table_that_only_a_window_reads_is_an_input_too() -> None:
    found = Catalog(
        [
            a_table("late", "src_v1", columns=(windowed("n", "count", "early_v1"),)),
            a_table("early", "src_v1"),
            a_source("src"),
        ]
    )
    assert names(found.tables) == ["early_v1", "late_v1"]
    assert names(found.consumers("early_v1")) == ["late_v1"]


@pytest.mark.parametrize(
    "tables",
    [
        [a_table("a", "a_v1")],
        [a_table("a", "b_v1"), a_table("b", "a_v1")],
        [a_table("a", "b_v1"), a_table("b", "c_v1"), a_table("c", "src_v1", "a_v1")],
        [a_table("a", "src_v1", columns=(windowed("n", "count", "b_v1"),)), a_table("b", "a_v1")],
    ],
    ids=["itself", "two", "three", "through a window"],
)
def test_a_circle_is_refused_and_named(tables: list[Table]) -> None:
    with pytest.raises(ContractError, match="in a circle") as error:
        Catalog([a_source("src"), *tables])
    assert all(table.table in str(error.value) for table in tables)
    circle = error.value.what.rpartition(": ")[2].split(" -> ")
    made_from = {table.table: {i.table for i in table.all_inputs} for table in tables}
    assert circle[0] == circle[-1]
    assert all(before in made_from[after] for before, after in itertools.pairwise(circle))


def test_an_input_nobody_declares_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown input of t_v1 'scr_v1'") as error:
        Catalog([a_source("src"), a_table("t", "scr_v1")])
    assert error.value.nearest[0] == "src_v1"


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ContractError, match="table t_v1 is declared twice"):
        Catalog([a_source("src"), a_table("t", "src_v1"), a_table("t", "src_v1")])
    with pytest.raises(ContractError, match="table t_v1 is declared twice"):
        Catalog([a_source("src"), a_source("t"), a_table("t", "src_v1")])


# --- types


def test_the_type_of_a_window_follows_from_its_op_and_what_it_aggregates() -> None:
    wide = a_table(
        "wide",
        "src_v1",
        columns=(
            windowed("count", "count", "src_v1"),
            windowed("decayed", "count", "src_v1", half_life_days=3),
            windowed("sum", "sum", "src_v1", "amount"),
            windowed("decayed_sum", "sum", "src_v1", "amount", half_life_days=3),
            windowed("mean", "mean", "src_v1", "amount"),
            windowed("distinct", "distinct", "src_v1", "track_id"),
            windowed("approx", "approx_distinct", "src_v1", "track_id"),
            windowed("since", "days_since", "src_v1"),
            windowed("min_amount", "min", "src_v1", "amount"),
            windowed("max_track", "max", "src_v1", "track_id"),
            windowed("last_best", "last", "first_v1", "best"),
            windowed("max_of_windows", "max", "first_v1", "mean"),
            windowed("max_of_keys", "max", "first_v1", "track_id"),
        ),
    )
    first = a_table("first", "src_v1", columns=(windowed("mean", "mean", "src_v1", "amount"),))
    assert Catalog([a_source("src"), first, wide]).types(wide) == {
        "track_id": "string",
        "best": "int",
        "count": "bigint",
        "decayed": "double",
        "sum": "bigint",
        "decayed_sum": "double",
        "mean": "double",
        "distinct": "bigint",
        "approx": "bigint",
        "since": "int",
        "min_amount": "int",
        "max_track": "string",
        "last_best": "int",
        "max_of_windows": "double",
        "max_of_keys": "string",
    }


def a_composite(name: str, driver: str, key: tuple[str, ...], **more: Any) -> Table:
    given: dict[str, Any] = {
        "name": name,
        "version": 1,
        "driver": Input(driver),
        "key": key,
        "columns": (Computed("what", "string", about="Coded"),),
        "owner": "tests",
        "about": "A test",
        "serve": False,
    }
    return Table(**given | more)


def test_the_type_of_a_key_is_what_the_input_says() -> None:
    pairs = a_composite("pairs", "src_v1", ("amount", "track_id", "made_up"))
    over = a_table("over", "pairs_v1", columns=(windowed("most", "max", "pairs_v1", "amount"),))
    found = Catalog([a_source("src"), pairs, over])
    assert list(found.types(pairs).items()) == [
        ("amount", "int"),
        ("track_id", "string"),
        ("made_up", "string"),
        ("what", "string"),
    ]
    assert found.types(over)["most"] == "int"
    assert found.types(found.source("src")) == {"track_id": "string", "amount": "int"}


# --- what a table reads


@pytest.mark.parametrize(
    ("column", "told", "nearest"),
    [
        (windowed("x", "max", "src_v1", "amuont"), "wrong_v1.x: column 'amuont' is no column of src_v1", "amount"),
        (windowed("x", "max", "first_v1", "bets"), "wrong_v1.x: column 'bets' is no column of first_v1", "best"),
        (
            windowed("x", "last", "src_v1", "amount", order_by="track"),
            "wrong_v1.x: order_by 'track' is no column of src_v1",
            "track_id",
        ),
        (windowed("x", "max", "src_v1", "run_id"), "'run_id' is no column of src_v1", "track_id"),
    ],
)
def test_a_window_over_a_column_that_is_not_there_is_refused(column: Windowed, told: str, nearest: str) -> None:
    wrong = a_table("wrong", "src_v1", columns=(column,))
    with pytest.raises(ContractError) as error:
        Catalog([wrong, a_table("first", "src_v1"), a_source("src")])
    assert told in error.value.what
    assert nearest in error.value.next_step


@pytest.mark.parametrize("op", ["sum", "mean"])
@pytest.mark.parametrize(("of", "column", "kind"), [("src_v1", "track_id", "string"), ("first_v1", "mean", "double")])
def test_only_whole_numbers_are_added_up(op: str, of: str, column: str, kind: str) -> None:
    first = a_table("first", "src_v1", columns=(windowed("mean", "mean", "src_v1", "amount"),))
    wrong = a_table("wrong", "src_v1", columns=(windowed("x", op, of, column),))
    with pytest.raises(ContractError, match=f"wrong_v1.x: op {op} does not fit {of}.{column}, a {kind}"):
        Catalog([a_source("src"), first, wrong])


def test_a_previous_column_that_is_not_there_is_refused() -> None:
    wrong = a_composite("wrong", "src_v1", ("track_id",), inputs=(Input("other_v1", previous=("trak_id",)),))
    with pytest.raises(ContractError, match="wrong_v1: previous 'trak_id' is no column of other_v1") as error:
        Catalog([a_source("src"), a_source("other"), wrong])
    assert "track_id" in error.value.next_step


def test_a_window_needs_the_key_in_its_input_and_of_its_type() -> None:
    count = windowed("n", "count", "src_v1")
    with pytest.raises(ContractError, match="wrong_v1: the key of its windows 'shop' is no column of src_v1"):
        Catalog([a_source("src"), a_composite("wrong", "src_v1", ("shop",), keep_days=3, columns=(count,))])
    amounts = Entity("amount", join_key="amount", about="A test")
    with pytest.raises(ContractError, match="wrong_v1: its key amount is of type string, that of src_v1 int"):
        Catalog([a_source("src"), a_composite("wrong", "src_v1", (), entity=amounts, keep_days=3, columns=(count,))])


def test_what_only_compute_reads_needs_no_key() -> None:
    Catalog([a_source("src"), a_composite("fine", "src_v1", ("shop", "place"))])


def test_two_families_that_declare_the_same_table_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the package, not only in a list of contracts: the one way it can happen to an author."""
    text = """
from content_signals.contract import Column, Source
SAME_V1 = Source("same", 1, format="csv", landing=("{about}",), columns=(Column("a", "int", ""),), key=("a",),
                 owner="tests", about="{about}")
"""
    for family in ("one", "two"):
        folder = tmp_path / "twice_declared" / family
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "contract.py").write_text(text.replace("{about}", family))
    (tmp_path / "twice_declared" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    import twice_declared  # type: ignore[import-not-found]

    from content_signals.catalog import _declared

    with pytest.raises(ContractError, match="same_v1 is declared twice"):
        Catalog(_declared(twice_declared))
    importing = "from twice_declared.one.contract import SAME_V1\nSAME_AGAIN = SAME_V1\n"
    (tmp_path / "twice_declared" / "two" / "contract.py").write_text(importing)
    for module in [name for name in sys.modules if name.startswith("twice_declared.two")]:
        monkeypatch.delitem(sys.modules, module)
    importlib.invalidate_caches()
    assert names(Catalog(_declared(twice_declared)).sources) == ["same_v1"]  # one contract, imported by another family


# --- the price of an import


CORE = ("contract", "day", "errors", "settings", "catalog")
HEAVY = (
    "airflow",
    "delta",
    "deltalake",
    "duckdb",
    "feast",
    "great_expectations",
    "numpy",
    "pandas",
    "py4j",
    "pyarrow",
    "pyspark",
)


@pytest.mark.parametrize("environment", ["airflow", "jobs"])
def test_the_core_is_cheap_and_loads_nothing_heavy(environment: str) -> None:
    """Airflow parses DAG files again and again, and each parse imports this."""
    python = ROOT / ".venv" / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {environment} environment at {python}: run make setup")
    program = f"""
import json, sys, time
before = time.process_time()
for module in {CORE!r}:
    __import__("content_signals." + module)
tables = len(sys.modules["content_signals.catalog"].catalog().tables)
print(json.dumps([time.process_time() - before, tables, sorted({{m.split(".")[0] for m in sys.modules}})]))
"""
    done = subprocess.run([python, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seconds, tables, modules = json.loads(done.stdout)
    assert tables == len(catalog().tables)
    assert set(HEAVY).isdisjoint(modules)
    assert seconds < 1.0, f"the core took {seconds:.2f} s of CPU to import"  # it takes 0.25


@pytest.mark.parametrize("module", ["errors", "content", "contract", "day", "settings"])
def test_each_core_module_stands_alone(module: str) -> None:
    """Core imports nothing of ours but core."""
    program = (
        f"import content_signals.{module}, sys; print(*[m for m in sys.modules if m.startswith('content_signals.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    core = {"errors", "declaration", "content", "contract", "day", "settings"}
    assert {name.split(".")[1] for name in done.stdout.split()} <= core
