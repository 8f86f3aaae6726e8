"""A day of a lake's table whose files a benchmark has written itself, promoted without a verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from content_signals.contract import DAY
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.promote import promote
from content_signals.lake.stage import Stage, StagedFile, write_stage_record


def folder_of(table: LakeTable, run: Run, day: date) -> Path:
    """Where the run's files of the day lie."""
    return Path(table.path) / f"data/{run.folder}/{DAY}={day}"


def promote_files(table: LakeTable, run: Run, day: date, kinds: Mapping[str, Any], salt: int = 0) -> None:
    """Stage and promote the Parquet files in the run's folder of the day.

    Args:
        kinds: column -> Delta type, `ds` last.
        salt: goes into the digest, as equal digests mean equal rows: another one for as many other rows.
    """
    paths = sorted(folder_of(table, run, day).glob("*.parquet"))
    files = tuple(StagedFile(str(path.relative_to(table.path)), path.stat().st_size) for path in paths)
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in kinds.items()]
    schema = json.dumps({"type": "struct", "fields": fields})
    stage = Stage(table.name, str(day), run.run_id, run.fence, rows, f"{rows:x}-{salt:x}", files, schema)
    write_stage_record(table, stage)
    promote(table, stage, stage.files)
