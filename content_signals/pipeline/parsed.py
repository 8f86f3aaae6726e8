"""Landing files, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame


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
