"""Build the index of chunks that searches read, from a promoted day.

Started when a day of a table about episodes is promoted, whose signals searches can be narrowed by; where its chunks
are not there yet the run does nothing, and where nothing has changed neither. `build` writes a new version of the index
beside the live one, compares what it finds with an exact search, and only then makes it the live one, in one commit of
the registry. The version that was live before is kept for a roll-back.

### When it is red
Searches go on answering from the version before. What is half made is made anew by the next run.

* **exit code 75**: the document store, the registry or the online store does not answer, or another run has been making
  a version for a quarter of an hour; Milvus Lite is open in one process at a time, so a search may hold it. Retried
  already; clear the task.
* **exit code 65**: chunks of several models, or an index that misses too many of the nearest chunks. See the log.
* **exit code 1**: a crash; retried already. Read the log, mend the cause, clear the task.

### Run it yourself
* One day: **Trigger**, and pick the day.
* By hand, and what there is:

```
source .venv/jobs/bin/activate
python jobs/build_search_index.py --day 2020-03-01
content-signals index list
content-signals search "how do goroutines talk to each other"
```
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.sdk import PartitionedAssetTimetable

from content_signals.catalog import catalog
from content_signals.orchestration.assets import table_asset
from content_signals.orchestration.builds import content_tables
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.forms import day_field
from content_signals.orchestration.jobs import python_job
from content_signals.orchestration.partition import DAY
from content_signals.orchestration.paths import job_paths
from content_signals.signals.entities import EPISODE

TABLES = [table for table in content_tables(catalog()) if table.serve and table.entity == EPISODE]

with signals_dag(
    "build_search_index",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["build", "content"],
    schedule=PartitionedAssetTimetable(assets=reduce(or_, (table_asset(table.table) for table in TABLES))),
    # Nothing here starts by the clock, and what is announced to a paused DAG is lost.
    is_paused_upon_creation=False,
    max_active_runs=1,
    params={"day": day_field()},
):
    python_job(
        "build_search_index",
        ["--day", DAY, "--skip-missing"],
        job_paths(os.environ),
        task_id="build",
        execution_timeout=timedelta(hours=6),
    )
