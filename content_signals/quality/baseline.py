"""What earlier days were like: the metrics kept with the verdict of each promoted day.

No old day is scanned again. A day that was promoted before a rule was written has no metric for it, and does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from content_signals.lake.layout import LakeTable
from content_signals.lake.snapshot import Snapshot
from content_signals.quality.verdict import Verdict, verdict_of

DAYS = 28


@dataclass(frozen=True)
class KeptDay:
    """The metrics of one promoted day, by name: `rows`, `mean(plays_7d)`, …"""

    day: date
    metrics: Mapping[str, Any]


class Baseline:
    """The promoted days of a table, read when they are asked for, each once.

    Args:
        table: the table.
        judged: days of the same run that passed and are about to be promoted; they take the place of promoted ones.
    """

    def __init__(self, table: LakeTable, judged: Mapping[date, Verdict] | None = None) -> None:
        self._table, self._judged = table, judged if judged is not None else {}
        self._snapshot = Snapshot(table)
        self._read: dict[date, KeptDay | None] = {}

    def before(self, day: date, days: int = DAYS) -> list[KeptDay]:
        """The last promoted days before a day, at most so many, oldest first."""
        known = sorted({d for d in (*self._snapshot.days, *self._judged) if d < day})[-days:]
        missing = [d for d in known if d not in self._judged and d not in self._read]
        with ThreadPoolExecutor(max_workers=8) as pool:
            self._read.update(zip(missing, pool.map(self._promoted, missing), strict=True))
        found = [KeptDay(d, self._judged[d].metrics) if d in self._judged else self._read[d] for d in known]
        return [one for one in found if one is not None]

    def _promoted(self, day: date) -> KeptDay | None:
        stage = self._snapshot.stage(day)
        verdict = stage and verdict_of(self._table, day, stage.run_id, stage.fence)
        return KeptDay(day, verdict.metrics) if verdict and verdict.metrics else None


def values_of(days: Sequence[KeptDay], metric: str) -> dict[date, Any]:
    """Day -> value, of the days that have the metric."""
    return {one.day: one.metrics[metric] for one in days if one.metrics.get(metric) is not None}
