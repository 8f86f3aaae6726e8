"""Rows that break critical rules, set aside: the row as it was, which rules it breaks, who found it and when.

A day's quarantine lies in the Delta table `quarantine/<table>` and is replaced whole by whoever judges the day next.
The staged files without such rows are promoted as they lie; only a file with one of them is written again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, DAY
from content_signals.errors import Superseded
from content_signals.lake.commit import add_actions
from content_signals.lake.history import SUPERSEDED_AT
from content_signals.lake.layout import LakeTable, Run
from content_signals.lake.promote import promote
from content_signals.lake.read import read_days, read_files
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import NO_ROWS, Stage, StagedFile, digests_of, less, staged_files
from content_signals.quality.plan import Predicate
from content_signals.quality.predicates import flagged
from content_signals.quality.quarantine_columns import ADDED, FILE, JUDGED_AT, JUDGED_BY, RULES

SHOWN = 50  # rows kept for a look at them


@dataclass(frozen=True)
class SetAside:
    """What was set aside of a day.

    Attributes:
        kept: the day without these rows.
        broken: rule -> how many of the rows break it.
        keys: rule -> up to three keys of rows that break it.
        sample: some of the rows: `rules`, the names of those it breaks, and `row`, column -> text.
    """

    rows: int
    kept: Stage
    broken: Mapping[str, int]
    keys: Mapping[str, tuple[str, ...]]
    sample: list[dict[str, Any]]


@dataclass(frozen=True)
class _Counted:
    """The rows in a quarantine, counted: how many, in which staged files, and for each rule how many and some keys."""

    rows: int
    files: frozenset[str]
    broken: dict[str, int]
    keys: dict[str, tuple[str, ...]]


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
    bad = (
        marked.where(broken).withColumns(stamps).select(*[F.col(name) for name in columns if name != DAY], *ADDED, DAY)
    )
    folder = f"data/{run.folder}"
    _write(bad, quarantine, folder, day, keys)
    files = staged_files(quarantine, folder, day)
    found = read_files(frame.sparkSession, bad.schema, [f"{quarantine.path}/{file.path}" for file in files])
    counted = _counted(found, list(predicates), keys)
    digest = digests_of(found.select(*columns)).get(day, (0, NO_ROWS))[1]
    schema = json.dumps(_schema_of(bad))
    _show(quarantine, Stage(quarantine.name, stage.day, run.run_id, run.fence, counted.rows, digest, files, schema))
    good = marked.where(~broken).where(F.col(FILE).isin(*counted.files)).select(*columns)
    below, folder = f"/without-{run.fence}", f"data/{stage.run_id}-{stage.fence}"  # no reader looks into it
    moved = any(predicate.window for predicate in predicates.values())
    _write(good, table, folder, day, keys, below, as_read=not moved)
    kept = [file for file in stage.files if file.path.rsplit("/", 1)[1] not in counted.files]
    return SetAside(
        rows=counted.rows,
        kept=replace(
            stage,
            rows=stage.rows - counted.rows,
            digest=less(stage.digest, digest),
            files=(*kept, *staged_files(table, folder, day, below)),
            history=(*stage.history, *_superseded(table, found, day, keys, run)),
        ),
        broken=counted.broken,
        keys=counted.keys,
        sample=_sample(found.select(*columns, *ADDED), keys),
    )


def _superseded(table: LakeTable, aside: DataFrame, day: date, keys: Sequence[str], run: Run) -> tuple[StagedFile, ...]:
    """Rows set aside that stand in the promoted day as they are, for its history: they were known until now.

    Others of the promoted day that the stage lacks or has changed are in the stage's history already.
    """
    snapshot = Snapshot(table)
    if COMPUTED_AT not in aside.columns or snapshot.fence(day) is None:
        return ()
    known = read_days(aside.sparkSession, snapshot, [day])
    gone = known.join(aside.select(*keys, COMPUTED_AT), on=[*keys, COMPUTED_AT], how="left_semi")
    folder = f"data/{run.folder}"
    _write(gone.withColumn(SUPERSEDED_AT, F.lit(run.now).cast("timestamp")), table.history, folder, day, keys)
    files = staged_files(table.history, folder, day)
    rows, _ = add_actions(table.history, day, files, run.fence)
    return files if rows else ()  # most often there are none


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


def _write(
    rows: DataFrame,
    table: LakeTable,
    folder: str,
    day: date,
    keys: Sequence[str],
    below: str = "",
    *,
    as_read: bool = False,
) -> None:
    """Write rows of a day as files of a folder below the table's; days of one run are written one after the other.

    Args:
        as_read: the rows come as they lie in files, sorted, each file a range of the keys: they stay so, and sorting
            them costs next to nothing.
    """
    adaptive = rows.sparkSession.conf.get("spark.sql.adaptive.enabled") == "true"  # else Spark knows no such hint
    few = rows.drop(DAY)
    if not adaptive:
        few = few.coalesce(1)
    elif not as_read:
        few = few.hint("rebalance")
    ordered = few.sortWithinPartitions(*keys)
    ordered.write.mode("overwrite").parquet(f"{table.path}/{folder}/{DAY}={day}{below}")


def _counted(found: DataFrame, rules: Sequence[str], keys: Sequence[str]) -> _Counted:
    """One query. A few keys for each rule: the first, the last and one between; a key that is null is called so."""
    key = F.concat_ws("/", *[F.coalesce(F.col(name).cast("string"), F.lit("null")) for name in keys])
    columns = [F.count(F.lit(1)).alias("rows"), F.collect_set(FILE).alias("files")]
    for number, rule in enumerate(rules):
        broken = F.when(F.array_contains(RULES, rule), key)
        picked = F.array(F.min(broken), F.max(broken), F.min_by(broken, F.xxhash64(broken)))
        columns += [
            F.count(broken).alias(f"broken_{number}"),
            F.array_sort(F.array_distinct(F.array_compact(picked))).alias(f"keys_{number}"),
        ]
    row = found.agg(*columns).collect()[0]
    return _Counted(
        row["rows"],
        frozenset(row["files"]),
        {rule: row[f"broken_{number}"] for number, rule in enumerate(rules)},
        {rule: tuple(row[f"keys_{number}"]) for number, rule in enumerate(rules)},
    )


def _schema_of(rows: DataFrame) -> dict[str, Any]:
    """The schema as a table has it: every column may be null."""
    schema: dict[str, Any] = rows.schema.jsonValue()
    return {**schema, "fields": [{**one, "nullable": True} for one in schema["fields"]]}


def _sample(found: DataFrame, keys: Sequence[str]) -> list[dict[str, Any]]:
    rows = found.orderBy(*keys).limit(SHOWN).collect()
    return [{"rules": row[RULES], "row": {n: _text(row[n]) for n in row.asDict() if n not in ADDED}} for row in rows]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
