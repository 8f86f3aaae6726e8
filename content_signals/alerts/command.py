"""What `content-signals alert` does: Airflow calls it where no job lived to tell, a person to try the channels."""

from __future__ import annotations

import sys
from pathlib import Path

from content_signals.alerts.alerts import Alerts
from content_signals.catalog import catalog
from content_signals.day import parse_day
from content_signals.errors import Temporary, UsageError
from content_signals.lake.layout import Lake
from content_signals.settings import load_settings


def tell(
    settings: Path | None, kind: str, name: str, day: str, reason: str, task_log: str | None, run_id: str | None
) -> None:
    """Tell that a day is late, or that a job of it was lost.

    Raises:
        UsageError: for a wrong call alone: an unknown table, no day. That no channel takes the message is said.
    """
    table, found = catalog().any(name), parse_day(day)
    alerts = _alerts(settings)
    (alerts.late if kind == "late" else alerts.lost)(table, found, reason, task_log=task_log, run_id=run_id)


def try_channels(settings: Path | None) -> None:
    """Send a trial message to every channel, and say which took it.

    Raises:
        UsageError: when there is no channel.
        Temporary: when one did not take it.
    """
    deliveries = _alerts(settings).test()
    if not deliveries:
        raise UsageError(
            "alert_urls names no channel", next_step="set CONTENT_SIGNALS_ALERT_URLS; docs/alerts.md has examples"
        )
    for delivery in deliveries:
        _say(f"{delivery.channel}: {delivery.why_not or 'sent'}")
    failed = sum(bool(delivery.why_not) for delivery in deliveries)
    if failed:
        raise Temporary(
            f"{failed} of {len(deliveries)} channels did not take the message",
            next_step="mend the URL in alert_urls at the place in brackets, or look after the server",
        )


def _alerts(settings: Path | None) -> Alerts:
    found = load_settings(settings)
    return Alerts(found.alert_urls, Lake(found.lake), catalog(), _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
