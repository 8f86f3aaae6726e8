"""Status files as the jobs write them (`content_signals/quality/status.py`), made up: for the Signals page's tests."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from content_signals.catalog import Catalog
from content_signals.contract import Column, Computed, Entity, Input, Source, Table
from content_signals.day import ONE_DAY

RULE = "expect_column_values_to_be_between"


def made_up(tables: int) -> Catalog:
    """A catalogue of one source and so many tables made from it."""
    source = Source(
        name="plays", version=1, format="csv", landing=("{day}.csv",), key=("track_id",), owner="landing",
        about="Plays.", columns=(Column("track_id", "string", about="The track"),),
    )  # fmt: skip
    track = Entity("track", "track_id", "A track")
    made = [
        Table(
            name=f"signal_{n:03}", version=1, entity=track, driver=Input("plays_v1"), owner="catalogue-signals",
            columns=(Computed("value", "int", about="A value"),), about=f"Made up, the {n}th.",
        )
        for n in range(1, tables)
    ]  # fmt: skip
    return Catalog([source, *made])


def a_failure(*, rule: str = RULE, column: str = "position", rows: int = 3, **more: Any) -> dict[str, Any]:
    """A critical rule that some rows break."""
    return {
        "rule": rule, "severity": "critical", "column": column, "observed": "0 to 199", "allowed": "1 to 200",
        "notes": "A position is 1 or more.", "rows": rows, "keys": ["t1", "t2", "t3"], "name": f"{rule}({column})",
    } | more  # fmt: skip


def a_day(table: str, day: date, **changes: Any) -> dict[str, Any]:
    """A day that passed and was promoted two hours after its end."""
    run_id = f"run-{day}"
    over = datetime.combine(day + ONE_DAY, time(), tzinfo=UTC)
    return {
        "day": str(day), "outcome": "passed", "rows": 1000, "quarantined": 0, "null_share": 0.0123, "promoted": True,
        "run_id": run_id, "judged_at": (over + timedelta(hours=2)).isoformat(),
        "promoted_at": (over + timedelta(hours=2, seconds=6)).isoformat(), "override": None, "failures": [],
        "stopped_by": [], "docs": f"_runs/{table}/{day}/{run_id}/data_docs.html",
    } | changes  # fmt: skip


def a_stopped_day(table: str, day: date, **changes: Any) -> dict[str, Any]:
    """A day of which too many rows broke a rule."""
    why = [f"{RULE}(position): 40 of 1,000 rows, more than 1 %"]
    stopped = {"outcome": "stopped", "quarantined": 40, "promoted": False, "promoted_at": None, "stopped_by": why}
    return a_day(table, day, **stopped, failures=[a_failure(rows=40)]) | changes


def write_status(lake: Path, table: str, days: list[dict[str, Any]]) -> Path:
    """A table's status."""
    return write(lake / "_status" / f"{table}.json", json.dumps({"table": table, "days": days}))


def write_aside(lake: Path, table: str, day: date, rows: list[dict[str, Any]], total: int) -> Path:
    """Some of the rows set aside of a day."""
    text = json.dumps({"table": table, "day": str(day), "rows": rows, "total": total})
    return write(lake / "_status" / "quarantine" / table / f"{day}.json", text)


def write_docs(
    lake: Path, table: str, day: date, html: str = "<html><head></head><body>Data Docs</body></html>"
) -> Path:
    """The Data Docs page that `a_day` names."""
    return write(lake / "_runs" / table / str(day) / f"run-{day}" / "data_docs.html", html)


def write(file: Path, text: str) -> Path:
    """A file, as a whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}")
    new.write_text(text)
    return new.replace(file)


def write_four_weeks(lake: Path, catalog: Catalog, last: date, *, seed: int = 1) -> None:
    """28 days of every table, with what happens in life: days missing, warned, stopped, let through, late."""
    chance = random.Random(seed)
    for n, contract in enumerate((*catalog.sources, *catalog.tables)):
        table, size = contract.table, chance.randrange(1_000, 5_000_000)
        newest = last - timedelta(days=5) if n % 17 == 5 else last
        days = [
            _lived(chance, table, day, size)
            for day in (newest - timedelta(days=back) for back in range(28))
            if chance.random() > 0.04 or day == newest
        ]
        if n % 11 == 3:
            days[0] = a_stopped_day(table, newest, rows=size, quarantined=size // 25)
            rows = [
                {"rules": [f"{RULE}(position)"], "row": {"track_id": f"t{k}", "position": "0", "ds": str(newest)}}
                for k in range(50)
            ]
            write_aside(lake, table, newest, rows, size // 25)
            write_docs(lake, table, newest)
        write_status(lake, table, days)


def _lived(chance: random.Random, table: str, day: date, size: int) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "rows": int(size * chance.uniform(0.9, 1.1)),
        "null_share": round(chance.uniform(0.01, 0.02), 5),
    }
    luck = chance.random()
    if luck < 0.06:
        changes |= {"outcome": "warned", "quarantined": 3, "failures": [a_failure(), a_failure(column="title_length")]}
    elif luck < 0.08:
        override = {"by": "anna", "reason": "the sender confirmed the numbers", "at": f"{day}T09:00:00+00:00"}
        return a_stopped_day(table, day, **changes, promoted=True, override=override)
    return a_day(table, day, **changes)
