"""Build what the content says and sounds like, for one day: each text, clip and title is computed once.

Started by the sources it is made from, each time a day of one of them is promoted: what is made from that source is
built, the other groups are skipped. A group a table: `choose` skips it or not; `extract` looks which contents of the
day have been computed before, computes the others in batches, and keeps each batch at once; `validate`, `promote`,
`announce` and `ask` are those of every table (see any `build_` DAG).

A table may need what not every installation has: `episode_tags_llm_v1` and `episode_main_topic_v1` a language model,
which `CONTENT_SIGNALS_LLM` names. Where Airflow's environment has no such variable, the form does not choose these
tables, and a run that a source starts skips them: the log of `choose` says what is missing. Chosen all the same,
`extract` refuses them, and says what to do.

### How far is it?
The log of `extract` has a line a batch: how many contents are done, how many were cached, that is computed on an
earlier day, how many are set aside because nothing can be made of them, and about how long the rest will take. The page
**Signals** shows the same while it lasts. The task's XCom has the counts at the end.

### When a task is red
Until a day is promoted readers see what was promoted before. Whatever was computed is kept: clear `extract`, and it
goes on where it was.

* **`extract`, exit code 75**: a store that does not answer, or an input that has no such day yet; retried already.
* **`extract`, exit code 64**: the table was chosen though what it needs is not set. Set it where Airflow runs.
* **`extract`, exit code 1**: a crash; retried already. Read the log, mend the cause, clear the task. A single content
  that ends the process which reads it is no crash: it is found, set aside, and the others go on.
* **others**: as in the `build_` DAGs. What was set aside, and why: `content-signals quarantine`.

### Run it yourself
* One day: **Trigger**, and pick the day and the tables. What is made of them alone is not included: name it too.
* By hand:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/extract_signals.py --table track_language_v1 --day 2020-03-01
spark-submit --properties-file conf/spark.conf jobs/validate_signals.py --table track_language_v1 --day 2020-03-01
python jobs/promote_signals.py --table track_language_v1 --day 2020-03-01
```
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from airflow.sdk import Param, PartitionedAssetTimetable, TaskGroup, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from content_signals.catalog import catalog
from content_signals.orchestration.alerts import FailureAlert
from content_signals.orchestration.assets import table_asset
from content_signals.orchestration.build_tasks import build_tasks
from content_signals.orchestration.builds import CONTENT_DAG, build_of, content_tables
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.forms import choice_field, day_field
from content_signals.orchestration.paths import job_paths

TABLES = content_tables(catalog())
NAMES = [table.table for table in TABLES]
SOURCES = sorted({t.driver.table for t in TABLES} - set(NAMES))


def choose(table: str, *, params: Mapping[str, Any], triggering_asset_events: Mapping[Any, Any] | None = None) -> None:
    """Go on where the table is made of what started the run, or was chosen in the form."""
    announced = {asset.name for asset in triggering_asset_events or ()}
    made = {t.table for t in catalog().downstream(announced)} if announced else set(params["tables"])
    if table not in made:
        why = f"made of none of {', '.join(sorted(announced))}" if announced else "not chosen for this run"
        raise AirflowSkipException(f"{table} is {why}")
    # Who chose it in the form is told by the job: he would take a skipped table for a built one.
    if announced and table not in made_here():
        raise AirflowSkipException(f"{table} cannot be made here: {told_lacking(table)}")


def made_here() -> list[str]:
    """The tables whose needs this installation meets."""
    return [table.table for table in TABLES if not catalog().lacking(table, os.environ)]


def told_lacking(name: str) -> str:
    """What of a table's needs is not met."""
    lacking = catalog().lacking(catalog().table(name), os.environ)
    return "; ".join(f"{need.variable} is not set, which names {need.about}" for need in lacking)


def tables_field() -> Param:
    """The tables of a run; those that cannot be made here are not chosen beforehand."""
    about = "Which tables to build; the others are skipped."
    lacking = [f"{name} is not chosen: {told_lacking(name)}." for name in NAMES if name not in made_here()]
    return choice_field(NAMES, "Tables", " ".join([about, *lacking]), chosen=made_here())


with signals_dag(
    CONTENT_DAG,
    __doc__,
    owner=PROJECT_OWNER,
    tags=["build", "content"],
    schedule=PartitionedAssetTimetable(assets=reduce(or_, map(table_asset, SOURCES))),
    # Nothing here starts by the clock, and what is announced to a paused DAG is lost.
    is_paused_upon_creation=False,
    max_active_runs=8,
    params={
        "day": day_field(),
        "tables": tables_field(),
    },
):
    promoted: dict[str, Any] = {}
    for table in TABLES:
        of_table = {"owner": table.owner, "on_failure_callback": [FailureAlert(table.table)]}
        with TaskGroup(table.table, default_args=of_table, tooltip=table.about):
            # A table that the run leaves out is skipped, and does not hold up what is made of it.
            chosen = task(task_id="choose", trigger_rule=TriggerRule.NONE_FAILED)(choose)(table.table)
            # The first day of a large archive takes as long as it takes.
            first, promoted[table.table] = build_tasks(
                table, build_of(table), job_paths(os.environ), extract_within=timedelta(hours=24)
            )
            chosen >> first
            for read in table.all_inputs:
                if read.table in promoted:
                    promoted[read.table] >> chosen
