"""The line that is logged when a task has failed for good."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from content_signals.orchestration.alerts import log_failure
from content_signals.orchestration.jobs import JobFailed


def test_a_failure_is_one_structured_line(caplog: pytest.LogCaptureFixture) -> None:
    instance = SimpleNamespace(dag_id="build_x_v1", task_id="validate", run_id="manual__1", log_url="http://ui/log")
    context = {
        "ti": instance,
        "task": SimpleNamespace(owner="catalogue-signals"),
        "params": {"day": "2020-03-01"},
        "partition_key": None,
        "exception": JobFailed("validate_signals", 65, {"error": "rule failed"}, ["python", "x.py"]),
    }
    with caplog.at_level(logging.ERROR):
        log_failure(context)
    (record,) = caplog.records
    said = json.loads(record.getMessage())
    assert (said["dag"], said["task"], said["day"]) == ("build_x_v1", "validate", "2020-03-01")
    assert (said["owner"], said["exit_code"]) == ("catalogue-signals", 65)
    assert "rule failed" in said["error"]
