"""A table made from landing files."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from content_signals.contract.column import Column
from content_signals.contract.stamps import DAY, RESERVED_IN_SOURCES, RUN_ID, SHA256
from content_signals.contract.versioned import Versioned
from content_signals.declaration import STRICT, check_columns, check_limits, check_names, require


@dataclass(frozen=True, config=STRICT)
class Source(Versioned):
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
