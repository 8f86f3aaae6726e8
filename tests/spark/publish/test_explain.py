"""Why a feature has the value it has, by what was published."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from content_signals.errors import NotLanded, UnknownName
from content_signals.inspection import show
from content_signals.inspection.explanation import as_rows, explain
from content_signals.lake.layout import start_run
from content_signals.lake.receipts import receipts_of
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.takedown import take_down
from tests.faults.good_days import TITLE
from tests.spark.publish.days import ALL, DAYS

REASON = "the label asked for it"


def test_explain_tells_where_a_value_comes_from_and_what_it_was_before(platform, days, send, capsys):
    feature = f"{TITLE}:catalogue_age_days"
    days.build(DAYS[0], ALL)
    send()
    before = datetime.now(UTC)
    days.build(DAYS[1], ALL)
    send()
    days.build(DAYS[1], ALL, changed=ALL[1:])  # of the first track nothing changes
    send()
    told = explain(replace(platform, run=start_run()), "track", ALL[0], feature, datetime.now(UTC))
    now, was = told["published"], told["before"]
    value, old = (days.rows[day][ALL[0]]["catalogue_age_days"] for day in DAYS[1::-1])
    assert value != old
    assert told["online now"] == {"value": value, "status": "present", "valid from": "2020-03-03T00:00:00+00:00"}
    assert (now["value"], now["day"], now["known from"]) == (
        value,
        "2020-03-02",
        days.rows[DAYS[1]][ALL[0]]["computed_at"].isoformat(),
    )
    assert (was["value"], was["day"], was["made by run"]) == (old, "2020-03-01", "run-00001")
    versions = [one["input versions"]["playlist_positions_v1"] for one in (now, was)]
    assert versions == [2, 1]
    assert f"{days.table.path}/{now['file'].removeprefix('/')}" in Snapshot(days.table, now["table version"]).files(
        [DAYS[1]]
    )
    then = explain(replace(platform, run=start_run()), "track", ALL[0], "catalogue_age_days", before)
    assert (then["published"]["value"], then["before"], "online now" in then) == (old, "nothing else", False)
    show.record(as_rows(told), json=False)
    assert "served before" in capsys.readouterr().out
    with pytest.raises(NotLanded, match="nothing was published until 2020"):
        explain(platform, "track", ALL[0], feature, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(UnknownName, match="unknown feature 'catalogue_age'"):
        explain(platform, "track", ALL[0], "catalogue_age", before)


def test_explain_of_what_is_gone_taken_down_or_not_kept(platform, days, send):
    feature = f"{TITLE}:catalogue_age_days"
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL[1:])
    send()
    for path in Path(days.table.path).glob("data/run-00001-*/ds=*/*.parquet"):
        path.unlink()
    told = explain(replace(platform, run=start_run()), "track", ALL[0], feature, datetime.now(UTC))
    assert told["online now"]["status"] == "missing: the key has left the table"
    assert (told["published"]["value"], told["published"]["known from"]) == (None, None)
    assert "not kept any more" in told["before"]["value"]
    take_down(platform, "track", ALL[1], REASON, "legal")
    told = explain(replace(platform, run=start_run()), "track", ALL[1], feature, datetime.now(UTC))
    assert told["online now"]["status"] == "taken down"
    assert told["taken down"]["reason"] == REASON
    assert told["published"]["value"] == "not shown: it is taken down"


def test_explain_names_the_publication_that_sent_the_row(platform, days, send):
    days.build(DAYS[0], ALL)
    send()
    days.build(DAYS[1], ALL)
    send()
    sent = receipts_of(platform.lake.receipts(platform.catalog.table(TITLE)))[-1]
    days.build(DAYS[1], ALL, changed=ALL[1:])  # of the first track nothing changes
    send()
    for day in DAYS[2:4]:
        days.set_aside(platform, day, ALL[:1])
        days.build(day, ALL[1:])
        send()
    told = explain(replace(platform, run=start_run()), "track", ALL[0], "catalogue_age_days", datetime.now(UTC))
    row = days.rows[DAYS[1]][ALL[0]]
    assert told["published"]["value"] == row["catalogue_age_days"] == told["online now"]["value"]
    assert told["published"]["table version"] == sent.version
    assert told["before"]["day"] == str(DAYS[0])
    assert told["set aside"].startswith(f"its rows of {DAYS[3]}, {DAYS[2]} are in quarantine")
