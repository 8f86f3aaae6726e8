"""How the days of a table were judged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from content_signals.day import parse_day
from content_signals.lake.files import list_folder
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.quality.verdict import Verdict, verdict_of


def verdicts(context: Context, name: str, last: int, day: str | None = None) -> list[dict[str, Any]]:
    """One row a verdict: of every run of a day, or of the last days that were judged, the newest first."""
    table = context.lake.of(context.catalog.any(name))
    snapshot = Snapshot(table)
    if day:
        days = [parse_day(day)]
    else:
        named = [info.base_name for info in list_folder(table.runs) if not info.base_name.startswith(".")]
        days = sorted(map(date.fromisoformat, named), reverse=True)[:last]
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(lambda one: _of_day(table, one), days))
    return [_row(one, snapshot.fence(date.fromisoformat(one.day))) for of_day in found for one in of_day]


def _of_day(table: LakeTable, day: date) -> list[Verdict]:
    runs = [info.base_name for info in list_folder(f"{table.runs}/{day}")]
    judged = [verdict for run in runs if (verdict := verdict_of(table, day, run))]
    return sorted(judged, key=lambda one: one.fence, reverse=True)


def _row(verdict: Verdict, promoted: int | None) -> dict[str, Any]:
    override = verdict.override
    return {
        "day": verdict.day,
        "run_id": verdict.run_id,
        "verdict": verdict.outcome,
        "served": promoted == verdict.fence,
        "rows": verdict.rows,
        "quarantined": verdict.quarantined,
        "rules": verdict.rules,
        "failed": [
            f"{one.name} ({one.severity}): observed {one.observed}, allowed {one.allowed}" for one in verdict.failures
        ],
        "override": f"{override.by}, {override.at}: {override.reason}" if override else None,
    }
