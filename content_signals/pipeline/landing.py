"""Landing files of a source: which day's file is where, and whether it can be read at all."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from content_signals.contract import Source
from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import exists, filesystem

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class LandingFile:
    """The file of one day. An undated source has the same file for every day."""

    source: Source
    day: date
    path: str


def find(source: Source, landing: str, day: date) -> LandingFile:
    """The day's file.

    Raises:
        NotLanded: naming the paths looked for.
        BrokenData: when two files claim the day.
    """
    paths = [f"{landing}/{pattern.format(day=day)}" for pattern in source.landing]
    found = [path for path in paths if exists(path)]
    if not found:
        raise NotLanded(
            f"{source.table} {day}: no landing file; looked for {' and '.join(paths)}",
            state="the day has no rows; earlier days are served",
            next_step="deliver the file, then run the day again",
        )
    if len(found) > 1:
        raise BrokenData(
            f"{source.table} {day}: two landing files claim the day: {' and '.join(found)}",
            state="nothing was ingested; the day is as it was",
            next_step="remove the wrong one, then run the day again",
        )
    return LandingFile(source, day, found[0])


def check_header(file: LandingFile, expected: Sequence[str]) -> None:
    """Refuse a CSV file whose first line is not exactly the expected header.

    Raises:
        BrokenData: naming the file, the expected and the found columns.
    """
    line = _first_line(file)
    if line is None:
        raise broken(file, "the file is empty")
    found = next(csv.reader([line]), [])
    if found != list(expected):
        raise broken(file, f"expected the columns {', '.join(expected)}; found {', '.join(found) or 'an empty line'}")


def check_not_empty(file: LandingFile) -> None:
    """Refuse a text file without a line, or one that is not compressed as its name says.

    Raises:
        BrokenData: naming the file.
    """
    if _first_line(file) is None:
        raise broken(file, "the file is empty")


def check_parquet(file: LandingFile, expected: Mapping[str, tuple[pa.DataType, ...]]) -> None:
    """Refuse a Parquet file that is unreadable or lacks a column.

    Raises:
        BrokenData: naming the file, the expected and the found columns with their types.
    """
    files, inner = filesystem(file.path)
    try:
        schema = pq.read_schema(inner, filesystem=files)
    except (OSError, pa.ArrowInvalid) as error:
        raise broken(file, f"it is not readable Parquet: {error}") from error
    found = {field.name: _stored(field.type) for field in schema}
    wrong = [name for name, types in expected.items() if found.get(name) not in types]
    if wrong:
        wanted = ", ".join(f"{name} {types[0]}" for name, types in expected.items())
        seen = ", ".join(f"{name} {kind}" for name, kind in found.items())
        raise broken(file, f"column {', '.join(wrong)} is missing or of another type; expected {wanted}; found {seen}")


def _stored(kind: pa.DataType) -> pa.DataType:
    """A type as Parquet keeps it: what wrote the file may have had other names for the same."""
    if pa.types.is_dictionary(kind):
        return _stored(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_stored(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def broken(file: LandingFile, what: str, mend: str = "have the file delivered again") -> BrokenData:
    """An error about a landing file that stops its day."""
    return BrokenData(
        f"{file.source.table} {file.day}: {file.path}: {what}",
        state="nothing was ingested; the day is as it was",
        next_step=f"{mend}, then ingest_source --source {file.source.name} --day {file.day}",
    )


def _first_line(file: LandingFile) -> str | None:
    """The first line without its end, None for an empty file. Reads no more than a block of it."""
    files, inner = filesystem(file.path)
    with files.open_input_stream(inner, compression=None) as stream:
        head = stream.read(_HEAD_BYTES)
    if file.path.endswith(".gz"):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEAD_BYTES)
        except zlib.error as error:
            raise broken(file, f"it is not a gzip file: {error}") from error
    if not head:
        return None
    return head.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8-sig", errors="replace")
