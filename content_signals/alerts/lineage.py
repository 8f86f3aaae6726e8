"""Which problem is the cause of which: along the inputs of the contracts, within the days they reach."""

from __future__ import annotations

from datetime import datetime, timedelta

from content_signals.alerts.problem import LOST, PROMOTED, Problem, gravity
from content_signals.alerts.records import Record, Records, Ref
from content_signals.catalog import Catalog
from content_signals.contract import Table

# A problem that nobody mends must not silence for good the tables whose windows hold its day: they reach 400 days.
SILENCES = timedelta(days=7)


def reaches(catalog: Catalog, name: str) -> dict[str, timedelta]:
    """Every source and table that a table is made from -> how many days before its own day it can read of it."""
    found: dict[str, timedelta] = {}
    ahead = [(name, timedelta())]
    while ahead:
        reader, so_far = ahead.pop()
        contract = catalog.any(reader)
        if not isinstance(contract, Table):
            continue
        for read in contract.all_inputs:
            # An input with `previous` reads the last day a key was seen: the day before, as a rule.
            days = max(contract.reach(read.table), 2 if read.previous else 1)
            reach = so_far + timedelta(days=days - 1)
            if found.get(read.table, timedelta(-1)) < reach:
                found[read.table] = reach
                ahead.append((read.table, reach))
    return found


def cause_of(problem: Problem, catalog: Catalog, records: Records, now: datetime) -> Ref | None:
    """The day whose problem, told already, this one follows from: the nearest day, and of that the first in the path.

    None where the table has a problem of its own.
    """
    causes = [r for r in _upstream(problem, catalog, records) if explains(r, problem, now)]
    order = {name: place for place, name in enumerate(_in_order(catalog))}
    return min(causes, key=lambda r: (problem.day - r.at.day, order[r.at.table])).at if causes else None


def related_to(problem: Problem, catalog: Catalog, records: Records) -> str:
    """Open problems of what the day is made from, which do not explain this one; for a person to judge."""
    found = sorted(_upstream(problem, catalog, records), key=lambda r: (problem.day - r.at.day, r.at.table))
    return "; ".join(f"{record.at} ({record.kind})" for record in found[:3])


def affected_by(root: Ref, catalog: Catalog, records: Records) -> list[Record]:
    """The open problems that were folded into this one, in build order."""
    found: list[Record] = []
    for table in catalog.downstream([root.table]):
        if table.table != root.table:
            reach = reaches(catalog, table.table)[root.table]
            records_of_table = records.between(table.table, root.day, root.day + reach)
            found += [record for record in records_of_table if record.cause == root]
    return found


def explains(root: Record, problem: Problem, now: datetime) -> bool:
    """Whether whoever was told of `root` need not be told of the problem.

    A warning explains no more than a warning, of the same day: a day that passed with one is seldom run again, so its
    record stays open. A lost job is explained by another lost job alone: workers do not die of data.
    """
    if not root.open or not root.told or root.cause or root.told_at is None:
        return False
    known = min(gravity(root.kind), gravity(root.told_kind))
    if now - root.told_at > SILENCES or known < gravity(problem.kind):
        return False
    if problem.kind == LOST and root.kind != LOST:
        return False
    return root.kind not in PROMOTED or root.at.day == problem.day


def _upstream(problem: Problem, catalog: Catalog, records: Records) -> list[Record]:
    """The open records of the days that the problem's day is made from."""
    found = []
    for name, reach in reaches(catalog, problem.table).items():
        found += records.between(name, problem.day - reach, problem.day)
    return found


def _in_order(catalog: Catalog) -> list[str]:
    return [contract.table for contract in (*catalog.sources, *catalog.tables)]
