"""Airflow's own API server in this process, with the Signals page mounted as a plugin, and people signed in to it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from content_signals.settings import PROJECT


def airflow_app(shared: Any) -> Any:
    """The app that answers for `airflow api-server`, with what the page shares put in its place."""
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb

    from content_signals.orchestration.signals_page.app import make_app
    from content_signals.orchestration.signals_page.plugin import LazyApp

    assert (PROJECT / "plugins" / "signals_page.py").exists()
    # Nobody is signed in by the mere fact of asking, and a token's key is as long as it should be.
    os.environ.update(AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="anna:viewer", AIRFLOW__API_AUTH__JWT_SECRET="k" * 64)
    initdb()
    LazyApp._app = make_app(shared)
    return create_app("core")


def token(name: str = "anna") -> dict[str, str]:
    """The header of somebody who is signed in and may only read."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    made = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role="VIEWER"))
    return {"Authorization": f"Bearer {made}"}


def parsed(dag_ids: Iterable[str]) -> None:
    """Make DAGs known, as the DAG processor does when it has parsed them."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
        session.flush()
        for dag_id in dict.fromkeys(dag_ids):  # several tables may have one
            session.merge(DagModel(dag_id=dag_id, bundle_name="tests", fileloc="x.py"))
