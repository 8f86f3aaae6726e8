"""The commands that look at the lake, on a small one whose every row was written by hand. No JVM is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from content_signals import cli
from content_signals.catalog import Catalog, catalog
from content_signals.contract import Column, Computed, Input, Source, Table, Windowed
from content_signals.errors import UnknownName, UsageError
from content_signals.inspection import show
from content_signals.inspection.tables import one_table
from content_signals.lake.files import write_json
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.promote import promote
from content_signals.pipeline.context import Context
from content_signals.quality.verdict import Failure
from content_signals.settings import Settings
from content_signals.signals.entities import TRACK
from tests.lake import judged, promoted, stage_of
from tests.settings import settings_in

FIRST, SECOND, THIRD = date(2020, 3, 1), date(2020, 3, 2), date(2020, 3, 3)
POSITIONS, CHANGES, POPULARITY = "playlist_positions_v1", "playlist_changes_v1", "track_popularity_v1"
NEIGHBOURS = "track_neighbours_v1"
LATE = 1_583_200_000_000_000  # 2020-03-03T01:46:40Z
# The rule of the run that was stopped.
NULLS = Failure("expect_column_values_to_not_be_null", "critical", "playlists_count", "1 null", "0", "n")


def positions(*rows: tuple[str, int, str, bool]) -> dict[str, list]:
    return dict(zip(("playlist", "position", "track_id", "observed"), map(list, zip(*rows, strict=True)), strict=True))


def popularity(*rows: tuple[str, int]) -> dict[str, list]:
    return {"track_id": [key for key, _ in rows], "playlists_count": [count for _, count in rows]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three days of positions, two of changes and one of popularity; the first day was corrected after all that."""
    settings = settings_in(tmp_path_factory.mktemp("lake"))
    lake = Lake(settings.lake)
    of = {name: lake.of(catalog().any(name)) for name in (POSITIONS, CHANGES, POPULARITY)}
    first = positions(("P", 1, "a", True), ("P", 2, "b", True), ("Q", 1, "a", True))
    promoted(of[POSITIONS], FIRST, first, digest="p1")
    promoted(of[POSITIONS], SECOND, positions(("P", 1, "b", True), ("Q", 1, "a", False)), digest="p2")
    promoted(of[POSITIONS], THIRD, positions(("P", 1, "b", True), ("Q", 1, "a", True)), digest="p3")
    # On the second day P is observed, and compared with the first.
    rows = pa.table({"playlist": ["P"], "track_id": ["a"], "change": ["removed"]})
    promoted(of[CHANGES], FIRST, rows[:0], digest="c1", inputs={POSITIONS: {"2020-03-01": "p1"}})
    made_from = {POSITIONS: {"2020-03-01": "p1", "2020-03-02": "p2"}}
    promoted(of[CHANGES], SECOND, rows, digest="c2", inputs=made_from)
    build_popularity(of[POPULARITY])
    promoted(of[POSITIONS], FIRST, first, run_id="run-00002", digest="p1 corrected")
    return settings


def build_popularity(table) -> None:
    """Three runs of the first day: one stopped, one promoted and published, one not judged yet."""
    made_from = {CHANGES: {"2020-03-01": "c1"}, POSITIONS: {"2020-03-01": "p1"}}
    stopped = stage_of(table, FIRST, popularity(("a", 2)), run_id="run-stopped", fence=LATE)
    judged(stopped, 32, (NULLS,)).write(table)
    served = stage_of(table, FIRST, popularity(("a", 2), ("b", 1)), run_id="run-served", fence=LATE + 60_000_000,
                      files=2, digest="t1", inputs=made_from)  # fmt: skip
    judged(served, 32, ()).write(table)
    promote(table, served, served.files)
    published_at = "2020-03-03T02:00:00+00:00"
    write_json(f"{table.run_folder(FIRST, 'run-served')}/receipt.json", {"published_at": published_at})
    stage_of(table, FIRST, popularity(("c", 1)), run_id="run-open", fence=LATE + 3_600_000_000)


@pytest.fixture(scope="module")
def command(settings: Settings, tmp_path_factory: pytest.TempPathFactory):
    """Run the command on that lake; what it prints."""
    file = tmp_path_factory.mktemp("conf") / "lake.toml"
    values = {n: str(getattr(settings, n)) for n in ("landing", "lake", "var")}
    values |= {n: getattr(settings, n).get_secret_value() for n in ("online_store", "registry")}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, [*words, "--settings", str(file)])
        if done.exception:
            raise done.exception
        return done.stdout

    return run


@pytest.fixture
def as_json(command):
    return lambda *words: json.loads(command(*words, "--json"))


def cells(output: str) -> list[list[str]]:
    """The rows of a table on the terminal, its header first."""
    lines = (line.replace("┃", "│") for line in output.splitlines() if line[:1] in ("│", "┃"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_tables(command, as_json):
    rows = {row["table"]: row for row in as_json("tables")}
    assert rows[POSITIONS] == {
        "table": POSITIONS,
        "kind": "source",
        "days": 3,
        "last_day": "2020-03-03",
        "rows": 2,
        "published": None,
        "columns": 4,
        "owner": "catalogue-signals",
    }
    shown = ("kind", "days", "last_day", "rows", "published", "columns")
    assert [rows[CHANGES][name] for name in shown] == ["feeds others", 2, "2020-03-02", 1, None, 1]
    assert [rows[POPULARITY][name] for name in shown] == ["signals", 1, "2020-03-01", 2, "2020-03-01", 12]
    assert [rows["track_title_v1"][name] for name in shown] == ["signals", 0, None, None, None, 12]
    # Sources by name, then each table after those it is made from.
    names = list(rows)
    assert set(names) == {c.table for c in (*catalog().sources, *catalog().tables)}
    assert names[: len(catalog().sources)] == sorted(source.table for source in catalog().sources)
    assert names.index(CHANGES) < names.index(POPULARITY)

    printed = cells(command("tables"))
    assert printed[0] == ["table", "kind", "days", "last day", "rows", "published", "columns", "owner"]
    assert [row[0] for row in printed[1:]] == names
    found = next(row for row in printed if row[0] == POPULARITY)
    assert found == [POPULARITY, "signals", "1", "2020-03-01", "2", "2020-03-01", "12", "catalogue-signals"]
    assert next(row for row in printed if row[0] == "track_title_v1")[2:6] == ["0", "-", "-", "-"]


def test_show(command, as_json, settings):
    found = as_json("show", "track_popularity")
    columns = {row.pop("column"): row for row in found.pop("columns")}
    assert found == {
        "table": POPULARITY,
        "about": "Presence and momentum of a track in the playlists observed.",
        "owner": "catalogue-signals",
        "entity": "track",
        "key": ["track_id"],
        "driver": CHANGES,
        "made_from": [f"{CHANGES} (400 days)", f"{POSITIONS} where observed (28 days)"],
        "served": True,
        "rules": f"expectations/{POPULARITY}.json",
        "history": None,
        "feeds": [],
        "path": f"{settings.lake}/signals/{POPULARITY}",
        "days": 1,
        "first_day": "2020-03-01",
        "last_day": "2020-03-01",
    }
    assert list(columns) == list(catalog().table("track_popularity").values)
    assert columns["playlists_added_1d"] == {
        "type": "bigint",
        "unit": "playlists",
        "made": f"count of {CHANGES} where change = 'added', 1 day",
        "about": "Playlists that added it on the day",
    }
    assert columns["best_position"]["made"] == "computed"
    assert columns["distinct_playlists_28d"]["made"] == f"distinct playlist of {POSITIONS} where observed, 28 days"
    assert (
        columns["decayed_adds_50d"]["made"] == f"count of {CHANGES} where change = 'added', 400 days, half-life 50 days"
    )

    printed = command("show", POPULARITY)
    assert f"made from: {CHANGES} (400 days), {POSITIONS} where observed (28 days)" in printed.splitlines()
    assert ["playlists_count", "bigint", "playlists", "computed"] in [row[:4] for row in cells(printed)]


def test_show_of_a_source_and_of_a_table_that_feeds_others(as_json):
    source, readers = as_json("show", "playlist_positions"), [CHANGES, NEIGHBOURS, POPULARITY]
    assert (source["key"], source["feeds"], source["days"]) == (["playlist", "track_id"], readers, 3)
    assert source["landing"] == ["playlists/daily/{day}.csv.gz", "playlists/daily/{day}.csv"]
    assert [row["column"] for row in source["columns"]] == ["playlist", "position", "track_id", "observed"]
    changes = as_json("show", "playlist_changes")
    assert (changes["entity"], changes["served"], changes["feeds"]) == (None, False, [NEIGHBOURS, POPULARITY])
    assert changes["made_from"] == [f"{POSITIONS} where observed (1 day and the latest earlier day of each playlist)"]


def test_show_tells_all_that_a_window_declares():
    plays = Input("plays_v1", where="valid")
    columns = {
        "skip_ratio": Windowed("skip_ratio", op="ratio", of=plays, where="ms < 3000", over="ms > 0", days=7, about="x"),
        "all_ratio": Windowed("all_ratio", op="ratio", of="saves_v1", over="kind = 'save'", days=1, about="x"),
        "last_place": Windowed("last_place", op="last", of="plays_v1", column="ms", order_by="at", days=2, about="x"),
        "listeners": Windowed("listeners", op="distinct", of=plays, column="user", exact_to=1024, days=28, about="x"),
        "heard_ms": Windowed("heard_ms", op="sum", of=plays, column="ms", where="ms > 9", days=3,
                             half_life_days=1, about="x"),
        "saves": Windowed("saves", op="count", of="saves_v1", where="kind = 'save'", days=7, about="x"),
        "rank": Computed("rank", "int", about="x"),
    }  # fmt: skip
    said = [Column(name, kind, "x") for name, kind in (("track_id", "string"), ("ms", "bigint"), ("user", "bigint"),
                                                       ("at", "timestamp"), ("kind", "string"))]  # fmt: skip
    source = Source("plays", 1, "events", ("plays/{day}.parquet",), tuple(said), ("track_id",), "x", "x")
    table = Table("heard", 1, plays, tuple(columns.values()), "x", "x", entity=TRACK, keep_days=28)
    known = Catalog([source, replace(source, name="saves", landing=("saves/{day}.parquet",)), table])
    context = Context(None, Lake("/nowhere"), known, start_run(), print)
    found = one_table(context, "heard")
    assert {row["column"]: row["made"] for row in found["columns"]} == {
        "skip_ratio": "ratio of plays_v1 where valid, rows where ms < 3000 over rows where ms > 0, 7 days",
        "all_ratio": "ratio of saves_v1, rows where true over rows where kind = 'save', 1 day",
        "last_place": "last ms of plays_v1 where valid, ordered by at, 2 days",
        "listeners": "distinct user of plays_v1 where valid, exact to 1024, 28 days",
        "heard_ms": "sum ms of plays_v1 where (valid) and (ms > 9), 3 days, half-life 1 day",
        "saves": "count of saves_v1 where kind = 'save', 7 days",
        "rank": "computed",
    }
    assert found["made_from"] == ["plays_v1 where valid (28 days)", "saves_v1 (7 days)"]


def test_runs(command, as_json):
    stopped = {
        "run_id": "run-stopped",
        "started": "2020-03-03T01:46:40+00:00",
        "rows": 1,
        "verdict": "stopped",
        "failed_rules": ["expect_column_values_to_not_be_null of playlists_count"],
        "served": False,
        "published": None,
        "files": 1,
    }
    served = stopped | {
        "run_id": "run-served",
        "started": "2020-03-03T01:47:40+00:00",
        "rows": 2,
        "verdict": "passed",
        "failed_rules": [],
        "served": True,
        "published": "2020-03-03T02:00:00+00:00",
        "files": 2,
    }
    not_judged = stopped | {
        "run_id": "run-open",
        "started": "2020-03-03T02:46:40+00:00",
        "verdict": None,
        "failed_rules": [],
    }
    assert as_json("runs", "track_popularity", "--day", "2020-03-01") == [stopped, served, not_judged]
    assert as_json("runs", "track_popularity", "--day", "2020-03-09") == []
    printed = command("runs", POPULARITY, "--day", "2020-03-01")
    assert printed.splitlines()[0].strip() == f"{POPULARITY} 2020-03-01"
    assert [(row[0], row[3], row[5]) for row in cells(printed) if row[0]] == [
        ("run id", "verdict", "served"),
        ("run-stopped", "stopped", "False"),
        ("run-served", "passed", "True"),
        ("run-open", "-", "False"),
    ]
    assert command("runs", POPULARITY, "--day", "2020-03-09") == "nothing\n"


def test_stale(command, as_json):
    corrected = f"{POSITIONS} 2020-03-01 was corrected since"
    there = "its inputs are there, or to be built before it"
    expected = [
        (CHANGES, "2020-03-01", "stale", corrected),
        (CHANGES, "2020-03-02", "stale", corrected),  # P was compared with that day
        (CHANGES, "2020-03-03", "missing", there),
        *((NEIGHBOURS, f"2020-03-0{day}", "missing", there) for day in (1, 2, 3)),
        (POPULARITY, "2020-03-01", "stale", corrected),
        (POPULARITY, "2020-03-02", "missing", there),
        (POPULARITY, "2020-03-03", "missing", there),
    ]
    names = ("table", "day", "state", "because")
    assert as_json("stale") == [dict(zip(names, row, strict=True)) for row in expected]
    assert [row["table"] for row in as_json("stale", "track_popularity")] == [POPULARITY] * 3
    assert as_json("stale", "track_title") == []
    assert cells(command("stale")) == [list(names), *map(list, expected)]
    assert command("stale", "track_title") == "nothing is stale\n"


@pytest.mark.parametrize("words", [("show", "track_popularty"), ("runs", "track_popularty", "--day", "2020-03-01"),
                                   ("stale", "track_popularty")], ids=lambda words: words[0])  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(command, words):
    with pytest.raises(UnknownName, match="unknown table 'track_popularty'") as error:
        command(*words)
    assert error.value.nearest[0] == POPULARITY


def test_an_error_is_told_on_stderr_with_its_exit_code(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["content-signals", "show", "track_popularty"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (64, "")
    assert said.err.startswith("unknown table 'track_popularty'\nNext: did you mean track_popularity_v1")


def test_a_day_that_is_none_is_refused(command):
    with pytest.raises(UsageError, match="'2020-3-1' is not a day"):
        command("runs", POPULARITY, "--day", "2020-3-1")


def test_brackets_are_shown_as_they_are(capsys):
    """What stands in square brackets would be markup to rich."""
    show.rows("[bold]", [{"[key]": "Blue [live]", "n": "[/]"}], json=False)
    show.record({"title": "Red [remix]", "examples": [{"column": "title", "row 1": "[feat. x]"}]}, json=False)
    printed = capsys.readouterr().out
    assert cells(printed) == [["[key]", "n"], ["Blue [live]", "[/]"], ["column", "row 1"], ["title", "[feat. x]"]]
    assert "[bold]" in printed.splitlines()[0]
    assert "title: Red [remix]" in printed.splitlines()
