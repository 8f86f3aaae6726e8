"""What a step tells the owners of tables, by the channels of the settings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from content_signals.alerts.alerts import Alerts
from content_signals.contract import Source, Table
from content_signals.pipeline.context import Context
from content_signals.quality.verdict import Verdict


def alerts_of(context: Context) -> Alerts:
    """The alerts of a step; as a context manager it tells of many days in few messages."""
    return Alerts(context.settings.alert_urls, context.lake, context.catalog, context.say)


def tell_verdict(
    context: Context, alerts: Alerts, table: Source | Table, verdict: Verdict, served: str | None = None
) -> None:
    """Tell how a day was judged, what is served, and where to look.

    Args:
        served: of a day that is promoted already; default: what readers see until it is.
    """
    alerts.judged(
        table,
        verdict,
        served="the day as it was let through" if verdict.override else served,
        task_log=context.task_log,
        docs=f"{context.settings.pages}/docs/{verdict.table}/{verdict.day}",
    )


def found_again(context: Context, table: Source | Table, days: Iterable[date]) -> None:
    """Days of which a job had been lost went through this time."""
    with alerts_of(context) as alerts:
        for day in days:
            alerts.mended(table, day, kinds=("lost",))
