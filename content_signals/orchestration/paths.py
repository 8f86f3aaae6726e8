"""Where a DAG file's jobs are: worked out once, when the DAG file is parsed, and handed to the task factories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from content_signals.settings import PROJECT


@dataclass(frozen=True)
class JobPaths:
    """The jobs as Airflow reaches them: by absolute paths, because a task's working folder and PATH are not ours.

    Attributes:
        root: folder of `jobs/` and `conf/`; jobs start here, since `conf/spark.conf` names files relative to it.
        environment: the jobs' virtual environment.
        spark_conf: the properties file of Spark jobs. A file beside it named for a table or source, as in
            `spark-track_engagement_v1.conf`, takes its place for the jobs of that one.
    """

    root: Path
    environment: Path
    spark_conf: Path

    @property
    def python(self) -> str:
        """The interpreter of every job, driver and worker."""
        return str(self.environment / "bin" / "python")

    @property
    def spark_submit(self) -> str:
        """The program that starts a Spark job."""
        return str(self.environment / "bin" / "spark-submit")

    @property
    def spark_home(self) -> str:
        """Where the environment's spark-submit finds Spark; without it the script may take another one on the PATH."""
        return next((str(p) for p in self.environment.glob("lib/python3*/site-packages/pyspark")), "")

    def script(self, job: str) -> str:
        """The entry point of a job."""
        return str(self.root / "jobs" / f"{job}.py")

    def spark_conf_of(self, name: str) -> Path:
        """The properties file for a table or source."""
        own = self.spark_conf.with_name(f"{self.spark_conf.stem}-{name}{self.spark_conf.suffix}")
        return own if own.exists() else self.spark_conf

    def variables(self) -> dict[str, str]:
        """What a job's environment needs beside what it inherits from Airflow.

        The settings (`CONTENT_SIGNALS_*`) are inherited. They stay out of here because Airflow keeps an operator's
        variables in its database and shows them in the UI, and the online store's URL may hold a password.
        """
        variables = {
            "PYSPARK_PYTHON": self.python,
            "PYSPARK_DRIVER_PYTHON": self.python,
            "PYTHONUNBUFFERED": "1",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        return variables | ({"SPARK_HOME": self.spark_home} if self.spark_home else {})


def job_paths(environment: Mapping[str, str], root: Path = PROJECT) -> JobPaths:
    """The paths of this checkout; `CONTENT_SIGNALS_JOBS_ENV` and `CONTENT_SIGNALS_SPARK_CONF` name others."""
    return JobPaths(
        root=root,
        environment=Path(environment.get("CONTENT_SIGNALS_JOBS_ENV") or root / ".venv" / "jobs"),
        spark_conf=Path(environment.get("CONTENT_SIGNALS_SPARK_CONF") or root / "conf" / "spark.conf"),
    )
