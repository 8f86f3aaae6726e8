"""Runs of one day of a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from content_signals.day import parse_day
from content_signals.lake.files import list_folder, read_json
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context


def runs_of(context: Context, name: str, day: str) -> list[dict[str, Any]]:
    """One row a run, oldest first. `served` marks the run whose rows readers see."""
    table = context.lake.of(context.catalog.any(name))
    date = parse_day(day)
    promoted = Snapshot(table).fence(date)
    found = []
    for run in list_folder(f"{table.runs}/{date}"):
        folder = f"{table.runs}/{date}/{run.base_name}"
        stage = read_json(f"{folder}/stage.json")
        if stage is None:
            continue
        verdict = read_json(f"{folder}/verdict.json") or {}
        receipt = read_json(f"{folder}/receipt.json") or {}
        found.append(
            {
                "run_id": stage["run_id"],
                "started": datetime.fromtimestamp(stage["fence"] / 1_000_000, UTC).isoformat(timespec="seconds"),
                "rows": stage["rows"],
                "verdict": verdict.get("outcome"),
                "failed_rules": [f"{f['rule']} of {f['column']}" for f in verdict.get("failures", [])],
                "served": stage["fence"] == promoted,
                "published": receipt.get("published_at"),
                "files": len(stage["files"]),
            }
        )
    return sorted(found, key=lambda row: str(row["started"]))
