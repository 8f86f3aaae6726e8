"""Promoted days to the online store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from content_signals.contract import Table
from content_signals.errors import NotLanded, UsageError
from content_signals.features.publish import Written, publish_files
from content_signals.features.registry import register, registry_answers
from content_signals.features.store import feature_store, online_client
from content_signals.lake.files import write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.receipt import published_day
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.stage import Stage
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.told import found_again


def publish(context: Context, table: Table, days: Sequence[date]) -> Outcome:
    """Publish the newest promoted of some days: the online store holds one row a key, the latest.

    A day older than the one that is served already is left alone: its keys would come back to life.
    """
    if not table.serve:
        raise UsageError(
            f"{table.table} only feeds other tables; it is not served", next_step="publish a table with serve=True"
        )
    lake_table = context.lake.of(table)
    snapshot = Snapshot(lake_table)
    promoted = [day for day in days if day in set(snapshot.days)]
    if not promoted:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} has been promoted",
            state="the online store serves what it served",
            next_step=f"promote_signals --table {table.table} --day {days[-1]}",
        )
    outcome = Outcome(skipped=dict.fromkeys(promoted[:-1], "an older day of the range"))
    day = promoted[-1]
    stage = snapshot.stage(day)
    assert stage is not None  # the day is promoted
    newer = _published_after(lake_table, day)
    if newer:
        outcome.skipped[day] = f"the online store serves {newer}, which is newer"
        context.say(f"{table.table} {day}: not published; {outcome.skipped[day]}")
        return outcome
    written = _write(context, table, snapshot, day)
    outcome.days.append(day)
    outcome.rows_in, outcome.rows_out = stage.rows, written.served
    outcome.details.update(sent=written.sent, not_taken=written.not_taken)
    outcome.paths.append(_receipt(lake_table, stage, written, context))
    found_again(context, table, outcome.days)
    return outcome


def _write(context: Context, table: Table, snapshot: Snapshot, day: date) -> Written:
    online_client(context.settings).close()  # fail before work starts
    with registry_answers():
        store = feature_store(context.settings)
        register(store, context.settings)
        context.say(f"{table.table} {day}: registered; writing")
        written = publish_files(store, table, snapshot.files([day]))
    context.say(f"{table.table} {day}: {written.sent} rows sent, {written.served} read back equal")
    if written.not_taken:
        context.say(
            f"{table.table} {day}: {written.not_taken} keys still serve earlier values of the same day, e.g."
            f" {', '.join(written.sample_not_taken)}: Feast's Redis store takes no correction with an equal event time"
        )
    return written


def _receipt(table: LakeTable, stage: Stage, written: Written, context: Context) -> str:
    path = f"{table.run_folder(date.fromisoformat(stage.day), stage.run_id)}/receipt.json"
    write_json(
        path,
        {
            "table": table.name,
            "day": stage.day,
            "run_id": stage.run_id,
            "fence": stage.fence,
            "digest": stage.digest,
            "sent": written.sent,
            "served": written.served,
            "not_taken": written.not_taken,
            "published_at": context.run.now.isoformat(),
            "published_by": context.run.run_id,
        },
    )
    return path


def _published_after(table: LakeTable, day: date) -> date | None:
    newest = published_day(table)
    return newest if newest and newest > day else None
