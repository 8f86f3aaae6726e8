"""A column, in each of its kinds: one that a file brings, one that is declared, one that is coded."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.contract.input import Input
from content_signals.contract.stamps import Type
from content_signals.declaration import STRICT, Declaration, check_name, require

Op = Literal["count", "sum", "min", "max", "mean", "ratio", "last", "distinct", "approx_distinct", "days_since"]

# What a default of a column of the type may be. The exact type: True is no number.
_DEFAULTS: dict[Type, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "bigint": (int,), "double": (int, float), "boolean": (bool,)
}  # fmt: skip


@dataclass(frozen=True, config=STRICT)
class Column(Declaration):
    """A plain column of a source table."""

    name: str
    type: Type
    about: str
    unit: str = ""


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
