"""What a step tells the owners of tables, by the channels of the settings."""

from __future__ import annotations

from datetime import date

from content_signals.alerts.alerts import Alerts, served_meanwhile
from content_signals.contract import Source, Table
from content_signals.pipeline.context import Context
from content_signals.quality.verdict import Verdict


def alerts_of(context: Context) -> Alerts:
    """The alerts of a step; as a context manager it tells of many days in few messages."""
    return Alerts(context.settings.alert_urls, context.lake, context.catalog, context.say)


def tell_verdict(context: Context, alerts: Alerts, table: Source | Table, verdict: Verdict) -> None:
    """Tell how a day was judged, what is served meanwhile, and where to look."""
    alerts.judged(
        table,
        verdict,
        served=served_meanwhile(context.lake, table, date.fromisoformat(verdict.day)),
        task_log=context.task_log,
        docs=f"{context.settings.pages}/docs/{verdict.table}/{verdict.day}",
    )
