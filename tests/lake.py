"""Rows staged in a lake as extract stages them, with pyarrow in Spark's place: no JVM is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from content_signals.lake.layout import LakeTable, start_run
from content_signals.lake.promote import promote
from content_signals.lake.stage import Inputs, Stage, StagedFile, write_stage_record
from content_signals.quality.verdict import CRITICAL, PASSED, STOPPED, WARNED, Failure, Verdict

TYPES: dict[str, Any] = {
    "bool": "boolean",
    "string": "string",
    "int32": "integer",
    "int64": "long",
    "double": "double",
    "float": "float",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
}


def stage_of(
    table: LakeTable,
    day: date,
    columns: Mapping[str, Any] | pa.Table,
    run_id: str = "run-00001",
    fence: int | None = None,
    *,
    files: int = 1,
    inputs: Inputs | None = None,
    read_at: Mapping[str, int] | None = None,
    digest: str = "",
) -> Stage:
    """Stage some rows of a day, spread over some files."""
    fence = fence or start_run().fence
    rows = pa.table(columns)
    paths = [_write(table, f"data/{run_id}-{fence}/ds={day}/part-{n}.parquet", rows[n::files]) for n in range(files)]
    stage = Stage(
        table=table.name,
        day=str(day),
        run_id=run_id,
        fence=fence,
        rows=rows.num_rows,
        digest=digest or f"{rows.num_rows:x}-0",
        files=tuple(file for file in paths if file),
        schema_json=_schema_json(rows),
        inputs=inputs or {},
        read_at=read_at or {},
    )
    write_stage_record(table, stage)
    return stage


def promoted(table: LakeTable, day: date, columns: Mapping[str, Any] | pa.Table, **more: Any) -> Stage:
    """Stage and promote some rows of a day."""
    stage = stage_of(table, day, columns, **more)
    promote(table, stage, stage.files)
    return stage


def _write(table: LakeTable, path: str, rows: pa.Table) -> StagedFile | None:
    if not rows.num_rows:
        return None
    file = Path(table.path) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, file)
    return StagedFile(path, file.stat().st_size)


def _delta_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _delta_type(kind.value_type), "containsNull": True}
    return TYPES[str(kind)]


def _schema_json(rows: pa.Table) -> str:
    fields: list[tuple[str, Any]] = [(f.name, _delta_type(f.type)) for f in rows.schema] + [("ds", "date")]
    described = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in fields]
    return json.dumps({"type": "struct", "fields": described})


def judged(stage: Stage, rules: int, failures: tuple[Failure, ...] = ()) -> Verdict:
    """A verdict of a stage: stopped when a critical rule failed, else warned when any did."""
    stopped = tuple(str(failure) for failure in failures if failure.severity == CRITICAL)
    outcome = STOPPED if stopped else WARNED if failures else PASSED
    return Verdict(
        stage.table, stage.day, stage.run_id, stage.fence, outcome, rules, failures, stage.files,
        rows=stage.rows, stopped_by=stopped,
    )  # fmt: skip
