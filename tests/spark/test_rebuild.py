"""A rebuild in which something fails: what goes on, what is left out, and what is said of it. The steps are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest

from content_signals.errors import BrokenData, NotLanded, Refused, Temporary
from content_signals.pipeline import rebuild as module
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.rebuild import rebuild

CHANGES, POPULARITY, TITLE = "playlist_changes_v1", "track_popularity_v1", "track_title_v1"
DAYS = [date(2020, 3, 1) + timedelta(days=n) for n in range(3)]
FIRST, SECOND, THIRD = DAYS


class Steps:
    """Extract, validate and promote that do nothing, except to fail as told: (table, day) or table -> error."""

    def __init__(self) -> None:
        self.extract_fails: dict[str, Exception] = {}
        self.validate_fails: dict[tuple[str, date], BrokenData] = {}
        self.validate_raises: dict[str, Exception] = {}
        self.promote_fails: dict[tuple[str, date], Exception] = {}
        self.not_landed: dict[str, dict[date, str]] = {}
        self.promoted: dict[str, list[date]] = {}

    def extract(self, context, spark, table, days: Sequence[date]) -> Outcome:
        if error := self.extract_fails.get(table.table):
            raise error
        skipped = {day: why for day, why in self.not_landed.get(table.table, {}).items() if day in days}
        return Outcome(days=[day for day in days if day not in skipped], skipped=skipped)

    def validate(self, context, spark, table, days: Sequence[date], run_id: str) -> Outcome:
        if error := self.validate_raises.get(table.table):
            raise error
        return Outcome(days=list(days), verdict="passed", failed=_of(self.validate_fails, table.table, days))

    def promote(self, context, table, days: Sequence[date], run_id: str) -> Outcome:
        failed = _of(self.promote_fails, table.table, days)
        self.promoted[table.table] = [day for day in days if day not in failed]
        return Outcome(days=self.promoted[table.table], rows_out=10, failed=failed)


def _of(failures: Mapping, table: str, days: Sequence[date]) -> dict:
    return {day: failures[table, day] for day in days if (table, day) in failures}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(module, "extract", made.extract)
    monkeypatch.setattr(module, "validate", made.validate)
    monkeypatch.setattr(module, "promote_days", made.promote)
    return made


def rebuilt(context: Context, *tables: str) -> Outcome:
    return rebuild(context, None, dict.fromkeys(tables or (CHANGES, POPULARITY, TITLE), DAYS))


def test_a_day_that_fails_is_left_out_of_what_is_made_from_it_and_said(context, steps):
    steps.validate_fails[CHANGES, SECOND] = BrokenData("2 critical rules failed")
    outcome = rebuilt(context)
    assert steps.promoted == {CHANGES: [FIRST, THIRD], POPULARITY: [FIRST, THIRD], TITLE: DAYS}
    assert outcome.exit_code == 65
    assert {day: error.what for day, error in outcome.failed.items()} == {SECOND: "2 critical rules failed"}
    assert outcome.skipped == {SECOND: f"{CHANGES} {SECOND} was not rebuilt"}
    assert f"{POPULARITY} {SECOND}: skipped, {CHANGES} {SECOND} was not rebuilt" in context.said
    tables = outcome.details["tables"]
    assert (tables[CHANGES]["failed"], tables[CHANGES]["skipped"]) == ({str(SECOND): "2 critical rules failed"}, {})
    assert tables[POPULARITY]["failed"] == {}
    assert tables[POPULARITY]["skipped"] == {str(SECOND): f"{CHANGES} {SECOND} was not rebuilt"}
    assert (tables[POPULARITY]["last_day"], tables[POPULARITY]["days"]) == (str(THIRD), 2)


@pytest.mark.parametrize("temporary_first", [True, False])
def test_of_a_day_that_fails_in_two_tables_the_gravest_error_counts(context, steps, temporary_first):
    order = [t.table for t in context.catalog.tables if t.table in (CHANGES, TITLE)]
    busy, broken = order if temporary_first else reversed(order)
    steps.promote_fails[busy, FIRST] = Temporary("other runs won")
    steps.promote_fails[broken, FIRST] = Refused("columns changed their type")
    outcome = rebuilt(context)
    assert outcome.exit_code == 75
    assert outcome.failed[FIRST].what == "other runs won"
    told = {name: table["failed"].get(str(FIRST)) for name, table in outcome.details["tables"].items()}
    assert (told[busy], told[broken]) == ("other runs won", "columns changed their type")
    assert {"failed: other runs won", "failed: columns changed their type"} <= set(context.said)


def test_a_crash_in_one_table_does_not_hide_what_was_promoted(context, steps, capsys):
    steps.extract_fails[POPULARITY] = RuntimeError("the JVM is gone\nat ...")
    outcome = rebuilt(context)
    assert steps.promoted == {CHANGES: DAYS, TITLE: DAYS}
    assert (outcome.exit_code, outcome.days) == (1, DAYS)
    assert outcome.failed[FIRST].what == f"{POPULARITY}: RuntimeError: the JVM is gone"
    assert "Traceback" in capsys.readouterr().err
    assert outcome.details["tables"][POPULARITY]["last_day"] is None


def test_days_that_had_not_landed_do_not_fail_with_the_others(context, steps):
    steps.not_landed[CHANGES] = {SECOND: "playlist_positions_v1 has not been promoted"}
    steps.validate_raises[CHANGES] = Temporary("the store does not answer")
    outcome = rebuilt(context, CHANGES)
    assert set(outcome.failed) == {FIRST, THIRD}
    assert outcome.skipped == {SECOND: "playlist_positions_v1 has not been promoted"}


def test_every_reason_for_a_skipped_day_is_kept_once(context, steps):
    for table, why in ((CHANGES, "no positions"), (POPULARITY, "no positions"), (TITLE, "no catalogue")):
        steps.not_landed[table] = {FIRST: why}
    assert sorted(rebuilt(context).skipped[FIRST].split("; ")) == ["no catalogue", "no positions"]


def test_nothing_to_build_from(context, steps):
    steps.extract_fails = dict.fromkeys((CHANGES, POPULARITY, TITLE), NotLanded("has none of the days"))
    with pytest.raises(NotLanded, match="none of the days can be built"):
        rebuilt(context)
