"""CSV landing files, one a day, through the family's `parse`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from content_signals.contract import DAY, Source
from content_signals.pipeline.landing import LandingFile, check_header
from content_signals.pipeline.parsed import Parsed, family
from content_signals.sources.lines import BLOCK, FILE, MARK, number, read_lines, readable

_BLOCKS = T.StructType(
    [
        T.StructField(FILE, T.StringType()),
        T.StructField(BLOCK, T.LongType()),
        T.StructField("_first_mark", T.LongType()),
        T.StructField("_lines_before", T.LongType()),
    ]
)


def check(file: LandingFile) -> None:
    """Refuse a file with a wrong or missing header before any work starts."""
    check_header(file, family(file.source).HEADER)


def parse(spark: SparkSession, source: Source, files: Mapping[date, str]) -> Parsed:
    """Parse each day's file in one pass. The header is neither counted nor malformed."""
    parsed = family(source).parse(read_lines(spark, files))
    bad = F.col("_reason").isNotNull()
    blocks = (
        parsed.groupBy(DAY, FILE, BLOCK)
        .agg(F.count(F.lit(1)).alias("lines"), F.count_if(bad).alias("malformed"), F.min(MARK).alias("mark"))
        .orderBy(FILE, BLOCK)
        .collect()  # one row per file and block: as many as there are tasks
    )
    lines, malformed = dict.fromkeys(files, 0), dict.fromkeys(files, 0)
    placed = []
    for block in blocks:
        placed.append((block[FILE], block[BLOCK], block["mark"], lines[block[DAY]]))
        lines[block[DAY]] += block["lines"]
        malformed[block[DAY]] += block["malformed"]
    # The header was checked; it is one line of each file, and never a good row.
    lines = {day: max(count - 1, 0) for day, count in lines.items()}
    malformed = {day: max(count - 1, 0) for day, count in malformed.items()}
    where = F.broadcast(spark.createDataFrame(placed, _BLOCKS))
    aside = (
        parsed.where(bad)
        .join(where, on=[FILE, BLOCK], how="inner")
        .select(
            DAY,
            F.regexp_replace(FILE, "^file:/+", "/").alias("file"),
            number().alias("line_number"),
            readable().alias("raw"),
            F.col("_reason").alias("reason"),
            *_hints(parsed),
        )
        .where("line_number > 1")
    )
    return Parsed(family(source).complete(parsed.where(~bad), aside), aside, lines, malformed)


def _hints(parsed: DataFrame) -> list[str]:
    """Columns by which the family tells what a malformed row belongs to; all begin with `_of_`."""
    return [name for name in parsed.columns if name.startswith("_of_")]
