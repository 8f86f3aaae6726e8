"""Which DAG builds a table, and what its tasks are called there.

A table has a DAG of its own, `build_<table>`. What is computed by content, and what is made of that alone, is built
together by `build_content_signals`, a group of tasks a table.
"""

from __future__ import annotations

from dataclasses import dataclass

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Source, Table

CONTENT_DAG = "build_content_signals"
INGEST_DAG = "ingest_sources"


@dataclass(frozen=True)
class Build:
    """Where a table or a source is made.

    Attributes:
        group: the group of its tasks; "" where the DAG is about it alone.
    """

    dag_id: str
    group: str = ""

    def task(self, name: str) -> str:
        """Id of one of its tasks."""
        return f"{self.group}.{name}" if self.group else name


def build_of(contract: Source | Table, among: Catalog | None = None) -> Build:
    """Where a table or a source is made."""
    if isinstance(contract, Source):
        return Build(INGEST_DAG, contract.table)
    if contract in content_tables(among or catalog()):
        return Build(CONTENT_DAG, contract.table)
    return Build(f"build_{contract.table}")


def content_tables(among: Catalog) -> tuple[Table, ...]:
    """The tables that are computed by content, and those that are made of them alone; in build order."""
    found: dict[str, Table] = {}
    for table in among.tables:
        if table.content or {read.table for read in table.all_inputs} <= found.keys():
            found[table.table] = table
    return tuple(found.values())


def built_after(table: Table, among: Catalog) -> tuple[Table, ...]:
    """What is made of a table in the DAG that builds it, in build order: that DAG hears of no day of the table."""
    together = content_tables(among)
    if table not in together:
        return ()
    return tuple(t for t in among.downstream([table.table]) if t in together and t != table)
