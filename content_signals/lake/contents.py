"""What is kept by content: texts of a source, results of a signal table. Each content once, for a revision.

Rows that are marked `AGAIN` are what came of an attempt that the next run makes anew; they stand until it is made.

A table of this kind only grows. Its rows carry `content_id`, `revision` and when and by which run they were made; its
partition is the day on which that was. Whoever adds to it says which version he has looked at: had another run added
the same contents meanwhile, they would be there twice.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from deltalake import CommitProperties, Transaction
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from content_signals.content import AGAIN, CONTENT_ID
from content_signals.contract import COMPUTED_AT, DAY, RUN_ID
from content_signals.lake.commit import add_actions, commit, create, evolve
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.read import read_days
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import StagedFile, schema_json, staged_files

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

REVISION = "revision"
SETTLED = "settled"
_LAST = "_last"
AS_LANDED = "as landed"  # the revision of what a source keeps
STAMPS = (REVISION, COMPUTED_AT, RUN_ID, DAY)
_IDS = StructType([StructField(CONTENT_ID, StringType())])


class Contents:
    """The rows of one revision, as a version of the table has them.

    Args:
        revision: of what makes the rows; rows of others are as good as not there.
    """

    def __init__(self, spark: SparkSession, table: LakeTable, revision: str) -> None:
        self.table, self.revision = table, revision
        self._spark, self._snapshot = spark, Snapshot(table)

    @property
    def rows(self) -> DataFrame | None:
        """The rows, without what the table adds to them; None when there is no table.

        Of a content that was to be computed again those of its last attempt.
        """
        rows = self._of_revision
        if rows is None or AGAIN not in rows.columns:
            return self.settled
        attempt = F.struct(_is_settled(rows), F.col(COMPUTED_AT))
        last = F.max(attempt).over(Window.partitionBy(CONTENT_ID))
        return rows.withColumn(_LAST, last).where(attempt == F.col(_LAST)).drop(_LAST, *STAMPS)

    @property
    def settled(self) -> DataFrame | None:
        """Those of the rows that no later run computes again."""
        rows = self._of_revision
        return None if rows is None else rows.where(_is_settled(rows)).drop(*STAMPS)

    @property
    def ids(self) -> DataFrame:
        """`content_id` of all that is kept and settled."""
        rows = self.settled
        return self._spark.createDataFrame([], _IDS) if rows is None else rows.select(CONTENT_ID).distinct()

    @property
    def known(self) -> DataFrame:
        """`content_id` of all that is kept, and `settled`: false where the next run computes it again."""
        rows = self._of_revision
        if rows is None:
            return self._spark.createDataFrame([], _IDS).withColumn(SETTLED, F.lit(None).cast("boolean"))
        return rows.groupBy(CONTENT_ID).agg(F.max(_is_settled(rows)).alias(SETTLED))

    @property
    def _of_revision(self) -> DataFrame | None:
        if self._snapshot.schema_json is None:
            return None
        return read_days(self._spark, self._snapshot).where(F.col(REVISION) == self.revision)

    def add(self, rows: DataFrame, run: Run, part: str) -> DataFrame:
        """Keep rows of contents that are not kept yet; those that another run has added meanwhile are left out.

        Args:
            part: names these rows among all that the run adds; never used twice.

        Returns:
            The rows added, read from where they are kept now.

        Raises:
            Temporary: rivals kept winning the commit.
        """
        day = run.now.date()
        stamped = rows.select(
            *rows.columns,
            F.lit(self.revision).alias(REVISION),
            F.lit(run.now).cast("timestamp").alias(COMPUTED_AT),
            F.lit(run.run_id).alias(RUN_ID),
            F.lit(day).alias(DAY),
        )
        folders = [f"data/{run.folder}/{part}"]
        stamped.write.partitionBy(DAY).parquet(f"{self.table.path}/{folders[0]}")

        def attempt() -> list[StagedFile] | None:
            now = Snapshot(self.table)
            if now.version != self._snapshot.version:
                self._snapshot = now
                folders.append(f"data/{run.folder}/{part}-{len(folders)}")
                again = self._read(stamped.schema, folders[-2])
                left = again.join(self.ids, on=CONTENT_ID, how="left_anti").select(*stamped.columns)
                left.write.partitionBy(DAY).parquet(f"{self.table.path}/{folders[-1]}")
            files = staged_files(self.table, folders[-1], day)
            if files and not self._commit(now, stamped, run, day, files):
                return None
            return list(files)

        commit(self.table.name, attempt)
        self._snapshot = Snapshot(self.table)
        return self._read(stamped.schema, folders[-1]).drop(*STAMPS)

    def _read(self, schema: StructType, folder: str) -> DataFrame:
        path = f"{self.table.path}/{folder}"
        return self._spark.read.schema(schema).option("basePath", path).parquet(path)

    def _commit(self, now: Snapshot, rows: DataFrame, run: Run, day: date, files: tuple[StagedFile, ...]) -> bool:
        """Append the files to the version that was looked at; False when the table had to be changed first."""
        schema = schema_json(rows)
        delta = now.delta or create(self.table, schema)
        if delta.version() != (now.version or 0) or evolve(delta, schema, self.table.name):
            return False
        _, adds = add_actions(self.table, day, files, run.fence)
        delta.create_write_transaction(
            actions=list(adds),
            mode="append",
            schema=delta.schema(),
            partition_by=[DAY],
            commit_properties=CommitProperties(
                custom_metadata={"run_id": run.run_id, REVISION: self.revision},
                # Two writers of one version: the transaction makes the later of them fail instead of being merged.
                app_transactions=[Transaction(self.table.name, run.fence)],
                max_commit_retries=0,
            ),
        )
        return True


def _is_settled(rows: DataFrame) -> Column:
    return ~F.coalesce(AGAIN, F.lit(False)) if AGAIN in rows.columns else F.lit(True)
