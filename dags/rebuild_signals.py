r"""Rebuild tables over a range of days, with everything made from them, in one Spark application.

For corrected sources, late days, new columns and new tables. Nothing starts it but its form. `rebuild` extracts,
validates and promotes every table and day in dependency order; the chosen tables' consumers are always included. Then
each served table among them is announced to publishing alone, with its last day that was promoted, so that no other DAG
builds again what is built already. A table of which no day was promoted is skipped.

Which days need it: `content-signals stale` lists every table day made from inputs that have moved since.

### When it is red
Every day promoted so far stays promoted, each whole, and the last of each table is published; the others stay as they
were. The last line of the log says which, for each table under `tables`: `failed`, and `skipped` because an input's day
failed or has not landed. `complete` fails with `rebuild`, so that the run ends red though what follows went through.

* **exit code 65**: at least one day broke a critical rule or was refused. The message names table, day and rule. Not
  retried. Mend it and trigger the rebuild again for that range: days in order are replaced by the same rows.
* **exit code 66**: nothing in the range has landed. Check the range; ingest it first.
* **exit code 64**: the form is wrong: the range is turned round or in the future, or a table is unknown. Trigger again.
* **exit code 75 or 1**: a store that does not answer, or a crash; retried already. Read the log, mend the cause, clear
  the task.

### Run it yourself
* **Trigger**: the range, and the tables.
* By hand:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/rebuild_signals.py \
    --tables track_popularity_v1 --from 2020-03-01 --to 2020-03-31
```
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup, TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from content_signals.catalog import catalog
from content_signals.orchestration.alerts import FailureAlert
from content_signals.orchestration.assets import announce, publish_asset
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.forms import choice_field, date_field
from content_signals.orchestration.jobs import spark_job
from content_signals.orchestration.partition import FIRST_DAY, LAST_DAY
from content_signals.orchestration.paths import job_paths

TABLES = catalog().tables


def last_day_rebuilt(table: str, report: dict[str, Any] | None, *, ti: Any = None) -> str:
    """The last day of the table that was promoted; a table without one is not announced, it would publish in vain."""
    # A job that failed returns nothing: what it says of the days that went through is kept under another key.
    report = report or ti.xcom_pull(task_ids="rebuild", key="report") or {}
    last: str | None = report.get("tables", {}).get(table, {}).get("last_day")
    if last is None:
        raise AirflowSkipException(f"no day of {table} was rebuilt")
    return last


with signals_dag(
    "rebuild_signals",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["rebuild"],
    schedule=None,
    # Nothing here starts by the clock, and what is announced to a paused DAG is lost.
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={
        "from": date_field("From", "First day to rebuild, in UTC."),
        "to": date_field("To", "Last day to rebuild, included. Days that have not landed are listed, not failed."),
        "tables": choice_field(
            [table.table for table in TABLES], "Tables", "Tables to rebuild; everything made from them is included."
        ),
    },
):
    rebuild = spark_job(
        "rebuild_signals",
        ["--tables", "{{ params['tables'] | join(',') }}", "--from", FIRST_DAY, "--to", LAST_DAY],
        job_paths(os.environ),
        execution_timeout=timedelta(hours=12),
    )
    # What was promoted is announced whatever became of the rest; a run is as red as its last tasks, and this is one.
    rebuild >> EmptyOperator(task_id="complete")
    for table in TABLES:
        if table.serve:
            of_table = {"owner": table.owner, "on_failure_callback": [FailureAlert(table.table)]}
            with TaskGroup(table.table, default_args=of_table, tooltip=table.about):
                find = task(task_id="last_day", trigger_rule=TriggerRule.ALL_DONE)(last_day_rebuilt)
                last_day = find(table.table, rebuild.output)
                announce([publish_asset(table.table)], last_day)
