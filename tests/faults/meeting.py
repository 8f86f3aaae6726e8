"""A damaged day, taken through the real validate and promote: what it met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from content_signals.contract import COMPUTED_AT, DAY, RUN_ID, Table
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.validate import validate
from tests.faults import good_days
from tests.faults.conftest import Owner, next_day

STOPPED, QUARANTINED, ALERTED, PASSED = "stopped", "quarantined", "alerted", "passed"


@dataclass(frozen=True)
class Met:
    """What became of a damaged day.

    Attributes:
        rules: those the owner was told, without the `expect_` that begins each.
        served: rows of the day that a reader of the table finds.
        aside: rows that the quarantine holds.
    """

    outcome: str
    rules: tuple[str, ...]
    served: tuple[dict[str, Any], ...]
    aside: int


def meet(context: Context, spark: SparkSession, table: Table, owner: Owner) -> Met:
    """Judge the staged day and promote it, as two jobs do, one after the other."""
    judged = validate(context, spark, table, [good_days.DAY], None)
    promoted = promote_days(next_day(context), table, [good_days.DAY], None)
    outcome = (
        STOPPED
        if promoted.failed
        else QUARANTINED
        if judged.quarantined
        else {"warned": ALERTED, "passed": PASSED}[judged.verdict]
    )
    assert bool(judged.failed) == bool(promoted.failed), "what validate stops is not promoted, and nothing else is held"
    rules = [rule.removeprefix("expect_") for message in owner.told for rule in message.fields["rules"]]
    aside = Snapshot(context.lake.quarantine(table)).rows([good_days.DAY])
    return Met(outcome, tuple(rules), tuple(served(context, table)), aside)


def served(context: Context, table: Table) -> list[dict[str, Any]]:
    """The day's rows as any reader of Delta sees them: keys, values and event time."""
    rows = DeltaTable(context.lake.of(table).path).to_pyarrow_dataset()
    return plain(rows.to_table(filter=pc.field(DAY) == pa.scalar(good_days.DAY)))


def plain(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows without what says how they were made."""
    return rows.drop_columns([n for n in (DAY, COMPUTED_AT, RUN_ID) if n in rows.schema.names]).to_pylist()
