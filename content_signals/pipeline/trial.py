"""A day built beside the lake: what an author looks at before submitting a change."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import Table
from content_signals.lake.layout import Lake
from content_signals.lake.read import read_days, read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import write_stage
from content_signals.pipeline.beside import import_beside
from content_signals.pipeline.context import Context
from content_signals.pipeline.extract import signals_of, stamped
from content_signals.quality.baseline import Baseline
from content_signals.quality.suite import read_suite
from content_signals.quality.verdict import Verdict

SAMPLE_PERCENT = 10


@dataclass(frozen=True)
class Difference:
    """How a tried day differs from the live one. `changed`: column -> rows whose value differs."""

    live_rows: int
    added: int
    removed: int
    changed: dict[str, int]


@dataclass(frozen=True)
class Trial:
    """A tried day: its rows, some of them, the verdict, and the difference to what is live (None: nothing is)."""

    rows: int
    examples: list[dict[str, object]]
    verdict: Verdict
    difference: Difference | None


def try_day(context: Context, spark: SparkSession, table: Table, day: date, *, sample: bool) -> Trial:
    """Build and judge a day in a temporary folder; the lake is only read.

    Args:
        sample: keep the keys whose hash falls into the first of ten buckets.
    """
    read_suite(table.table)  # before any work starts
    step = import_beside("content_signals.pipeline.validate")
    with tempfile.TemporaryDirectory(prefix="content-signals-try-") as folder:
        scratch = Lake(folder)
        extracted = signals_of(context, spark, table, [day], scratch)
        rows = stamped(context, table, extracted.signals)
        if sample:
            rows = _sampled(table, rows)
        stage = write_stage(scratch.of(table), rows, [day], context.run, extracted.inputs, table.keys)[0]
        context.say(f"{table.table} {day}: {stage.rows} rows built beside the lake")
        tried = read_files(spark, rows.schema, [f"{scratch.of(table).path}/{file.path}" for file in stage.files])
        # A sample is not like the days before it; a whole day is compared with those of the real lake.
        baseline = None if sample else Baseline(context.lake.of(table))
        verdict: Verdict = step().Judge(replace(context, lake=scratch), spark, table, baseline).judge(stage)
        difference = _difference(context, spark, table, day, tried, sample=sample)
        examples = [
            row.asDict() for row in tried.select(*table.keys, *table.values).orderBy(*table.keys).limit(3).collect()
        ]
    return Trial(stage.rows, examples, verdict, difference)


def _sampled(table: Table, rows: DataFrame) -> DataFrame:
    return rows.where(F.pmod(F.xxhash64(*table.keys), F.lit(100)) < SAMPLE_PERCENT)


def _difference(
    context: Context, spark: SparkSession, table: Table, day: date, tried: DataFrame, *, sample: bool
) -> Difference | None:
    snapshot = Snapshot(context.lake.of(table))
    if day not in snapshot.days:
        return None
    live = read_days(spark, snapshot, [day])
    live = _sampled(table, live) if sample else live
    shared = [name for name in table.values if name in live.columns]
    old = live.select(*table.keys, F.lit(True).alias("_live"), *[F.col(n).alias(f"_live_{n}") for n in shared])
    both = tried.select(*table.keys, F.lit(True).alias("_tried"), *shared).join(old, on=list(table.keys), how="full")
    met = F.col("_live").isNotNull() & F.col("_tried").isNotNull()
    counts = both.agg(
        F.count_if(F.col("_live").isNotNull()).alias("live"),
        F.count_if(F.col("_live").isNull()).alias("added"),
        F.count_if(F.col("_tried").isNull()).alias("removed"),
        *[F.count_if(met & ~F.col(n).eqNullSafe(F.col(f"_live_{n}"))).alias(n) for n in shared],
    ).collect()[0]
    changed = {name: counts[name] for name in shared if counts[name]}
    return Difference(counts["live"], counts["added"], counts["removed"], changed)
