"""Landing files, parsed: what comes out, and the module of a source that knows how."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import date
from types import ModuleType

from pyspark.sql import DataFrame

from content_signals.contract import Source


@dataclass(frozen=True)
class Parsed:
    """What landing files hold. The frames are lazy.

    Attributes:
        rows: the source's columns and `ds`; malformed rows left out, exact duplicates still in.
        aside: `ds`, `file`, `line_number`, `raw`, `reason` of the malformed rows.
        lines: rows of each day, good and bad, a header not counted.
        malformed: how many of them are malformed.
    """

    rows: DataFrame
    aside: DataFrame
    lines: dict[date, int]
    malformed: dict[date, int]


def family(source: Source) -> ModuleType:
    """The parse module of a source."""
    return importlib.import_module(f"content_signals.sources.{source.family}.parse")
