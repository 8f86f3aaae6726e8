"""Which days of which tables a table's day is made from: extract reads them, stale compares them."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date

from content_signals.catalog import Catalog
from content_signals.contract import Input, Table
from content_signals.day import day_range, reach_back
from content_signals.errors import NotLanded, Temporary
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs

REVISIONS = "revision"  # among the inputs of a day: what computed its contents


def revision_of(table: Table) -> str:
    """What results are kept under: another one where they are made by something else, of something else, or others."""
    content = table.content
    assert content is not None  # whoever calls has looked
    declared = repr((content.reads, content.id, content.each, [(c.name, c.type) for c in table.computed]))
    return " ".join([content.revision, hashlib.sha256(declared.encode()).hexdigest()[:12], *_installed(table)])


def _installed(table: Table) -> Iterator[str]:
    """What else results follow from, and each installation has its own: the model that an endpoint serves, say."""
    content = table.content
    if content and content.installed and all(need.is_met(os.environ) for need in content.needs):
        yield importlib.import_module(f"content_signals.signals.{table.family}.compute").installed()


class Snapshots:
    """One snapshot per table, loaded on first use: everything a run reads is from one version of each table."""

    def __init__(self, lake: Lake, catalog: Catalog) -> None:
        self._lake, self._catalog = lake, catalog
        self._loaded: dict[str, Snapshot] = {}

    def of(self, name: str) -> Snapshot:
        """The snapshot of a source or signal table."""
        if name not in self._loaded:
            self._loaded[name] = Snapshot(self._lake.of(self._catalog.any(name)))
        return self._loaded[name]

    @property
    def versions(self) -> dict[str, int]:
        """Delta version of each table that was loaded."""
        return {name: one.version for name, one in self._loaded.items() if one.version is not None}


def buildable(table: Table, days: Sequence[date], snapshots: Snapshots) -> tuple[list[date], dict[date, str]]:
    """Days whose inputs are all promoted, and why the others cannot be built.

    Raises:
        NotLanded: for a single day whose driver has not been promoted.
        Temporary: for a single day that another input is missing of: it may still come.
    """
    ready, waiting = [], {}
    for day in days:
        if day not in snapshots.of(table.driver.table).days:
            waiting[day] = f"{table.driver.table} {day} has not been promoted"
            error: type[NotLanded] | type[Temporary] = NotLanded
        elif missing := [i.table for i in table.all_inputs if day not in snapshots.of(i.table).days]:
            waiting[day] = f"{missing[0]} {day} has not been promoted yet"
            error = Temporary
        else:
            ready.append(day)
            continue
        if len(days) == 1:
            raise error(
                f"{table.table} {day}: {waiting[day]}",
                state="the day has no rows; earlier days are served",
                next_step=f"have its day promoted, then extract_signals --table {table.table} --day {day}",
            )
    if not ready:
        raise NotLanded(
            f"{table.table}: {table.driver.table} has none of the days {days[0]} to {days[-1]}",
            next_step="content-signals runs TABLE --day D tells what became of a day",
        )
    return ready, waiting


def input_days(table: Table, day: date, read: Input, promoted: Sequence[date]) -> list[date]:
    """The promoted days of one input in reach of the day; those reached by `previous` come on top."""
    first = reach_back(day, table.reach(read.table))
    return [d for d in promoted if first <= d <= day]


def record(
    table: Table, days: Sequence[date], snapshots: Snapshots, previous: Callable[[Input], dict[date, set[date]]]
) -> dict[date, Inputs]:
    """For each day: input table -> input day -> digest, as the snapshots have them; and `REVISIONS` -> day -> revision.

    Args:
        previous: for an input with `previous`, the earlier days each day reaches back to.
    """
    made_from: dict[date, dict[str, dict[str, str]]] = {day: {} for day in days}
    for read in table.all_inputs:
        snapshot = snapshots.of(read.table)
        reached = previous(read) if read.previous else {}
        wanted = {day: {*input_days(table, day, read, snapshot.days), *reached.get(day, ())} for day in days}
        digests = snapshot.digests(set().union(*wanted.values()))
        for day in days:
            made_from[day][read.table] = {str(d): digests[d] for d in sorted(wanted[day])}
    if table.content:  # not an input, but what else a day is made from
        for day in days:
            made_from[day][REVISIONS] = {str(day): " ".join([revision_of(table), table.content.routing]).strip()}
    return {day: made_from[day] for day in days}


def windows_span(table: Table, days: Sequence[date]) -> list[date]:
    """Every day whose tiles the windows of `days` can need."""
    reach = max(table.reach(name) for name in table.tiled_inputs)
    return day_range(reach_back(min(days), reach), max(days))
