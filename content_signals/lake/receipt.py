"""Receipts: which promoted days were published to the online store."""

from __future__ import annotations

from datetime import date

from content_signals.lake.files import list_folder, read_json
from content_signals.lake.layout import LakeTable


def published_day(table: LakeTable) -> date | None:
    """The newest day with a receipt, None when nothing was published."""
    for folder in reversed(list_folder(table.runs)):
        for run in list_folder(f"{table.runs}/{folder.base_name}"):
            if read_json(f"{table.runs}/{folder.base_name}/{run.base_name}/receipt.json"):
                return date.fromisoformat(folder.base_name)
    return None
