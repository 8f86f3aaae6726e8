"""Waiting for a day's file to land."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, ObjectStoragePath, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from content_signals.contract import Source
from content_signals.day import parse_day, valid_from


class DayLate(AirflowFailException):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """The day's file has not landed in time. Airflow retries none of these.

    Attributes:
        reason: the same in one line, for an alert.
        since: when the day became late.
    """

    def __init__(self, text: str, *, reason: str, since: datetime) -> None:
        super().__init__(text)
        self.reason, self.since = reason, since


class LandingSensor(BaseSensorOperator):  # type: ignore[misc]
    """Waits for one of the source's landing files; holds no slot between looks.

    Gives up when the day is late, that is `fresh_within` after its end. Nothing is retried then: a file that lands
    later is picked up by running the day again. A source that the form left out is skipped.
    """

    template_fields: Sequence[str] = ("day",)
    ui_color = "#e8daef"

    def __init__(self, *, source: Source, landing: str, day: str, **kwargs: Any) -> None:
        super().__init__(
            mode="reschedule",
            # Only a stop for a sensor whose clock went wrong: `poke` gives up by itself, in good time.
            timeout=source.fresh_within + timedelta(days=2),
            **kwargs,
        )
        self.source, self.landing, self.day = source, landing, day

    def poke(self, context: Any) -> bool | PokeReturnValue:
        """Look once."""
        chosen = context["params"].get("sources")
        if chosen is not None and self.source.table not in chosen:
            raise AirflowSkipException(f"{self.source.table} was not chosen for this run")
        paths = [f"{self.landing}/{pattern.format(day=self.day)}" for pattern in self.source.landing]
        for path in paths:
            if _exists(path):
                return PokeReturnValue(is_done=True, xcom_value=path)
        deadline = valid_from(parse_day(self.day)) + self.source.fresh_within
        if datetime.now(UTC) > deadline:
            raise self._late(paths, deadline)
        self.log.info("Not landed yet, looking again until %s: %s", _utc(deadline), ", ".join(paths))
        return False

    def _late(self, paths: Sequence[str], deadline: datetime) -> DayLate:
        reason = f"nothing has landed, and the day was due by {_utc(deadline)}"
        text = (
            f"{self.source.table}, {self.day}: {reason} ({self.source.fresh_within} after its end).\n"
            f"Looked for: {', '.join(paths)}\n"
            f"State: {self.source.table} has no rows for {self.day} and nothing was announced for it; other days go "
            f"on, and readers keep what was promoted before.\n"
            f"Next: once the file has landed, clear this task, or trigger ingest_sources with day={self.day} "
            f'and sources=["{self.source.table}"].'
        )
        return DayLate(text, reason=reason, since=deadline)


def _exists(path: str) -> bool:
    found = ObjectStoragePath(path)
    # Not `found.exists()`: that says no where the store's provider is not installed, and the wait would be in vain.
    return bool(found.fs.exists(found.path))


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
