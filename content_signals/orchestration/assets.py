"""The assets through which DAGs start each other, always with a day as the partition key.

A promoted day is announced on the table's own asset, which the tables made from it listen to, and, for a served table,
on a second asset that only publishing listens to. Each consumer listens to one asset: a DAG on two of them sticks when
one is announced again. A rebuild announces the second asset alone, because it has built everything downstream itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, task

from content_signals.contract import Source, Table
from content_signals.day import parse_day


def table_asset(name: str) -> Asset:
    """The asset that says: this table's day is promoted."""
    return Asset(name=name, group="table")


def publish_asset(name: str) -> Asset:
    """The asset that says: this served table's day is to be published."""
    return Asset(name=f"{name}/publish", group="publish")


def outlets(contract: Source | Table) -> list[Asset]:
    """The assets to announce when a day of the table is promoted."""
    served = isinstance(contract, Table) and contract.serve
    return [table_asset(contract.table), *([publish_asset(contract.table)] if served else [])]


def announce(assets: Sequence[Asset], day: str, **options: Any) -> Any:
    """A task that announces assets with the day as their key."""

    def announce_day(day: str, *, outlet_events: Any = None) -> str:
        """Without an explicit key a run that has none of its own, such as a manual one, would start nobody."""
        key = parse_day(day).isoformat()
        for asset in assets:
            outlet_events[asset].add_partitions(key)
        return key

    return task(task_id=options.pop("task_id", "announce"), outlets=list(assets), **options)(announce_day)(day)
