"""Jobs as processes: their report, and their end."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from content_signals.orchestration.jobs import JobReport, PythonJob, end_process, for_day, read_master, spark_job
from content_signals.orchestration.paths import job_paths

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_the_report_is_the_last_json_object_that_names_a_job() -> None:
    report = JobReport()
    lines = ["starting\n", '{"job": "x", "rows_out": 1}\n', '{"level": "info"}\n', "{broken}\n", "warning at exit\n"]
    assert list(report.watch(lines)) == lines, "every line is handed on"
    assert report.values == {"job": "x", "rows_out": 1}


def test_a_killed_task_leaves_no_process_of_its_job(tmp_path: Path) -> None:
    job = PythonJob(task_id="x", python=sys.executable, script="x.py", arguments=[], folder=str(tmp_path), variables={})
    job._process = subprocess.Popen([sys.executable, "-u", "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert job._process.stdout is not None
    child = psutil.Process(int(job._process.stdout.readline()))
    began = time.monotonic()
    job.on_kill()
    assert time.monotonic() - began < 5
    assert job._process.wait(timeout=5) != 0
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    end_process(job._process)  # safe to repeat
    job._process.stdout.close()


@pytest.mark.parametrize(
    ("text", "master"),
    [
        ("# spark.master yarn\nspark.master    local[2]\nspark.master.x y\n", "local[2]"),
        ("spark.master=spark://host:7077\n", "spark://host:7077"),
        ("spark.ui.enabled false\n", "local[*]"),
    ],
)
def test_master_of_a_properties_file(tmp_path: Path, text: str, master: str) -> None:
    file = tmp_path / "spark.conf"
    file.write_text(text)
    assert read_master(file) == master


def test_a_table_may_have_spark_properties_of_its_own(tmp_path: Path) -> None:
    shared, own = tmp_path / "spark.conf", tmp_path / "spark-plays_v1.conf"
    paths = job_paths({"CONTENT_SIGNALS_SPARK_CONF": str(shared)})
    assert paths.spark_conf_of("plays_v1") == shared
    own.write_text("spark.driver.memory 8g\n")
    assert (paths.spark_conf_of("plays_v1"), paths.spark_conf_of("plays_v2")) == (own, shared)
    task = spark_job("extract_signals", for_day("--table", "plays_v1"), paths, execution_timeout=timedelta(hours=1))
    assert task.properties_file == str(own)


def test_paths_can_be_named_by_the_environment(tmp_path: Path) -> None:
    assert job_paths({}, tmp_path).python == f"{tmp_path}/.venv/jobs/bin/python"
    elsewhere = job_paths({"CONTENT_SIGNALS_JOBS_ENV": "/opt/jobs", "CONTENT_SIGNALS_SPARK_CONF": "/etc/spark.conf"})
    assert elsewhere.spark_submit == "/opt/jobs/bin/spark-submit"
    assert str(elsewhere.spark_conf) == "/etc/spark.conf"
    assert "SPARK_HOME" not in elsewhere.variables(), "an empty one would be taken for the root folder"
