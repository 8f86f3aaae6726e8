"""The Spark session of a job, the same under spark-submit, plain Python and pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

# Below this many rows planning costs more than the work it plans.
SMALL_ROWS = 1_000_000
_SMALL = {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1"}

PROPERTIES = Path(__file__).resolve().parents[2] / "conf" / "spark.conf"

# What results depend on, whoever started Spark and with whichever properties; all else is in conf/spark.conf.
INVARIANTS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # INT96, the default, leaves no minimum and maximum in the footers that promote reads.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A rerun writes a folder of its own; overwriting by partition is promote's business.
    "spark.sql.sources.partitionOverwriteMode": "static",
}


def spark_session(name: str) -> SparkSession:
    """The session of this process, made when there is none.

    spark-submit takes `--properties-file conf/spark.conf`; plain Python gets the same file from here, because memory
    and class-data archive can only be given before the JVM starts.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"--properties-file {PROPERTIES} pyspark-shell")
    session = SparkSession.builder.appName(name).getOrCreate()
    for key, value in INVARIANTS.items():
        session.conf.set(key, value)
    return session


def workers(session: SparkSession) -> int:
    """Tasks that run at a time."""
    return int(session.sparkContext.defaultParallelism)


@contextmanager
def sized_for(session: SparkSession, rows: int) -> Iterator[None]:
    """For few rows: one shuffle partition and no adaptive planning, for as long as the block lasts."""
    before = {key: session.conf.get(key) or "" for key in _SMALL}
    if rows < SMALL_ROWS:
        for key, value in _SMALL.items():
            session.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            session.conf.set(key, value)
