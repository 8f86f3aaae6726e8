"""Promote: one commit replaces a day; each of its assertions has a test that breaks it. No JVM is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.errors import BROKEN_DATA, TEMPORARY, Refused, Superseded, Temporary
from content_signals.lake.commit import add_actions, commit, create
from content_signals.lake.history import complete_history
from content_signals.lake.layout import LakeTable, start_run
from content_signals.lake.maintain import maintain
from content_signals.lake.promote import promote
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, StagedFile, read_stage, write_stage_record
from tests.lake import promoted, stage_of

SUNDAY, MONDAY, TUESDAY = date(2020, 3, 1), date(2020, 3, 2), date(2020, 3, 3)


@pytest.fixture
def table(tmp_path: Path) -> LakeTable:
    return LakeTable("plays_v1", str(tmp_path / "signals" / "plays_v1"), str(tmp_path / "_runs" / "plays_v1"))


def rows_of(table: LakeTable) -> list[tuple]:
    read = DeltaTable(table.path).to_pyarrow_dataset().to_table().to_pylist()
    return sorted((str(row["ds"]), row["key"], row["plays"]) for row in read)


def compared(table: LakeTable, base: int, columns: dict[str, list], gone: dict[str, list], **more) -> Stage:
    """A stage that was compared with what its day held, and the rows it supersedes, staged in the history."""
    stage = stage_of(table, MONDAY, columns, **more)
    history: tuple[StagedFile, ...] = ()
    if gone:
        at = pa.array([datetime(2020, 3, 9, tzinfo=UTC)] * len(gone["key"]), pa.timestamp("us", "UTC"))
        path = Path(table.history.path) / f"data/{stage.run_id}-{stage.fence}/ds={MONDAY}/part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({**gone, "superseded_at": at}), path)
        history = (StagedFile(str(path.relative_to(table.history.path)), path.stat().st_size),)
    stage = replace(stage, base=base, history=history)
    write_stage_record(table, stage)
    return stage


def test_superseded_rows_move_to_the_history_once(table):
    first = promoted(table, MONDAY, {"key": ["a", "b"], "plays": [1, 1]})
    second = compared(table, first.fence, {"key": ["a", "b"], "plays": [1, 2]}, {"key": ["b"], "plays": [1]})
    promote(table, second, second.files)
    assert promote(table, second, second.files).already
    assert rows_of(table) == [("2020-03-02", "a", 1), ("2020-03-02", "b", 2)]
    assert rows_of(table.history) == [("2020-03-02", "b", 1)]
    third = compared(table, second.fence, {"key": ["b"], "plays": [2]}, {"key": ["a"], "plays": [1]})
    promote(table, third, third.files)
    assert rows_of(table.history) == [("2020-03-02", "a", 1), ("2020-03-02", "b", 1)]


@pytest.mark.parametrize("mender", ["the same run", "the next run", "a run of another day", "a reader", "maintain"])
def test_a_promote_killed_before_the_history_is_completed_later(table, monkeypatch, mender):
    first = promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    second = compared(table, first.fence, {"key": ["a"], "plays": [2]}, {"key": ["a"], "plays": [1]})

    def killed(_, stage):
        if stage.history:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("content_signals.lake.promote.append_history", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(table, second, second.files)
    assert rows_of(table) == [("2020-03-02", "a", 2)]
    assert not DeltaTable.is_deltatable(table.history.path)
    if mender == "the same run":
        promote(table, second, second.files)
    elif mender == "the next run":
        third = compared(table, second.fence, {"key": ["a"], "plays": [2]}, {})
        promote(table, third, third.files)
    elif mender == "a run of another day":
        promoted(table, TUESDAY, {"key": ["a"], "plays": [1]}, run_id="run-00003")
    elif mender == "a reader":
        complete_history(table, Snapshot(table))
    else:
        maintain(table, before=TUESDAY, retention_hours=24)
    assert rows_of(table.history) == [("2020-03-02", "a", 1)]


@pytest.mark.parametrize("new", [True, False])
def test_a_day_that_has_moved_since_it_was_read_is_refused(table, new):
    base = 0 if new else promoted(table, MONDAY, {"key": ["a"], "plays": [1]}).fence
    mine = compared(table, base, {"key": ["a"], "plays": [3]}, {}, fence=start_run().fence + 60_000_000)
    promoted(table, MONDAY, {"key": ["a", "b"], "plays": [2, 2]}, run_id="run-00002")
    with pytest.raises(Refused, match="another run has promoted this day since run run-00001 read it") as refused:
        promote(table, mine, mine.files)
    assert refused.value.exit_code == BROKEN_DATA
    assert rows_of(table) == [("2020-03-02", "a", 2), ("2020-03-02", "b", 2)]


def test_a_day_another_run_has_promoted_alike_is_there_already(table):
    first = promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    now, gone = {"key": ["a"], "plays": [3]}, {"key": ["a"], "plays": [1]}
    mine = compared(table, first.fence, now, gone, fence=start_run().fence + 60_000_000)
    rival = compared(table, first.fence, now, gone, run_id="run-00002")
    promote(table, rival, rival.files)
    assert promote(table, mine, mine.files).already
    assert rows_of(table.history) == [("2020-03-02", "a", 1)]  # superseded once, by the rival


def test_a_staged_day_is_invisible_until_promoted(table):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    stage = stage_of(table, TUESDAY, {"key": ["b"], "plays": [2]})
    assert rows_of(table) == [("2020-03-02", "a", 1)]
    promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-02", "a", 1), ("2020-03-03", "b", 2)]


def test_a_rebuilt_day_replaces_the_old_one_in_one_commit_and_no_other_day(table):
    promoted(table, MONDAY, {"key": ["a", "b"], "plays": [1, 1]})
    promoted(table, TUESDAY, {"key": ["a"], "plays": [5]})
    before = DeltaTable(table.path).version()
    promoted(table, MONDAY, {"key": ["a"], "plays": [2]})
    assert DeltaTable(table.path).version() == before + 1
    assert rows_of(table) == [("2020-03-02", "a", 2), ("2020-03-03", "a", 5)]


def test_a_day_without_rows_is_promoted_too(table):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    empty = {"key": pa.array([], "string"), "plays": pa.array([], "int64")}
    promoted(table, MONDAY, empty)
    promoted(table, TUESDAY, empty)
    assert rows_of(table) == []
    assert Snapshot(table).days == [MONDAY, TUESDAY]


def test_promoting_twice_changes_nothing(table):
    stage = promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    version = DeltaTable(table.path).version()
    assert promote(table, stage, stage.files).already
    assert DeltaTable(table.path).version() == version


def test_an_older_stage_is_refused(table):
    zombie = stage_of(table, MONDAY, {"key": ["zombie"], "plays": [0]}, run_id="run-00000")
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    with pytest.raises(Superseded, match="a newer run"):
        promote(table, zombie, zombie.files)
    assert rows_of(table) == [("2020-03-02", "a", 1)]


def test_two_promotes_of_a_new_day_at_once_do_not_both_land(table):
    promoted(table, TUESDAY, {"key": ["x"], "plays": [9]})
    older = stage_of(table, MONDAY, {"key": ["older"], "plays": [0]}, run_id="run-00000")
    newer = stage_of(table, MONDAY, {"key": ["newer"], "plays": [1]}, run_id="run-00002")
    rivals = [lambda: promote(table, newer, newer.files)]
    with pytest.raises(Superseded):
        promote(table, older, older.files, before_commit=lambda: rivals.pop()() if rivals else None)
    assert rows_of(table) == [("2020-03-02", "newer", 1), ("2020-03-03", "x", 9)]


def test_two_first_promotes_of_a_table_at_once_do_not_both_land(table, monkeypatch):
    """The rival makes the table, and promotes, after it was seen that there is none and before it is made here."""
    older = stage_of(table, MONDAY, {"key": ["older"], "plays": [0]}, run_id="run-00000")
    newer = stage_of(table, MONDAY, {"key": ["newer"], "plays": [1]}, run_id="run-00002")

    def late(*args):
        monkeypatch.setattr("content_signals.lake.promote.create", create)
        promote(table, newer, newer.files)
        return create(*args)

    monkeypatch.setattr("content_signals.lake.promote.create", late)
    with pytest.raises(Superseded, match="a newer run"):
        promote(table, older, older.files)
    assert rows_of(table) == [("2020-03-02", "newer", 1)]


def test_a_rival_that_commits_another_day_is_only_a_delay(table):
    promoted(table, MONDAY, {"key": ["old"], "plays": [0]})
    stage = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]})
    rivals = [lambda: promoted(table, TUESDAY, {"key": ["b"], "plays": [2]}, run_id="run-00009")]
    promote(table, stage, stage.files, before_commit=lambda: rivals.pop()() if rivals else None)
    assert rows_of(table) == [("2020-03-02", "a", 1), ("2020-03-03", "b", 2)]


def test_a_verdict_for_other_files_is_refused(table):
    judged = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]}, run_id="run-00001")
    stage = stage_of(table, MONDAY, {"key": ["b"], "plays": [2]}, run_id="run-00002")
    with pytest.raises(Refused, match="verdict was given for other files") as refused:
        promote(table, stage, judged.files)
    assert refused.value.exit_code == BROKEN_DATA
    assert "validate_signals --table plays_v1" in str(refused.value)


def test_a_verdict_for_fewer_files_is_refused(table):
    stage = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]})
    with pytest.raises(Refused, match="verdict was given for other files"):
        promote(table, stage, [])


def test_a_missing_file_is_refused(table):
    stage = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]})
    (Path(table.path) / stage.files[0].path).unlink()
    with pytest.raises(Refused, match="cannot be read"):
        promote(table, stage, stage.files)


def test_a_file_that_grew_is_refused(table):
    stage = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]})
    tampered = replace(stage, files=(replace(stage.files[0], size=stage.files[0].size - 1),))
    with pytest.raises(Refused, match="bytes, the stage says"):
        promote(table, tampered, tampered.files)


def test_files_that_hold_other_rows_than_staged_are_refused(table):
    stage = replace(stage_of(table, MONDAY, {"key": ["a"], "plays": [1]}), rows=2)
    with pytest.raises(Refused, match="the files hold 1 rows, the stage says 2"):
        promote(table, stage, stage.files)


def test_a_file_of_another_day_is_refused(table):
    stage = replace(stage_of(table, MONDAY, {"key": ["a"], "plays": [1]}), day=str(TUESDAY))
    with pytest.raises(Refused, match="is not of this run and day"):
        promote(table, stage, stage.files)


def test_a_stage_of_another_table_is_refused(table):
    stage = replace(stage_of(table, MONDAY, {"key": ["a"], "plays": [1]}), table="skips_v1")
    with pytest.raises(Refused, match="the stage is of skips_v1"):
        promote(table, stage, stage.files)


def test_a_table_with_another_partitioning_is_refused(table):
    # A filter on a column that is no partition would drop whole files.
    rows = pa.table({"key": ["a"], "plays": [1], "ds": pa.array([MONDAY])})
    from deltalake import write_deltalake

    write_deltalake(table.path, rows)
    stage = stage_of(table, MONDAY, {"key": ["b"], "plays": [2]})
    with pytest.raises(Refused, match="partitioned by"):
        promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-02", "a", 1)]


def test_an_add_for_another_day_is_refused(table, monkeypatch):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    stage = stage_of(table, MONDAY, {"key": ["b"], "plays": [2]})
    monkeypatch.setattr(
        "content_signals.lake.promote.add_actions",
        lambda table, day, files, fence: add_actions(table, TUESDAY, files, fence),
    )
    with pytest.raises(Refused, match=r"plays_v1 2020-03-02: data/.*parquet belongs to {'ds': '2020-03-03'}"):
        promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-02", "a", 1)]


@pytest.mark.parametrize(
    "taken",
    [
        [],  # the whole table
        [("ds", "<=", "2020-03-02")],
        [("ds", "!=", "2020-03-03")],
        [("ds", "=", "2020-03-03")],  # another day
        [("ds", "=", "2020-02-02")],  # nothing: the day would hold its rows twice
    ],
    ids=str,
)
def test_a_filter_that_takes_more_or_less_than_the_day_is_refused(table, monkeypatch, taken):
    for day in (SUNDAY, MONDAY, TUESDAY):
        promoted(table, day, {"key": ["old"], "plays": [day.day]})
    before, version = rows_of(table), DeltaTable(table.path).version()
    stage = stage_of(table, MONDAY, {"key": ["new"], "plays": [9]})
    with monkeypatch.context() as patched:
        patched.setattr("content_signals.lake.promote._only", lambda day: taken)
        with pytest.raises(Refused, match=r"the commit would replace \[.*\], not ds=2020-03-02 alone"):
            promote(table, stage, stage.files)
    assert (rows_of(table), DeltaTable(table.path).version()) == (before, version)
    promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-01", "old", 1), ("2020-03-02", "new", 9), ("2020-03-03", "old", 3)]


def test_a_filter_that_takes_something_of_a_new_day_is_refused(table, monkeypatch):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    stage = stage_of(table, TUESDAY, {"key": ["b"], "plays": [2]})
    monkeypatch.setattr("content_signals.lake.promote._only", lambda day: [("ds", "<=", str(day))])
    with pytest.raises(Refused, match=r"would replace \[{'ds': '2020-03-02'}\], not ds=2020-03-03 alone"):
        promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-02", "a", 1)]


def test_what_a_commit_adds_and_removes_is_of_its_day(table):
    for day in (SUNDAY, MONDAY, TUESDAY):
        old = promoted(table, day, {"key": ["a", "b"], "plays": [0, 0]}, files=2)
    new = promoted(table, TUESDAY, {"key": ["a", "b", "c"], "plays": [1, 1, 1]}, files=3)
    log = Path(table.path) / "_delta_log" / f"{DeltaTable(table.path).version():020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    adds, removes = ([a[kind] for a in actions if kind in a] for kind in ("add", "remove"))
    assert {a["path"] for a in adds} == {f.path for f in new.files}
    assert {r["path"] for r in removes} == {f.path for f in old.files}
    assert [a["partitionValues"] for a in adds + removes] == [{"ds": "2020-03-03"}] * 5


def test_rivals_that_win_every_commit_leave_it_for_later(table, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("content_signals.lake.commit.sleep", waits.append)  # its own name: py4j's threads sleep too
    promoted(table, MONDAY, {"key": ["old"], "plays": [0]})
    stage = stage_of(table, MONDAY, {"key": ["new"], "plays": [1]})
    days = iter(date(2020, 4, n) for n in range(1, 30))

    def rival() -> None:
        promoted(table, next(days), {"key": ["rival"], "plays": [2]}, run_id="run-00002")

    with pytest.raises(Temporary, match=r"plays_v1 2020-03-02: could not commit: ") as later:
        promote(table, stage, stage.files, before_commit=rival)
    assert later.value.exit_code == TEMPORARY == 75
    assert "Next: promote the day again" in str(later.value)
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]  # eight tries, and none to wait for after the last
    assert rows_of(table) == [("2020-03-02", "old", 0), *((f"2020-04-0{n}", "rival", 2) for n in range(1, 9))]
    promote(table, stage, stage.files)  # no rival any more
    assert rows_of(table)[0] == ("2020-03-02", "new", 1)


def test_an_attempt_that_has_to_be_made_again_and_again_is_left_for_later():
    attempts: list[int] = []
    with pytest.raises(Temporary, match="plays_v1 2020-03-02: other runs won 8 commits in a row") as later:
        commit("plays_v1 2020-03-02", lambda: attempts.append(1))
    assert (len(attempts), later.value.exit_code) == (8, TEMPORARY)


def test_a_changed_type_is_refused(table):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    stage = stage_of(table, TUESDAY, {"key": ["a"], "plays": [1.5]})
    with pytest.raises(Refused, match=r"plays: .*long.*double"):
        promote(table, stage, stage.files)


def test_a_new_column_reads_null_on_earlier_days(table):
    promoted(table, MONDAY, {"key": ["a"], "plays": [1]})
    promoted(table, TUESDAY, {"key": ["a"], "plays": [2], "skips": [7]})
    read = DeltaTable(table.path).to_pyarrow_dataset().to_table().to_pylist()
    assert {str(row["ds"]): row["skips"] for row in read} == {"2020-03-02": None, "2020-03-03": 7}


def test_a_killed_promote_leaves_the_day_as_it_was_and_runs_again(table):
    promoted(table, MONDAY, {"key": ["old"], "plays": [0]})
    stage = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]})

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        promote(table, stage, stage.files, before_commit=killed)
    assert rows_of(table) == [("2020-03-02", "old", 0)]
    promote(table, stage, stage.files)
    assert rows_of(table) == [("2020-03-02", "a", 1)]


def test_an_older_attempt_cannot_take_the_stage_back(table):
    newer = stage_of(table, MONDAY, {"key": ["a"], "plays": [1]}, fence=2_000_000_000_000_000)
    with pytest.raises(Superseded, match="newer attempt"):
        stage_of(table, MONDAY, {"key": ["zombie"], "plays": [0]}, fence=1_000_000_000_000_000)
    assert read_stage(table, MONDAY) == newer


def test_moments_between_milliseconds_are_found_by_a_filter(table):
    """Delta's bounds are whole milliseconds; a reader that skips by them must not lose the rows at either end."""
    moments = [datetime(2026, 3, 1, 12, 0, 0, micros, tzinfo=UTC) for micros in (1, 600, 999_999)]
    at = pa.array(moments, pa.timestamp("us", "UTC"))
    promoted(table, MONDAY, {"key": ["a", "b", "c"], "plays": [1, 2, 3], "computed_at": at})
    read = DeltaTable(table.path).to_pyarrow_dataset()
    for n, moment in enumerate(moments):
        assert read.count_rows(filter=pc.field("computed_at") <= pa.scalar(moment)) == n + 1
        assert read.count_rows(filter=pc.field("computed_at") >= pa.scalar(moment)) == 3 - n


def test_statistics_answer_from_the_log(table):
    promoted(table, MONDAY, {"key": ["b", "a"], "plays": [3, None], "mean": [float("nan"), 1.0]})
    adds = DeltaTable(table.path).get_add_actions(flatten=True)
    assert adds.column("num_records").to_pylist() == [2]
    assert (adds.column("min.key").to_pylist(), adds.column("max.key").to_pylist()) == (["a"], ["b"])
    assert adds.column("null_count.plays").to_pylist() == [1]
    assert "min.mean" not in adds.schema.names or adds.column("min.mean").to_pylist() in ([None], [1.0])
