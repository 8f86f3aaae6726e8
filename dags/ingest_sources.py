"""Take each day's landing files into the source tables, as soon as they land.

Runs at midnight UTC for the day before. Each source has a group of its own: `wait` looks for the day's file every five
minutes and holds no slot; `ingest` parses it into the source table, de-duplicates it, sets malformed rows aside in
`quarantine/`, and judges the day by the source's suite; `announce` starts the tables made from it. A day that waits
does not hold up other days or sources. `ingest` may take an hour, of a folder of files, whose new files are all read, a
day. A source whose files never land here is left out by the setting `sources`.

### When a task is red
* **`wait`**: the file had not landed when the day was due. The message names the paths and the deadline, and the
  owner has an alert, unless the day was long past when somebody asked for it. Ask the sender; once the file is there,
  clear the task: everything after it follows.
* **`ingest`, exit code 65**: the file breaks its contract (wrong header, truncated gzip, too many malformed rows). The
  message names file, line and columns; rows set aside lie in `<lake>/quarantine/<source>`. It is not retried: have the
  file landed again, then clear the task.
* **`ingest`, exit code 65, a rule**: the day is stopped by `expectations/<source>.json`. The message has observed and
  allowed; `content-signals quarantine SOURCE --day D` shows rows that break rules. Have the file landed again, or mend
  the rule, then clear the task. To let the day through as it is: the command that the message ends with, then trigger
  the `build_` DAGs for the day. Do not clear `ingest` after that: it would judge the day again.
* **`ingest`, exit code 66**: the file has gone since `wait` saw it. As for `wait`.
* **`ingest`, exit code 75 or 1**: a store that does not answer, or a crash; retried already. Read the log, mend the
  cause, clear the task.

Until then the tables keep the days promoted before, and nothing downstream starts for this day. Ingesting a day again
replaces it: it is always safe.

### Run it yourself
* One day: **Trigger**, and pick the day and the sources.
* Many days: **Trigger → Backfill**, from the first to the last day.
* Nothing is built after it? Look whether the `build_` DAG is paused: what is announced to a paused DAG is lost. Run the
  day again once it is unpaused.
* A day that was corrected after tables were built from it: ingest it, then see `content-signals stale`.
* By hand:

```
source .venv/jobs/bin/activate
spark-submit --properties-file conf/spark.conf jobs/ingest_source.py --source playlist_positions_v1 --day 2020-03-01
```
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import CronPartitionTimetable, TaskGroup

from content_signals.catalog import catalog
from content_signals.orchestration.alerts import FailureAlert
from content_signals.orchestration.assets import announce, outlets
from content_signals.orchestration.defaults import PROJECT_OWNER, signals_dag
from content_signals.orchestration.forms import choice_field, day_field
from content_signals.orchestration.jobs import for_day, spark_job
from content_signals.orchestration.landing import LandingSensor
from content_signals.orchestration.partition import DAY, KEY_FORMAT
from content_signals.orchestration.paths import job_paths
from content_signals.settings import load_settings

SETTINGS = load_settings()
SOURCES = catalog().chosen_sources(SETTINGS.sources)
NAMES = [source.table for source in SOURCES]
PATHS = job_paths(os.environ)
# All that is new in a folder is read to its end to take its hash; of files that grow by the day that is little, of an
# archive's first day it is everything, and a run that is ended keeps none of it.
WITHIN = {"folder": timedelta(hours=24)}

with signals_dag(
    "ingest_sources",
    __doc__,
    owner=PROJECT_OWNER,
    tags=["ingest"],
    # At midnight: a backfill over a schedule at any other hour leaves out its last day.
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format=KEY_FORMAT)
    if SETTINGS.daily
    else None,
    # A late day stays open until it is due; the days after it go on meanwhile.
    max_active_runs=8,
    params={
        "day": day_field(),
        "sources": choice_field(NAMES, "Sources", "Which sources to ingest; the others are skipped.", chosen=NAMES),
    },
):
    for source in SOURCES:
        of_source = {"owner": source.owner, "on_failure_callback": [FailureAlert(source.table)]}
        with TaskGroup(source.table, default_args=of_source, tooltip=source.about):
            wait = LandingSensor(
                task_id="wait", source=source, landing=SETTINGS.landing, day=DAY, poke_interval=timedelta(minutes=5)
            )
            ingest = spark_job(
                "ingest_source",
                for_day("--source", source.table),
                PATHS,
                execution_timeout=WITHIN.get(source.format, timedelta(hours=1)),
            )
            wait >> ingest >> announce(outlets(source), DAY)
