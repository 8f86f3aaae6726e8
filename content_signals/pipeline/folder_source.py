"""Folders of files: each file is a row, told apart from what it was before by the SHA-256 of its bytes.

A file whose path, size and time of writing are those of the promoted day before is not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import DAY, Source
from content_signals.lake.files import filesystem, list_folder
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days
from content_signals.lake.session import workers
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.landing import LandingFile, broken
from content_signals.pipeline.parsed import Parsed, family

_LISTED = ("path", "name", "bytes", "modified")
_BATCH = 10_000
_TIME = pa.timestamp("us", "UTC")
_FOLDERS = "folder string, deep boolean"
_FILES = "path string, name string, bytes bigint, modified timestamp"
_HASHED = "path string, name string, bytes bigint, modified timestamp, sha256 string, unread string"


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
    read = new.repartition(4 * workers(spark)).mapInArrow(_read, _HASHED)
    old = hashed.where(F.col("sha256").isNotNull()).select(
        *_LISTED, "sha256", F.lit(None).cast("string").alias("unread")
    )
    parsed = family(source).parse(old.unionByName(read)).persist()
    bad = F.col("_reason").isNotNull()
    counted = parsed.agg(F.count(F.lit(1)).alias("lines"), F.count_if(bad).alias("malformed")).collect()[0]
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
    )


def _listed(spark: SparkSession, folder: str, endings: tuple[str, ...]) -> DataFrame:
    """`path`, `name`, `bytes`, `modified` of the files with these endings, at any depth; their bytes are not read.

    Folders two levels down are listed by workers. Spark's own listing passes over empty files, which are to be told.
    """
    root = folder.rstrip("/")
    above: list[str] = [root]
    below: list[str] = []
    for _ in range(2):
        below, above = [*below, *above], [sub for one in above for sub in _folders(one)]
    flat, deep = [(one, False) for one in below], [(one, True) for one in above]
    tasks = spark.createDataFrame([*flat, *deep], _FOLDERS).repartition(min(len(flat) + len(deep), 4 * workers(spark)))
    suffixes = tuple(f".{ending}" for ending in endings)

    def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from _files(root, row["folder"], row["deep"], suffixes)

    return tasks.mapInArrow(listed, _FILES)


def _folders(path: str) -> list[str]:
    return [f"{path}/{info.base_name}" for info in list_folder(path) if info.type == fs.FileType.Directory]


def _files(root: str, folder: str, deep: bool, suffixes: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """The files of a folder, in batches."""
    inner = filesystem(root)[1]
    names, sizes, times = [], [], []
    for info in list_folder(folder, recursive=deep):
        if info.type == fs.FileType.File and info.path.lower().endswith(suffixes):
            names.append(info.path[len(inner) :].lstrip("/"))
            sizes.append(info.size)
            times.append(info.mtime)
    for start in range(0, len(names), _BATCH):
        some = slice(start, start + _BATCH)
        paths = pa.array([f"{root}/{name}" for name in names[some]], pa.string())
        columns = (paths, pa.array(names[some]), pa.array(sizes[some], pa.int64()), pa.array(times[some], _TIME))
        yield pa.RecordBatch.from_arrays(list(columns), list(_LISTED))


def _known(spark: SparkSession, table: LakeTable) -> DataFrame:
    """What the last promoted day says of each file."""
    snapshot = Snapshot(table)
    if not snapshot.days:
        return spark.createDataFrame([], "path string, bytes bigint, modified timestamp, sha256 string")
    return read_days(spark, snapshot, snapshot.days[-1:]).select("path", "bytes", "modified", "sha256")


def _read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The SHA-256 of each file, and why it could not be read."""
    for batch in batches:
        found = [_digest(str(path)) for path in batch.column("path").to_pylist()]
        digests, reasons = ([one[place] for one in found] for place in (0, 1))
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(digests, pa.string()), pa.array(reasons, pa.string())],
            [*batch.schema.names, "sha256", "unread"],
        )


def _digest(path: str) -> tuple[str | None, str | None]:
    """SHA-256 of a file's bytes, read in blocks; or why there is none."""
    files, inner = filesystem(path)
    try:
        with files.open_input_stream(inner) as stream:
            return hashlib.file_digest(_Blocks(stream), "sha256").hexdigest(), None
    except FileNotFoundError:
        return None, "the file has gone while the folder was read"
    except PermissionError as error:
        return None, f"the file may not be read: {error.strerror or error}"


class _Blocks:
    """What hashlib wants of a file, of an Arrow stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """As files say."""
        return True

    def readinto(self, buffer: bytearray) -> int:
        """Fill a buffer."""
        return int(self._stream.readinto(buffer))
