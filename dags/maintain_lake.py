"""Keep the lake and the online store in shape: what was taken down, retired versions, small files and unneeded ones.

Runs every day at 03:30 UTC. `purge` erases the signals of what was taken down a week ago, and its kept contents.
`maintain`, per table: OPTIMIZE joins the small files of days that are closed, which changes no row; VACUUM deletes
files older than the retention that no current version names and no training set's manifest pins, those of rejected and
abandoned runs included. What killed training sets left goes too. `clean` removes from the online store what it holds of
versions that were retired a week ago: a flip has moved their family on, or their contract is gone, and no registered
service reads them. Readers and running jobs are not disturbed.

### When it is red
Nothing is lost: the lake is as it was, with more files than it needs. It can wait until morning.

* **exit code 75**: a run replaced a day while it was compacted, again and again; of `clean`, the online store or the
  registry does not answer; of `purge`, one of these or the store of the index does not, another run makes a version of
  it, or replies of a language model are in a ledger that it cannot reach: the log says which. Retried already. Clear
  the task when that is over, or leave it to tomorrow's.
* **exit code 64**: the form is wrong. Trigger it again.
* **exit code 1**: a crash, or a table's log cannot be read; retried already. Read the log, look at the table's
  `_delta_log`, mend the cause, clear the task.

### Run it yourself
* **Trigger**: which table, how long files are kept, from when a day counts as closed.
* By hand:

```
source .venv/jobs/bin/activate
python jobs/purge_removed.py --older-than-days 7
python jobs/clean_retired.py --after-days 7
python jobs/maintain_lake.py --retention-hours 168 --optimize-before 2020-03-01
```

The retention is how far back a version of a table can be read that no manifest pins. Shorter than the longest run, it
would delete files that a run has staged and not promoted yet.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param

from content_signals.catalog import catalog
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.jobs import python_job
from content_signals.orchestration.paths import job_paths

ALL = "all"
WEEK_HOURS = 7 * 24
TABLES = [contract.table for contract in (*catalog().sources, *catalog().tables)]

CLOSED_BEFORE = "{{ (dag_run.run_after - macros.timedelta(days=params['open_days'])).strftime('%Y-%m-%d') }}"

with signals_dag(
    "maintain_lake",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["maintain"],
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    max_active_runs=1,
    params={
        "table": Param(
            ALL,
            type="string",
            enum=[ALL, *TABLES],
            title="Table",
            description="The table to maintain, or all of them.",
        ),
        "retention_hours": Param(
            WEEK_HOURS,
            type="integer",
            minimum=24,
            title="Retention in hours",
            description="Files that no current version needs are deleted when they are older than this.",
        ),
        "purge_after_days": Param(
            7,
            type="integer",
            minimum=0,
            title="Purge after days",
            description="Signals of what was taken down so many days ago are erased from the tables.",
        ),
        "retired_after_days": Param(
            7,
            type="integer",
            minimum=1,
            title="Grace of retired versions in days",
            description="So long a flip can be undone at once; then the version it ended is removed from the store.",
        ),
        "open_days": Param(
            2,
            type="integer",
            minimum=1,
            title="Open days",
            description="Days younger than this many may still be replaced and are not compacted yet.",
        ),
    },
):
    purge = python_job(
        "purge_removed",
        ["--older-than-days={{ params['purge_after_days'] }}"],
        job_paths(os.environ),
        execution_timeout=timedelta(hours=1),
    )
    purge >> python_job(
        "maintain_lake",
        [
            f"{{{{ '' if params['table'] == '{ALL}' else '--table=' ~ params['table'] }}}}",
            "--retention-hours={{ params['retention_hours'] }}",
            f"--optimize-before={CLOSED_BEFORE}",
        ],
        job_paths(os.environ),
        execution_timeout=timedelta(hours=2),
    )
    # On its own: a store that is down keeps nobody from the lake's upkeep.
    python_job(
        "clean_retired",
        ["--after-days={{ params['retired_after_days'] }}"],
        job_paths(os.environ),
        execution_timeout=timedelta(hours=2),
    )
