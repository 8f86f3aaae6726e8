"""Files of events, one a day, JSON lines or Parquet: parsed, de-duplicated and staged in one pass over the input.

The pass reads every row once, moves it once (to the rows of its day and of its range of keys) and writes it once.
Malformed rows travel along, each with a key of its own, into files beside the staged ones; counts and quarantine are
taken from these few. The only other things done to the input are counting (the lines of text files, without parsing
them, and the footers of Parquet files) and, for many rows, drawing some keys to find the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import reduce

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import DAY, RUN_ID, Source
from content_signals.lake.files import filesystem, size_of
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.ranges import PLACE, Ranges, ranges_of, sample_share
from content_signals.lake.read import read_files
from content_signals.lake.session import SMALL_ROWS, sized_for, workers
from content_signals.lake.stage import ASIDE, Stage, aside_files, stage_files
from content_signals.pipeline.landing import LandingFile, check_not_empty, check_parquet
from content_signals.pipeline.parsed import Parsed, family
from content_signals.sources.lines import BLOCK, MARK, RAW, day_of, number, read_lines, readable
from content_signals.windows import dedup

_PARQUET = ".parquet"
_WHY = "_why"  # of a malformed row: its text, what is wrong with it, and where it stood
_SET_ASIDE = f"{_WHY} struct<raw: string, reason: string, {BLOCK}: bigint, {MARK}: bigint>, {DAY} date"
_PLACES = f"{DAY} date, {BLOCK} bigint, _first_mark bigint, _lines_before bigint, file string"
_ISO = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}

_LONGEST_DRAWN = 10_000
_DRAWN_BYTES = 4_000_000  # of all text files together, as they lie on disk

_Place = tuple[date, int, int, int, str]
_Line = tuple[date, str]


def check(file: LandingFile) -> None:
    """Refuse an empty or unreadable file, or one that lacks a column, before any work starts."""
    if file.path.endswith(_PARQUET):
        check_parquet(file, family(file.source).EXPECTED)
    else:
        check_not_empty(file)


def read_through(spark: SparkSession, source: Source, path: str) -> None:
    """Read a file to its end and keep nothing: what is damaged in it raises."""
    frame = _typed(spark, source, [path]) if path.endswith(_PARQUET) else spark.read.text(path)
    frame.write.format("noop").mode("overwrite").save()


def parse(spark: SparkSession, source: Source, files: Mapping[date, str], table: LakeTable, run: Run) -> Parsed:
    """Parse each day's file in one pass, which stages the days too."""
    texts, tables = _by_format(files)
    lines, places, drawn = _count_lines(spark, texts)
    for day, path in tables.items():
        opened, inner = filesystem(path)
        lines[day] = pq.read_metadata(inner, filesystem=opened).num_rows
        places.append((day, 0, 0, 0, path))
    ranges = _ranges(spark, source, tables, lines, drawn)
    with sized_for(spark, sum(lines.values())):
        rows = events(spark, source, files, ranges)
        named = rows.select(*source.values, F.lit(run.run_id).alias(RUN_ID), _WHY, DAY, ASIDE)
        stages = stage_files(table, named, list(files), run, {}, source.key, laid_out=ranges is not None)
    aside = _aside(spark, aside_files(table, list(files), run), places)
    counted = {row[DAY]: row["count"] for row in aside.groupBy(DAY).count().collect()}
    malformed = {day: counted.get(day, 0) for day in files}
    return Parsed(None, aside, lines, malformed, _by_day(stages))


def events(spark: SparkSession, source: Source, files: Mapping[date, str], ranges: Ranges | None = None) -> DataFrame:
    """The events of each day, one row a key, and every malformed row, told apart by `_aside`.

    Args:
        ranges: lay the rows out by them, in the order of the key.
    """
    # Without an order only rows that are equal in everything are one.
    key = source.key if source.order_by else (*source.key, *(n for n in source.values if n not in source.key))
    rows = _rows(spark, source, files)
    if ranges is None:
        return dedup(rows, (*key, DAY, ASIDE), source.order_by)
    return dedup(ranges.lay_out(rows), (*key, DAY, ASIDE, PLACE), source.order_by).drop(PLACE)


def _ranges(
    spark: SparkSession, source: Source, tables: Mapping[date, str], lines: Mapping[date, int], drawn: list[_Line]
) -> Ranges | None:
    """How the rows are laid out, None when they are few.

    Args:
        tables: the Parquet files.
        drawn: some lines of the text files.
    """
    total, key = sum(lines.values()), source.key[0]
    if total < SMALL_ROWS:
        return None
    keys = []
    if drawn:
        parsed = family(source).parse(spark.createDataFrame(drawn, f"{DAY} date, {RAW} string"))
        keys.append(parsed.where("_reason IS NULL").select(key))
    if tables:
        keys.append(_typed(spark, source, list(tables.values())).sample(sample_share(total), 0).select(key).dropna())
    sample = [row[0] for frame in keys for row in frame.collect()]
    return ranges_of(list(lines), key, sample, max(lines.values()), 2 * workers(spark))


def _rows(spark: SparkSession, source: Source, files: Mapping[date, str]) -> DataFrame:
    """`ds`, the source's columns, `_aside`, `_why` of every row of the files."""
    texts, tables = _by_format(files)
    parts = []
    if texts:
        lines = family(source).parse(read_lines(spark, texts))
        parts.append(_told_apart(source, lines, readable()))
    if tables:
        typed = _typed(spark, source, list(tables.values()))
        placed = typed.select(
            day_of(tables).alias(DAY),
            *source.values,
            F.lit(0).cast("long").alias(BLOCK),
            F.col("_metadata.row_index").alias(MARK),
        )
        parts.append(_told_apart(source, family(source).check(placed), F.to_json(F.struct(*source.values), _ISO)))
    return reduce(DataFrame.unionByName, parts)


def _told_apart(source: Source, rows: DataFrame, raw: Column) -> DataFrame:
    """A malformed row keeps nothing but why it is one, and gets a key that no other row of its day has.

    Its mark is the key.
    """
    bad = F.col("_reason").isNotNull()
    why = F.struct(raw.alias("raw"), F.col("_reason").alias("reason"), BLOCK, MARK)
    values = [
        F.when(~bad, F.col(c.name)).otherwise(F.col(MARK).cast(c.type) if c.name == source.key[0] else None)
        for c in source.columns
    ]
    named = [value.alias(name) for name, value in zip(source.values, values, strict=True)]
    return rows.select(DAY, *named, bad.alias(ASIDE), F.when(bad, why).alias(_WHY))


def _typed(spark: SparkSession, source: Source, paths: list[str]) -> DataFrame:
    schema = ", ".join(f"{c.name} {c.type}" for c in source.columns)
    # Where pages have checksums a damaged one is found even if it can still be decoded.
    return spark.read.schema(schema).option("parquet.page.verify-checksum.enabled", "true").parquet(*paths)


def _count_lines(spark: SparkSession, files: Mapping[date, str]) -> tuple[dict[date, int], list[_Place], list[_Line]]:
    """Lines of each day's text file, which lines of it each block holds, and some of the lines, from everywhere."""
    lines: dict[date, int] = dict.fromkeys(files, 0)
    places: list[_Place] = []
    drawn: list[_Line] = []
    if not files:
        return lines, places, drawn
    every = max(1, sum(map(size_of, files.values())) // _DRAWN_BYTES)
    # A line may be the whole of a damaged file: it shall not come to the driver.
    is_drawn = (F.pmod(MARK, F.lit(every)) == 0) & (F.length(RAW) < _LONGEST_DRAWN)
    counted = (
        read_lines(spark, files)
        .groupBy(DAY, BLOCK)
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.min(MARK).alias("mark"),
            F.collect_list(F.when(is_drawn, F.col(RAW))).alias("drawn"),
        )
        .orderBy(DAY, BLOCK)
        .collect()  # one row per file and block: as many as there are tasks
    )
    for block in counted:
        places.append((block[DAY], block[BLOCK], block["mark"], lines[block[DAY]], files[block[DAY]]))
        lines[block[DAY]] += block["lines"]
        drawn += [(block[DAY], line) for line in block["drawn"]]
    return lines, places, drawn


def _aside(spark: SparkSession, paths: list[str], places: list[_Place]) -> DataFrame:
    """The malformed rows, with the line of the file each stood on."""
    where = F.broadcast(spark.createDataFrame(places, _PLACES))
    rows = read_files(spark, spark.createDataFrame([], _SET_ASIDE).schema, paths).select(DAY, f"{_WHY}.*")
    placed = rows.join(where, on=[DAY, BLOCK], how="inner")
    return placed.select(DAY, "file", number().alias("line_number"), "raw", "reason")


def _by_format(files: Mapping[date, str]) -> tuple[dict[date, str], dict[date, str]]:
    """The text files, and the Parquet files."""
    texts = {day: path for day, path in files.items() if not path.endswith(_PARQUET)}
    return texts, {day: path for day, path in files.items() if day not in texts}


def _by_day(stages: list[Stage]) -> dict[date, Stage]:
    return {date.fromisoformat(stage.day): stage for stage in stages}
