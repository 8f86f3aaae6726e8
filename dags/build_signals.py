"""Build TABLE for one day: extract, validate, promote, announce.

ABOUT

Started by DRIVER, when a day of it is promoted. `extract` computes the day into staged files that no reader sees;
`validate` judges them by the rules in `expectations/TABLE.json`; `promote` makes the whole day visible in one commit;
`announce` starts whatever is made from it. All three jobs carry the same run id, and so do their retries. `ask` is
skipped unless rules have stopped the day.

### When a task is red
Until the day is promoted readers see what was promoted before: a failure never leaves half a day behind.

* **`extract` up for retry, exit code 75**: an input has no such day yet. It is tried again, ever more slowly, until the
  day is late; a day that is late already is tried for half an hour. Nothing to do here; look at the input's own DAG.
* **`extract`, exit code 66**: DRIVER has no rows for the day: it never landed. Ingest the day first.
* **`validate`, exit code 65**: rules have stopped the day. The message names them, what was observed and what is
  allowed. Not retried. See `content-signals quarantine TABLE --day …`, and `verdict.json` and
  `validation_result.json` under `<lake>/_runs/TABLE/<day>/`. Either mend the source or the rule, then clear `extract`
  and what follows; or let the day through as it is: `ask` has started a run of `approve_TABLE`, which waits for an
  answer under **Required Actions**. This run stays red all the same.
* **`promote`, exit code 65**: another run has taken the day over, or the staged files are not the judged ones. Nothing
  was changed. Look at the other run; if its rows are not the ones you want, clear `extract` and what follows.
* **any, exit code 64**: the call is wrong, most often the day. Trigger it again with a proper day.
* **any, exit code 75 or 1**: a store that does not answer, or a crash; retried already. Read the log, mend the cause,
  clear the task.

### Run it yourself
* One day: **Trigger**, and pick the day.
* Many days, and everything made from them: the DAG `rebuild_signals`. To ingest them too: backfill `ingest_sources`.
* What happened: `content-signals runs TABLE --day 2020-03-01`. What is out of date: `content-signals stale`.
* By hand:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/extract_signals.py --table TABLE --day 2020-03-01
spark-submit --properties-file conf/spark.conf jobs/validate_signals.py --table TABLE --day 2020-03-01
python jobs/promote_signals.py --table TABLE --day 2020-03-01
```
"""

from __future__ import annotations

import os

from airflow.sdk import PartitionedAssetTimetable

from content_signals.catalog import catalog
from content_signals.contract import Table
from content_signals.orchestration.assets import table_asset
from content_signals.orchestration.build_tasks import build_tasks
from content_signals.orchestration.builds import Build, build_of
from content_signals.orchestration.defaults import signals_dag
from content_signals.orchestration.forms import day_field
from content_signals.orchestration.paths import JobPaths, job_paths


def build_dag(table: Table, build: Build, page: str, paths: JobPaths) -> None:
    """One table's DAG."""
    page = page.replace("TABLE", table.table).replace("DRIVER", table.driver.table).replace("ABOUT", table.about)
    with signals_dag(
        build.dag_id,
        page,
        owner=table.owner,
        table=table.table,
        tags=["build", table.family],
        schedule=PartitionedAssetTimetable(assets=table_asset(table.driver.table)),
        # Nothing here starts by the clock, and what is announced to a paused DAG is lost.
        is_paused_upon_creation=False,
        # A day that waits for an input stays open; other days go on meanwhile.
        max_active_runs=8,
        params={"day": day_field()},
    ):
        build_tasks(table, build, paths)


for contract in catalog().tables:
    where = build_of(contract)
    if not where.group:
        build_dag(contract, where, __doc__, job_paths(os.environ))
