"""What a table promises. Every column is declared here, once; tiles, features, docs and lineage come from it.

This module is data only: it imports no engine, so that Airflow, the jobs and a model's service all read the same
contracts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.content import Content
from content_signals.declaration import (
    STRICT,
    Declaration,
    check_columns,
    check_limits,
    check_name,
    check_names,
    require,
)
from content_signals.errors import UnknownName

Op = Literal["count", "sum", "min", "max", "mean", "ratio", "last", "distinct", "approx_distinct", "days_since"]
Type = Literal[
    "string",
    "int",
    "bigint",
    "double",
    "boolean",
    "date",
    "timestamp",
    "array<string>",
    "array<float>",
    "array<double>",
]

# What a default of a column of the type may be. The exact type: True is no number.
_DEFAULTS: dict[Type, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "bigint": (int,), "double": (int, float), "boolean": (bool,)
}  # fmt: skip

# Written by the platform; no contract may declare them.
DAY = "ds"
EVENT_TS = "event_ts"
COMPUTED_AT = "computed_at"
RUN_ID = "run_id"
STAMPS: dict[str, Type] = {EVENT_TS: "timestamp", COMPUTED_AT: "timestamp", RUN_ID: "string"}
RESERVED = frozenset({DAY, *STAMPS})  # in signal tables
RESERVED_IN_SOURCES = frozenset({DAY, RUN_ID})
SHA256 = "sha256"  # of a source that has contents: their SHA-256, 64 hexadecimal digits


@dataclass(frozen=True, config=STRICT)
class Entity(Declaration):
    """What a table is about, e.g. a track. `join_key` is the column, always a string, that names one of them."""

    name: str
    join_key: str
    about: str

    @model_validator(mode="after")
    def _check(self) -> Entity:
        check_name("entity", self.name)
        check_names(f"entity {self.name}", "join key", [self.join_key], RESERVED)
        return self


@dataclass(frozen=True, config=STRICT)
class Column(Declaration):
    """A plain column of a source table."""

    name: str
    type: Type
    about: str
    unit: str = ""


@dataclass(frozen=True, config=STRICT)
class Input(Declaration):
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

    @model_validator(mode="after")
    def _check(self) -> Input:
        check_name("table", self.table, "input ")
        require(self.days >= 1, f"input {self.table}: at least the day itself is read, not {self.days} days")
        check_names(f"input {self.table}", "previous column", self.previous, RESERVED)
        return self


@dataclass(frozen=True, config=STRICT)
class Windowed(Declaration):
    """A column that is declared, not coded: an aggregate of one input's rows over a window of days.

    The window of day D is (D - days, D]. No row in it: `count`, `sum`, `distinct` and `approx_distinct` are 0, the
    others null. Nulls of `column` are left out, as SQL aggregates do.

    Attributes:
        op: `days_since` is D minus the day of the latest row; `last` takes the value of the latest row by
            (ds, order_by), the largest value among equals; `approx_distinct` is a HyperLogLog sketch of 2^12 buckets;
            `ratio` is the number of rows that meet `where` by that of rows that meet `over`.
        of: the input, or its table's name. An input is taken with its `where`, the same as in the table's `inputs`.
        column: what is aggregated; not for `count`, `ratio` and `days_since`.
        where: SQL predicate on the input's rows.
        half_life_days: for `count` and `sum`: a row k days old weighs 2^(-k / half_life_days), kept as the fixed-point
            long round(2^30 * weight) so that sums do not depend on order. The result is a double.
        order_by: for `last`: the column that orders rows within a day.
        over: for `ratio`: SQL predicate on the input's rows.
        exact_to: for `distinct`: a power of two. Up to so many values the count is exact, and a key's tile holds no
            more than them; above, it is a theta sketch's estimate, of a relative standard error of 1 / sqrt(exact_to).
            Without it every value is kept, however many.
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
    over: str = ""
    exact_to: int | None = None
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
        needs_column = self.op not in ("count", "ratio", "days_since")
        check_name("column", self.name)
        require(self.days >= 1, f"{self.name}: a window has at least one day, not {self.days}")
        require(
            bool(self.column) == needs_column, f"{self.name}: op {self.op} takes {'a' if needs_column else 'no'} column"
        )
        require(self.half_life_days is None or self.op in ("count", "sum"), f"{self.name}: only count and sum decay")
        require(self.half_life_days is None or self.half_life_days > 0, f"{self.name}: a half-life is positive")
        require(not self.order_by or self.op == "last", f"{self.name}: order_by goes with op last")
        require(bool(self.over) == (self.op == "ratio"), f"{self.name}: over goes with op ratio, and ratio with over")
        if self.exact_to is not None:
            require(self.op == "distinct", f"{self.name}: exact_to goes with op distinct")
            sizes = [2**n for n in range(4, 17)]
            told = f"{self.name}: exact_to is a power of two from {sizes[0]} to {sizes[-1]}, not {self.exact_to}"
            require(self.exact_to in sizes, told)
        return self


@dataclass(frozen=True, config=STRICT)
class Computed(Declaration):
    """A column that `compute.py` of the family makes. `default` fills rows that only a window put into the table."""

    name: str
    type: Type
    about: str
    unit: str = ""
    default: str | int | float | bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Computed:
        allowed = _DEFAULTS.get(self.type, ())
        names = " or ".join(kind.__name__ for kind in allowed) or "None"
        told = f"{self.name}: the default of a column of type {self.type} is {names}, not {self.default!r}"
        require(self.default is None or type(self.default) in allowed, told)
        return self


@dataclass(frozen=True, config=STRICT)
class _Versioned(Declaration):
    """What a source and a signal table have in common."""

    name: str
    version: int

    @property
    def table(self) -> str:
        """Name of the table, with its version."""
        return f"{self.name}_v{self.version}"

    @property
    def family(self) -> str:
        """Name of the folder the contract lives in."""
        return self.name


@dataclass(frozen=True, config=STRICT)
class Source(_Versioned):
    """A table made from landing files.

    Attributes:
        landing: path patterns below the landing folder, tried in order; `{day}` is the day.
        format: `events` is JSON lines or Parquet, one file a day of many rows; `folder` is a folder of files, of which
            each is a row.
        key: those of its columns that name a row after de-duplication by the reader; documentation and suite rules
            use it. The rows of `events` lie in the table's files by its first.
        order_by: columns that decide which of several rows with one key is kept: the first. Without them only exact
            duplicates are dropped.
        contents: columns that are kept once for each value of the column `sha256`, beside the table and not in it.
        max_malformed_ratio: more malformed rows than this share of a file stop the day.
        max_quarantine_ratio: more rows that break critical rules than this share stop the day.
    """

    area: ClassVar[str] = "sources"  # folder of the lake the table lies in
    format: Literal["csv", "parquet", "events", "folder"]
    landing: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    owner: str
    about: str
    order_by: tuple[str, ...] = ()
    contents: tuple[Column, ...] = ()
    fresh_within: timedelta = timedelta(hours=30)
    max_malformed_ratio: float = 0.01
    max_quarantine_ratio: float = 0.01

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row of a day."""
        return self.key

    @property
    def dated(self) -> bool:
        """Whether each day has a file of its own."""
        return any("{day}" in pattern for pattern in self.landing)

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
        check_columns(self.table, self.values, self.key, RESERVED_IN_SOURCES)
        check_limits(
            self.table,
            self.version,
            self.fresh_within,
            max_malformed_ratio=self.max_malformed_ratio,
            max_quarantine_ratio=self.max_quarantine_ratio,
        )
        for kind, names in (("key", self.key), ("order_by", self.order_by)):
            foreign = [name for name in names if name not in self.values]
            require(not foreign, f"{self.table}: {kind} {', '.join(foreign)} is none of its columns")
        check_names(self.table, "content", [c.name for c in self.contents], {*RESERVED_IN_SOURCES, *self.values})
        require(not self.contents or SHA256 in self.values, f"{self.table}: contents are kept by a column {SHA256}")
        require(not self.contents or self.format == "parquet", f"{self.table}: contents come from Parquet files")
        require(bool(self.key), f"{self.table}: give a key")
        require(bool(self.landing), f"{self.table}: give a landing path")
        return self


@dataclass(frozen=True, config=STRICT)
class Table(_Versioned):
    """A signal table: one row per key and day.

    Attributes:
        driver: the input whose promoted day starts the table's day.
        inputs: the other inputs; extract waits until their day is promoted.
        content: what of a driver's row its signals are made from; without it `compute` is given all rows of each day.
        key: for a table that only feeds others; a served table's key is its entity's join key.
        part_of: what each row is a part of, named by the column that is its join key: taken down together.
        keep_days: a key stays in the table this many days after its last driver row; 0: only while `compute` yields it.
        fresh_within: a day is late when it is not promoted this long after its end.
        max_quarantine_ratio: more critical rows than this share stop the day.
        serve: whether models read it.
    """

    area: ClassVar[str] = "signals"  # folder of the lake the table lies in
    driver: Input
    columns: tuple[Windowed | Computed, ...]
    owner: str
    about: str
    entity: Entity | None = None
    key: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    content: Content | None = None
    part_of: Entity | None = None
    keep_days: int = 0
    fresh_within: timedelta = timedelta(hours=30)
    max_quarantine_ratio: float = 0.01
    serve: bool = True

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
        """The driver and the others, and inputs that only windows give: the input itself, or every row of its table."""
        found = (self.driver, *self.inputs)
        given = [w.of for w in self.windowed if isinstance(w.of, Input)]
        named = [Input(w.of) for w in self.windowed if isinstance(w.of, str)]
        for windows in (given, named):  # one that a window gives holds for windows that only name its table
            known = {i.table for i in found}
            found += tuple(i for i in dict.fromkeys(windows) if i.table not in known)
        return found

    @property
    def tiled_inputs(self) -> tuple[str, ...]:
        """Tables whose rows become tiles: those of windows, and the driver when keys are kept by it."""
        kept = [self.driver.table] if self.keep_days else []
        return tuple(dict.fromkeys([*kept, *(w.input_table for w in self.windowed)]))

    def reach(self, table: str) -> int:
        """How many days of an input a day of this table is made from, its own included.

        Raises:
            UnknownName: for a table that is no input of this one.
        """
        days = [i.days for i in self.all_inputs if i.table == table]
        if not days:
            raise UnknownName(f"input of {self.table}", table, [i.table for i in self.all_inputs])
        days += [w.days for w in self.windowed if w.input_table == table]
        if self.keep_days and table == self.driver.table:
            days.append(self.keep_days)
        return max(days)

    @model_validator(mode="after")
    def _check(self) -> Table:
        name, keys = self.table, self.keys
        check_columns(name, self.values, keys, RESERVED)
        check_limits(name, self.version, self.fresh_within, max_quarantine_ratio=self.max_quarantine_ratio)
        signals = [key for key in keys if key in self.values]
        require(not signals, f"{name}: {', '.join(signals)} is the key and a column")
        require(bool(keys), f"{name}: give an entity or a key")
        require(not self.serve or len(keys) == 1, f"{name}: a served table has one key, not {keys}")
        require(not self.serve or self.entity is not None, f"{name}: a served table has an entity")
        if self.entity:
            join_key = self.entity.join_key
            require(join_key in keys, f"{name}: key {', '.join(keys)} lacks {join_key}, the entity's join key")
        if self.part_of:
            named = self.part_of.join_key in [c.name for c in self.computed if c.type == "string"]
            require(
                named and self.entity is not None,
                f"{name}: part_of needs an entity of its own and a column {self.part_of.join_key}",
            )
        require(self.keep_days >= 0, f"{name}: keep_days is 0 or more, not {self.keep_days}")
        require(bool(self.computed) or self.keep_days > 0, f"{name}: no Computed column and no keep_days: no rows")
        alone = not (self.windowed or self.inputs or self.keep_days or self.driver.previous or self.driver.days > 1)
        require(self.content is None or alone, f"{name}: what is computed by content has one input, its day alone")
        _check_inputs(self)
        return self


def _check_inputs(table: Table) -> None:
    """One table is one input with one filter: its rows are read once, for `compute` and for every window."""
    inputs = table.all_inputs
    names = [i.table for i in inputs]
    twice = sorted({n for n in names if names.count(n) > 1})
    require(not twice, f"{table.table}: {', '.join(twice)} is listed under two inputs", "make one input of them")
    filters = {i.table: i.where for i in inputs}
    for window in table.windowed:
        if isinstance(window.of, Input):
            of, declared = window.of, filters[window.of.table]
            require(
                of.where == declared,
                f"{table.table}: {window.name} is of {of.table} where {of.where!r}, its input where {declared!r}",
                "give both the same Input; what only this window leaves out goes into its own `where`",
            )
