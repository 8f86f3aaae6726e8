"""What a table promises. Every column is declared here, once; tiles, features, docs and lineage come from it.

This module is data only: it imports no engine, so that Airflow, the jobs and a model's service all read the same
contracts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from content_signals.errors import ContractError

_STRICT = ConfigDict(extra="forbid")
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Op = Literal["count", "sum", "min", "max", "mean", "last", "distinct", "approx_distinct", "days_since"]
Type = Literal["string", "int", "bigint", "double", "boolean", "date", "timestamp"]

# Written by the platform into every table; no contract may declare them.
DAY = "ds"
EVENT_TS = "event_ts"
COMPUTED_AT = "computed_at"
RUN_ID = "run_id"
STAMPS: dict[str, Type] = {EVENT_TS: "timestamp", COMPUTED_AT: "timestamp", RUN_ID: "string"}
RESERVED = frozenset({DAY, *STAMPS})


@dataclass(frozen=True, config=_STRICT)
class Entity:
    """What a table is about, e.g. a track. `join_key` is the column, always a string, that names one of them."""

    name: str
    join_key: str
    about: str


@dataclass(frozen=True, config=_STRICT)
class Column:
    """A plain column of a source table."""

    name: str
    type: Type
    about: str
    unit: str = ""


@dataclass(frozen=True, config=_STRICT)
class Input:
    """A table another one is made from.

    Attributes:
        table: its name.
        days: how many days `compute` reads, the run's own day included. Windows have their own reach: they read
            tiles, not this input's rows.
        previous: key columns; `compute` also reads, for each key present on the day, the latest earlier day on which
            the key was present.
        where: SQL predicate; only rows that pass count as present and are handed on.
    """

    table: str
    days: int = 1
    previous: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, config=_STRICT)
class Windowed:
    """A column that is declared, not coded: an aggregate of one input's rows over a window of days.

    The window of day D is (D - days, D]. No row in it: `count`, `sum`, `distinct` and `approx_distinct` are 0, the
    others null. Nulls of `column` are left out, as SQL aggregates do.

    Attributes:
        op: `days_since` is D minus the day of the latest row; `last` takes the value of the latest row by
            (ds, order_by), the largest value among equals; `approx_distinct` is a HyperLogLog sketch of 2^12 buckets.
        of: the input, or its table's name.
        column: what is aggregated; not for `count` and `days_since`.
        where: SQL predicate on the input's rows.
        half_life_days: for `count` and `sum`: a row k days old weighs 2^(-k / half_life_days), kept as the fixed-point
            long round(2^30 * weight) so that sums do not depend on order. The result is a double.
        order_by: for `last`: the column that orders rows within a day.
    """

    name: str
    op: Op
    of: Input | str
    days: int
    about: str
    column: str = ""
    where: str = ""
    half_life_days: float | None = None
    order_by: str = ""
    unit: str = ""

    @property
    def input_table(self) -> str:
        """Name of the table whose rows are aggregated."""
        return self.of if isinstance(self.of, str) else self.of.table

    @property
    def default(self) -> int | float | None:
        """The value when the window is empty."""
        if self.half_life_days:
            return 0.0
        return 0 if self.op in ("count", "sum", "distinct", "approx_distinct") else None

    @model_validator(mode="after")
    def _check(self) -> Windowed:
        needs_column = self.op not in ("count", "days_since")
        _require(_NAME.fullmatch(self.name) is not None, f"{self.name!r} is not a column name (a-z, 0-9, _)")
        _require(self.days >= 1, f"{self.name}: a window has at least one day, not {self.days}")
        _require(
            bool(self.column) == needs_column, f"{self.name}: op {self.op} takes {'a' if needs_column else 'no'} column"
        )
        _require(self.half_life_days is None or self.op in ("count", "sum"), f"{self.name}: only count and sum decay")
        _require(self.half_life_days is None or self.half_life_days > 0, f"{self.name}: a half-life is positive")
        _require(not self.order_by or self.op == "last", f"{self.name}: order_by goes with op last")
        return self


@dataclass(frozen=True, config=_STRICT)
class Computed:
    """A column that `compute.py` of the family makes. `default` fills rows that only a window put into the table."""

    name: str
    type: Type
    about: str
    unit: str = ""
    default: int | float | bool | None = None


@dataclass(frozen=True, config=_STRICT)
class Source:
    """A table made from landing files.

    Attributes:
        landing: path patterns below the landing folder, tried in order; `{day}` is the day.
        key: columns that name a row after de-duplication by the reader; documentation and suite rules use it.
        max_malformed_ratio: more malformed rows than this share of a file stop the day.
    """

    name: str
    version: int
    format: Literal["csv", "parquet"]
    landing: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    owner: str
    about: str
    fresh_within: timedelta = timedelta(hours=30)
    max_malformed_ratio: float = 0.01

    @property
    def table(self) -> str:
        """Name of the table, with its version."""
        return f"{self.name}_v{self.version}"

    @property
    def family(self) -> str:
        """Name of the folder the source lives in."""
        return self.name

    @property
    def dated(self) -> bool:
        """Whether each day has a file of its own."""
        return any("{day}" in pattern for pattern in self.landing)

    @property
    def area(self) -> str:
        """Folder of the lake the table lies in."""
        return "sources"

    @property
    def schema(self) -> dict[str, str]:
        """Column -> Spark type, in order, `ds` last."""
        return {**{c.name: c.type for c in self.columns}, RUN_ID: "string", DAY: "date"}

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that carry what the file said."""
        return tuple(c.name for c in self.columns)

    @model_validator(mode="after")
    def _check(self) -> Source:
        _check_columns(self.table, [c.name for c in self.columns], self.key)
        return self


@dataclass(frozen=True, config=_STRICT)
class Table:
    """A signal table: one row per key and day.

    Attributes:
        driver: the input whose promoted day starts the table's day.
        inputs: the other inputs; extract waits until their day is promoted.
        key: for a table that only feeds others; a served table's key is its entity's join key.
        keep_days: a key stays in the table this many days after its last driver row; 0: only while `compute` yields it.
        fresh_within: a day is late when it is not promoted this long after its end.
        max_quarantine_ratio: more critical rows than this share stop the day.
        serve: whether models read it.
    """

    name: str
    version: int
    driver: Input
    columns: tuple[Windowed | Computed, ...]
    owner: str
    about: str
    entity: Entity | None = None
    key: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    keep_days: int = 0
    fresh_within: timedelta = timedelta(hours=30)
    max_quarantine_ratio: float = 0.01
    serve: bool = True

    @property
    def table(self) -> str:
        """Name of the table, with its version."""
        return f"{self.name}_v{self.version}"

    @property
    def family(self) -> str:
        """Name of the folder the table's contract lives in."""
        return self.name

    @property
    def area(self) -> str:
        """Folder of the lake the table lies in."""
        return "signals"

    @property
    def tiles(self) -> str:
        """Name of the table that keeps this table's tiles."""
        return f"{self.table}_tiles"

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row of a day."""
        return self.key or ((self.entity.join_key,) if self.entity else ())

    @property
    def windowed(self) -> tuple[Windowed, ...]:
        """The declared columns."""
        return tuple(c for c in self.columns if isinstance(c, Windowed))

    @property
    def computed(self) -> tuple[Computed, ...]:
        """The coded columns."""
        return tuple(c for c in self.columns if isinstance(c, Computed))

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the signals."""
        return tuple(c.name for c in self.columns)

    @property
    def all_inputs(self) -> tuple[Input, ...]:
        """The driver and the others, and inputs that only windows name."""
        named = (self.driver, *self.inputs)
        known = {i.table for i in named}
        extra = dict.fromkeys(w.input_table for w in self.windowed if w.input_table not in known)
        return (*named, *(Input(table) for table in extra))

    @property
    def tiled_inputs(self) -> tuple[str, ...]:
        """Tables whose rows become tiles: those of windows, and the driver when keys are kept by it."""
        kept = [self.driver.table] if self.keep_days else []
        return tuple(dict.fromkeys([*kept, *(w.input_table for w in self.windowed)]))

    def reach(self, table: str) -> int:
        """How many days of an input a day of this table is made from, its own included."""
        days = [i.days for i in self.all_inputs if i.table == table]
        days += [w.days for w in self.windowed if w.input_table == table]
        if self.keep_days and table == self.driver.table:
            days.append(self.keep_days)
        return max(days)

    @model_validator(mode="after")
    def _check(self) -> Table:
        _check_columns(self.table, [c.name for c in self.columns], self.keys)
        _require(bool(self.keys), f"{self.table}: give an entity or a key")
        _require(not self.serve or len(self.keys) == 1, f"{self.table}: a served table has one key, not {self.keys}")
        _require(not self.serve or self.entity is not None, f"{self.table}: a served table has an entity")
        _require(
            bool(self.computed) or self.keep_days > 0, f"{self.table}: no Computed column and no keep_days: no rows"
        )
        return self


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ContractError(message, next_step="mend the contract")


def _check_columns(table: str, names: list[str], keys: Iterable[str]) -> None:
    _require(_NAME.fullmatch(table) is not None, f"{table!r} is not a table name (a-z, 0-9, _)")
    for name in names:
        _require(_NAME.fullmatch(name) is not None, f"{table}: {name!r} is not a column name (a-z, 0-9, _)")
        _require(name not in RESERVED, f"{table}: column {name} is written by the platform")
    twice = sorted({n for n in names if names.count(n) > 1})
    _require(not twice, f"{table}: columns declared twice: {', '.join(twice)}")
