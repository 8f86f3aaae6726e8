"""Airflow on this machine: `airflow standalone` from its own environment, for the loopback interface only."""

from __future__ import annotations

import os
from pathlib import Path

from content_signals.local.airflow_api import AirflowApi
from content_signals.local.process import Command, ServiceError
from content_signals.local.service import LOOPBACK, Service, free_port, make_folder
from content_signals.settings import PROJECT, Settings

ENVIRONMENT = PROJECT / ".venv" / "airflow"
SPARK_POOL = "spark"


def airflow_url(settings: Settings) -> str:
    """Where the UI is."""
    return f"http://{LOOPBACK}:{settings.airflow_port}"


def airflow_service(settings: Settings) -> Service:
    """Airflow as a service. Its DAGs are paused when they first appear: nothing runs that nobody asked for."""
    home = Path(settings.var) / "airflow"
    program = ENVIRONMENT / "bin" / "airflow"
    api = AirflowApi(airflow_url(settings))
    command = Command(
        "airflow", [str(program), "standalone"], PROJECT, _environment(settings, home), home / "airflow.log"
    )

    def prepare() -> None:
        if not program.exists():
            raise ServiceError(f"there is no {program}", next_step="make setup")
        make_folder(home)

    def settle() -> None:
        api.ensure_pool(SPARK_POOL, 1, "Spark drivers on this machine: one at a time fits its memory")

    return Service(
        command,
        where=airflow_url(settings),
        port=settings.airflow_port,
        ready=api.healthy,
        prepare=prepare,
        settle=settle,
        start_seconds=180,
        stop_seconds=25,
    )


def _environment(settings: Settings, home: Path) -> dict[str, str]:
    """What Airflow and, through it, every task inherits."""
    values = {
        "CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        # No login, which is right only because nobody but this machine can connect.
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "API__HOST": LOOPBACK,
        "API__PORT": str(settings.airflow_port),
        "API__BASE_URL": airflow_url(settings),
        "API__WORKERS": "1",
        # Other Airflows of this machine may hold the usual ports of the servers that hand out logs.
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **os.environ,
        **settings.environment(),
        **{f"AIRFLOW__{name}": value for name, value in values.items()},
        "AIRFLOW_HOME": str(home),
        # standalone starts its components by the plain name `airflow`.
        "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
    }
