"""What is said when a task has failed for good: one structured line in its log."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from content_signals.orchestration.retry import exit_code

log = logging.getLogger(__name__)


def log_failure(context: Mapping[str, Any]) -> None:
    """Log who owns the failed task, which day it was about and why it failed, as one JSON line."""
    instance, exception = context["ti"], context.get("exception")
    report = {
        "event": "task_failed",
        "dag": instance.dag_id,
        "task": instance.task_id,
        "run": instance.run_id,
        "day": context.get("partition_key") or context["params"].get("day"),
        "owner": context["task"].owner,
        "exit_code": exit_code(exception),
        "error": str(exception),
        "log_url": instance.log_url,
    }
    log.error("%s", json.dumps(report, default=str))
