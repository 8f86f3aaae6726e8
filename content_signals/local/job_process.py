"""Jobs started as a data engineer starts them by hand: spark-submit, or the environment's Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from content_signals.errors import SignalsError
from content_signals.settings import PROJECT, Settings

WITHOUT_SPARK = frozenset({"promote_signals", "maintain_lake"})


class JobFailed(SignalsError):
    """A job ended with another exit code than 0; its own output says why."""

    def __init__(self, job: str, code: int, report: dict[str, Any]) -> None:
        super().__init__(f"{job} ended with exit code {code}: {report.get('error', 'see above')}")
        self.exit_code, self.report = code, report


def job_command(job: str, *arguments: str) -> list[str]:
    """The command line of a job, from the root of the repository."""
    python = Path(sys.executable)
    script = str(PROJECT / "jobs" / f"{job}.py")
    if job in WITHOUT_SPARK:
        return [str(python), script, *arguments]
    return [str(python.parent / "spark-submit"), "--properties-file", "conf/spark.conf", script, *arguments]


def job_environment(settings: Settings) -> dict[str, str]:
    """What a job's process needs; the settings travel in it, secrets included."""
    import pyspark

    return {
        **os.environ,
        **settings.environment(),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def run_job(settings: Settings, job: str, *arguments: str, log: Path) -> dict[str, Any]:
    """Run a job to its end, what it says added to `log`; its report.

    Raises:
        JobFailed: for any exit code but 0, unless days of a range went through beside those it says have failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+", encoding="utf-8", errors="replace") as said:
        start = said.seek(0, os.SEEK_END)
        done = subprocess.run(
            job_command(job, *arguments),
            cwd=PROJECT,
            env=job_environment(settings),
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said.seek(start)
        output = said.read()
    report = report_of(output)
    if done.returncode and not (report.get("days") and report.get("failed")):
        sys.stderr.write("\n".join(output.splitlines()[-20:]) + "\n")
        raise JobFailed(job, done.returncode, report)
    return report


def report_of(stdout: str) -> dict[str, Any]:
    """The JSON object a job prints last."""
    lines = stdout.strip().splitlines()
    try:
        report: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {}
    return report
