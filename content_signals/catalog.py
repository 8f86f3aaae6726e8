"""Every table there is, found in `sources/` and `signals/`, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import TypeVar

from content_signals import signals, sources
from content_signals.content import Need
from content_signals.contract import SHA256, Computed, Source, Table, Type, Windowed
from content_signals.errors import ContractError, UnknownName, nearest

C = TypeVar("C", Source, Table, Source | Table)


class Catalog:
    """Sources and signal tables by name, and how they depend on each other."""

    def __init__(self, contracts: Iterable[Source | Table]) -> None:
        self._by_name: dict[str, Source | Table] = {}
        for contract in contracts:
            if contract.table in self._by_name:
                raise ContractError(
                    f"table {contract.table} is declared twice", next_step="give one of them a new version"
                )
            self._by_name[contract.table] = contract
        self._order = self._topological_order()
        self._types: dict[str, dict[str, Type]] = {}
        for name in self._order:
            contract = self._by_name[name]
            if isinstance(contract, Table):
                self._check_reads(contract)
            self._types[name] = self.types(contract)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources, by name."""
        return tuple(c for _, c in sorted(self._by_name.items()) if isinstance(c, Source))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The signal tables, each after the tables it is made from."""
        return tuple(c for name in self._order if isinstance(c := self._by_name[name], Table))

    def table(self, name: str) -> Table:
        """The signal table of this name, with or without its version (the newest then)."""
        return self._find("table", name, self.tables)

    def source(self, name: str) -> Source:
        """The source of this name, with or without its version (the newest then)."""
        return self._find("source", name, self.sources)

    def any(self, name: str) -> Source | Table:
        """The source or signal table of this name."""
        everything: tuple[Source | Table, ...] = (*self.sources, *self.tables)
        return self._find("table", name, everything)

    def consumers(self, name: str) -> tuple[Table, ...]:
        """The tables made directly from this source or table."""
        read = self.any(name).table
        return tuple(t for t in self.tables if read in {i.table for i in t.all_inputs})

    def downstream(self, names: Iterable[str]) -> tuple[Table, ...]:
        """The signal tables of these names and everything made from these tables or sources, in build order.

        Raises:
            UnknownName: for a name that is neither a table's nor a source's.
        """
        wanted = {self.any(name).table for name in names}
        for table in self.tables:
            if wanted & {i.table for i in table.all_inputs}:
                wanted.add(table.table)
        return tuple(t for t in self.tables if t.table in wanted)

    def chosen_sources(self, names: Iterable[str]) -> tuple[Source, ...]:
        """The sources of these names, sorted; all of them when none is named.

        Raises:
            UnknownName: for a name that is no source's.
        """
        wanted = {self.source(name).table for name in names}
        return tuple(s for s in self.sources if not wanted or s.table in wanted)

    def fed_by(self, sources: Iterable[str]) -> tuple[Table, ...]:
        """The signal tables that can be made from these sources alone, in build order."""
        there = {self.source(name).table for name in sources}
        for table in self.tables:
            if {i.table for i in table.all_inputs} <= there:
                there.add(table.table)
        return tuple(t for t in self.tables if t.table in there)

    def lacking(self, table: Table, environment: Mapping[str, str]) -> tuple[Need, ...]:
        """What a table, or one it is made from, needs and an environment does not have; empty: it can be made."""
        own = [need for need in (table.content.needs if table.content else ()) if not need.is_met(environment)]
        above = [self._by_name[read.table] for read in table.all_inputs]
        inherited = [need for one in above if isinstance(one, Table) for need in self.lacking(one, environment)]
        return tuple(dict.fromkeys([*own, *inherited]))

    def types(self, contract: Source | Table) -> dict[str, Type]:
        """Key column or signal -> its type, keys first; of a source, its columns.

        A windowed column's type follows from its op and from what it aggregates.
        """
        if isinstance(contract, Source):
            return {c.name: c.type for c in contract.columns}
        keys = {key: self._key_type(contract, key) for key in contract.keys}
        signals = {c.name: c.type if isinstance(c, Computed) else self._windowed_type(c) for c in contract.columns}
        return {**keys, **signals}

    def _key_type(self, table: Table, key: str) -> Type:
        """A join key is a string; another key is what the first input that has it says, else `compute` makes it up."""
        if table.entity and key == table.entity.join_key:
            return "string"
        return next((types[key] for i in table.all_inputs if key in (types := self._types[i.table])), "string")

    def _windowed_type(self, column: Windowed) -> Type:
        if column.half_life_days or column.op in ("mean", "ratio"):
            return "double"
        if column.op in ("count", "sum", "distinct", "approx_distinct"):
            return "bigint"
        if column.op == "days_since":
            return "int"
        return self._types[column.input_table][column.column]

    def _check_reads(self, table: Table) -> None:
        """Refuse a table that reads columns its inputs do not have, or adds up what cannot be added up."""
        for read in table.all_inputs:
            for name in read.previous:
                self._column_type(f"{table.table}: previous", read.table, name)
        if table.content:
            self._check_content(table)
        for name in table.tiled_inputs:
            for key in table.keys:
                found = self._column_type(f"{table.table}: the key of its windows", name, key)
                wanted = self._key_type(table, key)
                if found != wanted:
                    raise ContractError(f"{table.table}: its key {key} is of type {wanted}, that of {name} {found}")
        for window in table.windowed:
            self._check_window(table, window)

    def _check_content(self, table: Table) -> None:
        """Refuse a content whose columns the driver does not have, or has by another hash."""
        content, driver = table.content, self._by_name[table.driver.table]
        assert content is not None
        beside = [c.name for c in driver.contents] if isinstance(driver, Source) else []
        for name in content.reads:
            if name not in beside:
                self._column_type(f"{table.table}: content", driver.table, name)
        if content.id:
            self._column_type(f"{table.table}: the id of its content", driver.table, content.id)
        if set(beside) & set(content.reads) and content.id != SHA256:
            raise ContractError(f"{table.table}: what {driver.table} keeps by {SHA256} is read by no other id")

    def _check_window(self, table: Table, window: Windowed) -> None:
        if window.order_by:
            self._column_type(f"{table.table}.{window.name}: order_by", window.input_table, window.order_by)
        if not window.column:
            return
        kind = self._column_type(f"{table.table}.{window.name}: column", window.input_table, window.column)
        if window.op in ("sum", "mean") and kind not in ("int", "bigint"):
            raise ContractError(
                f"{table.table}.{window.name}: op {window.op} does not fit {window.input_table}.{window.column}, "
                f"a {kind}: only whole numbers add up to the same in any order",
                next_step="aggregate a whole number of a smaller unit instead (ms, cents)",
            )

    def _column_type(self, reader: str, table: str, column: str) -> Type:
        types = self._types[table]
        if column not in types:
            raise ContractError(
                f"{reader} {column!r} is no column of {table}",
                next_step=f"did you mean {' or '.join(nearest(column, types))}?",
            )
        return types[column]

    def live(self, family: str) -> Table:
        """The version of a family that is live until the registry says otherwise: the newest."""
        return self.table(family)

    @staticmethod
    def _find(kind: str, name: str, contracts: Iterable[C]) -> C:
        candidates = sorted(contracts, key=lambda c: c.version)
        found = [c for c in candidates if name in (c.table, c.family)]
        if not found:
            raise UnknownName(kind, name, [c.table for c in candidates])
        return found[-1]

    def _topological_order(self) -> tuple[str, ...]:
        graph: dict[str, list[str]] = {}
        for name, contract in sorted(self._by_name.items()):
            inputs = [i.table for i in contract.all_inputs] if isinstance(contract, Table) else []
            unknown = [i for i in inputs if i not in self._by_name]
            if unknown:
                raise UnknownName(f"input of {name}", unknown[0], self._by_name)
            graph[name] = inputs
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = " -> ".join(error.args[1])  # graphlib names each table before one that is made from it
            raise ContractError(
                f"tables depend on each other in a circle, each made from the one before: {circle}",
                next_step="take one of these inputs out of its contract",
            ) from None


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The catalogue of this package."""
    return Catalog(contract for room in (sources, signals) for contract in _declared(room))


def _declared(room: ModuleType) -> list[Source | Table]:
    """What the families of a room declare; one that is imported elsewhere is still one."""
    found: dict[int, Source | Table] = {}
    for family in pkgutil.iter_modules(room.__path__):
        if family.ispkg:
            module = importlib.import_module(f"{room.__name__}.{family.name}.contract")
            for value in vars(module).values():
                if isinstance(value, Source | Table):
                    found[id(value)] = value
    return list(found.values())
