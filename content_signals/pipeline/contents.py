"""Signals that depend on a content alone: computed once for each, kept, and joined with the rows of a day.

Contents are computed in batches and each batch is kept as soon as it is done: a run that is killed goes on where it
was. A content that nothing can be made of is kept as well, with the reason, and set aside on each day it is part of.
One that ends the process which reads it is found by halving its batch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from types import ModuleType
from typing import NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from content_signals.content import AGAIN, CONTENT_ID, REASON, Content
from content_signals.contract import DAY, RUN_ID, Source, Table
from content_signals.errors import ContractError, Superseded, Temporary
from content_signals.lake.contents import AS_LANDED, SETTLED, Contents
from content_signals.lake.layout import Lake
from content_signals.lake.promote import promote
from content_signals.lake.read import with_columns
from content_signals.lake.session import workers
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import write_stage
from content_signals.pipeline.context import Context
from content_signals.pipeline.inputs import revision_of
from content_signals.pipeline.parts import taken_down_of
from content_signals.quality import status

# What Spark says of a Python worker that is gone: killed for its memory, or by a fault in a decoder.
LOST_WORKER = ("Python worker exited unexpectedly", "Python worker process terminated", "exit code 137")
ENDS_ITS_READER = "it ends the process that reads it"
NOT_READ = "it has gone, or changed, since it was ingested"
_TASKS_PER_WORKER = 4
MOST_BATCHES = 100  # each reads through all that is to be computed
_FOUND, _DOWN = "_found", "_down"


@dataclass
class Progress:
    """How far the contents of some days are.

    Attributes:
        cached: had been computed before; done: computed by this run; aside: of these, those of no use.
        tell: gets a line for the log, and what the page Signals shows.
    """

    table: str
    total: int
    cached: int
    tell: Callable[[str, dict[str, int | None]], None]
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    aside: int = 0

    def __post_init__(self) -> None:
        self._started = self.clock()

    def add(self, done: int, aside: int) -> None:
        """Note a batch, and say how it goes."""
        self.done, self.aside = self.done + done, self.aside + aside
        left = self._seconds_left()
        counts = {"total": self.total, "cached": self.cached, "done": self.done, "aside": self.aside}
        told = "" if left is None else f"; about {left / 60:.0f} min left" if left >= 90 else f"; about {left} s left"
        self.tell(f"{self.table}: {self}{told}", {**counts, "seconds_left": left})

    def __str__(self) -> str:
        return f"{self.done} of {self.total - self.cached} contents done, {self.cached} cached, {self.aside} set aside"

    def _seconds_left(self) -> int | None:
        """At the pace so far; None when nothing is left, or nothing was done yet."""
        left = self.total - self.cached - self.done
        if left <= 0 or self.done <= 0:
            return None
        return round((self.clock() - self._started) / self.done * left)


def signals_of_contents(
    context: Context,
    spark: SparkSession,
    table: Table,
    driver: DataFrame,
    inputs: Mapping[str, DataFrame],
    days: Sequence[date],
    module: ModuleType,
    scratch: Lake | None = None,
) -> tuple[DataFrame, Progress]:
    """`ds`, keys and computed columns of the driver's rows on some days; what is missing is computed and kept first.

    Args:
        driver: the rows of these days.
        inputs: the rows that the table's other inputs have on these days. Where there are some, the family's `routed`
            takes the driver's rows and them, and gives the rows whose contents are to be computed, and rows of the
            table that are done without.
        module: the family's: its `compute` makes rows of contents; its `place`, where it has one, makes rows of the
            table of the driver's rows with what was computed of their contents.
        scratch: where what is computed is kept when it must not enter the lake; nothing is set aside then.

    Raises:
        ContractError: `compute` makes other columns than the contract declares, or there is no `routed`.
    """
    content = table.content
    assert content is not None  # whoever calls has looked
    rows = driver.withColumn(CONTENT_ID, content_id(content))
    kept = Contents(spark, context.lake.contents(table), revision_of(table))
    rows, answered = _routed(table, module, rows, inputs)
    rows = _without_erased(context, spark, table, rows, kept)
    made = Contents(spark, scratch.contents(table), kept.revision) if scratch else kept
    work = _Work(context, spark, table, module, made, max(days) if not scratch else None)
    progress = work.compute(rows, kept)
    schema = work.schema(rows)
    # On trial what is to be computed again is made beside what the last attempt has left.
    kept_rows = [kept.settled, made.rows] if scratch else [made.rows]
    results = [_as(schema, frame) for frame in kept_rows if frame is not None]
    every = reduce(DataFrame.unionByName, results or [spark.createDataFrame([], schema)])  # none: the days have no rows
    found = rows.join(every.withColumn(_FOUND, F.lit(True)), on=CONTENT_ID, how="left")
    is_good = F.col(_FOUND).isNotNull() & F.col(REASON).isNull()
    if not scratch:
        driven = Snapshot(context.lake.of(context.catalog.any(table.driver.table))).rows(days)
        wanted = driven if answered is None else rows.count()
        progress.aside = _set_aside(context, table, module, found.where(~is_good), wanted, days)
        progress.add(0, 0)
    good = found.where(is_good)
    placed = module.place(good) if hasattr(module, "place") else good
    made_of = [placed] if answered is None else [placed, answered]
    return reduce(DataFrame.unionByName, [_columns_of(table, frame) for frame in made_of]), progress


def _routed(
    table: Table, module: ModuleType, rows: DataFrame, inputs: Mapping[str, DataFrame]
) -> tuple[DataFrame, DataFrame | None]:
    if not inputs:
        return rows, None
    if not hasattr(module, "routed"):
        raise ContractError(
            f"{table.table}: it has inputs beside what is computed by content, and nothing that reads them",
            next_step=f"write `routed` in signals/{table.family}/compute.py, or take the inputs out of the contract",
        )
    to_compute, answered = module.routed(rows, inputs)
    return to_compute, answered


def _without_erased(context: Context, spark: SparkSession, table: Table, rows: DataFrame, kept: Contents) -> DataFrame:
    """The rows without those of what is taken down whose content is not kept: it is not computed, nor looked for."""
    driver = context.catalog.any(table.driver.table)
    keys = taken_down_of(context, driver)
    if not keys:
        return rows
    down = spark.createDataFrame([(key,) for key in keys], f"{driver.keys[0]} string").withColumn(_DOWN, F.lit(True))
    marked = rows.join(F.broadcast(down), on=driver.keys[0], how="left")
    marked = marked.join(kept.ids.withColumn(_FOUND, F.lit(True)), on=CONTENT_ID, how="left")
    return marked.where(F.col(_DOWN).isNull() | F.col(_FOUND).isNotNull()).select(*rows.columns)


def content_id(content: Content) -> Column:
    """The SHA-256 of a row's content."""
    if content.id:
        return F.col(content.id)
    return F.sha2(F.to_json(F.struct(*content.reads)), 256)


class _Pass(NamedTuple):
    """What of contents `compute` reads that are computed together, and in how many tasks at a time."""

    name: str
    wanted: DataFrame
    tasks: int


@dataclass(frozen=True)
class _Work:
    """Computing what is missing, and keeping it in `made`; how far it is, is noted with a day."""

    context: Context
    spark: SparkSession
    table: Table
    module: ModuleType
    made: Contents
    noted_with: date | None
    ended: list[str] = field(default_factory=list)

    def compute(self, rows: DataFrame, kept: Contents) -> Progress:
        """Compute the contents of some rows that are not kept, batch after batch; those to be computed again come last.

        Whom they are asked of may refuse them for good, and ends the run after many refusals in a row: what was never
        asked about must not wait behind them.
        """
        ids = rows.select(CONTENT_ID).distinct().join(kept.known, on=CONTENT_ID, how="left").persist()
        try:
            counted = Counter({row[SETTLED]: row["count"] for row in ids.groupBy(SETTLED).count().collect()})
            progress = Progress(self.table.table, counted.total(), counted[True], self._tell)
            progress.add(0, 0)
            ways = [("new", F.col(SETTLED).isNull(), counted[None]), ("again", ~F.col(SETTLED), counted[False])]
            passes = [(name, which, count) for name, which, count in ways if count]
            for name, which, count in passes:
                wanted = self.contents(rows, ids.where(which).select(CONTENT_ID))
                self._pass(name, wanted, count, MOST_BATCHES // len(passes), progress)
            self._keep_ended(rows, progress)
        finally:
            ids.unpersist()
        return progress

    def _pass(self, name: str, wanted: DataFrame, count: int, most: int, progress: Progress) -> None:
        """Compute so many contents, in no more than `most` batches."""
        assert self.table.content is not None
        batches = min(-(-count // self.table.content.batch), most)
        tasks = min(-(-count // batches), _TASKS_PER_WORKER * workers(self.spark))
        for number in range(batches):
            self._batch(_Pass(name, wanted, tasks), batches, number, progress)

    def _tell(self, line: str, counts: dict[str, int | None]) -> None:
        self.context.say(line)
        if self.noted_with:
            status.record_contents(self.context.lake, self.table.table, str(self.noted_with), counts)

    def contents(self, rows: DataFrame, ids: DataFrame) -> DataFrame:
        """`content_id` and what `compute` reads of these contents, be it in the driver's rows or kept by content."""
        content, driver = self.table.content, self.context.catalog.any(self.table.driver.table)
        assert content is not None
        beside = [c.name for c in driver.contents if c.name in content.reads] if isinstance(driver, Source) else []
        own = [name for name in content.reads if name not in beside]
        # Of rows that share a content the newest: where it lay before, it may not lie any more.
        some = rows.join(ids, on=CONTENT_ID, how="left_semi").groupBy(CONTENT_ID, *content.each)
        rest = [name for name in own if name not in content.each]
        newest = some.agg(F.max_by(F.struct(F.lit(0).alias("_"), *rest), DAY).alias("newest"))
        found = newest.select(CONTENT_ID, *content.each, *[F.col(f"newest.{name}").alias(name) for name in rest])
        if beside:
            texts = Contents(self.spark, self.context.lake.contents(driver), AS_LANDED).rows
            if texts is None:  # nothing of the source was ever good
                return found.where("false").select("*", *[F.lit(None).cast("string").alias(name) for name in beside])
            found = found.join(texts.select(CONTENT_ID, *beside), on=CONTENT_ID)
        return found.select(CONTENT_ID, *content.reads)

    def schema(self, rows: DataFrame) -> StructType:
        """Of what the family makes, whatever else other revisions have left in the table.

        Raises:
            ContractError: a column has the name of one of the driver's, so that nobody could tell them apart.
        """
        none = rows.select(CONTENT_ID).where("false")
        found = self.result(self.contents(rows, none)).schema
        twice = sorted(set(found.names) & set(rows.columns) - {CONTENT_ID})
        if twice:
            raise ContractError(
                f"{self.table.table}: compute makes {', '.join(twice)}, which {self.table.driver.table} has already",
                next_step=f"name it otherwise in signals/{self.table.family}/, or take it from the driver in `place`",
            )
        return found

    def result(self, contents: DataFrame) -> DataFrame:
        """What the family makes of contents, its columns checked against the contract and cast to its types."""
        made: DataFrame = self.module.compute(contents)
        wanted = {CONTENT_ID, REASON, *(c.name for c in self.table.computed)}
        missing, extra = wanted - set(made.columns), set(made.columns) - wanted - {AGAIN}
        if hasattr(self.module, "place"):  # it may take columns from the driver, and drop others
            missing, extra = {CONTENT_ID, REASON} - set(made.columns), set()
        if missing or extra:
            differ = f"missing {sorted(missing)}, undeclared {sorted(extra)}"
            raise ContractError(
                f"{self.table.table}: compute and contract differ: {differ}",
                next_step=f"mend signals/{self.table.family}/compute.py or contract.py",
            )
        others = [name for name in made.columns if name not in self.table.values]
        return made.select(*others, *_typed(self.table, made))

    def _batch(self, of: _Pass, parts: int, number: int, progress: Progress) -> None:
        """Compute one of `parts` parts of what is wanted; where a content ends its reader, by halves."""
        piece = of.wanted.where(F.pmod(F.xxhash64(CONTENT_ID), F.lit(parts)) == number)
        name = f"{of.name}-{number}-of-{parts}"
        added = self._added(piece, of.tasks, name)
        if added is None:
            ids = [row[CONTENT_ID] for row in piece.select(CONTENT_ID).distinct().limit(2).collect()]
            if len(ids) > 1:
                self._batch(of, 2 * parts, number, progress)
                self._batch(of, 2 * parts, number + parts, progress)
                return
            added = self._added(piece, of.tasks, f"{name}-alone")  # it may have been ended for another's memory
            if added is None:
                self.ended.extend(ids)
                return
        of_content = added.groupBy(CONTENT_ID).agg(F.count(REASON).alias("aside"))
        counted = of_content.agg(F.count(F.lit(1)).alias("done"), F.count_if(F.col("aside") > 0).alias("aside"))
        progress.add(*counted.collect()[0])

    def _added(self, piece: DataFrame, tasks: int, name: str) -> DataFrame | None:
        """What was made of some contents, kept; None where the process that reads them was lost."""
        try:
            return self.made.add(self.result(piece.repartition(tasks)), self.context.run, name)
        except (PySparkException, Py4JJavaError) as error:
            if not any(sign in str(error) for sign in LOST_WORKER):
                raise
            return None

    def _keep_ended(self, rows: DataFrame, progress: Progress) -> None:
        """Keep what ended its reader, with the reason.

        Raises:
            Temporary: nothing at all could be read: that is the machine's fault rather than theirs.
        """
        if not self.ended:
            return
        if len(self.ended) > 1 and not progress.done:
            raise Temporary(
                f"{self.table.table}: every process that reads a content was lost, with each of {len(self.ended)}",
                state="nothing of them was kept",
                next_step="look at the memory and the libraries of the workers, then extract the day again",
            )
        ids = self.spark.createDataFrame(
            [(one, ENDS_ITS_READER) for one in self.ended], f"{CONTENT_ID} string, {REASON} string"
        )
        none = self.spark.createDataFrame([], self.schema(rows))
        self.made.add(none.unionByName(ids, allowMissingColumns=True), self.context.run, "ended")
        progress.add(len(self.ended), len(self.ended))


def _as(schema: StructType, rows: DataFrame) -> DataFrame:
    """The rows with these columns and no other, null where they have none."""
    types = {field.name: field.dataType.simpleString() for field in schema}
    return with_columns(rows, types).select(*schema.names)


def _columns_of(table: Table, frame: DataFrame) -> DataFrame:
    return frame.select(DAY, *table.keys, *_typed(table, frame))


def _typed(table: Table, frame: DataFrame) -> list[Column]:
    return [F.col(c.name).cast(c.type).alias(c.name) for c in table.computed if c.name in frame.columns]


def _set_aside(
    context: Context, table: Table, module: ModuleType, aside: DataFrame, rows: int, days: Sequence[date]
) -> int:
    """Keep the rows that no signal can be made of, with the reason; how many. Days without any are emptied.

    Args:
        rows: whose contents were wanted, on all the days.

    Raises:
        Temporary: more contents could not be read than a few that happened to go meanwhile.
    """
    driver_keys = context.catalog.any(table.driver.table).keys
    unusable = context.lake.unusable(table)
    again = F.col(AGAIN) if AGAIN in aside.columns else F.lit(False)
    is_gone = F.col(REASON).isNull() | F.coalesce(again, F.lit(False))
    counted = aside.groupBy(DAY).agg(F.count(F.lit(1)).alias("aside"), F.count_if(is_gone).alias("gone"))
    found = counted.collect()
    counts = {row[DAY]: row["aside"] for row in found}
    gone = sum(row["gone"] for row in found)
    if gone > max(1, rows * table.max_quarantine_ratio):
        raise _no_rows(table, module, f"{gone} of {rows} contents")
    earlier = set(Snapshot(unusable).days)
    touched = [day for day in days if counts.get(day) or day in earlier]
    if touched:
        kept = aside.where(F.col(DAY).isin(touched)).select(
            *driver_keys,
            CONTENT_ID,
            F.coalesce(REASON, F.lit(getattr(module, "NO_ROW", NOT_READ))).alias(REASON),
            F.lit(context.run.run_id).alias(RUN_ID),
            DAY,
        )
        for stage in write_stage(unusable, kept, touched, context.run, {}, driver_keys):
            with suppress(Superseded):  # a newer run of the day says what is set aside of it
                promote(unusable, stage, stage.files)
    for day in touched:
        if counts.get(day):
            context.say(
                f"{table.table} {day}: {counts[day]} set aside, no signal can be made of them;"
                f" content-signals quarantine {table.table} --day {day} tells why"
            )
    return sum(counts.values())


def _no_rows(table: Table, module: ModuleType, which: str) -> Temporary:
    """Why a day cannot be made yet: too many contents have no row. A family that asks somebody else says why."""
    state = "what could be computed is kept; the days are as they were"
    if not hasattr(module, "why_no_row"):
        return Temporary(
            f"{table.table}: {which} have gone, or changed, since they were ingested",
            state=state,
            next_step=f"see that they can be read, ingest {table.driver.table} again, then extract the day again",
        )
    return Temporary(
        f"{table.table}: {which} have no result yet: {module.why_no_row()}",
        state=state,
        next_step="mend the cause, then extract the day again: only what is missing is computed",
    )
