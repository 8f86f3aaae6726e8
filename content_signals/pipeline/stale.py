"""Which table days were made from inputs that have moved since, or could be made and were not. Needs no Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from content_signals.contract import DAY, Input, Table
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs
from content_signals.pipeline.context import Context
from content_signals.pipeline.inputs import REVISIONS, Snapshots, record

MISSING, STALE = "missing", "stale"


@dataclass(frozen=True)
class StaleDay:
    """A day to build. `state` is stale (made from something else than there is now) or missing (never made)."""

    table: str
    day: date
    state: str
    because: str


def stale_days(context: Context, tables: Sequence[Table] | None = None) -> list[StaleDay]:
    """Days to build, in dependency order: building them in this order gives what a fresh build gives.

    A day counts as moved along the whole path: the changes of the next observation, and every window they lie in.
    """
    snapshots = Snapshots(context.lake, context.catalog)
    to_build: dict[str, dict[date, StaleDay]] = {}
    for table in context.catalog.tables:
        to_build[table.table] = _of_table(table, snapshots, to_build)
    wanted = {t.table for t in (tables if tables is not None else context.catalog.tables)}
    return [entry for name, days in to_build.items() if name in wanted for _, entry in sorted(days.items())]


def _of_table(table: Table, snapshots: Snapshots, upstream: dict[str, dict[date, StaleDay]]) -> dict[date, StaleDay]:
    snapshot = snapshots.of(table.table)
    found: dict[date, StaleDay] = {}
    ahead = {i.table: {d for d, e in upstream.get(i.table, {}).items() if e.state == MISSING} for i in table.all_inputs}
    possible = set.intersection(*({*snapshots.of(i.table).days, *ahead[i.table]} for i in table.all_inputs))
    for day in sorted(possible - set(snapshot.days)):
        found[day] = StaleDay(table.table, day, MISSING, "its inputs are there, or to be built before it")
    built = list(snapshot.days)
    now = (
        record(table, built, snapshots, lambda read: previous_days(snapshots.of(read.table), read, built))
        if built
        else {}
    )
    for day in built:
        stage = snapshot.stage(day)
        moved = _moved(stage.inputs if stage else {}, now[day]) or _moves_soon(table, day, upstream)
        if moved:
            found[day] = StaleDay(table.table, day, STALE, moved)
    return found


def _moved(then: Inputs, now: Inputs) -> str:
    """What differs between the inputs a day was made from and those there are."""
    for name, days in now.items():
        was = then.get(name, {})
        for day in sorted({*days, *was}):
            if was.get(day) != days.get(day):
                if name == REVISIONS:
                    return f"what computes it is {days.get(day)} now, was {was.get(day) or 'not recorded'}"
                how = (
                    "landed since"
                    if day not in was
                    else "is not an input any more"
                    if day not in days
                    else "was corrected since"
                )
                return f"{name} {day} {how}"
    return ""


def _moves_soon(table: Table, day: date, upstream: dict[str, dict[date, StaleDay]]) -> str:
    """An input day that is itself to be built and lies in this day's reach."""
    for read in table.all_inputs:
        for moving, entry in sorted(upstream.get(read.table, {}).items()):
            if 0 <= (day - moving).days < table.reach(read.table):
                return f"{read.table} {moving} is {entry.state}"
    return ""


def previous_days(snapshot: Snapshot, read: Input, days: Sequence[date]) -> dict[date, set[date]]:
    """For each day, the earlier days on which one of its keys was present last: as extract does, without Spark."""
    found: dict[date, set[date]] = {day: set() for day in days}
    if snapshot.delta is None:
        return found
    keys = ", ".join(read.previous)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("input", snapshot.delta.to_pyarrow_dataset())
        pairs = connection.execute(  # names and predicate are the contract's own
            f"with present as (select distinct {DAY}, {keys} from input where {read.where or 'true'})"  # noqa: S608
            f" select distinct {DAY}, lag({DAY}) over (partition by {keys} order by {DAY}) as previous from present"
        ).fetchall()
    for day, previous in pairs:
        if previous is not None and day in found:
            found[day].add(previous)
    return found
