"""A fault in a table: one cell of the table in docs/faults.md. Each table has a test module, and so a process."""

from __future__ import annotations

import pytest

from content_signals.lake.snapshot import Snapshot
from tests.faults.expected import EXPECTED, QUICK
from tests.faults.faults import FAULTS
from tests.faults.good_days import DAY, EARLIER, good_rows
from tests.faults.meeting import QUARANTINED, STOPPED, meet, plain


def faults_of(table: str) -> pytest.MarkDecorator:
    """Parametrizes a test with every fault."""
    marked = [pytest.param(f, marks=[] if (f, table) in QUICK else [pytest.mark.slow]) for f in FAULTS]
    return pytest.mark.parametrize("fault", marked)


def check(fault: str, table: str, lake_of, spark, owner, record_property) -> None:
    """Damage the day after the good ones, let it be judged and promoted, and look at what everybody sees."""
    context = lake_of(table)
    contract = context.catalog.table(table)
    before = Snapshot(context.lake.of(contract))
    good = good_rows(table, DAY)
    FAULTS[fault].put(context.lake.of(contract), table, FAULTS[fault].damage(table, good))

    met = meet(context, spark, contract, owner)

    first = [rule for rule in (EXPECTED[fault][table][1],) if rule in met.rules] or list(met.rules[:1])
    record_property("met", [FAULTS[fault].about, table, met.outcome, first])
    after = Snapshot(context.lake.of(contract))
    assert {day: after.files_by_day[day] for day in EARLIER} == before.files_by_day, "the good days are served on"
    if met.outcome == STOPPED:
        assert (after.days, met.served) == (EARLIER, ()), "nothing of a stopped day can be read"
    right = {repr(row) for row in plain(good)}
    # A value that is missing, of a column where it may, is not a wrong one: the owner is told, and it is served.
    empty = {repr(row) for row in plain(FAULTS[fault].damage(table, good))} if fault == "null_share_up" else set()
    assert {repr(row) for row in met.served} <= right | empty, "every row that can be read is as it should be"
    assert len({row["track_id"] for row in met.served}) == len(met.served), "no key twice"
    assert (met.aside > 0) >= (met.outcome == QUARANTINED)

    outcome, rule = EXPECTED[fault][table]
    assert met.outcome == outcome, met
    assert rule in met.rules
    (message,) = owner.told
    assert message.fields["kind"] == ("stopped" if outcome == STOPPED else "warned")
    if rule != "BrokenData":
        assert f"- expect_{rule}" in message.body, "the alert names the right rule"
    if outcome == STOPPED:
        assert message.fields["served"] == f"days up to {EARLIER[-1]}; {DAY} has no rows"
