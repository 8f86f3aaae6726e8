"""Inputs to a staged day of a signal table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import ModuleType

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, DAY, EVENT_TS, RUN_ID, Input, Table
from content_signals.errors import ContractError
from content_signals.lake.history import stage_superseded
from content_signals.lake.layout import Lake
from content_signals.lake.ranges import PLACE, Ranges, ranges_of, sample_of_keys
from content_signals.lake.read import read_days, read_files
from content_signals.lake.session import workers
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Inputs, Stage, stage_files, write_stage_record
from content_signals.pipeline.contents import Progress, signals_of_contents
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.inputs import Snapshots, buildable, record
from content_signals.pipeline.tiles import Tiles, current_tiles, filtered
from content_signals.windows import finalize, present_keys

# Below this a day fits into one file anyway: Spark cuts at 64 MB.
FEW_KEYS = 250_000

Compute = Callable[[Mapping[str, DataFrame], Sequence[date]], DataFrame]


@dataclass(frozen=True)
class Extracted:
    """Signals of some days, not staged yet, and what each day was made from: read at which versions."""

    signals: DataFrame
    days: list[date]
    inputs: dict[date, Inputs]
    read_at: dict[str, int]
    waiting: dict[date, str]
    contents: Progress | None = None


def extract(context: Context, spark: SparkSession, table: Table, days: Sequence[date]) -> Outcome:
    """Stage some days of a table, in one application. Days whose driver has not landed are listed, not failed."""
    extracted = signals_of(context, spark, table, days)
    for day, reason in extracted.waiting.items():
        context.say(f"{table.table} {day}: skipped, {reason}")
    stages = _staged(context, spark, table, extracted)
    for stage in stages:
        write_stage_record(context.lake.of(table), stage)
    return _outcome(context, table, stages, extracted)


def _staged(context: Context, spark: SparkSession, table: Table, extracted: Extracted) -> list[Stage]:
    """The days as staged files, compared with what they are promoted as, if they are."""
    lake_table, promoted = context.lake.of(table), Snapshot(context.lake.of(table))
    rebuilt = sorted(set(extracted.days) & set(promoted.days))
    known = read_days(spark, promoted, rebuilt) if rebuilt else None
    rows = stamped(context, table, extracted.signals, known)
    ranges = _ranges(context, spark, table, extracted.days) if table.windowed else None
    laid_out = ranges.lay_out(rows).drop(PLACE) if ranges else rows
    stages = stage_files(
        lake_table, laid_out, extracted.days, context.run, extracted.inputs, table.keys, laid_out=ranges is not None
    )
    if known is not None:
        staged = read_files(spark, rows.schema, [f"{lake_table.path}/{f.path}" for s in stages for f in s.files])
        current = {day: stage for day in rebuilt if (stage := promoted.stage(day))}
        stages = stage_superseded(lake_table, known, staged, stages, current, context.run, table.keys)
    bases = [promoted.fence(date.fromisoformat(stage.day)) or 0 for stage in stages]
    return [replace(one, base=base, read_at=extracted.read_at) for one, base in zip(stages, bases, strict=True)]


def _ranges(context: Context, spark: SparkSession, table: Table, days: Sequence[date]) -> Ranges | None:
    """How the days are laid out, None when their keys are few: by the keys of the tiles that keep a key on its day."""
    tiles, key = Snapshot(context.lake.tiles(table)), table.keys[0]
    kept = [day for day in tiles.days if 0 <= (max(days) - day).days < max(table.keep_days, 1)]
    rows = tiles.rows(kept)
    if rows < FEW_KEYS:
        return None
    sample, found = sample_of_keys(read_days(spark, tiles, kept), key, rows)
    return ranges_of(days, key, sample, found, 2 * workers(spark)) if found >= FEW_KEYS else None


def signals_of(
    context: Context, spark: SparkSession, table: Table, days: Sequence[date], scratch: Lake | None = None
) -> Extracted:
    """`ds`, keys and signals of those of `days` that can be built. Lazy, except for the tiles (see `current_tiles`)."""
    snapshots = Snapshots(context.lake, context.catalog)
    ready, waiting = buildable(table, days, snapshots)
    previous: dict[str, dict[date, set[date]]] = {}
    for read in table.all_inputs:
        if read.previous:
            previous[read.table] = _previous_days(spark, snapshots.of(read.table), read, ready)
    inputs = record(table, ready, snapshots, lambda read: previous[read.table])
    read_at = snapshots.versions
    if table.content:
        read_of = {i.table: filtered(i, read_days(spark, snapshots.of(i.table), ready)) for i in table.all_inputs}
        driver = read_of.pop(table.driver.table)
        signals, progress = signals_of_contents(context, spark, table, driver, read_of, ready, family(table), scratch)
        return Extracted(signals, ready, inputs, read_at, waiting, progress)
    computed = _computed(spark, table, ready, snapshots, previous) if table.computed else None
    if not table.windowed:
        assert computed is not None
        return Extracted(computed.select(DAY, *table.keys, *table.values), ready, inputs, read_at, waiting)
    tiles = current_tiles(context, spark, table, ready, snapshots, scratch)
    return Extracted(_joined(table, computed, tiles, ready), ready, inputs, read_at, waiting)


def _joined(table: Table, computed: DataFrame | None, tiles: Tiles, days: Sequence[date]) -> DataFrame:
    """Every key of the day with its computed and its windowed columns."""
    keys = [DAY, *table.keys]
    if computed is None:
        return finalize(table, tiles.fine, None, days, tiles.coarse)
    targets = computed.select(*keys)
    if table.keep_days:
        targets = present_keys(table, tiles.fine, days).unionByName(targets).distinct()
    joined = finalize(table, tiles.fine, targets, days, tiles.coarse).join(computed, on=keys, how="left")
    defaults = {c.name: c.default for c in table.computed if c.default is not None}
    filled = [F.coalesce(F.col(n), F.lit(defaults[n])).alias(n) if n in defaults else F.col(n) for n in table.values]
    return joined.select(*keys, *filled)


def _computed(
    spark: SparkSession,
    table: Table,
    days: Sequence[date],
    snapshots: Snapshots,
    previous: Mapping[str, Mapping[date, set[date]]],
) -> DataFrame:
    """What the family's `compute` makes of the inputs, its columns checked against the contract."""
    frames = {}
    for read in table.all_inputs:
        snapshot = snapshots.of(read.table)
        near = {d for day in days for d in snapshot.days if 0 <= (day - d).days < read.days}
        far = set().union(*previous.get(read.table, {}).values())
        frames[read.table] = filtered(read, read_days(spark, snapshot, sorted(near | far)))
    result = compute_of(table)(frames, days)
    expected = {DAY, *table.keys, *(c.name for c in table.computed)}
    if set(result.columns) != expected:
        missing, extra = expected - set(result.columns), set(result.columns) - expected
        raise ContractError(
            f"{table.table}: compute and contract differ: missing {sorted(missing)}, undeclared {sorted(extra)}",
            next_step=f"mend signals/{table.family}/compute.py or contract.py",
        )
    types = {c.name: c.type for c in table.computed}
    return result.select(*[F.col(n).cast(types[n]).alias(n) if n in types else F.col(n) for n in result.columns])


def family(table: Table) -> ModuleType:
    """What computes the family's coded columns."""
    return importlib.import_module(f"content_signals.signals.{table.family}.compute")


def compute_of(table: Table) -> Compute:
    """`compute_v2` of the family for version 2 when there is one, else `compute`."""
    module = family(table)
    found: Compute = getattr(module, f"compute_v{table.version}", None) or module.compute
    return found


def _previous_days(spark: SparkSession, snapshot: Snapshot, read: Input, days: Sequence[date]) -> dict[date, set[date]]:
    """For each day, the earlier days on which one of its keys was present last.

    Reads the key columns of the input's earlier days alone; at most one row a pair of days reaches the driver.
    """
    earlier = [d for d in snapshot.days if d <= max(days)]
    present = filtered(read, read_days(spark, snapshot, earlier)).select(DAY, *read.previous).distinct()
    keys = ", ".join(read.previous)
    lagged = present.selectExpr(DAY, f"lag({DAY}) over (partition by {keys} order by {DAY}) as previous")
    pairs = lagged.where(F.col("previous").isNotNull() & F.col(DAY).isin(*days)).distinct().collect()
    found: dict[date, set[date]] = {day: set() for day in days}
    for pair in pairs:
        found[pair[DAY]].add(pair["previous"])
    return found


def stamped(context: Context, table: Table, signals: DataFrame, known: DataFrame | None = None) -> DataFrame:
    """The signals with `event_ts`, `computed_at` and `run_id`.

    Args:
        known: the rows these days have now: one that says what it said before keeps its `computed_at`.
    """
    now = F.lit(context.run.now).cast("timestamp")
    values = [DAY, *table.keys, *table.values]
    if known is not None:
        was = {n: F.col(n) if n in known.columns else F.lit(None) for n in values}  # a new column was null
        before = known.select(
            *[value.alias(f"_was_{n}") for n, value in was.items()], F.col(COMPUTED_AT).alias("_was_computed_at")
        )
        signals = signals.join(before, on=[F.col(n).eqNullSafe(F.col(f"_was_{n}")) for n in values], how="left")
        now = F.coalesce(F.col("_was_computed_at"), now)
    return signals.select(
        *table.keys,
        *table.values,
        F.date_add(DAY, 1).cast("timestamp").alias(EVENT_TS),
        now.alias(COMPUTED_AT),
        F.lit(context.run.run_id).alias(RUN_ID),
        DAY,
    )


def _outcome(context: Context, table: Table, stages: Sequence[Stage], extracted: Extracted) -> Outcome:
    outcome = Outcome(days=extracted.days, skipped=dict(extracted.waiting))
    if contents := extracted.contents:
        counts = {"computed": contents.done, "cached": contents.cached, "set_aside": contents.aside}
        outcome.details["contents"] = counts
    # A digest begins with the number of rows it was taken over.
    own = (made_from[table.driver.table].get(str(day)) for day, made_from in extracted.inputs.items())
    outcome.rows_in = sum(int(digest.split("-")[0], 16) for digest in own if digest)
    for stage in stages:
        kept = ", some of the rows they replace in the history" if stage.history else ""
        context.say(f"{table.table} {stage.day}: {stage.rows} rows staged in {len(stage.files)} files{kept}")
        outcome.rows_out += stage.rows
    folder = f"{context.lake.of(table).path}/data/{context.run.folder}"
    outcome.paths.append(folder)
    return outcome
