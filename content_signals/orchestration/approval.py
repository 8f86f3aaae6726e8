"""A stopped day, let through by a person or not.

The build of a stopped day goes red and ends: a question in it would keep its run open and, unanswered, take one of the
few runs its DAG may have. `ApprovalRequest`, its last task, starts a run of another DAG instead, `approve_<table>`,
whose `Approval` waits under Airflow's Required Actions. A waiting question is a row in Airflow's database: it holds no
worker slot, no pool slot and no other day.

Yes needs a reason. Airflow's own operator shows the field and takes an empty one: here such an answer is asked again.
No answer is no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from content_signals.contract import Table
from content_signals.errors import BROKEN_DATA
from content_signals.orchestration.builds import CONTENT_DAG, Build
from content_signals.orchestration.jobs import PythonJob, python_job
from content_signals.orchestration.partition import DAY, RUN_ID
from content_signals.orchestration.paths import JobPaths
from content_signals.orchestration.words import one_line

STOPPED = "stopped"
# Over a weekend, and well within the week after which maintenance deletes files that were staged and never promoted.
ANSWER_WITHIN = timedelta(days=3)
SHORTEST_REASON, LONGEST_REASON = 10, 500
LONGEST_NAME = 100
LONGEST_HEADLINE = 300


class ApprovalDenied(AirflowFailException):  # type: ignore[misc]  # Airflow is not installed where mypy runs
    """Somebody said no, or nobody said yes in time. Never retried: a retry would ask again."""


def approval_dag_id(table: str) -> str:
    """The DAG that asks whether a stopped day of the table goes through."""
    return f"approve_{table}"


class ApprovalRequest(TriggerDagRunOperator):  # type: ignore[misc]
    """Starts the approval of the day that this build's `validate` has stopped; skipped when it has not.

    The id of the run it starts follows from the build's own: a build that is cleared and stopped once more asks its
    question anew in the same run, so that there are never two open ones about it. Airflow keeps the conf of a run for
    good, so what may change from one try to the next, the rules that failed, is not in it.
    """

    def __init__(self, *, table: str, build: Build, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=approval_dag_id(table),
            trigger_run_id=f"stopped__{DAY}__{RUN_ID}",
            conf={"day": DAY, "run": RUN_ID, "build": "{{ run_id }}"},
            # Runs of one DAG may not share a logical date; a run without one is bound by nothing.
            logical_date=None,
            reset_dag_run=True,
            openlineage_inject_parent_info=False,
            # Not run when `validate` went through; then it counts as skipped, and a green run stays green. The run of a
            # stopped day is red by its other end, `announce`.
            trigger_rule=TriggerRule.ALL_FAILED,
            **kwargs,
        )
        self.validate = build.task("validate")

    def execute(self, context: Any) -> None:
        """Start the run, or reset it."""
        ti = context["ti"]
        # `ALL_FAILED` holds for a validate that never ran, too; what an earlier try of it reported is still there then.
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[self.validate], run_ids=[ti.run_id])
        report = ti.xcom_pull(task_ids=self.validate, key="report")
        if states.get(ti.run_id, {}).get(self.validate) != "failed" or not was_stopped(report):
            raise AirflowSkipException("no rule has stopped this day: there is nothing to approve")
        super().execute(context)


def was_stopped(report: object) -> bool:
    """Whether a failed `validate` reports that rules have stopped its day; it may have failed of something else."""
    if not isinstance(report, Mapping):
        return False
    return report.get("verdict") == STOPPED and report.get("exit_code", BROKEN_DATA) == BROKEN_DATA


class Approval(ApprovalOperator):  # type: ignore[misc]
    """Asks whether a stopped day may be promoted as it is; its XCom says who said yes, why and when.

    Args:
        table: the table it is about. The rules that failed are read from what the build's `validate` reported, when
            the question is put.
        build: where the table is built.
    """

    template_fields = (*ApprovalOperator.template_fields, "day")

    def __init__(self, *, table: str, build: Build, **kwargs: Any) -> None:
        kwargs.pop("params", None)  # Airflow hands in the DAG's; it merges them again with the form's field below
        super().__init__(
            subject=f"Let {table} {DAY} through?",
            defaults=[self.REJECT],
            response_timeout=ANSWER_WITHIN,
            params={
                "reason": Param(
                    None,
                    type=["null", "string"],
                    maxLength=LONGEST_REASON,
                    title="Reason",
                    description=f"Why the day is let through, in at least {SHORTEST_REASON} characters. Without it an"
                    " approval is asked again. It is kept with the promoted day.",
                )
            },
            **kwargs,
        )
        self.table, self.day, self.build = table, DAY, build

    def execute(self, context: Any, until: str | None = None) -> Any:
        """Put the question. `until`: the deadline of a question that is put again, which gets no more time."""
        now = datetime.now(UTC)
        deadline = datetime.fromisoformat(until) if until else now + ANSWER_WITHIN
        if deadline <= now:
            raise ApprovalDenied(f"no answer with a reason in {ANSWER_WITHIN}: taken as no; nothing was promoted")
        self.response_timeout = deadline - now
        if until is None:
            self._write(context)
        try:
            super().execute(context)
        except TaskAwaitingInput as waiting:
            waiting.kwargs = {"until": deadline.isoformat()}
            raise

    def execute_complete(self, context: Any, event: dict[str, Any], until: str | None = None) -> dict[str, Any]:
        """Take the answer.

        Raises:
            ApprovalDenied: for no, and for no answer.
            TaskAwaitingInput: for a yes without a reason or without a name: the question stands again.
        """
        if event.get("timedout") or "error" in event:
            raise ApprovalDenied(f"nobody answered in {ANSWER_WITHIN}: taken as no; nothing was promoted")
        user = event.get("responded_by_user") or {}
        by = one_line(user.get("name") or user.get("id"), LONGEST_NAME)
        given = event.get("params_input") or {}
        reason = one_line(given.get("reason") if isinstance(given, Mapping) else None, LONGEST_REASON)
        if list(event.get("chosen_options") or ()) != [self.APPROVE]:
            raise ApprovalDenied(f"rejected by {by or 'somebody'}: {reason or 'no reason given'}; nothing was promoted")
        if len(reason) < SHORTEST_REASON or not by:
            self.log.warning("Approved without a reason of %d characters: asked again", SHORTEST_REASON)
            self.execute(context, until=until)
        self.log.info("Approved by %s: %s", by, reason)
        return {"approved": True, "by": by, "reason": reason, "at": f"{event.get('responded_at')}"}

    def _write(self, context: Any) -> None:
        """Headline and text of the question."""
        params = context["params"]
        build = params.get("build")
        report = self._report(context, build)
        said = str(report.get("error") or "").removeprefix(f"{self.table} {self.day}: ")
        self.subject: str = one_line(f"{self.subject} {said}", LONGEST_HEADLINE)
        origin = context["ti"].log_url.partition("/dags/")[0]
        task = f"tasks/{self.build.task('validate')}"
        where = f"{origin}/dags/{self.build.dag_id}/runs/{quote(build)}/{task}" if build else ""
        self.body = question(self.table, self.day, params["run"], said, report.get("paths") or (), where)

    def _report(self, context: Any, build: str | None) -> dict[str, Any]:
        if not build:  # asked by hand
            return {}
        found = context["ti"].xcom_pull(
            dag_id=self.build.dag_id,
            run_id=build,
            task_ids=self.build.task("validate"),
            key="report",
            map_indexes=-1,
        )
        return found if isinstance(found, dict) else {}


def question(table: str, day: str, run: str, said: str, paths: Any, log_url: str) -> str:
    """The text of a question, in Markdown."""
    stopped = (
        f"**{table}, {day}** was stopped by its rules; nothing of run `{run}` is promoted. Readers see the day as it"
        " was promoted last, if it was."
    )
    approve = (
        "**Approve** promotes the run's rows and starts what is made from them. It needs a reason of at least"
        f" {SHORTEST_REASON} characters and is asked again without one. Your name and the reason are kept with the"
        " promoted day."
    )
    lines = [
        stopped,
        "",
        f"> {plain(said) or 'The first command below shows the rules that failed.'}",
        "",
        approve,
        "",
        f"**Reject**, or no answer within {ANSWER_WITHIN.days} days, leaves everything as it is.",
        "",
        "Look first:",
        "",
        f"* `content-signals verdicts {table}`",
        f"* `content-signals quarantine {table} --day {day}`",
        *(f"* `{one_line(str(path), 1000).replace('`', '')}`" for path in paths),
        *([f"* [the log of the validation]({log_url})"] if log_url else []),
    ]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: what a rule observed may hold anything, a link or an image included."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", one_line(text, 4000))


def approved_promotion(table: Table, paths: JobPaths, *, execution_timeout: timedelta) -> PythonJob:
    """The promotion of a day that `approve` let through.

    Reason and name are free text: each is one word of the job's command together with its option, so that neither can
    be read as another, and no shell sees them. Jinja puts them in once and does not look at what it has put in.
    """
    return python_job(
        "promote_signals",
        [
            "--table",
            table.table,
            "--day",
            DAY,
            "--override",
            "--reason={{ ti.xcom_pull(task_ids='approve')['reason'] }}",
            "--by={{ ti.xcom_pull(task_ids='approve')['by'] }}",
        ],
        paths,
        run_id="{{ params['run'] }}",
        execution_timeout=execution_timeout,
    )


def build_next(table: Table, following: Sequence[Table]) -> TriggerDagRunOperator:
    """The task that starts what is made of an approved day by the DAG that built it, which listens to sources alone.

    The id of the run follows from the run that was stopped: a retry, and a second approval of a build that was cleared
    and stopped once more, start the same run again and no other beside it.
    """
    return TriggerDagRunOperator(
        task_id="build_next",
        trigger_dag_id=CONTENT_DAG,
        trigger_run_id=f"approved__{table.table}__{DAY}__{{{{ params['run'] }}}}",
        conf={"day": DAY, "tables": [made.table for made in following]},
        logical_date=None,
        reset_dag_run=True,
        openlineage_inject_parent_info=False,
    )
