"""Tables, as the command line lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from content_signals.contract import Computed, Source, Table, Windowed
from content_signals.lake.files import exists
from content_signals.lake.receipt import published_day
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
            "made_from": [f"{i.table} ({contract.reach(i.table)} days)" for i in contract.all_inputs],
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
    return {
        "table": contract.table,
        "kind": "source" if isinstance(contract, Source) else "signals" if served else "feeds others",
        "days": len(days),
        "last_day": str(days[-1]) if days else None,
        "rows": last.rows if last else None,
        "published": str(published_day(table) or "-") if served else None,
        "columns": len(contract.columns),
        "owner": contract.owner,
    }


def _columns(context: Context, contract: Source | Table) -> list[dict[str, Any]]:
    if isinstance(contract, Source):
        return [{"column": c.name, "type": c.type, "unit": c.unit, "about": c.about} for c in contract.columns]
    types = context.catalog.types(contract)
    return [
        {"column": c.name, "type": types[c.name], "unit": c.unit, "made": _how(c), "about": c.about}
        for c in contract.columns
    ]


def _how(column: Windowed | Computed) -> str:
    if isinstance(column, Computed):
        return "computed"
    what = f" {column.column}" if column.column else ""
    where = f" where {column.where}" if column.where else ""
    decay = f", half-life {column.half_life_days:g} days" if column.half_life_days else ""
    return f"{column.op}{what} of {column.input_table}{where}, {column.days} days{decay}"
