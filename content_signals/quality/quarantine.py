"""Rows that break critical rules, set aside: the row as it was, which rules it breaks, who found it and when.

A day's quarantine lies in the Delta table `quarantine/<table>` and is replaced whole by whoever judges the day next.
The staged files without such rows are promoted as they lie; only a file with one of them is written again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY
from content_signals.errors import Superseded
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.promote import promote
from content_signals.lake.read import read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import NO_ROWS, Stage, StagedFile, digests_of, less, staged_files, write_stage
from content_signals.quality.plan import Predicate
from content_signals.quality.predicates import flagged
from content_signals.quality.quarantine_columns import ADDED, FILE, JUDGED_AT, JUDGED_BY, RULES

SHOWN = 50  # rows kept for a look at them


@dataclass(frozen=True)
class SetAside:
    """What was set aside of a day.

    Attributes:
        kept: the day without these rows.
        keys: rule -> up to three keys of rows that break it.
        sample: some of the rows: `rules`, the names of those it breaks, and `row`, column -> text.
    """

    rows: int
    kept: Stage
    keys: Mapping[str, tuple[str, ...]]
    sample: list[dict[str, Any]]


def set_aside(
    table: LakeTable,
    quarantine: LakeTable,
    frame: DataFrame,
    stage: Stage,
    predicates: dict[str, Predicate],
    keys: Sequence[str],
    run: Run,
) -> SetAside:
    """Write the rows of a staged day that break any of some rules to the quarantine, and the rest anew where need be.

    Args:
        frame: reads exactly the stage's files.
        predicates: by the rules' names.
        run: the judging run's; a later one's quarantine of the day is left as it is.
    """
    columns, day = frame.columns, date.fromisoformat(stage.day)
    located = frame.withColumn(FILE, F.element_at(F.split(F.col("_metadata.file_path"), "/"), -1))
    marked, broken = flagged(located, predicates, RULES)
    stamps = {JUDGED_BY: F.lit(run.run_id), JUDGED_AT: F.lit(run.now).cast("timestamp")}
    bad = marked.where(broken).withColumns(stamps).select(*[name for name in columns if name != DAY], *ADDED, DAY)
    written = write_stage(quarantine, bad, [day], run, {}, keys)[0]
    found = read_files(frame.sparkSession, bad.schema, [f"{quarantine.path}/{file.path}" for file in written.files])
    _show(quarantine, written)
    files = {str(row[FILE]) for row in found.select(FILE).distinct().collect()}
    good = marked.where(~broken).where(F.col(FILE).isin(*files)).select(*columns)
    rewritten = _rewritten(table, good, stage, run, keys)
    digest = digests_of(found.select(*columns))[day][1]
    kept = [file for file in stage.files if file.path.rsplit("/", 1)[1] not in files]
    return SetAside(
        rows=written.rows,
        kept=replace(
            stage, rows=stage.rows - written.rows, digest=less(stage.digest, digest), files=(*kept, *rewritten)
        ),
        keys=_keys(found, list(predicates), keys),
        sample=_sample(found.select(*columns, *ADDED), keys),
    )


def clear(quarantine: LakeTable, day: date, run: Run) -> bool:
    """Empty a day's quarantine; whether an earlier judgement had left rows there."""
    snapshot = Snapshot(quarantine)
    if snapshot.schema_json is None or snapshot.fence(day) is None or not snapshot.rows([day]):
        return False
    _show(quarantine, Stage(quarantine.name, str(day), run.run_id, run.fence, 0, NO_ROWS, (), snapshot.schema_json))
    return True


def _show(quarantine: LakeTable, stage: Stage) -> None:
    with contextlib.suppress(Superseded):  # a later judgement of the day stands there already
        promote(quarantine, stage, stage.files)


def _rewritten(
    table: LakeTable, good: DataFrame, stage: Stage, run: Run, keys: Sequence[str]
) -> tuple[StagedFile, ...]:
    """The good rows of files that hold bad ones too, in files of their own in a folder that no reader looks into."""
    below = f"/without-{run.fence}"
    folder = f"data/{stage.run_id}-{stage.fence}"
    ordered = good.drop(DAY).hint("rebalance").sortWithinPartitions(*keys)
    ordered.write.mode("overwrite").parquet(f"{table.path}/{folder}/{DAY}={stage.day}{below}")
    return staged_files(table, folder, date.fromisoformat(stage.day), below)


def _keys(found: DataFrame, rules: Sequence[str], keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """A few keys for each rule: the first, the last and one between; a key that is null is called so."""
    key = F.concat_ws("/", *[F.coalesce(F.col(name).cast("string"), F.lit("null")) for name in keys])
    columns = []
    for number, rule in enumerate(rules):
        broken = F.when(F.array_contains(RULES, rule), key)
        picked = F.array(F.min(broken), F.max(broken), F.min_by(broken, F.xxhash64(broken)))
        columns.append(F.array_sort(F.array_distinct(F.array_compact(picked))).alias(str(number)))
    row = found.agg(*columns).collect()[0]
    return {rule: tuple(row[str(number)]) for number, rule in enumerate(rules)}


def _sample(found: DataFrame, keys: Sequence[str]) -> list[dict[str, Any]]:
    rows = found.orderBy(*keys).limit(SHOWN).collect()
    return [{"rules": row[RULES], "row": {n: _text(row[n]) for n in row.asDict() if n not in ADDED}} for row in rows]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
