"""A table of signals."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.content import Content
from content_signals.contract.column import Computed, Windowed
from content_signals.contract.entity import Entity
from content_signals.contract.input import Input
from content_signals.contract.stamps import RESERVED
from content_signals.contract.versioned import Versioned
from content_signals.declaration import STRICT, check_columns, check_limits, require
from content_signals.errors import UnknownName


@dataclass(frozen=True, config=STRICT)
class Table(Versioned):
    """A signal table: one row per key and day.

    Attributes:
        driver: the input whose promoted day starts the table's day.
        inputs: the other inputs; extract waits until their day is promoted.
        content: what of a driver's row its signals are made from; without it `compute` is given all rows of each day.
            The other inputs may then answer rows of the day by themselves, so that nothing is computed of these.
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
        windows = self.windowed or self.keep_days or any(i.previous or i.days > 1 for i in (self.driver, *self.inputs))
        require(self.content is None or not windows, f"{name}: what is computed by content reads its day alone")
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
