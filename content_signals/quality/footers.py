"""What Parquet footers prove of the rows in some files: their number, nulls, least and greatest values.

A footer is read in milliseconds, whatever the file's size. What it does not prove stays unknown, never guessed: of
doubles it passes over NaN, which Spark holds greater than any number, so that only a lower bound follows from it; a
text's bound may be cut; a column that one of the files lacks has rows the others do not speak for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import types as T

from content_signals.errors import BrokenData
from content_signals.lake.files import filesystem


@dataclass(frozen=True)
class ColumnFacts:
    """Of one column: nulls, and the bounds of what is not null; None where unknown.

    `bounded`: the bounds are known; both None then means that there are only nulls.
    """

    nulls: int | None
    least: Any = None
    greatest: Any = None
    bounded: bool = False

    def __add__(self, other: ColumnFacts) -> ColumnFacts:
        """The same of both files' rows together."""
        nulls = None if self.nulls is None or other.nulls is None else self.nulls + other.nulls
        if not (self.bounded and other.bounded):
            return ColumnFacts(nulls)
        least = [one.least for one in (self, other) if one.least is not None]
        greatest = [one.greatest for one in (self, other) if one.greatest is not None]
        return ColumnFacts(nulls, min(least, default=None), max(greatest, default=None), bounded=True)


class Footers:
    """Row count and columns of some files together.

    Attributes:
        rows: how many rows there are.
        columns: name -> facts; a column inside an array or a struct, or missing in a file, is not there.
        kinds: name -> the types that the files have it in.
    """

    def __init__(
        self, rows: int, columns: Mapping[str, ColumnFacts], kinds: Mapping[str, set[pa.DataType]] | None = None
    ) -> None:
        self.rows, self.columns, self.kinds = rows, dict(columns), dict(kinds or {})

    @classmethod
    def of(cls, files: Iterable[str], day: tuple[str, date] | None = None) -> Footers:
        """Read the footers of some files.

        Args:
            files: their paths.
            day: name and value of the column that lies in the folder's name instead of the files.

        Raises:
            BrokenData: a file is missing, or no Parquet file, or half of one.
        """
        with ThreadPoolExecutor(max_workers=8) as pool:
            footers = list(pool.map(_read, files))
        rows = sum(footer.num_rows for footer in footers)
        found = [_columns(footer) for footer in footers]
        shared = set.intersection(*map(set, found)) if found else set()
        columns = {name: reduce(ColumnFacts.__add__, [one[name] for one in found]) for name in shared}
        if day and rows:
            columns[day[0]] = ColumnFacts(0, day[1], day[1], bounded=True)
        kinds: dict[str, set[pa.DataType]] = {}
        for footer in footers:
            for one in footer.schema.to_arrow_schema():
                kinds.setdefault(one.name, set()).add(one.type)
        return cls(rows, columns, kinds)

    def drifted(self, schema: T.StructType) -> list[str]:
        """The columns that a file has in another type than the schema says, each with both types."""
        expected = {one.name: _KINDS.get(type(one.dataType)) for one in schema}
        return [
            f"{name}: {kind}, not {schema[name].dataType.simpleString()}"
            for name, kinds in sorted(self.kinds.items())
            for kind in sorted(kinds, key=str)
            if (is_kind := expected.get(name)) and not is_kind(kind)
        ]


def _read(path: str) -> pq.FileMetaData:
    files, inner = filesystem(path)
    try:
        return pq.read_metadata(inner, filesystem=files)
    except (OSError, ValueError) as error:
        raise BrokenData(
            f"staged file {path} cannot be read: {error}",
            state="nothing was promoted; readers see the day as it was promoted last, if it was",
            next_step="run the day again, from its first step",
        ) from error


def _columns(footer: pq.FileMetaData) -> dict[str, ColumnFacts]:
    """Facts of each plain column of a file."""
    names = {
        position: footer.schema.column(position).path
        for position in range(footer.num_columns)
        if footer.schema.column(position).max_repetition_level == 0 and "." not in footer.schema.column(position).path
    }
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    found = {}
    for position, name in names.items():
        chunks = [_chunk(group.column(position), group.num_rows) for group in groups]
        found[name] = reduce(ColumnFacts.__add__, chunks, _NO_ROWS)
    return found


def _chunk(column: Any, rows: int) -> ColumnFacts:
    if not rows:  # pyarrow leaves such a group in a file without a row, and no statistics in it
        return _NO_ROWS
    statistics = column.statistics
    if statistics is None or not statistics.has_null_count:
        return ColumnFacts(None)
    nulls = int(statistics.null_count)
    if nulls == rows:
        return ColumnFacts(nulls, bounded=True)
    if not statistics.has_min_max:
        return ColumnFacts(nulls)
    try:
        return ColumnFacts(nulls, statistics.min, statistics.max, bounded=True)
    except (NotImplementedError, ValueError, OverflowError):  # a type or a moment Python has no value of
        return ColumnFacts(nulls)


_NO_ROWS = ColumnFacts(0, bounded=True)
# Types that are not here are not looked at: what Spark makes of them is its business.
_KINDS: dict[type[T.DataType], Callable[[pa.DataType], bool]] = {
    T.StringType: lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    T.BooleanType: pa.types.is_boolean,
    T.IntegerType: pa.types.is_int32,
    T.LongType: pa.types.is_int64,
    T.DoubleType: pa.types.is_float64,
    T.DateType: pa.types.is_date32,
    T.TimestampType: pa.types.is_timestamp,
}
