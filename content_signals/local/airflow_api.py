"""A small client of Airflow's REST API, for the demo and the tests; standard library only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

from content_signals.errors import SignalsError, Temporary

FINAL = frozenset({"success", "failed"})
NOT_FOUND = 404
POLL_SECONDS = 1.0


class AirflowApiError(SignalsError):
    """Airflow refused a request; `status` is HTTP's."""

    def __init__(self, what: str, *, status: int = 0) -> None:
        super().__init__(what)
        self.status = status


class AirflowApi:
    """Airflow on this machine, where nobody has to log in.

    Args:
        url: where the UI is, e.g. `http://127.0.0.1:8080`.
    """

    def __init__(self, url: str, *, timeout: float = 60) -> None:
        self.url, self._timeout = url.rstrip("/"), timeout
        self._token = ""

    def healthy(self) -> bool:
        """Whether the API answers and the scheduler and the DAG processor report for work."""
        try:
            health = self._send("GET", "/api/v2/monitor/health", None, {})
        except (OSError, ValueError, SignalsError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor"))

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request below `/api/v2`.

        Raises:
            AirflowApiError: with Airflow's own explanation.
        """
        path = f"/api/v2{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        if not self._token:
            self._token = str(self._send("GET", "/auth/token", None, {})["access_token"])
        return self._send(method, path, body, {"Authorization": f"Bearer {self._token}"})

    def dag_ids(self) -> list[str]:
        """The DAGs Airflow has read so far."""
        return [dag["dag_id"] for dag in self.call("GET", "/dags", limit=1000)["dags"]]

    def import_errors(self) -> list[str]:
        """What keeps DAG files from being read."""
        found = self.call("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace']}" for error in found]

    def wait_dags(self, dag_ids: Sequence[str], *, seconds: float = 120) -> None:
        """Wait until Airflow has read these DAGs."""
        deadline = time.monotonic() + seconds
        while missing := sorted(set(dag_ids) - set(self.dag_ids())):
            if errors := self.import_errors():
                raise AirflowApiError("DAG files cannot be read:\n" + "\n".join(errors))
            if time.monotonic() > deadline:
                raise Temporary(f"Airflow has not read these DAGs in {seconds:.0f} s: {', '.join(missing)}")
            time.sleep(POLL_SECONDS)

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": paused}, update_mask="is_paused")

    def unpause(self, *dag_ids: str) -> None:
        """Unpause DAGs, in this order. One with a schedule starts yesterday's run at once.

        Unpause consumers before their producers: an asset event for a paused DAG is not kept for it.
        """
        for dag_id in dag_ids:
            self.set_paused(dag_id, False)

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool where there is none of this name; one whose size somebody has changed stays as it is."""
        try:
            self.call("GET", f"/pools/{quote(name)}")
        except AirflowApiError as error:
            if error.status != NOT_FOUND:
                raise
            body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
            self.call("POST", "/pools", body)

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, partition_key: str | None = None) -> str:
        """Start a run, as the form does; its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), "partition_key": partition_key}
        return str(self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def backfill(
        self,
        dag_id: str,
        first: date,
        last: date,
        *,
        conf: Mapping[str, Any] | None = None,
        reprocess: str = "completed",
    ) -> int:
        """Run a DAG for every day from `first` to `last`, with the form filled as `conf` says; the backfill's id.

        `reprocess` says which days that have a run already get another: none, failed, or completed (all).
        """
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "dag_run_conf": dict(conf or {}),
            "reprocess_behavior": reprocess,
            "max_active_runs": 4,
        }
        return int(self.call("POST", "/backfills", body)["id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        found: dict[str, Any] = self.call("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")
        return found

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, the latest first."""
        found: list[dict[str, Any]] = self.call("GET", f"/dags/{quote(dag_id)}/dagRuns", limit=1000, order_by="-id")[
            "dag_runs"
        ]
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, in the order they started."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = self.call("GET", path, limit=1000)["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9999")

    def report(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """The final report of a job, from the XCom of its task; empty when there is none."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}/xcomEntries"
        for key in ("return_value", "report"):
            try:
                value = self.call("GET", f"{path}/{key}", deserialize="true")["value"]
            except AirflowApiError:
                continue
            if isinstance(value, dict):
                return value
        return {}

    def wait_run(self, dag_id: str, run_id: str, *, seconds: float = 600) -> dict[str, Any]:
        """Wait until a run has ended, well or not; the run.

        Raises:
            Temporary: when it has not ended in time, with the state of each task.
        """
        deadline = time.monotonic() + seconds
        while (run := self.run(dag_id, run_id))["state"] not in FINAL:
            if time.monotonic() > deadline:
                raise Temporary(
                    f"run {run_id} of {dag_id} is {run['state']} after {seconds:.0f} s: {self._states(dag_id, run_id)}"
                )
            time.sleep(POLL_SECONDS)
        return run

    def wait_day(
        self, dag_id: str, day: date, *, other_than: Collection[str] = (), seconds: float = 600
    ) -> dict[str, Any]:
        """Wait until a DAG has a run of its own for this partition key, started by whatever, and it has ended.

        Args:
            other_than: ids of earlier runs, which are not meant.
        """
        deadline = time.monotonic() + seconds
        while True:
            for run in self.runs(dag_id):
                if run["partition_key"] == day.isoformat() and run["dag_run_id"] not in other_than:
                    return self.wait_run(dag_id, run["dag_run_id"], seconds=max(deadline - time.monotonic(), 0))
            if time.monotonic() > deadline:
                raise Temporary(f"{dag_id} has no run for {day} after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def _states(self, dag_id: str, run_id: str) -> str:
        return ", ".join(f"{task['task_id']} {task['state']}" for task in self.tasks(dag_id, run_id))

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  the URL is our own
            self.url + path, data, {"Content-Type": "application/json", **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:2000]
            raise AirflowApiError(f"{method} {path}: {error.code} {said}", status=error.code) from error
