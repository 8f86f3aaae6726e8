"""Sources are judged as they are ingested: by suites of their own, with the same consequences as tables."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from content_signals.errors import BROKEN_DATA, NotLanded
from content_signals.inspection.quarantine import quarantined
from content_signals.inspection.verdicts import verdicts
from content_signals.lake.layout import start_run
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline import validate as validation
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import LetThrough, promote_days
from content_signals.pipeline.release import release
from content_signals.pipeline.validate import validate
from content_signals.quality.baseline import Baseline
from content_signals.quality.status import status_of
from content_signals.quality.suite import read_suite
from tests.landing import an_event, write_events, write_positions

DAY = date(2020, 3, 1)
FAR = 100_001  # the suite's limit is one less
RULE = "expect_column_values_to_be_between(position)"


@pytest.fixture
def positions(context):
    return context.catalog.source("playlist_positions")


@pytest.fixture
def landed(context):
    """Lands a day of so many good lines, and of more."""

    def land(good: int, more: list[str] | None = None, day: date = DAY) -> None:
        lines = [f"{day},List,{place},track-{place}" for place in range(1, good + 1)]
        write_positions(Path(context.settings.landing), day, [*lines, *(more or [])])

    return land


@pytest.fixture
def ingested(context, spark, new_run):
    """Ingests days in a run of its own."""
    return lambda source, *days: ingest(new_run(context), spark, source, list(days) or [DAY])


def rows(spark, context, source):
    found = read_days(spark, Snapshot(context.lake.of(source)), [DAY]).select("position", "track_id").collect()
    return sorted(tuple(row) for row in found)


def good(count: int) -> list[tuple[int, str]]:
    return [(place, f"track-{place}") for place in range(1, count + 1)]


def test_a_row_that_breaks_a_critical_rule_is_set_aside(context, spark, positions, landed, ingested):
    landed(400, [f"{DAY},List,{FAR},far", f"{DAY},List,none,lost"])
    outcome = ingested(positions)
    assert (outcome.exit_code, outcome.verdict) == (0, "warned")
    assert (outcome.rows_in, outcome.rows_out, outcome.quarantined) == (402, 400, 2)
    assert rows(spark, context, positions) == good(400)
    aside = read_days(spark, Snapshot(context.lake.quarantine(positions)), [DAY]).collect()
    assert [(row["position"], row["track_id"], row["broken_rules"]) for row in aside] == [(FAR, "far", [RULE])]
    shown = quarantined(context, positions.table, str(DAY))
    assert [(one["rule"], one["rows"]) for one in shown] == [
        ("position is not an integer of 1 or more", 1),
        (RULE, 1),
    ]
    noted = status_of(context.lake, positions.table)[0]
    assert (noted["outcome"], noted["promoted"], noted["rows"]) == ("warned", True, 400)
    assert (noted["quarantined"], noted["malformed"]) == (1, 1)
    # The malformed line leaves a hole in the only list of the day.
    assert {failure["name"] for failure in noted["failures"]} == {RULE, "expect_column_values_to_be_in_set(observed)"}

    landed(400)
    assert ingested(positions).verdict == "passed"
    assert quarantined(context, positions.table, str(DAY)) == []
    noted = status_of(context.lake, positions.table)[0]
    assert (noted["quarantined"], noted["malformed"]) == (0, 0)
    assert [one["verdict"] for one in verdicts(context, positions.table, 9, str(DAY))] == ["passed", "warned"]


def test_a_stopped_day_keeps_what_was_served_and_can_be_let_through(context, spark, positions, landed, ingested):
    landed(100)
    ingested(positions)
    landed(200, [f"{DAY},List,{FAR + n},far-{n}" for n in range(9)])
    outcome = ingested(positions)
    assert (outcome.exit_code, outcome.days, outcome.rows_in, outcome.rows_out) == (BROKEN_DATA, [], 209, 0)
    assert (outcome.verdict, outcome.quarantined) == ("stopped", 9)
    message = str(outcome.failed[DAY])
    assert "9 of 209 rows break critical rules (4.31%); at most 1.00% may" in message
    assert f"content-signals promote {positions.table} --day {DAY} --override" in message
    assert message.endswith("then start the builds of the day")
    assert f"quarantine/{positions.table}_rows" in message
    assert rows(spark, context, positions) == good(100)
    decision = LetThrough("kim", "the label counts from a million on", context.run.now)
    assert promote_days(context, positions, [DAY], None, decision).rows_out == 200
    assert rows(spark, context, positions) == good(200)


def test_rows_are_released_when_the_rule_was_wrong(context, spark, positions, landed, ingested, new_run, monkeypatch):
    landed(300, [f"{DAY},List,{FAR},far"])
    ingested(positions)
    suite = copy.deepcopy(read_suite(positions.table))
    for rule in suite["expectations"]:
        rule["kwargs"].update({"max_value": FAR} if "between" in rule["type"] and "column" in rule["kwargs"] else {})
    monkeypatch.setattr(validation, "read_suite", lambda _: suite)
    assert release(new_run(context), spark, positions, DAY).rows_out == 1
    assert rows(spark, context, positions) == [*good(300), (FAR, "far")]
    with pytest.raises(NotLanded, match="nothing is in quarantine"):
        release(new_run(context), spark, positions, DAY)


def test_a_day_unlike_those_before_it_is_told(context, positions, landed, ingested):
    days = [DAY + timedelta(days=n) for n in range(9)]
    for n, day in enumerate(days[:-1]):
        landed(200 + n, day=day)
    landed(2000, day=days[-1])
    outcome = ingested(positions, *days)
    assert (outcome.exit_code, outcome.days, outcome.verdict) == (0, days, "warned")
    # Seven days must be known before a day is compared; the eighth is like them.
    assert [outcome.verdicts[day].outcome for day in days] == [*["passed"] * 8, "warned"]
    failed = {failure.name: failure.severity for failure in outcome.verdicts[days[-1]].failures}
    assert failed == {
        "expect_row_count_to_be_like_history()": "warning",
        "expect_column_mean_to_be_like_history(position)": "warning",
    }


def test_events_in_another_unit_stop_the_day(context, ingested):
    source = context.catalog.source("play_events")
    days = [DAY + timedelta(days=n) for n in range(8)]
    for n, day in enumerate(days):
        heard = 180 if day == days[-1] else 180_000 + n
        events = [an_event(day, event_id=f"e{k}", track_id=f"t{k % 7}", ms_played=heard) for k in range(120)]
        write_events(Path(context.settings.landing), day, events)
    outcome = ingested(source, *days)
    assert (outcome.exit_code, outcome.days) == (BROKEN_DATA, days[:-1])
    assert "expect_column_mean_to_be_like_history of ms_played" in str(outcome.failed[days[-1]])
    assert Snapshot(context.lake.of(source)).days == days[:-1]


def test_history_is_what_was_promoted_not_what_was_tried_under_the_same_run(context, spark):
    """A run that is cleared keeps its id: the metrics of its stopped attempt must not become the usual ones."""
    source = context.catalog.source("play_events")
    days = [DAY + timedelta(days=n) for n in range(9)]

    def land(day, heard):
        events = [an_event(day, event_id=f"e{k}", track_id=f"t{k % 7}", ms_played=heard + k) for k in range(120)]
        write_events(Path(context.settings.landing), day, events)

    def run(day):
        return ingest(replace(context, run=start_run(f"scheduled-{day}")), spark, source, [day])

    for day in days[:8]:
        land(day, 180_000)
        assert run(day).exit_code == 0
    for day in days:  # delivered again, in seconds
        land(day, 180)
        assert (day < days[7]) or run(day).exit_code == BROKEN_DATA
    assert Snapshot(context.lake.of(source)).days == days[:8]
    kept = Baseline(context.lake.of(source)).before(days[8])
    assert {one.day: one.metrics["mean(ms_played)"] for one in kept}[days[7]] > 100_000


def test_a_staged_file_that_is_gone_fails_its_day_alone(context, spark, positions, landed, ingested, new_run):
    days = [DAY + timedelta(days=n) for n in range(4)]
    for day in days:
        landed(150, day=day)
    ingested(positions, *days)
    table = context.lake.of(positions)
    stage = Snapshot(table).stage(days[2])
    for file in stage.files:
        Path(f"{table.path}/{file.path}").unlink()
    outcome = validate(new_run(context), spark, positions, days, None)
    assert list(outcome.failed) == [days[2]]
    assert outcome.days == [day for day in days if day != days[2]]
