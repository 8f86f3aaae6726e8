"""Days of `playlist_changes` staged as extract stages them, and rules of a test's own to judge them by."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from content_signals.lake.layout import start_run
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage, write_stage
from content_signals.pipeline.context import Context
from tests.quality_judged import conf

DAY = date(2020, 3, 1)
GOOD = [("P", f"t{n:03}", "added" if n % 3 else "removed") for n in range(297)]
KEYS = ("playlist", "track_id")
STAMPS = "event_ts timestamp, computed_at timestamp, run_id string, ds date"


def stage_changes(
    spark: SparkSession, context: Context, rows: list[Any], day: date = DAY, *, more: str = "", files: int = 1
) -> Stage:
    """Stage some rows: playlist, track, change, and values of the columns that `more` declares."""
    run, table = start_run(), context.catalog.table("playlist_changes")
    full = [(*row, run.now, run.now, run.run_id, day) for row in rows]
    schema = f"playlist string, track_id string, change string, {more}{STAMPS}"
    frame = spark.createDataFrame(full, schema)
    with conf(spark, {"spark.sql.adaptive.enabled": "false"}):  # so that a small day lies in several files
        return write_stage(context.lake.of(table), frame.repartition(files), [day], run, {}, table.keys)[0]


def rows_of(spark: SparkSession, table: Any, day: date = DAY, columns: Any = (*KEYS, "change")) -> list[Any]:
    """The promoted rows of a day, sorted."""
    found = read_days(spark, Snapshot(table), [day]).select(*columns).collect()
    return sorted((tuple(row) for row in found), key=str)


def rule(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    """A rule of a suite."""
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity, "meta": {"notes": "for a test"}}


def in_set(*changes: str, **more: Any) -> dict[str, Any]:
    """What a change may be."""
    return rule("column_values_to_be_in_set", column="change", value_set=list(changes), **more)


def suite(*rules: dict[str, Any]) -> dict[str, Any]:
    """A suite of these rules."""
    return {"name": "playlist_changes_v1", "expectations": list(rules)}


NO_NULL = rule("column_values_to_not_be_null", column="track_id")
UNIQUE = rule("compound_columns_to_be_unique", column_list=list(KEYS))
