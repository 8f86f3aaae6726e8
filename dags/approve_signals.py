"""Let a stopped day of TABLE through, or not: a person decides.

Started by `build_TABLE` when rules have stopped a day. `approve` waits for an answer, in the menu under **Required
Actions**; `promote` then makes the staged day visible as it is; `announce` starts whatever is made from it, as the
build would have done. What `build_content_signals` makes of a table that it builds itself is started by `build_next`,
as a run with the day and these tables; other tables have no such task. A run that waits holds no slot, and no other
day.

Yes needs a reason of at least ten characters; without one the question stands again. No answer within three days is no.
Your name and the reason are kept in the commit and in the verdict, and the alert of the day says them. A build that was
cleared and stopped once more asks again in the same run.

### When it is red
The day is not promoted; readers see it as it was promoted last, if it was.

* **`approve`**: somebody said no, or nobody answered. The message says who, and why. Clear it to be asked again.
* **`promote`, exit code 65**: the run is not the newest any more: the day was promoted, extracted or validated again
  since the question was put. Look at `build_TABLE`; nothing is left to approve here.
* **`promote`, exit code 66**: the staged files or their verdict are not there. Clear `extract` of the build.
* **`build_next`**: the day is promoted and announced, but what is made of it was not started. Clear it: however often,
  there is one run.
* **any, exit code 64**: the call is wrong, most often the day. Trigger it again.
* **any, exit code 75 or 1**: a store that does not answer, or a crash; retried already. Read the log, mend the cause,
  clear the task: an approval holds on.

### Run it yourself
* A day that a rebuild or a job by hand has stopped: **Trigger**, with the day and the run id that
  `content-signals runs TABLE --day 2020-03-01` shows.
* By hand, with nobody asked, and nothing announced:

```
source .venv/jobs/bin/activate
content-signals promote TABLE --day 2020-03-01 --override --reason "…"
```
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import Param

from content_signals.catalog import catalog
from content_signals.contract import Table
from content_signals.orchestration.approval import Approval, approval_dag_id, approved_promotion, build_next
from content_signals.orchestration.assets import announce, outlets
from content_signals.orchestration.builds import build_of, built_after
from content_signals.orchestration.defaults import signals_dag
from content_signals.orchestration.forms import date_field
from content_signals.orchestration.partition import DAY
from content_signals.orchestration.paths import JobPaths, job_paths


def approval_dag(table: Table, page: str, paths: JobPaths) -> None:
    """One table's DAG."""
    with signals_dag(
        approval_dag_id(table.table),
        page.replace("TABLE", table.table),
        owner=table.owner,
        table=table.table,
        tags=["approve", table.family],
        schedule=None,
        # A build that was stopped would wait in vain for its question to be put.
        is_paused_upon_creation=False,
        # Every open question is a run.
        max_active_runs=1000,
        params={
            "day": date_field("Day", "The stopped day, in UTC."),
            "run": Param(
                type="string",
                pattern="^[a-z0-9-]{8,64}$",
                title="Run id",
                description="The jobs' run that was stopped, as `content-signals runs` shows it.",
            ),
            "build": Param(
                None,
                type=["null", "string"],
                title="Build",
                description=f"Airflow's run of {build_of(table).dag_id} that was stopped, if it was one: the question"
                " then says which rules failed.",
            ),
        },
    ):
        approve = Approval(task_id="approve", table=table.table, build=build_of(table))
        promote = approved_promotion(table, paths, execution_timeout=timedelta(minutes=15))
        announced = announce(outlets(table), DAY)
        approve >> promote >> announced
        known = catalog()
        following = [made for made in built_after(table, known) if not known.lacking(made, os.environ)]
        if following:
            announced >> build_next(table, following)


for contract in catalog().tables:
    approval_dag(contract, __doc__, job_paths(os.environ))
