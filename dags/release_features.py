"""Have models read another version of a family, or the one before again.

Nothing starts it but its form. `release` moves the service of the family's own name, and every service with the tag
`follow=live` that reads the family, in one commit of the registry each: readers follow within a second, none reads a
mixture. A model whose service pins its versions is not touched. Who, why and when are kept with the services.

### When it is red
Nothing was moved; models read what they read.

* **exit code 64**: the version is live already, there is none of that number, or a service that follows live reads a
  feature which the version does not have. The message says which. Mend the contract or the service, trigger it again.
* **exit code 65**: the online store does not hold the version. Run `publish_` of that table first.
* **exit code 75 or 1**: the registry or the store does not answer, or a crash; retried already. Clear the task.

### Run it yourself
* **Trigger**: the family, the version (empty: the one before), and why.
* By hand:

```
source .venv/jobs/bin/activate
content-signals features flip track_popularity --to 2 --reason "better on the golden set"
content-signals features rollback track_popularity --reason "worse in the experiment"
```
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import Param

from content_signals.catalog import catalog
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.jobs import python_job
from content_signals.orchestration.paths import job_paths

FAMILIES = sorted({table.family for table in catalog().tables if table.serve})

with signals_dag(
    "release_features",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["release"],
    schedule=None,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={
        "family": Param(type="string", enum=FAMILIES, title="Family", description="Whose live version moves."),
        "version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Version",
            description="The version that shall be live. Empty: back to the one before the last flip.",
        ),
        "reason": Param(
            type="string", minLength=10, title="Reason", description="Why; kept with the services that move."
        ),
    },
):
    python_job(
        "release_features",
        [
            "--family={{ params['family'] }}",
            "{{ '--rollback' if params['version'] is none else '--to=' ~ params['version'] }}",
            "--reason={{ params['reason'] }}",
            "--by={{ dag_run.triggering_user_name or 'Airflow' }}",
        ],
        job_paths(os.environ),
        execution_timeout=timedelta(minutes=10),
    )
