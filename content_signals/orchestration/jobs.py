"""Tasks that run a job: `spark_job` through spark-submit, `python_job` for the steps that need no Spark.

Either way a job is a process. Its output goes to the task's log line by line; its last line, one JSON object, becomes
the task's XCom, so that the UI shows rows and verdict; a failed one raises `JobFailed` with the job's exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from content_signals.orchestration.partition import DAY, RUN_ID
from content_signals.orchestration.paths import JobPaths
from content_signals.orchestration.retry import REASONS
from content_signals.orchestration.signals_page.links import DocsLink, SignalsLink

SPARK_POOL = "spark"
SPARK_CONNECTION = "content_signals_spark"
GRACE_SECONDS = 15
TASK_LOG = "CONTENT_SIGNALS_TASK_LOG"  # where a job reads the address of its log, which its alerts carry


class JobFailed(AirflowException):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """A job ended with another exit code than 0."""

    def __init__(self, job: str, exit_code: int, report: Mapping[str, Any], command: Sequence[str]) -> None:
        reason = REASONS.get(exit_code, "unknown failure; see the log above")
        said = f": {report['error']}" if report.get("error") else ""
        super().__init__(f"{job} ended with exit code {exit_code}, {reason}{said}\nBy hand: {shlex.join(command)}")
        self.job, self.exit_code, self.report = job, exit_code, dict(report)


class JobReport:
    """Watches a job's output go by and keeps its report: the last line that is a JSON object naming the job."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """The same lines."""
        for line in lines:
            self._keep(line.strip())
            yield line

    def _keep(self, line: str) -> None:
        if line.startswith("{") and line.endswith("}"):
            try:
                values = json.loads(line)
            except ValueError:
                return
            if "job" in values:
                self.values = values


def end_process(process: subprocess.Popen[str]) -> None:
    """Ask a job and all it started to end; kill what is left. spark-submit's Python would outlive its JVM."""
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    for end in (process.terminate, *(child.terminate for child in children)):
        _signal(end)
    # The job itself is waited for by `process` alone: were psutil to collect its exit code, a killed job would count
    # as one that ended with 0.
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=GRACE_SECONDS)
    for child in alive:
        _signal(child.kill)


def _signal(send: Callable[[], object]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself meanwhile
        send()


class SparkJobHook(SparkSubmitHook):  # type: ignore[misc]
    """spark-submit from the repository's root, with the job's report kept."""

    def __init__(self, *, folder: str, master: str, **kwargs: Any) -> None:
        self._folder, self._master = folder, master
        self.report = JobReport()
        super().__init__(**kwargs)

    def submit(self, application: str = "", **kwargs: Any) -> str | None:
        """Run the job to its end.

        Raises:
            JobFailed: instead of the hook's own exception, which has the exit code in its text only.
        """
        try:
            driver: str | None = super().submit(application, cwd=self._folder, **kwargs)
        except AirflowException as error:
            code = self._submit_sp.returncode if self._submit_sp else None
            if not code:
                raise
            command = ["spark-submit", "--properties-file", self._properties_file, application, *self._application_args]
            raise JobFailed(Path(application).stem, code, self.report.values, command) from error
        return driver

    def on_kill(self) -> None:
        """End the whole family of processes before the hook kills spark-submit alone."""
        if self._submit_sp and self._submit_sp.poll() is None:
            end_process(self._submit_sp)
        super().on_kill()

    def _process_spark_submit_log(self, itr: Iterable[str]) -> None:
        super()._process_spark_submit_log(self.report.watch(itr))

    def _resolve_connection(self) -> dict[str, Any]:
        resolved: dict[str, Any] = super()._resolve_connection()
        try:
            self.get_connection(self._conn_id)
        except AirflowNotFoundException:
            # The hook always passes --master, which beats the properties file, and falls back to YARN.
            resolved["master"] = self._master
        return resolved


class SparkJob(SparkSubmitOperator):  # type: ignore[misc]
    """A Spark job. The master is the connection's where one is defined, else the properties file's."""

    ui_color = "#fdebd0"
    operator_extra_links = (SignalsLink(), DocsLink())

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder
        self._task_log = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the job; its report is the task's XCom."""
        self._task_log = context["ti"].log_url
        try:
            super().execute(context)
        except JobFailed as failure:
            _push_report(context, failure.report)
            raise
        report: dict[str, Any] = self._hook.report.values
        return report

    def _get_hook(self) -> SparkJobHook:
        return SparkJobHook(
            folder=self.folder,
            master=read_master(Path(self.properties_file)),
            conf=self.conf,
            conn_id=self._conn_id,
            name=self.name,
            application_args=self.application_args,
            env_vars={**self.env_vars, TASK_LOG: self._task_log},
            spark_binary=self._spark_binary,
            properties_file=self.properties_file,
        )


class PythonJob(BaseOperator):  # type: ignore[misc]
    """A job without Spark, run by the jobs environment's Python."""

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#d6eaf8"

    def __init__(
        self, *, python: str, script: str, arguments: list[str], folder: str, variables: dict[str, str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.python, self.script, self.arguments = python, script, arguments
        self.folder, self.variables = folder, variables
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the job; its report is the task's XCom."""
        # An option that the form left empty renders to nothing.
        command = [self.python, self.script, *filter(None, self.arguments)]
        self.log.info("Running: %s", shlex.join(command))
        report = JobReport()
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.variables, TASK_LOG: context["ti"].log_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        assert self._process.stdout is not None
        for line in report.watch(self._process.stdout):
            self.log.info("%s", line.rstrip())
        code = self._process.wait()
        if code:
            _push_report(context, report.values)
            raise JobFailed(Path(self.script).stem, code, report.values, command)
        return report.values

    def on_kill(self) -> None:
        """End the job with its task."""
        if self._process and self._process.poll() is None:
            end_process(self._process)


def read_master(spark_conf: Path) -> str:
    """The `spark.master` of a properties file; one local worker per core where it has none."""
    for line in spark_conf.read_text("utf-8").splitlines():
        name, _, value = line.strip().replace("=", " ", 1).partition(" ")
        if name == "spark.master":
            return value.strip()
    return "local[*]"


def spark_job(
    job: str, arguments: Sequence[str], paths: JobPaths, *, execution_timeout: timedelta, **options: Any
) -> SparkJob:
    """A task that submits `jobs/<job>.py`, one at a time on this machine (pool `spark`)."""
    task_id = options.pop("task_id", job.partition("_")[0])
    return SparkJob(
        task_id=task_id,
        name=f"{job} {arguments[1]} {{{{ job_run_id(dag_run.dag_id, run_id) }}}}",
        application=paths.script(job),
        application_args=[*arguments, "--run-id", RUN_ID],
        conn_id=SPARK_CONNECTION,
        spark_binary=paths.spark_submit,
        properties_file=str(paths.spark_conf_of(arguments[1])),
        env_vars=paths.variables(),
        folder=str(paths.root),
        pool=SPARK_POOL,
        execution_timeout=execution_timeout,
        **options,
    )


def python_job(
    job: str,
    arguments: Sequence[str],
    paths: JobPaths,
    *,
    execution_timeout: timedelta,
    run_id: str = RUN_ID,
    **options: Any,
) -> PythonJob:
    """A task that runs `jobs/<job>.py` with the jobs environment's Python; with its run id, unless it names another."""
    return PythonJob(
        task_id=options.pop("task_id", job.partition("_")[0]),
        python=paths.python,
        script=paths.script(job),
        arguments=[*arguments, "--run-id", run_id],
        folder=str(paths.root),
        variables=paths.variables(),
        execution_timeout=execution_timeout,
        **options,
    )


def for_day(option: str, name: str) -> list[str]:
    """The arguments of a job about one day, e.g. `--table track_popularity_v1 --day 2020-03-01`."""
    return [option, name, "--day", DAY]


def _push_report(context: Any, report: Mapping[str, Any]) -> None:
    """Keep a failed job's report too: Airflow stores a return value only of a task that succeeds."""
    if report:
        context["ti"].xcom_push(key="report", value=dict(report))
