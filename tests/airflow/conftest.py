"""A throw-away Airflow home, set before anything imports Airflow, and a jobs environment whose programs only note how
they were called: no test here starts Spark.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))

for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "CONTENT_SIGNALS_"))]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    # Tests change a DAG within seconds of each other: what was read of it half a minute ago is not good enough.
    AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="0",
    CONTENT_SIGNALS_LANDING=str(HOME / "landing"),
    CONTENT_SIGNALS_LAKE=str(HOME / "lake"),
    CONTENT_SIGNALS_JOBS_ENV=str(HOME / "jobs"),
)

# Notes its call, then answers as `plan.json` says for the job: {"<job>": [exit code, error, more of its report]}.
PROGRAM = f"""#!{sys.executable} -S
import json, os, pathlib, sys
home = pathlib.Path({str(HOME)!r})
job = next(pathlib.Path(word).stem for word in sys.argv if word.endswith(".py"))
keep = ("SPARK_HOME", "SPARK_LOCAL_IP", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "CONTENT_SIGNALS_LAKE")
call = {{"job": job, "words": sys.argv[1:], "folder": os.getcwd(), "env": {{k: os.environ.get(k) for k in keep}}}}
with (home / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
code, error, *more = json.loads((home / "plan.json").read_text()).get(job, [0, ""])
print("working", file=sys.stderr)
report = {{"job": job, "rows_out": 7, "verdict": "passed"}} | ({{"error": error}} if error else {{}})
report |= more[0] if more else {{}}
print(json.dumps(report), flush=True)
print("a warning at exit", file=sys.stderr)
sys.exit(code)
"""


class FakeJobs:
    """The jobs environment of these tests."""

    def plan(self, **answers: tuple[Any, ...]) -> None:
        """What each job answers from now on, and no calls yet."""
        (HOME / "plan.json").write_text(json.dumps(answers))
        (HOME / "calls.jsonl").write_text("")

    def calls(self) -> list[dict[str, Any]]:
        """The calls since the plan was made."""
        return [json.loads(line) for line in (HOME / "calls.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    programs = HOME / "jobs" / "bin"
    programs.mkdir(parents=True)
    (HOME / "jobs" / "lib" / "python3.11" / "site-packages" / "pyspark").mkdir(parents=True)
    for name in ("spark-submit", "python"):
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)
    yield
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def jobs() -> FakeJobs:
    fake = FakeJobs()
    fake.plan()
    return fake


@pytest.fixture(scope="session")
def bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"))
