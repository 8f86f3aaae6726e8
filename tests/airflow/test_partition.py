"""The one template that decides the day, and the run id of the jobs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from content_signals.errors import UsageError
from content_signals.orchestration.partition import DAY, MACROS, RUN_ID, job_run_id, run_day, run_range

RUN_AFTER = datetime(2020, 3, 2, 0, 0, tzinfo=UTC)


def render(template: str, **context: Any) -> str:
    """A template as a task of any of the DAGs renders it."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(template).render(**MACROS, **context)


class Run:
    dag_id = "build_track_popularity_v1"
    run_after = RUN_AFTER


@pytest.mark.parametrize(
    ("key", "params", "day"),
    [
        ("2020-02-27", {"day": None}, "2020-02-27"),  # scheduled, backfilled, started by an asset, a key in the form
        (None, {"day": "2020-02-28"}, "2020-02-28"),  # a day in the form or the conf
        (None, {"day": None}, "2020-03-01"),  # triggered with neither
        ("2020-02-27", {"day": "2020-02-27"}, "2020-02-27"),
        (None, {}, "2020-03-01"),  # a run without a form
    ],
)
def test_day_of_a_run(key: str | None, params: dict[str, Any], day: str) -> None:
    assert render(DAY, partition_key=key, params=params, dag_run=Run()) == day


@pytest.mark.parametrize("bad", ["None", "yesterday", "2020-3-1", "2020-02-30", "20200301"])
def test_no_day_is_refused_before_a_job_sees_it(bad: str) -> None:
    with pytest.raises(UsageError, match="is not a day"):
        run_day(bad, {}, RUN_AFTER)
    with pytest.raises(UsageError, match="is not a day"):
        run_day(None, {"day": bad}, RUN_AFTER)


def test_a_key_and_a_form_that_disagree_are_refused() -> None:
    with pytest.raises(UsageError, match=r"key says '2020-02-27', its form says '2020-02-28'"):
        run_day("2020-02-27", {"day": "2020-02-28"}, RUN_AFTER)


def test_a_day_to_come_is_refused() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with pytest.raises(UsageError, match="in the future"):
        run_day(tomorrow, {}, RUN_AFTER)


def test_range_of_a_form() -> None:
    assert run_range({"from": "2020-03-01", "to": "2020-03-03"}) == ("2020-03-01", "2020-03-03")
    with pytest.raises(UsageError, match="before it starts"):
        run_range({"from": "2020-03-03", "to": "2020-03-01"})
    with pytest.raises(UsageError, match="'None' is not a day"):
        run_range({"from": None, "to": "2020-03-01"})


@pytest.mark.parametrize(
    "run_id",
    [
        "scheduled__2020-03-02T00:00:00+00:00",
        "manual__2026-11-24T07:58:34.401631+00:00_Ab3dE",
        "asset_triggered__2026-11-24T07:58:34+00:00_x",
        "x",
        "ünïcode and blanks",
        "a" * 300,
    ],
)
def test_run_id_of_the_jobs(run_id: str) -> None:
    mapped = render(RUN_ID, dag_run=Run(), run_id=run_id)
    assert re.fullmatch(r"[a-z0-9-]{8,64}", mapped)
    assert mapped == job_run_id(Run.dag_id, run_id), "the same for every task of the run"


def test_run_ids_that_map_alike_stay_apart() -> None:
    ids = {job_run_id(dag, run) for dag in ("a", "b") for run in ("Run 1", "run_1", "run-1", "r" * 200, "r" * 201)}
    assert len(ids) == 10
