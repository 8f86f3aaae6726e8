"""What a source and a signal table have in common."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from content_signals.declaration import STRICT, Declaration


@dataclass(frozen=True, config=STRICT)
class Versioned(Declaration):
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
