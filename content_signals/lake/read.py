"""Rows of a table's promoted days, as a Spark frame.

The files of one snapshot are read as plain Parquet: what was recorded as input and what is read are then the same
files, and no JVM-side Delta log has to be loaded. Columns a file does not have yet read null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from content_signals.contract import DAY
from content_signals.errors import Temporary
from content_signals.lake.snapshot import Snapshot

_BIG_DAY_BYTES = 16 << 20
_MAX_DAYS_APART = 64


def read_days(spark: SparkSession, snapshot: Snapshot, days: Iterable[date] | None = None) -> DataFrame:
    """The promoted rows of some days, or of all.

    Raises:
        Temporary: when the table does not exist yet.
    """
    if snapshot.schema_json is None:
        raise Temporary(
            f"{snapshot.table.name}: no day has been promoted yet", next_step="build it, then run this again"
        )
    schema = StructType.fromJson(json.loads(snapshot.schema_json))
    wanted = None if days is None else set(days)
    chosen = {day: files for day, files in snapshot.files_by_day.items() if wanted is None or day in wanted}
    if not _are_big([sum(file.size for file in files) for files in chosen.values()]):
        return read_files(spark, schema, snapshot.files(chosen))
    return reduce(DataFrame.unionByName, [_read_day(spark, schema, day, snapshot.files([day])) for day in chosen])


def with_columns(rows: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """The rows with these columns, null where there were none: a contract may be ahead of its table."""
    missing = {name: F.lit(None).cast(kind) for name, kind in types.items() if name not in rows.columns}
    return rows.withColumns(missing) if missing else rows


def read_files(spark: SparkSession, schema: StructType, files: list[str]) -> DataFrame:
    """Parquet files of a table whose paths carry the day as `ds=…`, read as `schema`."""
    if not files:
        return spark.createDataFrame([], schema)
    after = F.substring_index(F.col("_metadata.file_path"), f"/{DAY}=", -1)  # cheaper than a pattern
    return _read(spark, schema, files, F.to_date(F.substring(after, 1, 10)))


def _read_day(spark: SparkSession, schema: StructType, day: date, files: list[str]) -> DataFrame:
    return _read(spark, schema, files, F.lit(day))


def _read(spark: SparkSession, schema: StructType, files: list[str], day: Column) -> DataFrame:
    inner = StructType([field for field in schema.fields if field.name != DAY])
    return spark.read.schema(inner).parquet(*files).withColumn(DAY, day).select(*schema.fieldNames())


def _are_big(sizes: list[int]) -> bool:
    """Whether to read each day by itself, its `ds` a constant.

    Making `ds` of a path costs something for each row; a day that is read by itself is at least one task, and
    lengthens the plan.
    """
    return 0 < len(sizes) <= _MAX_DAYS_APART and sum(sizes) / len(sizes) >= _BIG_DAY_BYTES
