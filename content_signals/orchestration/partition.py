"""Which day a run is about, and what its jobs call the run.

`DAY` is the only template that decides the day, so that schedule, trigger form, API, backfill and asset mean the same:

    scheduled, backfilled or started by an asset   the run's partition key
    triggered with a day in the form or the conf   that day
    triggered with neither                         the day before the run
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from content_signals.day import ONE_DAY, check_not_future, day_range, parse_day
from content_signals.errors import UsageError

KEY_FORMAT = "%Y-%m-%d"
RUN_ID_LENGTH = 64

DAY = "{{ run_day(partition_key, params, dag_run.run_after) }}"
RUN_ID = "{{ job_run_id(dag_run.dag_id, run_id) }}"
FIRST_DAY = "{{ run_range(params)[0] }}"
LAST_DAY = "{{ run_range(params)[1] }}"


def run_day(partition_key: str | None, params: Mapping[str, Any], run_after: datetime) -> str:
    """The day of a run, checked.

    Raises:
        UsageError: for a key or form value that is no day, lies in the future, or contradicts the other.
    """
    asked = params.get("day")
    if partition_key and asked and partition_key != asked:
        raise UsageError(
            f"the run's partition key says {partition_key!r}, its form says {asked!r}",
            next_step="trigger it again with one of them",
        )
    given = partition_key or asked
    day = parse_day(str(given)) if given else run_after.astimezone(UTC).date() - ONE_DAY
    check_not_future([day], datetime.now(UTC))
    return day.isoformat()


def run_range(params: Mapping[str, Any]) -> tuple[str, str]:
    """The first and last day of a range from the form's `from` and `to`, checked."""
    first, last = (parse_day(str(params.get(name))) for name in ("from", "to"))
    days: list[date] = day_range(first, last)
    check_not_future(days, datetime.now(UTC))
    return first.isoformat(), last.isoformat()


def job_run_id(dag_id: str, run_id: str) -> str:
    """Airflow's run id as the jobs write it: `[a-z0-9-]`, at most 64 characters.

    The same for every task and every retry of a DAG run. The hash keeps apart what the mapping would make equal, runs
    of two DAGs on one table included.
    """
    digest = hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-") or "run"
    return f"{readable[: RUN_ID_LENGTH - len(digest) - 1].rstrip('-')}-{digest}"


MACROS: dict[str, Callable[..., Any]] = {"run_day": run_day, "run_range": run_range, "job_run_id": job_run_id}
