"""A table's days as somebody builds and rebuilds them, and what the online store should have of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from content_signals.features import encode
from content_signals.features.online import View
from content_signals.features.store import online_client
from content_signals.lake.layout import start_run
from content_signals.pipeline.context import Context
from tests.faults.good_days import FIRST, TITLE, good_rows
from tests.lake import promoted

KEYS = 40
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
ALL = [f"track{n:05}" for n in range(KEYS)]


class Days:
    """A table's days as somebody builds and rebuilds them."""

    def __init__(self, context: Context) -> None:
        self.table = context.lake.of(context.catalog.table(TITLE))
        self.rows: dict[date, dict[str, dict]] = {}
        self.runs = 0

    def set_aside(self, context: Context, day: date, keys: list[str]) -> None:
        """Rows of these keys stand in the day's quarantine, and no others."""
        schema = good_rows(TITLE, day, 1).schema
        rows = [row for row in good_rows(TITLE, day, KEYS).to_pylist() if row["track_id"] in keys]
        rows += [{**row, "track_id": None} for row in rows[:1]]  # a rule may be that there is a key
        run, quarantine = start_run(), context.lake.quarantine(context.catalog.table(TITLE))
        promoted(quarantine, day, pa.Table.from_pylist(rows, schema), run_id=run.run_id, fence=run.fence)

    def build(self, day: date, keys: list[str], changed: list[str] | None = None) -> None:
        """Promote a day with these keys; those of `changed` (None: all) have new values, others keep theirs."""
        self.runs += 1
        fence = start_run().fence
        now = datetime.fromtimestamp(fence / 1_000_000, UTC)
        new = {row["track_id"]: row for row in good_rows(TITLE, FIRST + timedelta(days=self.runs), KEYS).to_pylist()}
        old = self.rows.get(day, {})
        over = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        kept = [key for key in keys if key in old and changed is not None and key not in changed]
        rows = {k: old[k] if k in kept else {**new[k], "event_ts": over, "computed_at": now} for k in keys}
        schema = good_rows(TITLE, day, 1).schema
        run_id = f"run-{self.runs:05}"
        frame, read_at = pa.Table.from_pylist(list(rows.values()), schema), {"playlist_positions_v1": self.runs}
        promoted(self.table, day, frame, run_id=run_id, fence=fence, read_at=read_at)
        self.rows[day] = rows


def view_of(context: Context) -> View:
    table = context.catalog.table(TITLE)
    url = context.settings.online_store.get_secret_value()
    return View(url, "content_signals", TITLE, "track_id", table.values)


def served(context: Context) -> dict[str, list[bytes] | None]:
    """Every key -> its values in the store, None where there are none."""
    view, client = view_of(context), online_client(context.settings)
    found = {}
    for key, name in zip(ALL, encode.entity_keys(pa.array(ALL), "track_id", view.project).to_pylist(), strict=True):
        values = client.hmget(name, view.feature_fields)
        found[key] = None if set(values) == {None} else values
    return found


def said_by(context: Context, rows: dict[str, dict]) -> dict[str, list[bytes] | None]:
    """Every key -> its values, encoded, by the rows of a day."""
    kinds = {field.name: field.type for field in good_rows(TITLE, FIRST, 1).schema}
    names = context.catalog.table(TITLE).values

    def values(row: dict) -> list[bytes]:
        return [encode.values(pa.array([row[name]], kinds[name]))[0].as_py() for name in names]

    return {key: values(rows[key]) if key in rows else None for key in ALL}
