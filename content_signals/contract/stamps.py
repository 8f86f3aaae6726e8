"""The types a column may have, and the columns that the platform writes itself."""

from __future__ import annotations

from typing import Literal

Type = Literal[
    "string",
    "int",
    "bigint",
    "double",
    "boolean",
    "date",
    "timestamp",
    "array<string>",
    "array<float>",
    "array<double>",
]

# Written by the platform; no contract may declare them.
DAY = "ds"
EVENT_TS = "event_ts"
COMPUTED_AT = "computed_at"
RUN_ID = "run_id"
STAMPS: dict[str, Type] = {EVENT_TS: "timestamp", COMPUTED_AT: "timestamp", RUN_ID: "string"}
_PLACES = ("file_index", "file_row_number")  # DuckDB's, of every row of a Parquet file; a column would hide them
RESERVED = frozenset({DAY, *STAMPS, *_PLACES})  # in signal tables
RESERVED_IN_SOURCES = frozenset({DAY, RUN_ID})
SHA256 = "sha256"  # of a source that has contents: their SHA-256, 64 hexadecimal digits
