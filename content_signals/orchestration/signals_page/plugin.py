"""What Airflow is told of the Signals page: an app below `/signals`, and where the UI shows it.

Every Airflow process imports this module, the scheduler and each task included; the app itself is imported by the API
server alone, with the first request to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from airflow.plugins_manager import AirflowPlugin

from content_signals.orchestration.signals_page.links import MOUNT

Asgi = Callable[..., Awaitable[None]]

# With a halo: the entry that is open has another ground, and an icon cannot know.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke-linecap="round"'
    ' stroke-linejoin="round"><path stroke="{halo}" stroke-width="5" d="M3 12h4l3-8 4 16 3-8h4"/>'
    '<path stroke="{ink}" stroke-width="2" d="M3 12h4l3-8 4 16 3-8h4"/></svg>'
)
# One query for every tab: what the UI cannot fill in stays as it is written here, and is taken as not given.
_RUN = "dag_id={DAG_ID}&run_id={RUN_ID}"


class LazyApp:
    """The app, imported when it is first asked for something."""

    _app: Asgi | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Hand a request on."""
        if self._app is None:
            from content_signals.orchestration.signals_page.app import signals_app

            self._app = signals_app()
        await self._app(scope, receive, send)


def _icon(ink: str, halo: str) -> str:
    return "data:image/svg+xml," + quote(_ICON.format(ink=ink, halo=halo))


def _view(destination: str, route: str, href: str, **options: Any) -> dict[str, Any]:
    icons = {"icon": _icon("#334155", "#dbe7f5"), "icon_dark_mode": _icon("#e4e4e7", "#1e293b")}
    return {"name": "Signals", "destination": destination, "url_route": route, "href": href, **icons, **options}


class SignalsPlugin(AirflowPlugin):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """The page in the navigation, and a tab on each DAG, run and task."""

    name = "content_signals"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": MOUNT, "name": "Signals"}]  # noqa: RUF012  Airflow's own way
    # No slash before: that works below a path prefix too. One after: the root of what is mounted.
    external_views = [  # noqa: RUF012
        _view("nav", "signals", "signals/", nav_top_level=True),
        _view("dag", "signals-of-dag", "signals/dag/{DAG_ID}"),
        _view("dag_run", "signals-of-run", f"signals/run?{_RUN}"),
        _view("task_instance", "signals-of-task", f"signals/run?{_RUN}&task_id={{TASK_ID}}"),
    ]
