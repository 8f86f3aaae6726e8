"""A sample of keys in the online store, compared with the table: what differs, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.errors import BrokenData, NotLanded, Temporary, UsageError
from content_signals.features.comparison import EXPECTED, Mismatch, compare, fetch, lines_of
from content_signals.features.decode import KINDS
from content_signals.features.encode import how_written
from content_signals.features.online import View
from content_signals.features.served import Marker, Promoted
from content_signals.features.store import online_client, refuse_other_store, store_answers
from content_signals.features.sweep import living_keys
from content_signals.features.views import time_to_live
from content_signals.lake.files import write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days, with_columns
from content_signals.lake.snapshot import Snapshot, kept
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.takedown import view_of

SAMPLE = 1_000
FEW = 3  # mismatches of each cause in the log; all of them are in the report


def check_online(context: Context, spark: SparkSession, table: Table, *, sample: int = SAMPLE) -> Outcome:
    """Compare some keys of the table, and some of the store, which may have keys the table does not have any more.

    Raises:
        UsageError: the table is not served.
        NotLanded: it was never published.
        BrokenData: keys are served otherwise, and nothing excuses it.
    """
    if not table.serve or table.entity is None:
        raise UsageError(f"{table.table} is not served", next_step="check a table with serve=True")
    refuse_other_store("check_online")
    view, lake_table = view_of(context, table), context.lake.of(table)
    with store_answers(), online_client(context.settings) as client:
        marker = Marker(client, view.project, view.name)
        served = marker.read()
        published = served.promoted
        if published is None and marker.cleared:
            context.say(f"{table.table}: not checked; it is retired and cleaned up")
            return Outcome()
        if published is None:
            raise NotLanded(
                f"{table.table}: the store does not say what it holds",
                next_step=f"publish_features --table {table.table} …",
            )
        current, then = Snapshot(lake_table), _published(table, lake_table, published)
        of_table = _rows(spark, table, then, published.date, sample, context.run.fence)
        keys = [str(key) for key in of_table.column(view.join_key).to_pylist()]
        keys = list(dict.fromkeys([*keys, *islice(living_keys(client, view), sample)]))
        types = context.catalog.types(table)
        kinds = [KINDS[types[name]] for name in table.values]
        stored = fetch(client, view, keys)
        rows = [
            _rows_of(spark, table, types, s, day, keys)
            for s, day in ((then, published.date), (current, current.days[-1]))
        ]
        aside = _aside(context, spark, table, current.days[-1], keys)
        keys = [key for key in keys if key not in aside]  # they keep their last good values, by design
        if served.begun or marker.read() != served:
            raise Temporary(
                f"{table.table}: a publication is under way, or was killed", next_step="check again after it"
            )
        found = compare(
            view,
            kinds,
            keys,
            stored,
            lines_of(view, rows[0]),
            lines_of(view, rows[1]),
            taken_down(context.lake, table.entity.name),
            at=context.run.fence,
            ttl=int(time_to_live(table).total_seconds() * 1_000_000),
            redefined=served.written_as != how_written(types),
        )
    return _told(context, table, view, keys, found)


def _rows(spark: SparkSession, table: Table, snapshot: Snapshot, day: date, sample: int, seed: int) -> pa.Table:
    """Keys of a sample of a day's rows, drawn by their hash."""
    every = max(1, snapshot.rows([day]) // sample)
    key = table.keys[0]
    drawn = F.pmod(F.xxhash64(key, F.lit(seed)), F.lit(every)) == 0
    return read_days(spark, snapshot, [day]).where(drawn).select(key).limit(2 * sample).toArrow()


def _published(table: Table, lake_table: LakeTable, published: Promoted) -> Snapshot:
    """The table as it was published."""
    if then := kept(lake_table, published.version, published.date):
        return then
    raise NotLanded(
        f"{table.table}: version {published.version}, which was published, is not kept any more",
        next_step=f"publish_features --table {table.table} --day D",
    )


def _aside(context: Context, spark: SparkSession, table: Table, day: date, keys: Sequence[str]) -> set[str]:
    """Those of the keys whose rows are in quarantine."""
    found = Snapshot(context.lake.quarantine(table))
    if not found.rows([day]):
        return set()
    wanted = spark.createDataFrame([(key,) for key in keys], f"{table.keys[0]} string")
    rows = read_days(spark, found, [day]).select(table.keys[0])
    return {str(row[0]) for row in rows.join(F.broadcast(wanted), on=table.keys[0], how="left_semi").collect()}


def _rows_of(
    spark: SparkSession, table: Table, types: Mapping[str, str], snapshot: Snapshot, day: date, keys: Sequence[str]
) -> pa.Table:
    """The rows of some keys on a day."""
    columns = [table.keys[0], *table.values, EVENT_TS, COMPUTED_AT]
    wanted = spark.createDataFrame([(key,) for key in keys], f"{table.keys[0]} string")
    rows = with_columns(read_days(spark, snapshot, [day]), types).select(*columns)
    return rows.join(F.broadcast(wanted), on=table.keys[0], how="left_semi").select(*columns).toArrow()


def _told(context: Context, table: Table, view: View, keys: Sequence[str], found: Sequence[Mismatch]) -> Outcome:
    causes = Counter(str(one.cause) for one in found)
    path = f"{context.lake.root}/_checks/{view.name}/{context.run.run_id}.json"
    all_of_them: list[dict[str, Any]] = [asdict(one) for one in found]
    write_json(path, {"view": view.name, "checked": len(keys), "causes": dict(causes), "mismatches": all_of_them})
    said: Counter[str] = Counter()
    for one in found:
        said[one.cause] += 1
        if said[one.cause] > FEW:
            continue
        about = f" ({', '.join(one.features)})" if one.features else ""
        context.say(f"{view.name} {one.key}: {one.cause}: {one.told}{about}")
    counted = "".join(f", {count} {cause}" for cause, count in causes.items())
    context.say(
        f"{view.name}: {len(keys)} keys checked, {len(keys) - len(found)} served as the table has them{counted}"
        + (f"; all of them: {path}" if len(found) > sum(min(count, FEW) for count in said.values()) else "")
    )
    wrong = [one for one in found if one.cause not in EXPECTED]
    if wrong:
        counts = ", ".join(f"{count} {cause}" for cause, count in causes.items())
        raise BrokenData(
            f"{view.name}: {len(wrong)} of {len(keys)} keys are served otherwise than published: {counts};"
            f" e.g. {', '.join(one.key for one in wrong[:3])}",
            state=f"models read what the store has; all that was found is in {path}",
            next_step=f"publish_features --table {table.table} --day D --full writes every row again",
        )
    return Outcome(rows_in=len(keys), rows_out=len(keys) - len(found), paths=[path], details={"causes": dict(causes)})
