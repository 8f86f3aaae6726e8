"""Every table there is, found in `sources/` and `signals/`, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import TypeVar

from content_signals import signals, sources
from content_signals.contract import Computed, Source, Table, Type, Windowed
from content_signals.errors import ContractError, UnknownName

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
        """The tables made directly from this one."""
        return tuple(t for t in self.tables if name in {i.table for i in t.all_inputs})

    def downstream(self, names: Iterable[str]) -> tuple[Table, ...]:
        """The signal tables of these names and everything made from them, in build order."""
        wanted = set(names)
        for table in self.tables:
            if wanted & {i.table for i in table.all_inputs}:
                wanted.add(table.table)
        return tuple(t for t in self.tables if t.table in wanted)

    def types(self, table: Table) -> dict[str, Type]:
        """Signal -> its type. A windowed column's follows from its op and from what it aggregates."""
        return {c.name: c.type if isinstance(c, Computed) else self._windowed_type(c) for c in table.columns}

    def _windowed_type(self, column: Windowed) -> Type:
        if column.half_life_days or column.op == "mean":
            return "double"
        if column.op in ("count", "sum", "distinct", "approx_distinct"):
            return "bigint"
        if column.op == "days_since":
            return "int"
        aggregated = self.any(column.input_table)
        if isinstance(aggregated, Table):
            return {**dict.fromkeys(aggregated.keys, "string"), **self.types(aggregated)}[column.column]  # type: ignore[return-value]
        return next(c.type for c in aggregated.columns if c.name == column.column)

    def live(self, family: str) -> Table:
        """The version of a family that models following `live` read: the newest."""
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
            raise ContractError(f"tables depend on each other in a circle: {' <- '.join(error.args[1])}") from error


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The catalogue of this package."""
    return Catalog(contract for room in (sources, signals) for contract in _declared(room))


def _declared(room: ModuleType) -> list[Source | Table]:
    found: dict[str, Source | Table] = {}
    for family in pkgutil.iter_modules(room.__path__):
        if family.ispkg:
            module = importlib.import_module(f"{room.__name__}.{family.name}.contract")
            for value in vars(module).values():
                if isinstance(value, Source | Table):
                    found[value.table] = value
    return list(found.values())
