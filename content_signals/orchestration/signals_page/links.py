"""Addresses of the Signals page, and the buttons that lead there from a task's Details. Loads no web framework."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from content_signals.day import parse_day
from content_signals.errors import UsageError

MOUNT = "/signals"
# The page inside Airflow's own frame: the plugin's route, then the address as the app knows it.
_IN_AIRFLOW = f"/plugin/signals{MOUNT}"


def table_page(table: str, day: str = "") -> str:
    """The page of a table, and of one of its days, below the app."""
    return f"/table/{quote(table, safe='')}" + (f"?day={day}" if day else "")


def docs_page(table: str, day: str) -> str:
    """The Data Docs of a table's day, below the app."""
    return f"/docs/{quote(table, safe='')}/{day}"


def log_page(table: str, day: str) -> str:
    """Where the task that judged a table's day last is looked up, below the app."""
    return f"/log/{quote(table, safe='')}/{day}"


def table_and_day(arguments: Sequence[str]) -> tuple[str, str]:
    """The table or source and the day of a job's rendered arguments; empty where they name none, or several."""
    named = dict(pairwise(arguments))
    table = named.get("--table") or named.get("--source") or ""
    try:
        return table, parse_day(named.get("--day", "")).isoformat()
    except UsageError:  # a range has no day; nor has a task that failed before its templates were rendered
        return table, ""


def _base() -> str:
    """The path Airflow's UI is below; empty where it has a host of its own."""
    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")


class SignalsLink(BaseOperatorLink):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """From a job's task to what the Signals page says of its table and day."""

    name = "Signals"
    xcom_key = "_link_signals"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Worked out where the task ran, failed or not; the operator's arguments are rendered by then."""
        table, day = table_and_day(operator.application_args)
        return f"{_base()}{_IN_AIRFLOW}{table_page(table, day)}" if table else ""


class DocsLink(BaseOperatorLink):  # type: ignore[misc]
    """From the task that judges a day to its Data Docs. Other tasks have none: an empty link is not shown."""

    name = "Data Docs"
    xcom_key = "_link_data_docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """As above."""
        table, day = table_and_day(operator.application_args)
        judges = "extract_signals" not in str(operator.application)
        return f"{_base()}{MOUNT}{docs_page(table, day)}" if table and day and judges else ""
