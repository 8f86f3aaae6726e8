"""Landing files, parsed: what comes out, and the module of a source that knows how."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import ModuleType

from pyspark.sql import DataFrame

from content_signals.contract import Source
from content_signals.errors import BrokenData
from content_signals.lake.stage import Stage


@dataclass(frozen=True)
class Parsed:
    """What landing files hold. The frames are lazy.

    Attributes:
        rows: the source's columns and `ds`; malformed rows left out, duplicates still in. None: they are staged.
        aside: `ds`, `file`, `line_number`, `raw`, `reason` of the malformed rows.
        lines: rows of each day, good and bad, a header not counted.
        malformed: how many of them are malformed.
        staged: stages of rows that were staged as they were parsed.
        file_lines: rows of each day's file, where a file holds more than its day.
        refused: days of which nothing may be taken, though all of it could be read.
        may_be_empty: that there are no rows is said, and no sign that some are missing.
        contents: the key, `sha256` and what is kept by it, of the good rows of all days.
    """

    rows: DataFrame | None
    aside: DataFrame
    lines: Mapping[date, int]
    malformed: Mapping[date, int]
    staged: Mapping[date, Stage] = field(default_factory=dict)
    file_lines: Mapping[date, int] = field(default_factory=dict)
    refused: Mapping[date, BrokenData] = field(default_factory=dict)
    may_be_empty: bool = False
    contents: DataFrame | None = None


def family(source: Source) -> ModuleType:
    """The parse module of a source."""
    return importlib.import_module(f"content_signals.sources.{source.family}.parse")
