"""Rows of a table's promoted days, as a Spark frame.

The files of one snapshot are read as plain Parquet: what was recorded as input and what is read are then the same
files, and no JVM-side Delta log has to be loaded. Columns a file does not have yet read null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from content_signals.contract import DAY
from content_signals.errors import Temporary
from content_signals.lake.snapshot import Snapshot


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
    return read_files(spark, schema, snapshot.files(days))


def read_files(spark: SparkSession, schema: StructType, files: list[str]) -> DataFrame:
    """Parquet files of a table whose paths carry the day as `ds=…`, read as `schema`."""
    if not files:
        return spark.createDataFrame([], schema)
    inner = StructType([field for field in schema.fields if field.name != DAY])
    day = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), rf"{DAY}=(\d{{4}}-\d{{2}}-\d{{2}})", 1))
    frame = spark.read.schema(inner).parquet(*files).withColumn(DAY, day)
    return frame.select(*[field.name for field in schema.fields])
