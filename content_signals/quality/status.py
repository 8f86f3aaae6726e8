"""What the last four weeks of a table were like, in one small file that a page can show without Spark or Delta.

`<lake>/_status/<table>.json`: the newest days, each as it was judged and promoted last. Nothing depends on it; a run
that is lost leaves it behind by a day until the next run of that day.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from content_signals.lake.files import read_json, write_json
from content_signals.lake.layout import Lake
from content_signals.quality.verdict import Verdict

DAYS = 28
_TRIES = 5


def record_verdict(lake: Lake, verdict: Verdict, null_share: float | None, docs: str) -> None:
    """Note how a day was judged."""
    _note(
        lake,
        verdict.table,
        verdict.day,
        {
            "outcome": verdict.outcome,
            "rows": verdict.rows,
            "quarantined": verdict.quarantined,
            "null_share": null_share,
            "run_id": verdict.run_id,
            "judged_at": verdict.judged_at,
            "failures": [asdict(failure) | {"name": failure.name} for failure in verdict.failures],
            "stopped_by": list(verdict.stopped_by),
            "override": verdict.override and asdict(verdict.override),
            "docs": docs,
        },
    )


def record_promotion(lake: Lake, table: str, day: str, now: datetime, **more: Any) -> None:
    """Note that a day was promoted; `more` are other entries that the promotion settles, such as its rows."""
    _note(lake, table, day, {"promoted": True, "promoted_at": now.isoformat(timespec="seconds"), **more})


def record_contents(lake: Lake, table: str, day: str, progress: dict[str, Any]) -> None:
    """Note how far the contents of a day are: total, cached, done, aside, and seconds_left, null once it is done."""
    _note(lake, table, day, {"contents": progress})


def record_quarantine(lake: Lake, table: str, day: str, rows: list[dict[str, Any]], total: int) -> None:
    """Keep some of the rows that were set aside of a day, for a look at them."""
    path = f"{lake.root}/_status/quarantine/{table}/{day}.json"
    write_json(path, {"table": table, "day": day, "rows": rows, "total": total})


def status_of(lake: Lake, table: str) -> list[dict[str, Any]]:
    """The days noted, newest first."""
    found = read_json(_path(lake, table)) or {}
    days: list[dict[str, Any]] = found.get("days", [])
    return days


def _note(lake: Lake, table: str, day: str, entry: dict[str, Any]) -> None:
    """Change a day's entry. Two runs may write at once, and the later would undo the earlier: look again, and mend."""
    for _ in range(_TRIES):
        days = {one["day"]: one for one in status_of(lake, table)}
        days[day] = {"promoted": False, "promoted_at": None, **days.get(day, {}), "day": day, **entry}
        newest = [days[name] for name in sorted(days, reverse=True)[:DAYS]]
        write_json(_path(lake, table), {"table": table, "days": newest})
        if days[day] not in newest:  # older than all that are kept
            return
        noted = next((one for one in status_of(lake, table) if one["day"] == day), {})
        if all(noted.get(name) == value for name, value in entry.items()):
            return


def _path(lake: Lake, table: str) -> str:
    return f"{lake.root}/_status/{table}.json"
