"""Damaged landing files through the real ingest: a day of a source is whole and right, or it is not there.

Every fault has a day of its own, and all of them are ingested as one range: one bad file does not take the others down.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from content_signals.errors import BROKEN_DATA
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.ingest import ingest
from tests.faults.conftest import context_in
from tests.faults.meeting import QUARANTINED, STOPPED
from tests.landing import an_event, write_event_table, write_events

pytestmark = pytest.mark.slow

SOURCE = "play_events_v1"
EVENTS = 400  # 1 % of them may be malformed: four
FIRST = date(2020, 3, 1)
PASSED = "passed"


@dataclass(frozen=True)
class Landed:
    """What a damaged file met: the outcome, what is said of it, and how many events are readable."""

    about: str
    outcome: str
    said: str
    readable: int


def events_of(day: date, **changes: object) -> list[dict[str, object]]:
    return [an_event(day, event_id=f"e{n}", track_id=f"t{n % 90}", user_id=n, **changes) for n in range(EVENTS)]


def few(day: date, **changes: object) -> list[dict[str, object]]:
    """The day's events, three of them changed."""
    return [{**event, **(changes if n < 3 else {})} for n, event in enumerate(events_of(day))]


def typed(day: date, **types: pa.DataType) -> pa.Table:
    """The day's events in Parquet, some columns in other types."""
    rows = pa.Table.from_pylist(events_of(day))
    for name in ("event_ts", "ingest_ts"):
        moments = rows[name].cast(pa.timestamp("us", tz="UTC"))
        rows = rows.set_column(rows.schema.get_field_index(name), name, moments)
    for name, kind in types.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(kind))
    return rows


def cut(file: Path) -> None:
    held = file.read_bytes()
    file.write_bytes(held[: len(held) // 2])


def land(landing: Path, day: date) -> dict[date, Landed]:
    """Write a file for each fault, from `day` on; what each must meet, by day."""
    met: dict[date, Landed] = {}

    def next_day(about: str, outcome: str, said: str = "", readable: int = 0) -> date:
        on = day + timedelta(days=len(met))
        met[on] = Landed(about, outcome, said, readable)
        return on

    on = next_day("nothing", PASSED, readable=EVENTS)
    write_events(landing, on, events_of(on))
    on = next_day("a compressed file ends in the middle", STOPPED, "it cannot be read to its end")
    cut(write_events(landing, on, events_of(on), gz=True))
    on = next_day("a Parquet file ends in the middle", STOPPED, "it is not readable Parquet")
    cut(write_event_table(landing, on, typed(on)))
    on = next_day("a compressed file with bytes overwritten", STOPPED, "it cannot be read to its end")
    file = write_events(landing, on, events_of(on), gz=True)
    held = gzip.compress(b"".join(b"%d\n" % n for n in range(9)), mtime=0)
    file.write_bytes(file.read_bytes()[:-40] + held[-40:])
    on = next_day("the file of the day before", STOPPED, "400 of 400 rows are malformed")
    write_events(landing, on, events_of(on - timedelta(days=1)))
    on = next_day("a number comes as text, in Parquet", STOPPED, "column user_id is missing or of another type")
    write_event_table(landing, on, typed(on, user_id=pa.string()))
    on = next_day("a number comes as words, in JSON", STOPPED, "400 of 400 rows are malformed")
    write_events(landing, on, events_of(on, ms_played="a minute"))
    on = next_day("the sender's clock is a day ahead", STOPPED, "400 of 400 rows are malformed")
    write_events(landing, on, events_of(on, ingest_ts=f"{on + timedelta(days=1)}T00:00:01Z"))
    on = next_day("the clock of three events is a month behind", QUARANTINED, readable=EVENTS - 3)
    write_events(landing, on, few(on, event_ts=f"{on - timedelta(days=30)}T10:00:00Z"))
    on = next_day("three events of a kind never seen before", QUARANTINED, readable=EVENTS - 3)
    write_events(landing, on, few(on, kind="rewind"))
    on = next_day("a key is empty in three events", QUARANTINED, readable=EVENTS - 3)
    write_events(landing, on, few(on, track_id=None))
    on = next_day("a negative time in three events", QUARANTINED, readable=EVENTS - 3)
    write_events(landing, on, few(on, ms_played=-5))
    on = next_day("every event comes twice", PASSED, readable=EVENTS)
    write_events(landing, on, [*events_of(on), *events_of(on)])
    on = next_day("emoji and right-to-left text in ids, which are the sender's own", PASSED, readable=EVENTS)
    write_events(landing, on, few(on, event_id="\U0001f3b5 \u05e9\u05dc\u05d5\u05dd")[2:] + events_of(on)[:2])
    return met


def test_a_damaged_landing_file(spark, owner, tmp_path, record_property):
    context = context_in(tmp_path)
    source = context.catalog.source(SOURCE)
    wanted = land(Path(context.settings.landing), FIRST)

    outcome = ingest(context, spark, source, list(wanted))

    promoted = Snapshot(context.lake.of(source))
    rows = DeltaTable(context.lake.of(source).path).to_pyarrow_dataset().to_table().to_pylist()
    told = {day for message in owner.told for day in message.fields["days"]}
    aside = Snapshot(context.lake.malformed(source))
    for day, expected in wanted.items():
        stopped = expected.outcome == STOPPED
        assert (day in outcome.failed) == stopped, expected.about
        assert (day in promoted.days) == (not stopped), expected.about
        assert (str(day) in told) == stopped, expected.about
        if stopped:
            assert outcome.failed[day].exit_code == BROKEN_DATA
            assert expected.said in str(outcome.failed[day]), expected.about
        assert (aside.rows([day]) == 3) == (expected.outcome == QUARANTINED), expected.about
        read = [row for row in rows if row["ds"] == day]
        assert len(read) == expected.readable, expected.about
        for row in read:
            assert row["kind"] == "play"
            assert (row["ms_played"], row["track_id"][0]) == (1000, "t")
            assert row["ingest_ts"].date() == row["event_ts"].date() == day
        if day > FIRST:
            record_property("met", [expected.about, SOURCE, expected.outcome, []])
    assert len(owner.told) == 2, "the first in full, the others in one message: they have one reason"
