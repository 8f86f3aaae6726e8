"""Publish TABLE to the online store, a day at a time.

Started when a day of TABLE is promoted, or when a rebuild has replaced some. `publish` brings the online store to the
newest promoted day, whichever day the run is about: it sends what differs from what the store says it holds, takes keys
that left away, reads a sample back through Feast, and writes a receipt to `<lake>/receipts/TABLE`.

### When it is red
Models go on reading the values published before; a client sees from the event timestamp how old they are.

* **exit code 75**: the online store or the registry does not answer, or rows do not read back as written; retried
  already. Start what is down (`make up` on one machine), then clear the task: it sends what is missing.
* **exit code 66**: the day is not promoted. See `build_TABLE`.
* **green, but `stale` in its report**: so many rows were not written because the store has newer ones, of another
  publication that ran beside this one.
* **exit code 64**: the call is wrong, most often the day. Trigger it again with a proper day.
* **exit code 1**: a crash; retried already. Read the log, mend the cause, clear the task.

### Run it yourself
* One day: **Trigger**, and pick the day.
* By hand, and what is served now:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/publish_features.py --table TABLE --day 2020-03-01
content-signals features get FAMILY --keys …
```
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import PartitionedAssetTimetable

from content_signals.catalog import catalog
from content_signals.contract import Table
from content_signals.orchestration.assets import publish_asset
from content_signals.orchestration.defaults import signals_dag
from content_signals.orchestration.forms import day_field
from content_signals.orchestration.jobs import for_day, spark_job
from content_signals.orchestration.paths import JobPaths, job_paths


def publish_dag(table: Table, page: str, paths: JobPaths) -> None:
    """One served table's DAG."""
    with signals_dag(
        f"publish_{table.table}",
        page.replace("TABLE", table.table).replace("FAMILY", table.family),
        owner=table.owner,
        table=table.table,
        tags=["publish", table.family],
        schedule=PartitionedAssetTimetable(assets=publish_asset(table.table)),
        # Nothing here starts by the clock, and what is announced to a paused DAG is lost.
        is_paused_upon_creation=False,
        # Two at once would both end right, newest wins; they would only send the same rows.
        max_active_runs=1,
        params={"day": day_field()},
    ):
        spark_job("publish_features", for_day("--table", table.table), paths, execution_timeout=timedelta(hours=1))


for contract in catalog().tables:
    if contract.serve:
        publish_dag(contract, __doc__, job_paths(os.environ))
