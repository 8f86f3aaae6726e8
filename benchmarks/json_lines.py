"""JSON lines to a source table, parsed and checked: DuckDB's reader beside the ingest of this project."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession

from benchmarks.sides import Step
from content_signals.lake.layout import LakeTable, start_run
from content_signals.pipeline.event_source import parse
from content_signals.sources.play_events.contract import PLAY_EVENTS_V1
from content_signals.sources.play_events.parse import KINDS, LATE_DAYS

INGESTING = "JSON lines to source table, parsed and checked"

_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "timestamp": "TIMESTAMPTZ"}


def ingest_step(con: duckdb.DuckDBPyConnection, spark: SparkSession, events: Path, days: list[date]) -> Step:
    """Both sides keep the rows that parse, one of each event, by day, sorted by its key."""
    files = {day: str(events / f"{day}.jsonl") for day in days}

    def floor(out: Path) -> None:
        con.execute(f"COPY ({_table_sql(events)}) TO '{out}' (FORMAT parquet, PARTITION_BY ds)")

    def ours(out: Path) -> None:
        spark.sparkContext.setJobDescription(INGESTING)
        table = LakeTable(PLAY_EVENTS_V1.table, str(out), str(out / "_runs"))
        parse(spark, PLAY_EVENTS_V1, files, table, start_run())

    return Step(INGESTING, 3.0, floor, ours, kept="data/*/*/_aside=false/*.parquet")


def _table_sql(events: Path) -> str:
    columns = {c.name: _TYPES[c.type] for c in PLAY_EVENTS_V1.columns}
    # Copies of an event differ in their arrival alone.
    others = ", ".join(f"any_value({n}) AS {n}" for n in columns if n not in ("track_id", "event_id", "ingest_ts"))
    return f"""
        WITH lines AS (
            SELECT *, parse_filename(filename, true)::DATE AS ds
            FROM read_json('{events}/*.jsonl', format = 'newline_delimited', columns = {columns},
                           ignore_errors = true, filename = true)),
        good AS (
            FROM lines
            WHERE trim(event_id) <> '' AND trim(track_id) <> '' AND kind IN {KINDS} AND user_id IS NOT NULL
              AND ms_played >= 0 AND ingest_ts::DATE = ds AND event_ts::DATE BETWEEN ds - {LATE_DAYS} AND ds)
        SELECT ds, track_id, event_id, min(ingest_ts) AS ingest_ts, {others}
        FROM good GROUP BY ds, track_id, event_id ORDER BY ds, track_id, event_id"""
