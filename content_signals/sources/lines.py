"""Text files as frames of numbered lines, without reading a whole file in one place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

# Columns of a frame of lines.
RAW, FILE, BLOCK, MARK = "_raw", "_file", "_block", "_mark"


def read_lines(spark: SparkSession, files: Mapping[date, str]) -> DataFrame:
    """`ds`, `_raw`, `_file`, `_block` and `_mark` of every line of each day's file, header included.

    A line ends at a line feed; a carriage return before it belongs to the end. Within a block of a file, marks rise by
    one a line; `number` turns them into line numbers.
    """
    text = spark.read.option("lineSep", "\n").text(list(files.values()))
    # Only where there is one: to trim walks through every line from its end. Bytes that are not UTF-8 stay as they
    # are, for `parse` to see.
    line = F.when(F.endswith("value", F.lit("\r")), F.expr(r"trim(TRAILING '\r' FROM value)")).otherwise(F.col("value"))
    return text.select(
        day_of(files).alias("ds"),
        line.alias(RAW),
        F.col("_metadata.file_path").alias(FILE),
        F.col("_metadata.file_block_start").alias(BLOCK),
        F.monotonically_increasing_id().alias(MARK),
    )


def day_of(files: Mapping[date, str]) -> Column:
    """The day of the file a row was read from."""
    by_name = F.create_map(*[F.lit(value) for day, path in files.items() for value in (path.rsplit("/", 1)[-1], day)])
    return F.element_at(by_name, F.col("_metadata.file_name"))


def readable() -> Column:
    """The line as a table can keep it, in UTF-8; one that is not as the hexadecimal of its bytes."""
    return F.when(F.is_valid_utf8(RAW), F.col(RAW)).otherwise(F.concat(F.lit("0x"), F.hex(F.col(RAW).cast("binary"))))


def number() -> Column:
    """Line number, 1 for the header, of lines joined with their block's `_first_mark` and `_lines_before`."""
    return F.col(MARK) - F.col("_first_mark") + F.col("_lines_before") + 1
