"""Tables, as the command line lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from content_signals.contract import Computed, Input, Source, Table, Windowed
from content_signals.lake.files import exists
from content_signals.lake.receipts import published_day
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.pipeline.stale import stale_days


def all_tables(context: Context) -> list[dict[str, Any]]:
    """One row a table: sources first, then signal tables in build order."""
    everything: tuple[Source | Table, ...] = (*context.catalog.sources, *context.catalog.tables)
    return [_row(context, contract) for contract in everything]


def one_table(context: Context, name: str) -> dict[str, Any]:
    """Everything about one table."""
    contract = context.catalog.any(name)
    snapshot = Snapshot(context.lake.of(contract))
    days = snapshot.days
    found: dict[str, Any] = {"table": contract.table, "about": contract.about, "owner": contract.owner}
    if isinstance(contract, Table):
        found |= {
            "entity": contract.entity.name if contract.entity else None,
            "key": list(contract.keys),
            "driver": contract.driver.table,
            "made_from": [made_from(contract, read) for read in contract.all_inputs],
            "served": contract.serve,
            "rules": f"expectations/{contract.table}.json",
            "history": path if exists(path := context.lake.of(contract).history.path) else None,
        }
    else:
        found |= {"key": list(contract.key), "landing": list(contract.landing)}
    found |= {
        "feeds": [t.table for t in context.catalog.consumers(contract.table)],
        "path": snapshot.table.path,
        "days": len(days),
        "first_day": str(days[0]) if days else None,
        "last_day": str(days[-1]) if days else None,
        "columns": _columns(context, contract),
    }
    return found


def stale_rows(context: Context, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Days to build, in build order."""
    tables = [context.catalog.table(name) for name in names] if names else None
    return [
        {"table": e.table, "day": str(e.day), "state": e.state, "because": e.because}
        for e in stale_days(context, tables)
    ]


def _row(context: Context, contract: Source | Table) -> dict[str, Any]:
    table = context.lake.of(contract)
    snapshot = Snapshot(table)
    days = snapshot.days
    last = snapshot.stage(days[-1]) if days else None
    served = isinstance(contract, Table) and contract.serve
    published = published_day(table) if served else None
    return {
        "table": contract.table,
        "kind": "source" if isinstance(contract, Source) else "signals" if served else "feeds others",
        "days": len(days),
        "last_day": str(days[-1]) if days else None,
        "rows": last.rows if last else None,
        "published": str(published) if published else None,
        "columns": len(contract.columns),
        "owner": contract.owner,
    }


def _columns(context: Context, contract: Source | Table) -> list[dict[str, Any]]:
    if isinstance(contract, Source):
        return [{"column": c.name, "type": c.type, "unit": c.unit, "about": c.about} for c in contract.columns]
    types = context.catalog.types(contract)
    filters = {read.table: read.where for read in contract.all_inputs}
    return [
        {"column": c.name, "type": types[c.name], "unit": c.unit, "made": how_made(c, filters), "about": c.about}
        for c in contract.columns
    ]


def made_from(table: Table, read: Input) -> str:
    """An input, the rows of it that are read, and how far back."""
    where = f" where {read.where}" if read.where else ""
    previous = f" and the latest earlier day of each {', '.join(read.previous)}" if read.previous else ""
    return f"{read.table}{where} ({_days(table.reach(read.table))}{previous})"


def how_made(column: Windowed | Computed, filters: Mapping[str, str]) -> str:
    """How a column is made, everything its declaration says included.

    Args:
        filters: input table -> the predicate of that input, which holds for every window over it.
    """
    if isinstance(column, Computed):
        return "computed"
    what = f" {column.column}" if column.column else ""
    parts = [f"{column.op}{what} of {column.input_table}{_where(column, filters[column.input_table])}"]
    if column.over:
        parts.append(f"rows where {column.where or 'true'} over rows where {column.over}")
    if column.order_by:
        parts.append(f"ordered by {column.order_by}")
    if column.exact_to is not None:
        parts.append(f"exact to {column.exact_to}")
    parts.append(_days(column.days))
    if column.half_life_days:
        parts.append(f"half-life {_days(column.half_life_days)}")
    return ", ".join(parts)


def _where(column: Windowed, of_input: str) -> str:
    """The predicate on the rows a window is over; those a ratio counts are another matter."""
    both = [predicate for predicate in (of_input, "" if column.over else column.where) if predicate]
    return " where " + (f"({both[0]}) and ({both[1]})" if len(both) > 1 else both[0]) if both else ""


def _days(count: float) -> str:
    return f"{count:g} day{'' if count == 1 else 's'}"
