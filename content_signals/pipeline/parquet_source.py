"""Undated Parquet landing files: each day keeps what the file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from content_signals.contract import DAY, SHA256, Source
from content_signals.pipeline.landing import LandingFile, check_parquet
from content_signals.pipeline.parsed import Parsed, family


def check(file: LandingFile) -> None:
    """Refuse an unreadable file, or one that lacks a column, before any work starts."""
    check_parquet(file, family(file.source).EXPECTED)


def parse(spark: SparkSession, source: Source, files: Mapping[date, str]) -> Parsed:
    """Parse the file once and hand each day what it holds of it; a malformed row counts on every day."""
    path = next(iter(files.values()))
    raw = spark.read.parquet(path)
    numbered = raw.select(
        *family(source).EXPECTED,
        F.to_json(F.struct(*raw.columns)).alias("raw"),
        F.col("_metadata.row_index").alias("row"),
    )
    parsed = family(source).parse(numbered)
    bad = F.col("_reason").isNotNull()
    counted = parsed.agg(F.count(F.lit(1)).alias("lines"), F.count_if(bad).alias("malformed")).collect()[0]
    every_day = F.explode(F.array(*[F.lit(day) for day in files])).alias(DAY)
    rows = parsed.where(~bad).select(*source.values, every_day)
    if known_on_day := getattr(family(source), "known_on_day", None):
        rows = known_on_day(rows)
    aside = parsed.where(bad).select(
        every_day,
        F.lit(path).alias("file"),
        (F.col("row") + 1).alias("line_number"),
        "raw",
        F.col("_reason").alias("reason"),
    )
    good = {row[DAY]: row["count"] for row in rows.groupBy(DAY).count().collect()}
    return Parsed(
        rows,
        aside,
        {day: good.get(day, 0) + counted["malformed"] for day in files},
        dict.fromkeys(files, counted["malformed"]),
        file_lines=dict.fromkeys(files, counted["lines"]),
        contents=parsed.where(~bad).select(*source.key, SHA256, *(c.name for c in source.contents))
        if source.contents
        else None,
    )
