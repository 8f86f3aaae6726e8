"""A table's story of builds, and a brute-force oracle of what was true, or known, at a moment: by every row."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import write_deltalake

from content_signals.catalog import catalog
from content_signals.features.views import time_to_live
from content_signals.lake.layout import Lake
from tests.faults.good_days import TITLE, schema_of
from tests.lake import promoted

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
KEYS = ["a", "b", "c", "d", "é🎧"]
MOMENT = pa.timestamp("us", "UTC")
SERVICE = "track_title"
TTL = time_to_live(catalog().table(TITLE))
EDGES = [2**63 - 1, -(2**63), 2**53 + 1, None]


@dataclass(frozen=True)
class Row:
    """A row as it was, and until when."""

    key: str
    day: date
    computed_at: datetime
    value: int | None
    until: datetime | None = None

    @property
    def event_ts(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC) + timedelta(days=1)


class Story:
    """What was built when: each build of a day replaces the one before."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake)
        self.table = self.lake.of(catalog().table(TITLE))
        self.now = {day: {} for day in DAYS}
        self.rows: list[Row] = []
        self.runs = 0

    def build(self, day: date, values: dict[str, int | None], at: datetime) -> None:
        """A key with the value it has keeps its row; others are superseded; ties of a key are listed twice."""
        self.runs += 1
        old = self.now[day]
        new = {k: old[k] if k in old and old[k].value == v else Row(k, day, at, v) for k, v in values.items()}
        gone = [replace(row, until=at) for key, row in old.items() if new.get(key) is not row]
        self.now[day] = new
        self.rows = [row for row in self.rows if row.day != day or row.until] + gone + list(new.values())
        fence = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6) + self.runs
        promoted(self.table, day, self.frame(list(new.values())), run_id=f"run-{self.runs:05}", fence=fence)
        if gone:
            rows = self.frame(gone).append_column("superseded_at", pa.array([row.until for row in gone], MOMENT))
            rows = rows.append_column("ds", pa.array([day] * len(gone), pa.date32()))
            write_deltalake(self.table.history.path, rows, mode="append", partition_by=["ds"])

    @staticmethod
    def frame(rows: list[Row]) -> pa.Table:
        schema = schema_of(TITLE)
        columns = {
            "track_id": [row.key for row in rows],
            "duration_ms": [row.value for row in rows],
            "event_ts": [row.event_ts for row in rows],
            "computed_at": [row.computed_at for row in rows],
            "run_id": ["run"] * len(rows),
        }
        return pa.table(
            {f.name: pa.array(columns.get(f.name, [None] * len(rows)), f.type) for f in schema}, schema=schema
        )

    def answer(self, key: str | None, moment: datetime, mode: str) -> int | None:
        """By looking at every row."""
        found = [
            row
            for row in self.rows
            if row.key == key
            and row.event_ts <= moment
            and (
                (row.until is None)
                if mode == "event"
                else row.computed_at <= moment < (row.until or datetime.max.replace(tzinfo=UTC))
            )
        ]
        if not found:
            return None
        best = max(found, key=lambda row: (row.event_ts, row.computed_at))
        return best.value if best.event_ts >= moment - TTL else None


def tell(story: Story, chance: random.Random) -> None:
    """Days built late, built again with other values, with keys left out and put back, and emptied."""
    at = datetime(2026, 3, 2, 2, tzinfo=UTC)
    for _ in range(14):
        at += timedelta(hours=chance.choice([1, 5, 11, 20]), microseconds=chance.randint(0, 5))
        built = [day for day in DAYS if datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) <= at]
        if built:
            keys = chance.sample(KEYS, chance.randint(0, len(KEYS)))
            story.build(chance.choice(built[-3:]), {key: chance.choice([*EDGES, 1, 2]) for key in keys}, at)


def asked(story: Story, chance: random.Random, rows: int = 150) -> pa.Table:
    """Keys, known, unknown and null, at moments at and around those at which anything changed; some rows twice."""
    changes = [t for row in story.rows for t in (row.event_ts, row.computed_at, row.until, row.event_ts + TTL) if t]
    moments = [chance.choice(changes) + timedelta(microseconds=chance.choice([-1, 0, 1, 10**9])) for _ in range(rows)]
    keys = [chance.choice([*KEYS, "?", None]) for _ in range(rows)]
    table = pa.table(
        {
            "label": pa.array(range(rows), pa.int64()),
            "track_id": pa.array(keys, pa.string()),
            "event_timestamp": pa.array(moments, pa.timestamp("us", "Europe/Berlin")),
        }
    )
    return pa.concat_tables([table, table.slice(3, 10)]).combine_chunks()


def expected(story: Story, rows: pa.Table, mode: str) -> list[int | None]:
    moments = rows.column("event_timestamp").cast(MOMENT).to_pylist()
    return [story.answer(key, at, mode) for key, at in zip(rows.column("track_id").to_pylist(), moments, strict=True)]
