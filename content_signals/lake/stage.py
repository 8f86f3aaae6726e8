"""Staged files: Parquet below a table's folder, in none of its versions, so that no reader can see them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Any

from content_signals.contract import COMPUTED_AT, DAY, EVENT_TS, RUN_ID
from content_signals.errors import NotLanded, Superseded
from content_signals.lake.files import list_folder, read_json, write_json
from content_signals.lake.layout import LakeTable, Run

if TYPE_CHECKING:  # promote reads stages without Spark
    from pyspark.sql import DataFrame, SparkSession

Inputs = Mapping[str, Mapping[str, str]]

# A column of a frame to stage: true in rows that shall belong to no stage.
ASIDE = "_aside"

# The digest of a day without rows.
NO_ROWS = "0-0"


@dataclass(frozen=True)
class StagedFile:
    """A staged file: its path below the table's folder, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Stage:
    """What one attempt staged for one day.

    Attributes:
        digest: of the rows' keys and values, whatever their order and files; equal digests mean equal rows.
        inputs: input table -> day -> digest: what the day was made from.
        read_at: input table -> the Delta version it was read at.
        schema_json: schema of the staged frame, in the JSON that Delta and Spark share.
        base: fence of the stage the day was promoted from when this one was made, 0 when there was none. Rows were
            compared with that stage, so promote refuses the day once it holds another. None: not compared.
        history: files below the table's history that hold the rows of `base` which this stage supersedes.
    """

    table: str
    day: str
    run_id: str
    fence: int
    rows: int
    digest: str
    files: tuple[StagedFile, ...]
    schema_json: str
    inputs: Inputs = field(default_factory=dict)
    read_at: Mapping[str, int] = field(default_factory=dict)
    base: int | None = None
    history: tuple[StagedFile, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Stage:
        """From a JSON object."""
        files = {name: tuple(StagedFile(**f) for f in record.get(name, ())) for name in ("files", "history")}
        return cls(**{**record, **files})


def write_stage(
    table: LakeTable,
    frame: DataFrame,
    days: Sequence[date],
    run: Run,
    inputs: Mapping[date, Inputs],
    keys: Sequence[str],
) -> list[Stage]:
    """`stage_files`, with the record of each stage kept: what validate and promote look for."""
    stages = stage_files(table, frame, days, run, inputs, keys)
    for stage in stages:
        write_stage_record(table, stage)
    return stages


def stage_files(
    table: LakeTable,
    frame: DataFrame,
    days: Sequence[date],
    run: Run,
    inputs: Mapping[date, Inputs],
    keys: Sequence[str],
    *,
    laid_out: bool = False,
) -> list[Stage]:
    """Write a frame with a `ds` column as staged files, one Stage for each of `days`, an empty day included.

    Rows of a day lie in few files, sorted by key, so that readers can skip. With a column `_aside` the rows where it is
    true are written in the same pass, but into files of their own that belong to no stage (`aside_files`). A column
    whose name begins with an underscore is for these rows; no schema names it.

    Args:
        laid_out: each partition holds rows of one day, none of which shall be moved (`Ranges`).
    """
    folder = f"data/{run.folder}"
    partitions = [DAY, ASIDE] if ASIDE in frame.columns else [DAY]
    with _open_at_once(frame.sparkSession, len(partitions) if laid_out else 0):
        rows = frame.sortWithinPartitions(*keys) if laid_out else _by_day(frame, [*partitions, *keys])
        rows.write.partitionBy(*partitions).parquet(f"{table.path}/{folder}")
    digests = _digests(frame, f"{table.path}/{folder}")
    below = _part(aside=False) if ASIDE in frame.columns else ""
    stages = []
    for day in days:
        files = staged_files(table, folder, day, below)
        rows_of_day, digest = digests.get(day, (0, NO_ROWS))
        stages.append(
            Stage(
                table.name,
                str(day),
                run.run_id,
                run.fence,
                rows_of_day,
                digest,
                files,
                schema_json(frame),
                inputs.get(day, {}),
            )
        )
    return stages


def _by_day(frame: DataFrame, order: Sequence[str]) -> DataFrame:
    """Each day in few partitions, sorted."""
    return frame.hint("rebalance", DAY).sortWithinPartitions(*order)


@contextmanager
def _open_at_once(session: SparkSession, files: int) -> Iterator[None]:
    """How many files a task writes side by side; 0: one after the other, for which Spark sorts the rows by folder.

    A sort that begins with a day, the same in every row, takes longer than one that begins with the key.
    """
    name = "spark.sql.maxConcurrentOutputFileWriters"
    before = session.conf.get(name) or "0"
    session.conf.set(name, str(files))
    try:
        yield
    finally:
        session.conf.set(name, before)


def staged_files(table: LakeTable, folder: str, day: date, below: str = "") -> tuple[StagedFile, ...]:
    """The Parquet files of a day in a folder below the table's; of `below`, a folder in the day's."""
    of_day = f"{folder}/{DAY}={day}{below}"
    return tuple(
        StagedFile(f"{of_day}/{info.base_name}", info.size)
        for info in list_folder(f"{table.path}/{of_day}")
        if info.base_name.endswith(".parquet")
    )


def aside_files(table: LakeTable, days: Sequence[date], run: Run) -> list[str]:
    """Paths of the files that hold the rows which `stage_files` has set aside."""
    found = [staged_files(table, f"data/{run.folder}", day, _part(aside=True)) for day in days]
    return [f"{table.path}/{file.path}" for files in found for file in files]


def _part(*, aside: bool) -> str:
    return f"/{ASIDE}={str(aside).lower()}"


def schema_json(frame: DataFrame) -> str:
    """The frame's schema as a table has it: every column may be null, and those of rows set aside are none of its."""
    schema = frame.schema.jsonValue()
    fields = [{**f, "nullable": True} for f in schema["fields"] if not f["name"].startswith("_")]
    return json.dumps({**schema, "fields": fields})


def read_stage(table: LakeTable, day: date, run_id: str | None = None) -> Stage:
    """The stage of a run; without a run id, the newest.

    Raises:
        NotLanded: when nothing is staged for the day.
    """
    folders = [run_id] if run_id else [info.base_name for info in list_folder(f"{table.runs}/{day}")]
    records = [read_json(f"{table.run_folder(day, name)}/stage.json") for name in folders]
    stages = [Stage.from_json(record) for record in records if record]
    if not stages:
        of_run = f" by run {run_id}" if run_id else ""
        raise NotLanded(
            f"{table.name} {day}: nothing is staged{of_run}",
            state="readers see the day as it was promoted last, if it was",
            next_step="extract_signals, or ingest_source for a source, stages it",
        )
    return max(stages, key=lambda stage: stage.fence)


def write_stage_record(table: LakeTable, stage: Stage) -> None:
    """Keep the stage for its run. An older attempt of the run stands down."""
    path = f"{table.run_folder(date.fromisoformat(stage.day), stage.run_id)}/stage.json"
    known = read_json(path)
    if known and known["fence"] > stage.fence:
        raise Superseded(
            f"{table.name} {stage.day}: a newer attempt of run {stage.run_id} has staged this day meanwhile",
            state="its stage stands; the files of this attempt are orphans that vacuum collects",
            next_step="nothing: the newer attempt goes on",
        )
    write_json(path, stage.to_json())


def _digests(frame: DataFrame, folder: str) -> dict[date, tuple[int, str]]:
    """Rows and digest of each day, from the staged files."""
    from pyspark.sql import functions as F

    staged = frame.sparkSession.read.schema(frame.schema).option("basePath", folder).parquet(folder)
    return digests_of(staged.where(~F.col(ASIDE)) if ASIDE in frame.columns else staged)


def digests_of(frame: DataFrame) -> dict[date, tuple[int, str]]:
    """Rows and digest of each day of a frame: one scan, one row a day on the driver.

    A digest is of keys and values, not of when they were computed. Those of disjoint rows add up: `less`.
    """
    from pyspark.sql import Column
    from pyspark.sql import functions as F

    stamps = (DAY, EVENT_TS, COMPUTED_AT, RUN_ID)
    values = [name for name in frame.columns if name not in stamps and not name.startswith("_")]
    # xxhash64 passes over nulls, so (null, 1) and (1, null) would hash alike without the places of the nulls.
    places = F.concat(*[F.col(name).isNull().cast("int").cast("string") for name in values])
    whole = reduce(Column.__and__, [F.col(name).isNotNull() for name in values])  # most rows: nothing to put together
    row_hash = F.xxhash64(*values, F.when(whole, F.lit("0" * len(values))).otherwise(places))
    # Two halves, added up as longs: a sum of decimals takes several times as long.
    hashed = frame.select(DAY, F.shiftright(row_hash, 32).alias("high"), row_hash.bitwiseAND(0xFFFF_FFFF).alias("low"))
    rows = hashed.groupBy(DAY).agg(
        F.count(F.lit(1)).alias("rows"), F.sum("high").alias("high"), F.sum("low").alias("low")
    )
    return {
        row[DAY]: (row["rows"], f"{row['rows']:x}-{((row['high'] << 32) + row['low']) % 2**64:016x}")
        for row in rows.collect()
    }


def less(whole: str, part: str) -> str:
    """The digest of the rows of `whole` without those of `part`, which are among them."""
    (rows, total), (gone, taken) = ([int(half, 16) for half in digest.split("-")] for digest in (whole, part))
    return f"{rows - gone:x}-{(total - taken) % 2**64:016x}" if rows > gone else NO_ROWS
