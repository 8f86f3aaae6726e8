"""Verdicts: what a suite says of a staged day, in Great Expectations' own terms."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import great_expectations as gx
import pytest
from great_expectations.core import expectationSuiteValidationResultSchema

from content_signals.errors import BROKEN_DATA, NotLanded, Refused
from content_signals.lake.files import read_json
from content_signals.lake.layout import start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import write_stage
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.validate import validate
from content_signals.quality.scan import Scanner
from content_signals.quality.suite import FOLDER, read_suite
from tests.landing import write_catalogue

DAY = date(2020, 3, 1)
GOOD = [("P", "a", "added"), ("P", "b", "removed")]
BAD = [("P", "a", "added"), ("P", None, "removed"), ("P", "c", "lost")]


@pytest.fixture
def changes(context):
    return context.catalog.table("playlist_changes")


@pytest.fixture
def staged(context, spark, changes):
    def stage(rows, day=DAY):
        run = start_run()
        frame = spark.createDataFrame(
            [(*row, run.now, run.now, run.run_id, day) for row in rows],
            "playlist string, track_id string, change string,"
            " event_ts timestamp, computed_at timestamp, run_id string, ds date",
        )
        return write_stage(context.lake.of(changes), frame, [day], run, {}, changes.keys)[0]

    return stage


def test_a_day_that_passes_is_promoted(context, spark, changes, staged):
    staged(GOOD)
    newest = staged(GOOD).run_id
    judged = validate(context, spark, changes, [DAY], None)
    assert (judged.verdict, judged.stages) == ("passed", {newest})
    promoted = promote_days(context, changes, [DAY], None)
    assert (promoted.rows_out, promoted.stages) == (2, {newest})


def test_a_day_that_breaks_a_critical_rule_is_stopped(context, spark, changes, staged):
    stage = staged(BAD)
    outcome = validate(context, spark, changes, [DAY], None)
    assert (outcome.verdict, outcome.exit_code, outcome.rows_out) == ("stopped", BROKEN_DATA, 0)
    message = str(outcome.failed[DAY])
    assert "2 of 3 rows break critical rules (66.67%); at most 1.00% may" in message
    assert (
        "expect_column_values_to_be_in_set of change: observed 1 of 3 rows, e.g. ['lost'], allowed value_set="
        in message
    )
    assert "expect_column_values_to_not_be_null of track_id: observed 1 of 3 rows" in message
    assert "nothing was promoted" in message
    with pytest.raises(Refused, match="was stopped: 2 of 3 rows break critical rules"):
        raise promote_days(context, changes, [DAY], stage.run_id).failed[DAY]
    assert Snapshot(context.lake.of(changes)).days == []


def test_a_day_before_the_catalogue_begins_is_promoted_empty(context, spark):
    write_catalogue(Path(context.settings.landing), [("a", "Blue", "X", "al", "3:10", date(2020, 3, 2))])
    ingest(context, spark, context.catalog.source("catalogue_tracks"), [DAY])
    titles = context.catalog.table("track_title")
    assert extract(context, spark, titles, [DAY]).days == [DAY]
    assert validate(context, spark, titles, [DAY], None).verdict == "warned"
    promoted = promote_days(context, titles, [DAY], None)
    assert (promoted.days, promoted.rows_out) == ([DAY], 0)


def test_the_refusal_says_why_the_day_was_stopped(context, spark, changes, staged):
    staged([*GOOD, ("P", "c", "lost")])
    failed = validate(context, spark, changes, [DAY], None).failed[DAY]
    assert "1 of 3 rows break critical rules (33.33%)" in str(failed)
    refused = promote_days(context, changes, [DAY], None)
    assert "was stopped: 1 of 3 rows break critical rules" in refused.failed[DAY].what
    assert len(refused.stages) == 1


def test_in_a_range_the_other_days_go_on(context, spark, changes, staged):
    later = date(2020, 3, 2)
    staged(BAD)
    staged(GOOD, later)
    outcome = validate(context, spark, changes, [DAY, later], None)
    assert (list(outcome.failed), outcome.days) == ([DAY], [DAY, later])
    assert promote_days(context, changes, [DAY, later], None).days == [later]


def test_the_result_is_a_standard_one(context, spark, changes, staged):
    stage = staged(BAD)
    validate(context, spark, changes, [DAY], None)
    record = read_json(f"{context.lake.of(changes).run_folder(DAY, stage.run_id)}/validation_result.json")
    result = expectationSuiteValidationResultSchema.load(record)
    assert (result["success"], result["statistics"]["unsuccessful_expectations"]) == (False, 2)


def test_an_estimate_may_exceed_what_it_estimates(spark):
    """Up to 4,096 listeners are counted, each of whom has played it; above, they are an estimate."""
    suite = read_suite("track_engagement_v1")
    pairs = [one for one in suite["expectations"] if one["kwargs"].get("column_B", "").startswith("listeners_")]
    pairs = [one for one in pairs if one["kwargs"]["column_A"].startswith("plays_")]
    assert len(pairs) == 3
    scanner = Scanner({**suite, "expectations": pairs})
    rows = [(5345, 5384), (9000, 4096), (10, 10), (7, None)]
    names = [f"{name}_{days}d" for days in (1, 7, 28) for name in ("plays", "listeners")]
    ddl = ", ".join(f"{name} bigint" for name in names)
    assert scanner.run(spark.createDataFrame([row * 3 for row in rows], ddl)).success
    broken = scanner.run(spark.createDataFrame([row * 3 for row in [*rows, (4095, 4096)]], ddl))
    assert broken.statistics["unsuccessful_expectations"] == 3


def test_nothing_staged(context, spark, changes):
    with pytest.raises(NotLanded, match="nothing is staged"):
        validate(context, spark, changes, [DAY], None)


def test_promote_needs_a_verdict(context, changes, staged):
    staged(GOOD)
    outcome = promote_days(context, changes, [DAY], None)
    assert "has no verdict" in str(outcome.failed[DAY])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_great_expectations_alone_loads_the_suite(path):
    suite = gx.ExpectationSuite(**json.loads(path.read_text()))
    assert all(str(e.severity.value) in ("critical", "warning", "info") for e in suite.expectations)
