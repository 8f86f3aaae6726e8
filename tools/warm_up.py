"""A small Spark job that touches what every job touches: a session, Parquet and Delta, written and read.

Set-up runs it once and has the JVM keep the classes that it loaded (a class-data archive), so that later jobs need not
load and verify them again. Run as a job of its own it is a quick check of the Spark set-up:

    spark-submit --properties-file conf/spark.conf tools/warm_up.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

ROWS = 1_000


def warm_up(spark: SparkSession, folder: Path) -> int:
    """Write, read, aggregate, join and window a little data; return the number of rows that came back."""
    rows = spark.range(ROWS).select(
        F.concat(F.lit("key-"), F.col("id").cast("string")).alias("key"),
        F.date_add(F.lit("2024-01-01").cast("date"), (F.col("id") % 3).cast("int")).alias("ds"),
        (F.col("id") % 7).alias("value"),
        F.current_timestamp().alias("computed_at"),
    )
    parquet, delta = str(folder / "parquet"), str(folder / "delta")
    rows.write.parquet(parquet)
    rows.write.format("delta").partitionBy("ds").save(delta)
    per_key = spark.read.parquet(parquet).groupBy("key").agg(F.sum("value").alias("total"), F.countDistinct("value"))
    back = spark.read.format("delta").load(delta).where("ds >= DATE'2024-01-01'").join(per_key, "key")
    return back.where(F.col("total") >= 0).orderBy("key").count()


def main() -> None:
    """Run the warm-up in a temporary folder and fail if a row is missing."""
    spark = SparkSession.builder.appName("warm-up").getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        found = warm_up(spark, Path(folder))
    spark.stop()
    if found != ROWS:
        raise SystemExit(f"warm-up: wrote {ROWS} rows and read {found}")
    print(f"warm-up: {found} rows written to and read from Parquet and Delta")


if __name__ == "__main__":
    main()
