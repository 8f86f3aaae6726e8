"""Compare the online store with the tables: a sample of keys of each served table, every day.

`check_…`, one a table, draws keys by their hash from the version that was published, and some from the store, and
compares what is served with the table. Each difference is given its cause; the last line of the log counts them, and a
file in `<lake>/_checks/` lists them.

### When it is red
Models read what the store has. The log names keys, features and causes.

* **exit code 65**: keys are served otherwise than published. *failed write*: the store has an older row, none, or one
  that should be gone. *type coercion*, *definition changed*, *written by others*: somebody or something else has
  written the view. By hand, `publish_features --full` writes every row again.
* **exit code 64**: Feast is pointed at a store that only Feast can read, such as a Redis Cluster. Pause this DAG.
* **exit code 66**: the table was never published to this store. Run its `publish_…`.
* **exit code 75 or 1**: the store does not answer, or a crash; retried already. Clear the task.

*late data*, *ttl* and *taken down* are no failures: what has not been published yet, what is too old, what was removed.

### Run it yourself
* **Trigger**: how many keys.
* By hand:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/check_online.py --table track_popularity_v1
```
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param

from content_signals.catalog import catalog
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.jobs import spark_job
from content_signals.orchestration.paths import job_paths

with signals_dag(
    "check_consistency",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["check"],
    schedule=CronTriggerTimetable("0 5 * * *", timezone="UTC"),
    max_active_runs=1,
    params={
        "sample": Param(
            1000, type="integer", minimum=1, title="Keys", description="Of each table, and of the store's view of it."
        )
    },
):
    for contract in catalog().tables:
        if contract.serve:
            spark_job(
                "check_online",
                ["--table", contract.table, "--sample={{ params['sample'] }}"],
                job_paths(os.environ),
                task_id=f"check_{contract.table}",
                execution_timeout=timedelta(hours=1),
            )
