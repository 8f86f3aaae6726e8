"""What a table is about."""

from __future__ import annotations

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.contract.stamps import RESERVED
from content_signals.declaration import STRICT, Declaration, check_name, check_names


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
