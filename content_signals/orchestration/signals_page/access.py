"""Who may see what. Airflow protects nothing in a plugin's app: this does, for every address below it."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import get_user, requires_access_view
from fastapi import Depends

signed_in = requires_access_view(AccessView.WEBSITE)


def permitted_dags(user: Annotated[Any, Depends(get_user)]) -> frozenset[str]:
    """The DAGs whose tables this user may see: a table's rows are no more public than the runs that make them."""
    found: set[str] = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    return frozenset(found)
