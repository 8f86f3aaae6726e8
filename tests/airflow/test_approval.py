"""A stopped day is let through by a person with a reason, or not at all."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

import content_signals.catalog as catalog_module
from content_signals.catalog import Catalog, catalog
from content_signals.contract import Computed, Input, Table
from content_signals.orchestration import approval
from content_signals.orchestration.approval import (
    ANSWER_WITHIN,
    Approval,
    ApprovalDenied,
    ApprovalRequest,
    question,
    was_stopped,
)
from content_signals.orchestration.builds import CONTENT_DAG, Build, build_of, built_after
from content_signals.orchestration.jobs import PythonJob
from content_signals.orchestration.words import one_line

TABLE, DAY = "track_popularity_v1", "2020-03-01"
SAID = f"{TABLE} {DAY}: expect_column_values_to_be_between of best_position: observed -1, allowed at least 1"
REASON = "the source confirmed these numbers"
STOPPED = {"job": "validate_signals", "verdict": "stopped", "exit_code": 65, "error": SAID, "paths": ["/lake/v.json"]}


def one(tasks: Any, task_id: str) -> Any:
    return tasks.get_task(task_id)


# The DAGs


@pytest.mark.parametrize("table", catalog().tables, ids=lambda table: table.table)
def test_a_build_asks_last_and_only_when_validate_has_failed(bag: Any, table: Any) -> None:
    build = build_of(table)
    ask = one(bag.dags[build.dag_id], build.task("ask"))
    assert isinstance(ask, ApprovalRequest)
    assert ask.trigger_rule == TriggerRule.ALL_FAILED
    assert (ask.upstream_task_ids, ask.downstream_task_ids) == ({build.task("validate")}, set())
    assert ask.trigger_dag_id == f"approve_{table.table}"
    assert ask.reset_dag_run, "a second question about one run takes the place of the first"


@pytest.mark.parametrize("table", catalog().tables, ids=lambda table: table.table)
def test_an_approval_promotes_and_announces_as_the_build_would(bag: Any, table: Any) -> None:
    build = build_of(table)
    dag, built = bag.dags[f"approve_{table.table}"], bag.dags[build.dag_id]
    following = [made for made in built_after(table, catalog()) if not catalog().lacking(made, {})]
    last = ["build_next"] if following else []
    assert [task.task_id for task in dag.topological_sort()] == ["approve", "promote", "announce", *last]
    assert isinstance(one(dag, "promote"), PythonJob)
    announcing = one(dag, "announce"), one(built, build.task("announce"))
    names = [{asset.name for asset in task.outlets} for task in announcing]
    assert names[0] == names[1]
    assert dag.schedule is None
    assert dag.is_paused_upon_creation is False
    assert dag.max_active_runs >= 100, "every open question is a run"


def test_no_answer_in_time_is_no(bag: Any) -> None:
    approve = one(bag.dags[f"approve_{TABLE}"], "approve")
    assert approve.defaults == [Approval.REJECT]
    assert approve.response_timeout == ANSWER_WITHIN
    retention = bag.dags["maintain_lake"].params["retention_hours"]
    assert timedelta(hours=retention) > ANSWER_WITHIN, "what is staged must still be there when the answer comes"
    assert set(approve.params) == {"reason"}, "the form has no field of the DAG's own"


# What is made of an approved day by the DAG that built it

STOPPED_TABLE, LISTED = "episode_chunks_v1", ["passage_words_v1", "passage_letters_v1"]


def made_of(driver: str, name: str) -> Table:
    """A table without a content of its own."""
    return Table(
        name=name,
        version=1,
        key=("chunk_id",),
        driver=Input(driver),
        columns=(Computed("words_count", "int", about="Words"),),
        owner="content-signals",
        about="What the tests make of chunks.",
        serve=False,
    )


@pytest.fixture
def with_consumers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The DAGs of a catalogue in which a table is made of the chunks alone, and another of that."""
    from airflow.dag_processing.dagbag import DagBag

    more = made_of(STOPPED_TABLE, "passage_words"), made_of("passage_words_v1", "passage_letters")
    double = Catalog([*catalog().sources, *catalog().tables, *more])
    monkeypatch.setattr(catalog_module, "catalog", lambda: double)
    monkeypatch.setattr("content_signals.orchestration.builds.catalog", lambda: double)
    bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    assert bag.import_errors == {}
    return bag


def test_an_approval_builds_what_its_announcement_does_not_reach(with_consumers: Any) -> None:
    dag = with_consumers.dags[f"approve_{STOPPED_TABLE}"]
    task = one(dag, "build_next")
    assert task.upstream_task_ids == {"announce"}
    assert task.trigger_dag_id == CONTENT_DAG
    made = [name for name in task.conf["tables"] if name in LISTED]
    assert made == LISTED, "in build order"
    assert STOPPED_TABLE not in task.conf["tables"], "its promoted day stays as it was approved"
    assert one(with_consumers.dags["approve_passage_words_v1"], "build_next").conf["tables"] == LISTED[1:]
    for name in ("passage_letters_v1", "episode_text_v1", TABLE):  # nothing is made of it there
        assert not with_consumers.dags[f"approve_{name}"].has_task("build_next"), name


# The question


class Instance:
    """As much of a task instance as the operators ask for."""

    id, dag_id, run_id, task_id = "0-1", f"build_{TABLE}", "asset__1", "ask"
    log_url = f"http://ui:8080/dags/approve_{TABLE}/runs/r/tasks/approve"

    def __init__(self, report: Any = None, validate: str = "failed") -> None:
        self.report, self.validate, self.pulled = report, validate, []

    def get_task_states(self, **_: Any) -> dict[str, Any]:
        return {self.run_id: {"validate": self.validate}}

    def xcom_pull(self, **given: Any) -> Any:
        self.pulled.append(given)
        return self.report

    def xcom_push(self, **_: Any) -> None:
        pass


def told(instance: Instance, **params: Any) -> dict[str, Any]:
    """The context of a task."""
    return {"ti": instance, "task_instance": instance, "params": params}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> ApprovalRequest:
    _allow_calls(monkeypatch)
    return ApprovalRequest(task_id="ask", table=TABLE, build=Build(f"build_{TABLE}"))


@pytest.fixture
def approve(monkeypatch: pytest.MonkeyPatch) -> Approval:
    _allow_calls(monkeypatch)
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **_: None)
    task = Approval(task_id="approve", table=TABLE, build=Build(f"build_{TABLE}"))
    task.day = DAY
    task.subject = task.subject.replace(approval.DAY, DAY)
    return task


def _allow_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.bases.operator import ExecutorSafeguard

    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)


@pytest.mark.parametrize(
    "instance",
    [
        Instance(None),
        Instance({"verdict": "passed"}),
        Instance({"error": "could not read", "verdict": None, "exit_code": 1}),
        Instance({**STOPPED, "exit_code": 75}),
        Instance(STOPPED, "upstream_failed"),  # an earlier try's report: validate has not run in this one
        Instance([STOPPED]),
    ],
)
def test_nobody_is_asked_when_no_rule_has_stopped_the_day(ask: ApprovalRequest, instance: Instance) -> None:
    with pytest.raises(AirflowSkipException, match="no rule has stopped"):
        ask.execute({"ti": instance})


def test_two_tries_of_a_build_ask_in_one_run(ask: ApprovalRequest) -> None:
    from airflow.sdk.exceptions import DagRunTriggerException

    ask.trigger_run_id, ask.conf = "stopped__2020-03-01__asset-1-abc", {"day": DAY}
    runs = []
    for _ in range(2):
        with pytest.raises(DagRunTriggerException) as asked:
            ask.execute({"ti": Instance(STOPPED)})
        runs.append(asked.value.dag_run_id)
        assert asked.value.reset_dag_run
        assert asked.value.logical_date is None
        assert not asked.value.wait_for_completion
    assert runs == ["stopped__2020-03-01__asset-1-abc"] * 2


def test_a_report_without_an_exit_code_counts_by_its_verdict() -> None:
    assert was_stopped({"verdict": "stopped"})
    assert not was_stopped("stopped")


def test_the_question_says_what_failed_and_where_to_look(approve: Approval) -> None:
    instance = Instance(STOPPED)
    with pytest.raises(TaskAwaitingInput) as waiting:
        approve.execute(told(instance, run="asset-1-abc", build="asset__2020-03-01T00:00:00+00:00__x"))
    assert approve.subject.startswith(f"Let {TABLE} {DAY} through? expect_column_values_to_be_between of best_position")
    assert "observed -1, allowed at least 1" in approve.subject
    assert r"observed \-1\, allowed at least 1" in approve.body
    assert f"content-signals quarantine {TABLE} --day {DAY}" in approve.body
    assert "/lake/v.json" in approve.body
    url = f"http://ui:8080/dags/build_{TABLE}/runs/asset__2020-03-01T00%3A00%3A00%2B00%3A00__x/tasks/validate"
    assert url in approve.body
    (pulled,) = instance.pulled
    assert (pulled["dag_id"], pulled["task_ids"], pulled["key"]) == (f"build_{TABLE}", "validate", "report")
    assert waiting.value.timeout <= ANSWER_WITHIN
    assert waiting.value.method_name == "execute_complete"


def test_a_question_put_by_hand_needs_no_build(approve: Approval) -> None:
    with pytest.raises(TaskAwaitingInput):
        approve.execute(told(Instance(), run="manual-1-abc", build=None))
    assert approve.subject == f"Let {TABLE} {DAY} through?"
    assert "The first command below shows" in approve.body


def test_what_a_rule_observed_is_shown_and_not_rendered() -> None:
    text = question(TABLE, DAY, "run-12345", "observed ![x](http://evil/p.png) <b>`</b>\n# big", ["/a`b"], "")
    assert r"\!\[x\]\(http\:\/\/evil\/p\.png\) \<b\>\`\<\/b\> \# big" in text
    assert "`/ab`" in text


# The answer


def event(reason: Any = REASON, chosen: str = "Approve", **more: Any) -> dict[str, Any]:
    user = {"id": "7", "name": "Ada"}
    params = {"reason": reason}
    at = datetime(2020, 3, 2, 9, tzinfo=UTC)
    return {"chosen_options": [chosen], "params_input": params, "responded_by_user": user, "responded_at": at} | more


def until(left: timedelta = timedelta(hours=5)) -> str:
    return (datetime.now(UTC) + left).isoformat()


def test_yes_with_a_reason_says_who_and_why(approve: Approval) -> None:
    answer = approve.execute_complete({}, event(f"  {REASON}\n"), until=until())
    assert answer == {"approved": True, "by": "Ada", "reason": REASON, "at": "2020-03-02 09:00:00+00:00"}


@pytest.mark.parametrize(
    "given",
    [
        event(None),
        event(""),
        event("ok"),
        event("   short    "),
        event("a" + " " * 20 + "b"),
        event("\u200b" * 12),  # nothing that can be seen
        event(["a reason in a list"]),
        event(params_input={}),
        event(params_input=None),
        event(params_input={"Reason": REASON}),
        event(responded_by_user=None),
        event(responded_by_user={"id": "", "name": None}),
    ],
)
def test_yes_without_a_reason_or_a_name_is_asked_again(
    approve: Approval, given: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    end = until()
    with caplog.at_level(logging.WARNING), pytest.raises(TaskAwaitingInput) as waiting:
        approve.execute_complete(told(Instance()), given, until=end)
    assert waiting.value.kwargs == {"until": end}, "it gets no more time"
    assert timedelta(hours=4) < waiting.value.timeout <= timedelta(hours=5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (event("not a real spike, sorry", "Reject"), "rejected by Ada: not a real spike, sorry"),
        (event(None, "Reject"), "rejected by Ada: no reason given"),
        (event(chosen_options=[]), "rejected by Ada"),
        (event(chosen_options=["Approve", "Reject"]), "rejected by Ada"),
        (event(chosen_options=["approve"]), "rejected by Ada"),
        (event(None, "Reject", timedout=True, responded_by_user=None), "nobody answered in 3 days"),
        (event(timedout=True), "nobody answered in 3 days"),
        ({"error": "timed out", "error_type": "timeout"}, "nobody answered in 3 days"),
    ],
)
def test_anything_but_yes_is_no_and_is_not_tried_again(approve: Approval, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ApprovalDenied, match=said) as denied:
        approve.execute_complete(told(Instance()), given, until=until())
    assert isinstance(denied.value, AirflowFailException), "Airflow retries none of these"
    assert "nothing was promoted" in str(denied.value)


def test_a_question_that_has_run_out_of_time_is_not_put_again(approve: Approval) -> None:
    with pytest.raises(ApprovalDenied, match="no answer with a reason"):
        approve.execute_complete(told(Instance()), event(""), until=until(timedelta(seconds=-1)))


def test_text_of_a_person_is_made_one_line() -> None:
    assert one_line("a\x00b\tc\r\n d\u202e", 100) == "ab c d"
    assert one_line(None, 10) == ""
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


# Whole runs

HOME = Path(os.environ["AIRFLOW_HOME"])
HOSTILE = '{{ 7 * 7 }} {% raw %} --run-id other-run-1 "$(touch /tmp/owned)" ; `id` \' é\n--override'


@pytest.fixture(scope="module")
def database() -> None:
    from airflow.utils.db import initdb

    os.environ.update(AIRFLOW__API_AUTH__JWT_SECRET="k" * 64)
    initdb()


def states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


class Person(threading.Thread):
    """Answers questions as they come up, one answer each, through Airflow's REST API."""

    def __init__(self, *answers: tuple[str, Any], role: str = "USER") -> None:
        super().__init__(daemon=True)
        self.answers, self.questions, self.refused = list(answers), [], []
        self.client, self.role = _api(), role

    def run(self) -> None:
        deadline = time.monotonic() + 60
        while self.answers and time.monotonic() < deadline:
            for path in self._open():
                self._answer(path)
            time.sleep(0.2)

    def _open(self) -> list[str]:
        """Questions that wait for an answer; for as long as the task is not parked, an answer would find no taker."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            waiting = session.scalars(select(TaskInstance).where(TaskInstance.state == "awaiting_input")).all()
            return [f"/api/v2/dags/{ti.dag_id}/dagRuns/{quote(ti.run_id)}/taskInstances/approve/-1" for ti in waiting]

    def _answer(self, path: str) -> None:
        # Somebody who may only read tries first.
        chosen, reason = self.answers.pop(0)
        body = {"chosen_options": [chosen], "params_input": {"reason": reason}}
        reader = self.client.patch(f"{path}/hitlDetails", json=body, headers=_signed_in("eve", "VIEWER"))
        self.refused.append(reader.status_code)
        self.questions.append(self.client.get(f"{path}/hitlDetails", headers=_signed_in("eve", "VIEWER")).json())
        done = self.client.patch(f"{path}/hitlDetails", json=body, headers=_signed_in("Ada", self.role))
        assert done.status_code == 200, done.text


def _api() -> Any:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    return TestClient(create_app("core"))


def _signed_in(name: str, role: str) -> dict[str, str]:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    made = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
    return {"Authorization": f"Bearer {made}"}


def answered(dag: Any, conf: dict[str, Any], *answers: tuple[str, Any]) -> tuple[Any, Person]:
    person = Person(*answers)
    person.start()
    run = dag.test(run_conf=conf)
    person.join(60)
    assert not person.answers, "every answer was asked for"
    return run, person


CONF = {"day": DAY, "run": "asset-1-0123abcd", "build": None}


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_an_approved_day_is_promoted_with_the_stopped_runs_id_and_a_hostile_reason_as_it_is(
    bag: Any, jobs: Any
) -> None:
    run, person = answered(
        bag.dags[f"approve_{TABLE}"], CONF, ("Approve", ""), ("Approve", "too short"), ("Approve", HOSTILE)
    )
    assert states(run) == {"approve": "success", "promote": "success", "announce": "success"}
    assert len(person.questions) == 3
    assert all(TABLE in question["subject"] and not question["response_received"] for question in person.questions)
    assert person.refused == [403] * 3, "whoever may only read lets nothing through"
    (call,) = jobs.calls()
    reason = " ".join(HOSTILE.split())
    assert call["words"][1:] == [
        "--table", TABLE, "--day", DAY, "--override", f"--reason={reason}", "--by=Ada", "--run-id", CONF["run"],
    ]  # fmt: skip
    kept = run.get_task_instance("approve").xcom_pull("approve")
    assert (kept["by"], kept["reason"]) == ("Ada", reason)
    assert run.get_task_instance("announce").xcom_pull("announce") == DAY
    assert not Path("/tmp/owned").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_a_rejected_day_is_not_promoted_and_its_run_is_red(bag: Any, jobs: Any) -> None:
    run, _ = answered(bag.dags[f"approve_{TABLE}"], CONF, ("Reject", ""))
    assert str(run.state) == "failed"
    assert states(run) == {"approve": "failed", "promote": "upstream_failed", "announce": "upstream_failed"}
    assert jobs.calls() == []


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_a_stopped_build_is_red_and_starts_the_question_about_it(bag: Any, jobs: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    jobs.plan(validate_signals=(65, SAID, {"verdict": "stopped", "exit_code": 65}))
    run = bag.dags[f"build_{TABLE}"].test(run_conf={"day": DAY})
    assert str(run.state) == "failed"
    found = states(run)
    assert (found["validate"], found["ask"], found["announce"]) == ("failed", "success", "upstream_failed")
    call = jobs.calls()[-1]
    stopped = call["words"][call["words"].index("--run-id") + 1]
    with create_session() as session:
        (asked,) = session.scalars(select(DagRun).where(DagRun.run_id == f"stopped__{DAY}__{stopped}")).all()
        assert asked.dag_id == f"approve_{TABLE}"
        assert asked.conf == {"day": DAY, "run": stopped, "build": run.run_id}


@pytest.mark.slow
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("plan", "state"),
    [
        ({}, "success"),
        ({"validate_signals": (65, "nothing is judged", {"verdict": None})}, "failed"),
        ({"extract_signals": (65, "a newer attempt")}, "failed"),
    ],
    ids=["green", "failed of something else", "extract failed"],
)
def test_ask_is_skipped_when_nothing_was_stopped_and_changes_no_colour(
    bag: Any, jobs: Any, plan: dict[str, Any], state: str
) -> None:
    jobs.plan(**plan)
    run = bag.dags[f"build_{TABLE}"].test(run_conf={"day": DAY})
    assert (str(run.state), states(run)["ask"]) == (state, "skipped")


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_an_approved_day_has_what_is_made_of_it_built_by_one_run_however_often(with_consumers: Any, jobs: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    content, tables = with_consumers.dags[CONTENT_DAG], [STOPPED_TABLE, *LISTED]
    jobs.plan(validate_signals=(65, SAID, {"verdict": "stopped", "exit_code": 65}))
    stopped = content.test(run_conf={"day": DAY, "tables": tables})
    assert states(stopped)["passage_words_v1.extract"] == "upstream_failed"

    jobs.plan()
    approval = with_consumers.dags[f"approve_{STOPPED_TABLE}"]
    for _ in range(2):
        run, _ = answered(approval, CONF, ("Approve", REASON))
        assert states(run)["build_next"] == "success"
    with create_session() as session:
        started = session.scalars(select(DagRun).where(DagRun.run_id.startswith("approved__"))).all()
    assert [(run.dag_id, run.run_id) for run in started] == [
        (CONTENT_DAG, f"approved__{STOPPED_TABLE}__{DAY}__{CONF['run']}")
    ]
    (conf,) = [run.conf for run in started]
    assert conf["day"] == DAY

    jobs.plan()
    followed = states(content.test(run_conf=conf))
    assert [followed[f"{name}.promote"] for name in LISTED] == ["success", "success"]
    assert followed[f"{STOPPED_TABLE}.choose"] == "skipped"
    built = [call["words"][call["words"].index("--table") + 1] for call in jobs.calls()]
    assert STOPPED_TABLE not in built
    assert set(LISTED) <= set(built)
