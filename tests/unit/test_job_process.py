"""Jobs started as processes: what counts as a failure, and what the demo says of it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from content_signals.local import job_process
from content_signals.local.demo_report import print_steps
from content_signals.local.job_process import JobFailed, run_job
from tests.settings import settings_in

DAY, NEXT = "2020-03-01", "2020-03-02"
PROGRAM = "import sys; print('working', file=sys.stderr); print(sys.argv[1]); sys.exit(int(sys.argv[2]))"

Run = Callable[[int, dict[str, Any] | None], dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a job over a range that ends with this code and this report."""

    def of(code: int, report: dict[str, Any] | None) -> dict[str, Any]:
        said = "killed" if report is None else json.dumps({"job": "ingest_source", **report})
        command = [sys.executable, "-S", "-c", PROGRAM, said, str(code)]
        monkeypatch.setattr(job_process, "job_command", lambda job, *arguments: command)
        monkeypatch.setattr(job_process, "job_environment", lambda settings: {})
        words = ("--from", DAY, "--to", NEXT)
        return run_job(settings_in(tmp_path), "ingest_source", *words, log=tmp_path / "jobs.log")

    return of


def test_a_job_that_went_through_gives_its_report(run: Run, tmp_path: Path) -> None:
    assert run(0, {"days": [DAY, NEXT]})["days"] == [DAY, NEXT]
    assert "working" in (tmp_path / "jobs.log").read_text()


def test_a_range_goes_on_beside_the_days_that_failed(run: Run) -> None:
    report = run(65, {"days": [NEXT], "failed": {DAY: "no header"}, "error": "no header"})
    assert report["failed"] == {DAY: "no header"}


@pytest.mark.parametrize(
    ("code", "report"),
    [
        (66, {"days": [], "error": "nothing has landed"}),
        (65, {"days": [], "failed": {DAY: "no header"}, "error": "no header"}),
        (1, {"days": [DAY], "error": "a crash after the first day"}),
        (137, None),
    ],
    ids=["raised", "every day failed", "crashed", "killed"],
)
def test_any_other_failure_is_raised(run: Run, code: int, report: dict[str, Any] | None) -> None:
    with pytest.raises(JobFailed, match=f"ingest_source ended with exit code {code}") as failure:
        run(code, report)
    assert failure.value.exit_code == code


def test_the_summary_names_the_days_that_failed_and_why() -> None:
    steps = [
        {"step": "ingest x", "seconds": 1.0, "days": [NEXT], "failed": {DAY: "x_v1: found [date]"}},
        {"step": "build", "seconds": 2.0, "days": [NEXT]},
    ]
    shown = io.StringIO()
    print_steps(Console(width=120, file=shown), steps, 3.0)
    assert f"ingest x, {DAY} failed: x_v1: found [date]" in shown.getvalue()
