"""A labelled set in a file: what people say of some transcripts, checked before a call is paid for.

CSV or Parquet with three columns: `id`, `transcript`, and `labels`, the main one first: a list in Parquet, in CSV a
text with `|` between them, empty where people gave none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from content_signals.errors import UsageError

COLUMNS = ("id", "transcript", "labels")
BETWEEN = "|"
_LARGEST_FIELD = 1 << 28  # bytes of a CSV that are read at once: no transcript is longer


@dataclass(frozen=True)
class LabelledItem:
    """A transcript and the labels that people gave it, the main one first."""

    id: str
    transcript: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ClosedList:
    """The labels there are of one kind, and how many an item has."""

    labels: tuple[str, ...]
    least: int
    most: int


def read_labelled(path: Path, closed: ClosedList) -> list[LabelledItem]:
    """The items of a file.

    Raises:
        UsageError: it cannot be read, lacks a column or has it twice or of another type, has no rows; or naming rows
            without id or transcript, with the id of another, with labels that are not on the list, or with too few or
            too many of them.
    """
    found = _table(path)
    _check_columns(path, found.schema)
    items = [
        LabelledItem(_text(row["id"]), row["transcript"] or "", _labels(row["labels"]))
        for row in found.select(COLUMNS).to_pylist()
    ]
    if not items:
        raise _wrong(path, "it has no rows", "label some transcripts")
    faults = list(_faults(items, closed))
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise _wrong(path, "; ".join(faults[:5]) + more, f"the labels are: {', '.join(closed.labels)}")
    return items


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            # Of a file columns of one name too, which are told; Spark writes a folder.
            return pa.parquet.read_table(path) if path.is_dir() else pa.parquet.ParquetFile(path).read()
        if path.suffix.lower() == ".csv":
            return pa.csv.read_csv(
                path,
                read_options=pa.csv.ReadOptions(block_size=_LARGEST_FIELD),
                parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string())),
            )
    except (OSError, pa.ArrowException) as error:
        raise _wrong(path, f"it cannot be read: {error}", "name a CSV or Parquet file") from None
    raise _wrong(path, "its name ends in neither .csv nor .parquet", "name a CSV or Parquet file")


def _check_columns(path: Path, schema: pa.Schema) -> None:
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        there = ", ".join(schema.names)
        raise _wrong(path, f"it has no column {', '.join(missing)}; there are: {there}", "name its columns so")
    twice = [name for name in COLUMNS if schema.names.count(name) > 1]
    if twice:
        raise _wrong(path, f"it has more than one column {', '.join(twice)}", "leave one of each")
    for name, allowed in (
        ("id", "texts or whole numbers"),
        ("transcript", "texts"),
        ("labels", "texts or lists of texts"),
    ):
        kind = schema.field(name).type
        fits = _is_text(kind) or (name == "id" and pa.types.is_integer(kind))
        if not fits and not (name == "labels" and _is_list(kind) and _is_text(kind.value_type)):
            raise _wrong(path, f"column {name} holds {kind}, not {allowed}", "write it as docs/language-models.md says")


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts, or nulls alone, which are of no type of their own."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind in (pa.string_view(), pa.null())


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _labels(value: Any) -> tuple[str, ...]:
    parts: Sequence[Any] = value.split(BETWEEN) if isinstance(value, str) else value or ()
    return tuple(text for part in parts if (text := _text(part)))


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _faults(items: Sequence[LabelledItem], closed: ClosedList) -> Iterator[str]:
    seen: set[str] = set()
    for number, item in enumerate(items, start=1):
        if not item.id:
            yield f"row {number} has no id"
            continue
        if item.id in seen:
            yield f"{item.id} stands twice"
        seen.add(item.id)
        if not item.transcript.strip():
            yield f"{item.id} has no transcript"
        for label in item.labels:
            if label not in closed.labels:
                yield f"{item.id}: {label!r} is not on the list"
        if len(set(item.labels)) < len(item.labels):
            yield f"{item.id} has a label twice"
        if not closed.least <= len(item.labels) <= closed.most:
            yield f"{item.id} has {len(item.labels)} labels, not {closed.least} to {closed.most}"


def _wrong(path: Path, what: str, next_step: str) -> UsageError:
    return UsageError(f"{path}: {what}", next_step=next_step)
