"""Rows in quarantine are judged again after a rule was mended: those that pass join their day, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from content_signals.errors import BrokenData, NotLanded, Refused
from content_signals.inspection.quarantine import quarantined
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import digests_of, write_stage_record
from content_signals.pipeline import promotion
from content_signals.pipeline import release as releasing
from content_signals.pipeline import validate as validation
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.release import release
from content_signals.pipeline.validate import validate
from content_signals.quality import quarantine
from content_signals.quality.verdict import Verdict
from tests.changes import DAY, GOOD, NO_NULL, UNIQUE, in_set, rows_of, stage_changes, suite
from tests.quality_judged import UNCOMPILED, conf

STAMPED = ("playlist", "track_id", "change", "event_ts", "computed_at", "run_id")
# One is of a kind the first rules do not know, the other has no key.
MOVED, LOST = ("P", "x", "moved"), ("P", None, "added")
STRICT = suite(NO_NULL, UNIQUE, in_set("added", "removed"))
MENDED = suite(NO_NULL, UNIQUE, in_set("added", "removed", "moved"))
LOOSE = suite(UNIQUE, in_set("added", "removed", "moved"))
STRICTER = suite(NO_NULL, UNIQUE, in_set("added"))


@pytest.fixture(scope="module", autouse=True)
def quick(spark):
    """Few rows and many queries."""
    with conf(spark, UNCOMPILED):
        yield


@pytest.fixture
def changes(context):
    return context.catalog.table("playlist_changes")


@pytest.fixture
def rules(monkeypatch):
    """Let tables be judged by these rules."""
    return lambda found: monkeypatch.setattr(validation, "read_suite", lambda _: found)


@pytest.fixture
def promoted(context, spark, changes, rules):
    """The good rows, promoted, and two in quarantine."""
    rules(STRICT)
    stage = replace(stage_changes(spark, context, [*GOOD, MOVED, LOST], files=2), read_at={"playlist_positions_v1": 7})
    write_stage_record(context.lake.of(changes), stage)
    assert validate(context, spark, changes, [DAY], None).quarantined == 2
    assert promote_days(context, changes, [DAY], None).rows_out == len(GOOD)
    return stage


@pytest.fixture
def again(context, spark, changes, new_run):
    """Release in a run of its own, judged by some rules."""
    return lambda: release(new_run(context), spark, changes, DAY)


def in_quarantine(spark, context, changes):
    return rows_of(spark, context.lake.quarantine(changes))


def test_rows_that_pass_now_join_their_day(context, spark, changes, rules, promoted, again):
    table = context.lake.of(changes)
    before = rows_of(spark, table, columns=STAMPED)
    rules(MENDED)
    outcome = again()
    assert (outcome.rows_in, outcome.rows_out, outcome.quarantined, outcome.verdict) == (2, 1, 1, "warned")
    after = rows_of(spark, table, columns=STAMPED)
    assert [row[:3] for row in after] == sorted([*GOOD, MOVED])
    assert set(before) < set(after), "a row that was promoted stays as it is"
    assert {row[5] for row in after} == {promoted.run_id}
    assert Snapshot(table.history).delta is None
    assert Snapshot(table).stage(DAY).digest == digests_of(read(spark, table))[DAY][1]
    assert Snapshot(table).stage(DAY).read_at == {"playlist_positions_v1": 7}
    assert in_quarantine(spark, context, changes) == [LOST]
    assert [one["rows"] for one in quarantined(context, changes.table, str(DAY))] == [1]

    version = Snapshot(table).version
    assert (again().rows_out, Snapshot(table).version) == (0, version), "what still fails stays, and nothing is written"
    rules(LOOSE)
    assert (again().rows_out, rows_of(spark, table)) == (1, sorted([*GOOD, MOVED, LOST], key=str))
    with pytest.raises(NotLanded, match="nothing is in quarantine"):
        again()


def read(spark, table):
    from content_signals.lake.read import read_days

    return read_days(spark, Snapshot(table), [DAY])


def test_a_release_that_is_stopped_can_be_taken_up(context, spark, changes, rules, promoted, again):
    table = context.lake.of(changes)
    rules(STRICTER)
    with pytest.raises(BrokenData, match="rows break critical rules"):
        again()
    assert rows_of(spark, table) == sorted(GOOD)
    assert len(in_quarantine(spark, context, changes)) > 2
    rules(LOOSE)
    assert (again().rows_out, rows_of(spark, table)) == (2, sorted([*GOOD, MOVED, LOST], key=str))


def test_a_release_that_is_killed_anywhere_can_be_taken_up(
    context, spark, changes, rules, promoted, again, monkeypatch
):
    rules(MENDED)
    places = [
        (releasing, "write_stage_record"),
        (quarantine, "_show"),  # nothing in quarantine yet but what was
        (quarantine, "_sample"),  # the quarantine is narrower, the day as it was
        (Verdict, "write"),
        (releasing, "promote_judged"),
        (promotion.status, "record_promotion"),  # the day is promoted
    ]
    for place, name in places:
        with monkeypatch.context() as killing:
            killing.setattr(place, name, killed)
            with pytest.raises(KeyboardInterrupt):
                again()
    assert again().quarantined == 1
    assert rows_of(spark, context.lake.of(changes)) == sorted([*GOOD, MOVED])
    assert in_quarantine(spark, context, changes) == [LOST]


def killed(*_, **__):
    raise KeyboardInterrupt


def test_rows_of_a_later_run_do_not_join_the_day(context, spark, changes, promoted, again, new_run):
    stage_changes(spark, context, [*GOOD, *[("P", f"y{n}", "moved") for n in range(20)]])
    assert validate(new_run(context), spark, changes, [DAY], None).verdict == "stopped"
    with pytest.raises(Refused, match=f"of another run than {promoted.run_id}, which is promoted"):
        again()
    assert rows_of(spark, context.lake.of(changes)) == sorted(GOOD)


def test_there_is_nothing_to_release(context, spark, changes, rules, again):
    with pytest.raises(NotLanded, match="nothing is in quarantine"):
        again()
    rules(STRICT)
    stage_changes(spark, context, [*GOOD, MOVED])
    validate(context, spark, changes, [DAY], None)
    with pytest.raises(Refused, match="is not promoted, so no row can join it"):
        again()


def test_a_promoted_stage_judged_again_does_not_change_its_day(context, spark, changes, rules, promoted, new_run):
    """It would empty the quarantine, and the rows would be nowhere."""
    rules(MENDED)
    assert validate(new_run(context), spark, changes, [DAY], None).quarantined == 1
    refused = promote_days(context, changes, [DAY], None).failed[DAY]
    assert "is promoted with 297 rows; judged again since, 298 rows would pass" in refused.what
    assert "from its first step" in refused.next_step
    rules(STRICT)
    validate(new_run(context), spark, changes, [DAY], None)
    assert promote_days(context, changes, [DAY], None).rows_out == len(GOOD)
