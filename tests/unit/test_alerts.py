"""Alerts: what is told, what is folded into what, what is said when it is over. Nothing is sent anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_signals.alerts import alerts as module
from content_signals.alerts.alerts import Alerts
from content_signals.alerts.message import Message
from content_signals.alerts.problem import LOST
from content_signals.alerts.records import Records, Ref
from content_signals.alerts.send import Delivery
from content_signals.catalog import Catalog
from content_signals.contract import Column, Computed, Entity, Input, Source, Table, Windowed
from content_signals.errors import BrokenData
from content_signals.lake.layout import Lake
from content_signals.quality.verdict import CRITICAL, INFO, PASSED, STOPPED, WARNED, WARNING, Failure, Verdict

DAY = date(2020, 6, 1)
NOW = datetime(2020, 6, 2, 1, tzinfo=UTC)
TRACK = Entity("track", join_key="track_id", about="A track")
SERVED = "2020-05-31"


def a_source(name: str) -> Source:
    columns = (Column("track_id", "string", "The track"),)
    return Source(
        name, 1, format="csv", landing=("x",), columns=columns, key=("track_id",), owner="senders", about="A test"
    )


def a_table(name: str, *inputs: str, windows: int = 0) -> Table:
    columns = (Windowed("n", op="count", of=inputs[0], days=windows, about="A test"),) if windows else ()
    return Table(
        name=name,
        version=1,
        entity=TRACK,
        driver=Input(inputs[0]),
        inputs=tuple(Input(table) for table in inputs[1:]),
        columns=(Computed("best", "int", about="Coded"), *columns),
        owner="catalogue-signals",
        about="A test",
    )


# landed feeds ten tables and, through the first, one with a window of a year; other stands alone.
TEN = tuple(a_table(f"t{n}", "landed_v1") for n in range(10))
YEAR = a_table("year", "t0_v1", windows=365)
OTHER = a_table("other_table", "other_v1")
LANDED = a_source("landed")
CATALOG = Catalog([LANDED, a_source("other"), *TEN, YEAR, OTHER])
T0 = TEN[0]


@dataclass
class Desk:
    """Alerts on a lake of their own, what was sent and said, and a clock that is turned by hand."""

    folder: Path
    sent: list[Message] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=lambda: [""])
    now: datetime = NOW
    takes: timedelta = timedelta()

    def __post_init__(self) -> None:
        self.alerts = self.another()
        self.records = Records(str(self.folder), self.clock, self.sleep)

    def another(self) -> Alerts:
        """Another process on the same lake."""
        records = Records(str(self.folder), self.clock, self.sleep)
        return Alerts(
            (), Lake(str(self.folder)), CATALOG, self.said.append,
            clock=self.clock, deliver=self.deliver, records=records,
        )  # fmt: skip

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def deliver(self, message: Message) -> list[Delivery]:
        self.now += self.takes
        found = [Delivery(f"mailto ({n + 1})", why) for n, why in enumerate(self.answers)]
        if any(not delivery.why_not for delivery in found):
            self.sent.append(message)
        return found

    def judged(self, table: Table | Source, outcome: str, *rules: str, day: date = DAY, **more: object) -> None:
        self.alerts.judged(table, verdict(table, outcome, *rules, day=day), served=SERVED, **more)  # type: ignore[arg-type]

    def titles(self) -> list[str]:
        return [message.title for message in self.sent]

    def record(self, table: Table | Source, day: date = DAY) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "_alerts" / table.table / f"{day}.json").read_text())
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def verdict(table: Table | Source, outcome: str, *rules: str, day: date = DAY) -> Verdict:
    severity = {STOPPED: CRITICAL, WARNED: WARNING, PASSED: INFO}[outcome]
    failures = tuple(Failure(rule, severity, "track_id", "12", "0", "a note", 12, ("a", "b", "c")) for rule in rules)
    stopped_by = ("1 critical rule failed",) if outcome == STOPPED else ()
    return Verdict(
        table.table, str(day), "run-00001", 1, outcome, 3, failures, (), rows=100, stopped_by=stopped_by
    )  # fmt: skip


# ---------------------------------------------------------------- one problem, one alert


@pytest.mark.parametrize("outcome", [STOPPED, WARNED])
def test_a_day_that_does_not_pass_is_told_once_whoever_judges_it_again(desk: Desk, outcome: str) -> None:
    desk.judged(T0, outcome, "not_null")
    desk.judged(T0, outcome, "not_null")
    desk.alerts = desk.another()
    desk.judged(T0, outcome, "not_null")
    assert len(desk.sent) == 1
    assert "not told again" in desk.said[-1]


def test_info_and_passed_days_are_told_to_nobody_and_leave_no_record(desk: Desk) -> None:
    desk.judged(T0, PASSED, "a_remark")
    assert not desk.sent
    assert not (desk.folder / "_alerts").exists()


def test_of_a_warned_day_the_remarks_are_left_out(desk: Desk) -> None:
    found = verdict(T0, WARNED, "mean")
    remark = replace(found.failures[0], rule="a_remark", severity=INFO)
    desk.alerts.judged(T0, replace(found, failures=(*found.failures, remark)), served=SERVED)
    assert "a_remark" not in desk.sent[0].body


def test_a_rule_not_told_before_and_a_graver_outcome_are_told(desk: Desk) -> None:
    desk.judged(T0, WARNED, "mean")
    desk.judged(T0, WARNED, "mean", "psi")
    desk.judged(T0, WARNED, "psi")
    assert len(desk.sent) == 2
    desk.judged(T0, STOPPED, "psi")
    assert desk.titles()[2:] == ["t0_v1 2020-06-01 stopped: 1 rule failed"]
    desk.judged(T0, WARNED, "mean")
    assert len(desk.sent) == 3


def test_days_and_tables_are_told_by_themselves(desk: Desk) -> None:
    desk.judged(T0, STOPPED, "not_null")
    desk.judged(OTHER, STOPPED, "not_null")
    desk.judged(T0, STOPPED, "not_null", day=DAY + timedelta(days=1))
    assert len(desk.sent) == 3


def test_an_override_is_told_with_who_and_why_and_once(desk: Desk) -> None:
    desk.judged(T0, STOPPED, "not_null")
    let_through = verdict(T0, STOPPED, "not_null").overridden("jane", "the label confirmed it", NOW)
    for _ in range(2):
        desk.alerts.judged(T0, let_through, served="the day as it is")
    assert desk.titles()[1:] == ["t0_v1 2020-06-01 let through: by jane"]
    assert "jane at 2020-06-02T01:00:00+00:00: the label confirmed it" in desk.sent[1].body


# ---------------------------------------------------------------- when it is over


def test_when_the_day_passes_one_line_says_so_once(desk: Desk) -> None:
    desk.judged(T0, STOPPED, "not_null")
    desk.judged(T0, PASSED)
    desk.judged(T0, PASSED)
    assert [m.body for m in desk.sent[1:]] == ["Told before: stopped, 2020-06-02 01:00 UTC."]
    assert desk.record(T0)["open"] is False


def test_what_fails_again_after_it_passed_is_told_again(desk: Desk) -> None:
    for outcome in (STOPPED, PASSED, STOPPED):
        desk.judged(T0, outcome, "not_null")
    assert len(desk.sent) == 3


def test_only_what_the_step_knows_of_is_over(desk: Desk) -> None:
    desk.judged(T0, WARNED, "mean")
    desk.alerts.mended(T0, DAY, kinds=(LOST,))
    assert desk.record(T0)["open"] is True
    desk.alerts.lost(OTHER, DAY, "the worker is gone")
    desk.alerts.mended(OTHER, DAY, kinds=(LOST,))
    assert desk.titles()[1:] == ["other_table_v1 2020-06-01 job lost", "other_table_v1 2020-06-01 passes now"]


# ---------------------------------------------------------------- one cause, one alert


def test_ten_tables_broken_by_one_late_source_are_one_alert_that_names_them(desk: Desk) -> None:
    desk.alerts.late(LANDED, DAY, "nothing has landed\nLooked for: x", task_log="http://airflow/log")
    for table in TEN:
        desk.alerts.late(table, DAY, "an input is missing")
    assert desk.titles() == ["landed_v1 2020-06-01 late"]
    body = desk.sent[0].body
    assert "Waiting for it: t0_v1, t1_v1" in body
    assert "Log: http://airflow/log" in body
    assert "Owner: senders" in body
    assert desk.record(TEN[3])["cause"] == {"table": "landed_v1", "day": "2020-06-01"}


def test_the_line_at_the_end_names_what_was_held_up_and_closes_it(desk: Desk) -> None:
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    desk.alerts.late(T0, DAY, "an input is missing")
    desk.judged(YEAR, STOPPED, "volume")
    desk.alerts.mended(LANDED, DAY)
    assert [m.title for m in desk.sent[1:]] == ["landed_v1 2020-06-01 passes now"]
    assert desk.sent[1].body == (
        "Told before: late, 2020-06-02 01:00 UTC. It had held up t0_v1 2020-06-01, year_v1 2020-06-01."
    )
    desk.judged(T0, PASSED)
    desk.judged(YEAR, PASSED)
    assert len(desk.sent) == 2, "closed without another message"
    desk.judged(T0, STOPPED, "not_null")
    assert len(desk.sent) == 3, "what is wrong after the cause has gone is its own problem"


def test_a_held_up_table_that_passes_first_is_closed_in_silence(desk: Desk) -> None:
    desk.judged(LANDED, STOPPED, "not_null")
    desk.judged(T0, STOPPED, "not_null")
    desk.judged(T0, PASSED)
    desk.alerts.mended(LANDED, DAY)
    assert desk.sent[1].body.endswith("UTC.")


def test_a_hole_explains_later_days_whose_windows_hold_it(desk: Desk) -> None:
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    desk.judged(YEAR, WARNED, "volume", day=DAY + timedelta(days=200))
    desk.judged(YEAR, WARNED, "volume", day=DAY + timedelta(days=365))
    desk.judged(YEAR, WARNED, "volume", day=DAY - timedelta(days=1))
    desk.judged(OTHER, WARNED, "volume")
    assert desk.titles()[1:] == [f"{name} passed with warnings: 1 rule failed" for name in
                                 ("year_v1 2021-06-01", "year_v1 2020-05-31", "other_table_v1 2020-06-01")]  # fmt: skip


def test_a_problem_that_nobody_mends_explains_others_for_a_week(desk: Desk) -> None:
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    desk.now += timedelta(days=8)
    desk.judged(YEAR, STOPPED, "volume", day=DAY + timedelta(days=7))
    assert len(desk.sent) == 2
    assert "Perhaps because: landed_v1 2020-06-01 (late)" in desk.sent[1].body


def test_a_warning_explains_no_stop_and_no_other_day(desk: Desk) -> None:
    desk.judged(T0, WARNED, "mean")
    desk.judged(YEAR, WARNED, "volume")
    assert len(desk.sent) == 1
    desk.judged(YEAR, STOPPED, "volume")
    desk.judged(YEAR, WARNED, "volume", day=DAY + timedelta(days=1))
    assert len(desk.sent) == 3


def test_a_lost_job_is_not_explained_by_data(desk: Desk) -> None:
    desk.judged(LANDED, STOPPED, "not_null")
    desk.alerts.lost(T0, DAY, "the worker is gone")
    desk.alerts.lost(YEAR, DAY, "the worker is gone")
    assert desk.titles()[1:] == ["t0_v1 2020-06-01 job lost"]


def test_what_was_told_before_its_cause_stays_an_alert_of_its_own(desk: Desk) -> None:
    desk.judged(T0, STOPPED, "not_null")
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    desk.alerts.mended(LANDED, DAY)
    assert "held up" not in desk.sent[2].body
    desk.judged(T0, PASSED)
    assert desk.titles()[3:] == ["t0_v1 2020-06-01 passes now"]


def test_a_cause_that_reached_nobody_explains_nothing(desk: Desk) -> None:
    desk.answers = ["no answer"]
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    desk.answers = [""]
    desk.judged(T0, STOPPED, "not_null")
    assert desk.titles() == ["t0_v1 2020-06-01 stopped: 1 rule failed"]


def test_a_cause_that_ends_meanwhile_explains_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.alerts.late(LANDED, DAY, "nothing has landed")
    found = module.lineage.cause_of

    def and_ends(*given: object) -> object:
        cause = found(*given)  # type: ignore[arg-type]
        desk.another().mended(LANDED, DAY)
        return cause

    monkeypatch.setattr(module.lineage, "cause_of", and_ends)
    desk.judged(T0, STOPPED, "not_null")
    assert desk.titles()[1:] == ["landed_v1 2020-06-01 passes now", "t0_v1 2020-06-01 stopped: 1 rule failed"]
    assert desk.record(T0)["cause"] is None


# ---------------------------------------------------------------- channels that fail


def test_what_no_channel_took_is_told_by_the_next_run_and_one_channel_is_enough(desk: Desk) -> None:
    desk.answers = ["no answer within 20 s", "it answered HTTP 404"]
    desk.judged(T0, STOPPED, "not_null")
    assert desk.said[-1] == "t0_v1 2020-06-01: mailto (2): alert not delivered: it answered HTTP 404"
    desk.answers = ["no answer within 20 s", ""]
    desk.judged(T0, STOPPED, "not_null")
    desk.judged(T0, STOPPED, "not_null")
    assert len(desk.sent) == 1


def test_without_channels_the_record_is_kept(desk: Desk) -> None:
    desk.answers = []
    desk.judged(T0, STOPPED, "not_null")
    assert desk.record(T0)["open"] is True
    assert "no channel in alert_urls" in desk.said[-1]


def test_a_job_spends_minutes_on_alerts_not_hours(desk: Desk) -> None:
    desk.takes, desk.answers = timedelta(seconds=20), ["no answer within 20 s"]
    for n in range(50):
        desk.judged(T0, STOPPED, "not_null", day=DAY + timedelta(days=n))
    assert sum("not delivered" in line for line in desk.said) == 7
    assert "has spent 0:02:20 on alerts" in desk.said[-1]


def test_nothing_that_goes_wrong_fails_the_job(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("anything")

    monkeypatch.setattr(module.message, "of_problem", broken)
    desk.judged(T0, STOPPED, "not_null")
    assert desk.said[-1] == "t0_v1 2020-06-01: the alert could not be dealt with: RuntimeError: anything"


def test_an_alert_whose_records_cannot_be_kept_is_told_all_the_same(desk: Desk) -> None:
    (desk.folder / "_alerts").write_text("a file where the folder should be")
    desk.judged(T0, STOPPED, "not_null")
    assert len(desk.sent) == 1
    assert any("cannot be read" in line for line in desk.said)


def test_half_a_record_is_no_record(desk: Desk) -> None:
    desk.judged(T0, STOPPED, "not_null")
    (desk.folder / "_alerts" / "t0_v1" / f"{DAY}.json").write_text('{"table": "t0')
    desk.judged(T0, STOPPED, "not_null")
    assert len(desk.sent) == 2


# ---------------------------------------------------------------- many days at once


def test_a_range_is_told_by_its_first_day_and_one_message_for_the_others(desk: Desk) -> None:
    days = [DAY + timedelta(days=n) for n in range(30)]
    with desk.alerts:
        for day in days:
            desk.judged(T0, STOPPED, "not_null", day=day)
        desk.judged(T0, STOPPED, "volume", day=days[-1] + timedelta(days=1))
    assert desk.titles() == [
        "t0_v1 2020-06-01 stopped: 1 rule failed",
        "t0_v1 2020-07-01 stopped: 1 rule failed",
        "t0_v1 stopped: 29 more days, 2020-06-02 to 2020-06-30",
    ]
    desk.alerts = desk.another()
    with desk.alerts:
        for day in days:
            desk.judged(T0, PASSED, day=day)
    assert desk.titles()[3:] == [
        "t0_v1 2020-06-01 passes now",
        "t0_v1: 29 more days pass now, 2020-06-02 to 2020-06-30",
    ]


def test_a_range_of_two_tables_is_told_for_the_first_alone(desk: Desk) -> None:
    days = [DAY + timedelta(days=n) for n in range(5)]
    for outcome in (STOPPED, PASSED):
        desk.alerts = desk.another()
        with desk.alerts:
            for table in (T0, YEAR):
                for day in days:
                    desk.judged(table, outcome, "not_null", day=day)
    assert desk.titles() == [
        "t0_v1 2020-06-01 stopped: 1 rule failed",
        "t0_v1 stopped: 4 more days, 2020-06-02 to 2020-06-05",
        "t0_v1 2020-06-01 passes now",
        "t0_v1: 4 more days pass now, 2020-06-02 to 2020-06-05",
    ]
    assert desk.sent[2].body.endswith("It had held up year_v1 2020-06-01.")
    held_up = ", ".join(f"year_v1 {day}" for day in days[1:])
    assert desk.sent[3].body == f"They had held up {held_up}."


def test_days_gathered_in_vain_are_told_by_the_next_run(desk: Desk) -> None:
    with desk.alerts:
        for n in range(3):
            desk.judged(T0, STOPPED, "not_null", day=DAY + timedelta(days=n))
        desk.answers = ["no answer"]
    desk.answers = [""]
    desk.judged(T0, STOPPED, "not_null", day=DAY + timedelta(days=1))
    assert desk.titles()[1:] == ["t0_v1 2020-06-02 stopped: 1 rule failed"]


# ---------------------------------------------------------------- two at once


def test_two_processes_with_one_problem_tell_it_once_and_lose_nothing(tmp_path: Path) -> None:
    sent: list[Message] = []

    def deliver(message: Message) -> list[Delivery]:
        sent.append(message)
        return [Delivery("mailto (1)")]

    def at_once(rule: Callable[[int], str]) -> None:
        gate = threading.Barrier(4)

        def work(n: int) -> None:
            alerts = Alerts((), Lake(str(tmp_path)), CATALOG, lambda _: None, deliver=deliver)
            gate.wait()
            alerts.judged(T0, verdict(T0, STOPPED, rule(n)), served=SERVED)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    at_once(lambda _: "not_null")
    assert len(sent) == 1
    at_once(lambda n: f"rule_{n}")
    assert len(sent) == 5
    record = Records(str(tmp_path), lambda: NOW).read(Ref("t0_v1", DAY))
    assert record is not None
    assert {key.partition("(")[0] for key in record.told} == {"not_null", "rule_0", "rule_1", "rule_2", "rule_3"}


def test_a_claim_whose_process_has_died_runs_out(desk: Desk) -> None:
    dead = desk.records.turn(Ref("t0_v1", DAY))
    dead.__enter__()
    began = desk.now
    desk.judged(T0, STOPPED, "not_null")
    assert len(desk.sent) == 1
    assert timedelta(seconds=60) < desk.now - began < timedelta(seconds=120)


# ---------------------------------------------------------------- any order of events

_EVENT = st.tuples(
    st.sampled_from([LANDED, T0, TEN[1], YEAR]),
    st.sampled_from([PASSED, WARNED, STOPPED, "late", "lost", "broken"]),
    st.integers(0, 2),
    st.frozensets(st.sampled_from("abc"), min_size=1),
    st.booleans(),
)


def _days(events: list[tuple[Table | Source, str, int, frozenset[str], bool]]) -> Iterator[tuple[object, ...]]:
    for table, what, day, rules, arrives in events:
        yield table, what, DAY + timedelta(days=day), sorted(rules), arrives


@settings(max_examples=60, deadline=None)
@given(events=st.lists(_EVENT, max_size=12))
def test_whatever_happens_every_open_problem_was_told_or_has_a_cause_that_was(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[Table | Source, str, int, frozenset[str], bool]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("lake"))
    for table, what, day, rules, arrives in _days(events):
        desk.answers = ["" if arrives else "no answer"]
        assert isinstance(table, Table | Source)
        assert isinstance(day, date)
        if what in ("late", "lost"):
            getattr(desk.alerts, str(what))(table, day, "a reason")
        elif what == "broken":
            desk.alerts.failed(table, day, BrokenData("a broken file"))
        else:
            desk.judged(table, str(what), *rules, day=day)  # type: ignore[misc]
        assert not any("could not be dealt with" in line or "cannot be read" in line for line in desk.said)
    for name in ("landed_v1", "t0_v1", "t1_v1", "year_v1"):
        for record in desk.records.between(name, DAY, DAY + timedelta(days=2)):
            if record.cause is not None:
                root = desk.records.read(record.cause)
                assert root is not None
                assert root.open
                assert root.told
                assert root.cause is None or root.told
            elif not set(record.keys) <= set(record.told):
                assert any("not delivered" in line and str(record.at) in line for line in desk.said)
