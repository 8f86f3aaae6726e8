"""What the demo prints at its end: steps with their time, rows and verdict; features online and offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table as Grid

from content_signals.catalog import catalog
from content_signals.day import valid_from
from content_signals.features.client import FeatureClient
from content_signals.features.offline import offline
from content_signals.features.store import feature_store
from content_signals.lake.layout import Lake
from content_signals.lake.session import spark_session
from content_signals.lake.snapshot import Snapshot
from content_signals.settings import Settings

SERVICE = "playlist_ranker_v1"
ENGAGEMENT = "track_engagement"  # the family, and the service of its name

Step = dict[str, Any]


def print_steps(console: Console, steps: Sequence[Step], seconds: float) -> None:
    """One row a step, then every day that failed and why; `seconds` is what all of it took."""
    grid = Grid(title=f"Steps ({seconds:.0f} s in all)", title_justify="left")
    for name in ("step", "seconds", "days", "rows in", "rows out", "set aside", "verdict"):
        grid.add_column(name, justify="left" if name in ("step", "verdict") else "right", no_wrap=name == "step")
    for step in steps:
        days = step.get("days")
        counts = [step.get(name) for name in ("rows_in", "rows_out", "quarantined")]
        grid.add_row(
            step["step"],
            f"{step['seconds'] or 0:.1f}",
            "" if days is None else str(len(days)),
            *["" if count is None else f"{count:,}" for count in counts],
            step.get("verdict") or "",
        )
    console.print(grid)
    for step in steps:
        for day, why in (step.get("failed") or {}).items():
            console.print(f"{step['step']}, {day} failed: {why}", style="red", markup=False, highlight=False)


def print_features(console: Console, settings: Settings, last: date, past: date) -> None:
    """Three tracks online as of the last day, and the same from the tables as of a past one."""
    keys = _first_three(settings, "track_popularity", last, "playlists_count desc, decayed_adds_50d desc")
    store = feature_store(settings)
    half_a_day = timedelta(hours=12)
    now, then = min(valid_from(last) + half_a_day, datetime.now(UTC)), valid_from(past) + half_a_day
    values = _print_online(console, settings, SERVICE, keys, now)
    spark_session("demo offline read")  # Feast's Spark store takes the session there is
    past_values = offline(store, SERVICE, keys, then)
    _print_vectors(
        console,
        f"Offline through Feast, {SERVICE}, as of {then:%Y-%m-%d %H:%M} UTC",
        list(values[keys[0]]),
        {key: past_values[key] for key in keys},
    )


def print_engagement(console: Console, settings: Settings, last: date) -> None:
    """The three tracks played most, online as of the last day."""
    keys = _first_three(settings, ENGAGEMENT, last, "plays_28d desc, plays_decayed_50d desc")
    now = min(valid_from(last) + timedelta(hours=12), datetime.now(UTC))
    _print_online(console, settings, ENGAGEMENT, keys, now)


def _print_online(
    console: Console, settings: Settings, service: str, keys: Sequence[str], now: datetime
) -> dict[str, dict[str, Any]]:
    """What a model reads; key -> feature -> value."""
    with FeatureClient(service, settings) as client:
        values = dict(zip(keys, client.get(keys, now).dicts(), strict=True))
    _print_vectors(console, f"Online, {service}, as of {now:%Y-%m-%d %H:%M} UTC", list(values[keys[0]]), values)
    return values


def _first_three(settings: Settings, table: str, day: date, order: str) -> list[str]:
    """Three tracks of a table's day."""
    built = Snapshot(Lake(settings.lake).of(catalog().table(table))).delta
    assert built is not None  # it was built before
    with duckdb.connect() as connection:
        connection.register("built", built.to_pyarrow_dataset())
        found = connection.execute(
            f"select track_id from built where ds = ? order by {order}, track_id limit 3",  # noqa: S608
            [day],
        ).fetchall()
    return [key for (key,) in found]


def _print_vectors(console: Console, title: str, names: Sequence[str], values: Mapping[str, Mapping[str, Any]]) -> None:
    grid = Grid(title=title, title_justify="left")
    grid.add_column("feature")
    for key in values:
        grid.add_column(key, justify="right")
    for name in names:
        shown = [vector.get(name) for vector in values.values()]
        grid.add_row(name, *[f"{v:.4f}" if isinstance(v, float) else "-" if v is None else str(v) for v in shown])
    console.print(grid)
