"""What is in a table's quarantine."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pyarrow.dataset as ds

from content_signals.content import REASON
from content_signals.contract import DAY, Source
from content_signals.day import parse_day
from content_signals.lake.files import filesystem
from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.quality.quarantine_columns import ADDED, RULES


def quarantined(context: Context, name: str, day: str, examples: int = 3) -> list[dict[str, Any]]:
    """One row a rule, those broken most first: how many rows break it, and some of them.

    Of a source there is also one row a reason why lines of its file are no rows, and of a table that is computed by
    content one a reason why nothing could be made of a content.
    """
    contract = context.catalog.any(name)
    tables = [context.lake.quarantine(contract)]
    if isinstance(contract, Source):
        tables.insert(0, context.lake.malformed(contract))
    elif contract.content:
        tables.insert(0, context.lake.unusable(contract))
    return [one for table in tables for one in _by_rule(table, day, examples)]


def _by_rule(table: LakeTable, day: str, examples: int) -> list[dict[str, Any]]:
    files = Snapshot(table).files([parse_day(day)])
    if not files:
        return []
    found = ds.dataset([filesystem(path)[1] for path in files], filesystem=filesystem(files[0])[0])
    column = RULES if RULES in found.schema.names else REASON
    counts: Counter[Any] = Counter()
    for batch in found.to_batches(columns=[column]):
        for value in batch.column(0).to_pylist():
            counts.update(cast("list[Any]", value) if column == RULES else [value])
    return [
        {"rule": rule, "rows": rows, "examples": _examples(found, column, rule, examples)}
        for rule, rows in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


def _examples(found: ds.Dataset, column: str, rule: str, most: int) -> list[dict[str, Any]]:
    """Some rows that break a rule, without what the platform has added; the scan ends with the last of them."""
    picked: list[dict[str, Any]] = []
    for batch in found.to_batches(batch_size=1000):
        for row in batch.to_pylist():
            broken = row[column] if column == RULES else [row[column]]
            if rule in broken:
                picked.append({name: value for name, value in row.items() if name not in (*ADDED, REASON, DAY)})
            if len(picked) == most:
                return picked
    return picked
