"""What a table is made from."""

from __future__ import annotations

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.contract.stamps import RESERVED
from content_signals.declaration import STRICT, Declaration, check_name, check_names, require


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
