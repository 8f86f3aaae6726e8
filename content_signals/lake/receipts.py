"""Receipts: what was published to the online store, when, from what, and by whom. A Delta table a signal table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from content_signals.lake.commit import TABLE_PROPERTIES, commit
from content_signals.lake.files import list_folder, read_json
from content_signals.lake.layout import LakeTable

_COLUMNS: dict[str, pa.DataType] = {
    "published_at": pa.timestamp("us", "UTC"),
    "published_by": pa.string(),
    "who": pa.string(),
    "view": pa.string(),
    "day": pa.date32(),
    "run_id": pa.string(),
    "version": pa.int64(),
    "before": pa.int64(),
    "engine": pa.string(),
    "contract": pa.string(),
    "verdict": pa.string(),
    "checksum": pa.string(),
    "inputs": pa.string(),
    "read_at": pa.string(),
    "files": pa.list_(pa.string()),
    "read": pa.int64(),
    "written": pa.int64(),
    "stale": pa.int64(),
    "tombstoned": pa.int64(),
    "unchanged": pa.int64(),
    "read_back": pa.int64(),
}

_AS_JSON = ("inputs", "read_at")


@dataclass(frozen=True)
class Receipt:
    """One publication of a view.

    Attributes:
        published_by: the publishing run; who: the user whose process it was.
        run_id: the run that made the day.
        version: of the signal table, and `before` that of what was served until then, None when that is not known.
        engine: "spark", or "feast" where the rows went through Feast's own API.
        contract: fingerprint of the table's contract.
        checksum: digest of the day's rows.
        inputs: input table -> day -> digest of what the day was made from.
        read_at: input table -> the Delta version it was read at; empty in receipts of before that was noted.
        files: of the day, below the table's folder.
        read: rows of the day and keys that left: as many as the next four together. `read_back`: rows of a sample that
            were read through Feast and found to be as written.
    """

    published_at: datetime
    published_by: str
    who: str
    view: str
    day: date
    run_id: str
    version: int
    before: int | None
    engine: str
    contract: str
    verdict: str
    checksum: str
    inputs: Mapping[str, Mapping[str, str]]
    read_at: Mapping[str, int]
    files: tuple[str, ...]
    read: int
    written: int
    stale: int
    tombstoned: int
    unchanged: int
    read_back: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "published_at": self.published_at.isoformat(), "day": str(self.day)}


def append_receipt(table: LakeTable, receipt: Receipt) -> None:
    """Add a receipt to a table of receipts.

    Raises:
        Temporary: the store does not take it.
    """
    told = {name: json.dumps(getattr(receipt, name), sort_keys=True) for name in _AS_JSON}
    row = {**asdict(receipt), **told, "files": list(receipt.files)}

    def attempt() -> bool:
        rows = pa.Table.from_pylist([row], pa.schema(_COLUMNS))
        write_deltalake(
            table.path,
            rows,
            mode="append",
            schema_mode="merge",  # receipts of before a column was kept have null
            name=table.name,
            configuration=TABLE_PROPERTIES,
        )
        return True

    commit(f"{table.name}: receipt of {receipt.day}", attempt)


def receipts_of(table: LakeTable) -> list[Receipt]:
    """Every receipt of a table of receipts, oldest first."""
    try:
        rows: list[dict[str, Any]] = DeltaTable(table.path).to_pyarrow_table().to_pylist()
    except TableNotFoundError:
        return []
    told = [{name: json.loads(row.get(name) or "{}") for name in _AS_JSON} for row in rows]
    found = [Receipt(**{**row, **some, "files": tuple(row["files"])}) for row, some in zip(rows, told, strict=True)]
    return sorted(found, key=lambda receipt: receipt.published_at)


def published_day(table: LakeTable) -> date | None:
    """The newest day of a signal table that was published, by the receipts beside its runs."""
    for folder in reversed(list_folder(table.runs)):
        for run in list_folder(f"{table.runs}/{folder.base_name}"):
            if read_json(f"{table.runs}/{folder.base_name}/{run.base_name}/receipt.json"):
                return date.fromisoformat(folder.base_name)
    return None
