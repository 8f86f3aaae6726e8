"""Folders of files: each file is a row, told apart from what it was before by the SHA-256 of its bytes.

A file whose path, size and time of writing are those of the promoted day before is not read again.

A folder without a file of the source looks like one whose disk is not mounted. It is taken for empty only where it
holds a file `_EMPTY`, which no mount point has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import islice

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import DAY, Source
from content_signals.errors import BrokenData, Temporary
from content_signals.lake.files import exists, filesystem
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days
from content_signals.lake.session import workers
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.folder_files import UNLISTED, UNREADABLE, Found, digest, files_of, folders_of
from content_signals.pipeline.landing import LandingFile, broken
from content_signals.pipeline.parsed import Parsed, family

EMPTY = "_EMPTY"  # in the folder: whoever delivers it says that no file is left
_BATCH = 10_000
_TIME = pa.timestamp("us", "UTC")
_FOLDERS = "folder string, deep boolean"
_LISTED = ("path", "name", "bytes", "modified", "unread")
_FILES = "path string, name string, bytes bigint, modified timestamp, unread string"
_HASHED = "path string, name string, bytes bigint, modified timestamp, sha256 string, unread string"
# More files than this share that cannot be read, and not for want of leave: the store is at fault, not they.
_FAILING = 0.01


def check(file: LandingFile) -> None:
    """Refuse what is no folder, before any work starts."""
    files, inner = filesystem(file.path)
    if files.get_file_info(inner).type != fs.FileType.Directory:
        raise broken(file, "it is a file, not a folder")


def parse(spark: SparkSession, source: Source, folders: Mapping[date, str], table: LakeTable) -> Parsed:
    """List the folder, take the SHA-256 of what is new in it, and hand each day all of it."""
    folder = next(iter(folders.values()))
    listed = _listed(spark, folder, family(source).ENDINGS)
    known = _known(spark, table)
    hashed = listed.join(known, on=["path", "bytes", "modified"], how="left")
    new = hashed.where(F.col("sha256").isNull()).select(*_LISTED)
    # A few large files may lie beside many small ones: any worker may take the next.
    read = new.repartition(4 * workers(spark)).mapInArrow(_hashed(folder.rstrip("/")), _HASHED)
    old = hashed.where(F.col("sha256").isNotNull()).select(*_LISTED[:-1], "sha256", "unread")
    parsed = family(source).parse(old.unionByName(read)).persist()
    bad = F.col("_reason").isNotNull()
    failing = F.col("unread").startswith(UNREADABLE)
    unlisted = F.when(F.col("unread").startswith(UNLISTED), F.concat_ws(" ", "path", "unread"))
    counted = parsed.agg(
        F.count(F.lit(1)).alias("lines"),
        F.count_if(bad).alias("malformed"),
        F.count_if(failing).alias("failing"),
        F.min(unlisted).alias("unlisted"),
    ).collect()[0]
    if counted["unlisted"]:
        raise Temporary(
            f"{source.table}: {counted['unlisted']}: nobody knows which of its files are still there",
            state="nothing was ingested; the days are as they were, and so is what is served",
            next_step="see that the folder can be listed, or take it away, then ingest the day again",
        )
    if counted["failing"] > max(1, counted["lines"] * _FAILING):
        raise Temporary(
            f"{source.table}: {counted['failing']} of {counted['lines']} files of {folder} cannot be read",
            state="nothing was ingested; the days are as they were",
            next_step="see that the store answers, then ingest the day again",
        )
    refusals, said_empty = refused(source, folders, counted["lines"])
    every_day = F.explode(F.array(*[F.lit(day) for day in folders])).alias(DAY)
    aside = parsed.where(bad).select(
        every_day,
        F.col("path").alias("file"),
        F.lit(None).cast("bigint").alias("line_number"),
        F.to_json(F.struct("bytes", "modified")).alias("raw"),
        F.col("_reason").alias("reason"),
    )
    return Parsed(
        parsed.where(~bad).select(*source.values, every_day),
        aside,
        dict.fromkeys(folders, counted["lines"]),
        dict.fromkeys(folders, counted["malformed"]),
        refused=refusals,
        may_be_empty=said_empty,
    )


def refused(source: Source, folders: Mapping[date, str], lines: int) -> tuple[dict[date, BrokenData], bool]:
    """Why the folder with so many files is not what it says it is, for each day; and whether it says it is empty."""
    is_said = exists(f"{next(iter(folders.values())).rstrip('/')}/{EMPTY}")
    if is_said == (lines == 0):
        return {}, is_said
    if is_said:
        what = f"it holds {EMPTY}, which says that no file is left, and {lines} files"
        mend = f"remove {EMPTY}, or the files"
    else:
        what = f"it holds no {', '.join(family(source).ENDINGS)} file; one whose disk is not mounted looks the same"
        mend = f"see that its disk is mounted; if its last file was removed, put an empty file {EMPTY} into it"
    return {day: broken(LandingFile(source, day, folder), what, mend) for day, folder in folders.items()}, is_said


def _listed(spark: SparkSession, folder: str, endings: tuple[str, ...]) -> DataFrame:
    """The files with these endings, at any depth, and what could not be listed, with the reason in `unread`.

    Folders two levels down are listed by workers. Spark's own listing passes over empty files, which are to be told.
    """
    root = folder.rstrip("/")
    above: list[str] = [root]
    below: list[str] = []
    for _ in range(2):
        below, above = [*below, *above], [sub for one in above for sub in folders_of(one)]
    tasks = [*((one, False) for one in below), *((one, True) for one in above)]
    spread = spark.createDataFrame(tasks, _FOLDERS).repartition(min(len(tasks), 4 * workers(spark)))
    suffixes = tuple(f".{ending}" for ending in endings)

    def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from _as_batches(root, files_of(row["folder"], suffixes, deep=row["deep"]))

    return spread.mapInArrow(listed, _FILES)


def _as_batches(root: str, found: Iterator[Found]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(found, _BATCH)):
        columns = (
            pa.array([one.path for one in some], pa.string()),
            pa.array([one.path[len(root) + 1 :] for one in some], pa.string()),
            pa.array([one.size for one in some], pa.int64()),
            pa.array([one.modified for one in some], _TIME),
            pa.array([one.unread for one in some], pa.string()),
        )
        yield pa.RecordBatch.from_arrays(list(columns), list(_LISTED))


def _known(spark: SparkSession, table: LakeTable) -> DataFrame:
    """What the last promoted day says of each file."""
    snapshot = Snapshot(table)
    if not snapshot.days:
        return spark.createDataFrame([], "path string, bytes bigint, modified timestamp, sha256 string")
    return read_days(spark, snapshot, snapshot.days[-1:]).select("path", "bytes", "modified", "sha256")


def _hashed(root: str) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What takes the SHA-256 of each file below a folder, or says why there is none."""

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files, inner = filesystem(root)
        for batch in batches:
            names, unread = batch.column("name").to_pylist(), batch.column("unread").to_pylist()
            found = [
                (None, why) if why else digest(files, f"{inner}/{n}") for n, why in zip(names, unread, strict=True)
            ]
            digests, reasons = ([one[place] for one in found] for place in (0, 1))
            yield pa.RecordBatch.from_arrays(
                [*batch.columns[:-1], pa.array(digests, pa.string()), pa.array(reasons, pa.string())],
                [*batch.schema.names[:-1], "sha256", "unread"],
            )

    return read
