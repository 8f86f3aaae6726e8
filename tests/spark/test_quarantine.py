"""Rows that break critical rules are set aside, exactly they, and the rest of the day is promoted."""

from __future__ import annotations

from datetime import date

import pyarrow.parquet as pq
import pytest

from content_signals.errors import BROKEN_DATA, UsageError
from content_signals.inspection.quarantine import quarantined
from content_signals.lake.layout import start_run
from content_signals.lake.promote import promote
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import digests_of, write_stage
from content_signals.pipeline.promotion import LetThrough, promote_days
from content_signals.pipeline.validate import validate

DAY = date(2020, 3, 1)
GOOD = [("P", f"t{n:03}", "added" if n % 3 else "removed") for n in range(300)]
TS = "event_ts timestamp, computed_at timestamp, run_id string, ds date"


@pytest.fixture
def changes(context):
    return context.catalog.table("playlist_changes")


@pytest.fixture
def staged(context, spark, changes):
    def stage(rows, files=3):
        run = start_run()
        full = [(*row, run.now, run.now, run.run_id, DAY) for row in rows]
        frame = spark.createDataFrame(full, f"playlist string, track_id string, change string, {TS}")
        spark.conf.set("spark.sql.adaptive.enabled", "false")  # so that a small day lies in several files
        try:
            return write_stage(context.lake.of(changes), frame.repartition(files), [DAY], run, {}, changes.keys)[0]
        finally:
            spark.conf.set("spark.sql.adaptive.enabled", "true")

    return stage


def rows_of(spark, table, columns=("playlist", "track_id", "change")):
    return sorted(tuple(row) for row in read_days(spark, Snapshot(table), [DAY]).select(*columns).collect())


def test_a_bad_row_is_set_aside_and_the_rest_promoted(context, spark, changes, staged):
    stage = staged([*GOOD, ("P", "zzz", "lost")])
    outcome = validate(context, spark, changes, [DAY], None)
    assert (outcome.verdict, outcome.quarantined, outcome.rows_out) == ("warned", 1, 300)
    assert promote_days(context, changes, [DAY], None).rows_out == 300
    table = context.lake.of(changes)
    assert rows_of(spark, table) == sorted(GOOD)
    kept = {file.path for file in stage.files} & {file.path for file in Snapshot(table).files_by_day[DAY]}
    assert len(kept) == len(stage.files) - 1, "files without a bad row are promoted as they lie"
    promoted = Snapshot(table).stage(DAY)
    assert promoted.digest == digests_of(read_days(spark, Snapshot(table), [DAY]))[DAY][1]
    assert promoted.rows == sum(pq.read_metadata(file).num_rows for file in Snapshot(table).files([DAY]))


def test_the_row_in_quarantine_is_as_it_was(context, spark, changes, staged):
    stage = staged([*GOOD, ("P", None, "lost")])
    validate(context, spark, changes, [DAY], None)
    aside = read_days(spark, Snapshot(context.lake.quarantine(changes)), [DAY]).collect()
    assert len(aside) == 1
    row = aside[0]
    assert (row["playlist"], row["track_id"], row["change"], row["run_id"]) == ("P", None, "lost", stage.run_id)
    assert sorted(row["broken_rules"]) == [
        "expect_column_values_to_be_in_set(change)",
        "expect_column_values_to_not_be_null(track_id)",
    ]
    assert row["judged_by"] == context.run.run_id
    shown = quarantined(context, changes.table, str(DAY))
    assert [(one["rule"], one["rows"]) for one in shown] == [(rule, 1) for rule in sorted(row["broken_rules"])]


def test_every_row_of_a_repeated_key_is_set_aside(context, spark, changes, staged):
    staged([*GOOD, ("P", "t000", "added")])
    assert validate(context, spark, changes, [DAY], None).quarantined == 2
    promote_days(context, changes, [DAY], None)
    assert rows_of(spark, context.lake.of(changes)) == sorted(row for row in GOOD if row[1] != "t000")


def test_judged_twice_is_judged_once(context, spark, changes, staged, new_run):
    staged([*GOOD, ("P", "zzz", "lost")])
    for _ in range(2):
        validate(new_run(context), spark, changes, [DAY], None)
    assert read_days(spark, Snapshot(context.lake.quarantine(changes)), [DAY]).count() == 1
    promote_days(context, changes, [DAY], None)
    assert rows_of(spark, context.lake.of(changes)) == sorted(GOOD)


def test_a_good_day_empties_the_quarantine(context, spark, changes, staged, new_run):
    staged([*GOOD, ("P", "zzz", "lost")])
    validate(context, spark, changes, [DAY], None)
    staged(GOOD)
    assert validate(new_run(context), spark, changes, [DAY], None).verdict == "passed"
    assert read_days(spark, Snapshot(context.lake.quarantine(changes)), [DAY]).count() == 0


def test_a_person_may_let_a_stopped_day_through_but_no_bad_row(context, spark, changes, staged):
    staged([*GOOD, *(("P", f"x{n}", "lost") for n in range(30))])
    outcome = validate(context, spark, changes, [DAY], None)
    assert (outcome.verdict, outcome.exit_code, outcome.quarantined) == ("stopped", BROKEN_DATA, 30)
    assert Snapshot(context.lake.of(changes)).days == []
    decision = LetThrough("kim", "a label renamed its changes; known", context.run.now)
    assert promote_days(context, changes, [DAY], None, decision).rows_out == 300
    table = context.lake.of(changes)
    assert rows_of(spark, table) == sorted(GOOD)
    said = Snapshot(table).delta.history(1)[0]
    assert (said["override_by"], said["override_reason"]) == ("kim", "a label renamed its changes; known")
    again = promote_days(context, changes, [DAY], None)
    assert (again.failed, again.rows_out) == ({}, 300)


@pytest.mark.parametrize(("by", "reason"), [("kim", ""), ("kim", "   short   "), (" ", "long enough a reason")])
def test_nobody_lets_a_day_through_for_no_reason(context, by, reason):
    with pytest.raises(UsageError):
        LetThrough(by, reason, context.run.now)


def test_there_is_nothing_to_overrule_of_a_day_that_passed(context, spark, changes, staged):
    staged(GOOD)
    validate(context, spark, changes, [DAY], None)
    decision = LetThrough("kim", "to be on the safe side", context.run.now)
    assert "was not stopped" in str(promote_days(context, changes, [DAY], None, decision).failed[DAY])


def test_a_row_that_was_promoted_and_is_set_aside_later_was_known_until_then(context, spark, changes, new_run):
    """As when a rule is made stricter: the row keeps its computed_at, and is no row of the day any more."""
    table = context.lake.of(changes)
    before = [*GOOD, ("P", "zzz", "lost"), ("P", "yyy", "lost")]

    def stage(rows, at):
        run = start_run()
        full = [(*row, run.now, at[row], run.run_id, DAY) for row in rows]
        frame = spark.createDataFrame(full, f"playlist string, track_id string, change string, {TS}")
        return write_stage(table, frame, [DAY], run, {}, changes.keys)[0]

    first = start_run().now
    made = stage(before, dict.fromkeys(before, first))
    promote(table, made, made.files)
    later = dict.fromkeys(before, first) | {("P", "yyy", "lost"): start_run().now}  # this one has changed as well
    stage(before, later)
    judging = new_run(context)
    validate(judging, spark, changes, [DAY], None)
    promote_days(judging, changes, [DAY], None)
    assert rows_of(spark, table) == sorted(GOOD)
    [gone] = read_days(spark, Snapshot(table.history), [DAY]).collect()
    assert (gone["track_id"], gone["computed_at"]) == ("zzz", first.replace(tzinfo=None))
    assert gone["superseded_at"] == judging.run.now.replace(tzinfo=None)
