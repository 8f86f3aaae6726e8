"""The online store, brought to what a table says now."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.declaration import fingerprint
from content_signals.errors import NotLanded, Temporary, UsageError
from content_signals.features.encode import how_written
from content_signals.features.fallback import Written, publish_files, unsupported
from content_signals.features.lease import Lease, Ticket
from content_signals.features.live import leave_again
from content_signals.features.online import View
from content_signals.features.publish import Difference, Sent, difference, send
from content_signals.features.readback import not_as_written
from content_signals.features.registry import register, registry_answers
from content_signals.features.retirement import Registered, retired_since
from content_signals.features.served import Marker, Promoted, Served
from content_signals.features.store import feature_store, online_client, store_answers
from content_signals.features.sweep import sweep
from content_signals.lake.files import remove, write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.read import read_days, with_columns
from content_signals.lake.receipts import Receipt, append_receipt
from content_signals.lake.snapshot import Snapshot, kept
from content_signals.lake.stage import Stage
from content_signals.lake.takedowns import taken_down
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.parts import hide_parts
from content_signals.pipeline.takedown import mark_taken_down, view_of
from content_signals.pipeline.told import found_again
from content_signals.quality.verdict import verdict_of

if TYPE_CHECKING:
    from feast import FeatureStore

HASHED = 1_000_000  # keys and times of so many rows a partition fit into a worker's memory
SAMPLE = 200  # rows that are read back through Feast


def publish(
    context: Context, spark: SparkSession, table: Table, days: Sequence[date], *, full: bool = False
) -> Outcome:
    """Bring the online store to the newest promoted day of a table, as the table is now.

    The store has one row a key, so of a range the newest day counts, and a day older than what is promoted changes
    nothing. What is sent is the difference to what the store says it holds. A retired version whose fields were cleaned
    up is skipped.

    Args:
        full: send every row, and look in the store itself for keys that left. Brings a retired version back, whose time
            of grace begins anew.

    Raises:
        UsageError: the table is not served, or `online_store` of the settings is a node of a cluster.
        NotLanded: none of the days is promoted.
        Temporary: the store or the registry does not answer, or what was written does not read back.
    """
    if not table.serve:
        raise UsageError(
            f"{table.table} only feeds other tables; it is not served", next_step="publish a table with serve=True"
        )
    snapshot = Snapshot(context.lake.of(table))
    promoted = [day for day in days if day in set(snapshot.days)]
    if not promoted:
        raise NotLanded(
            f"{table.table}: no day from {days[0]} to {days[-1]} has been promoted",
            state="the online store serves what it served",
            next_step=f"promote_signals --table {table.table} --day {days[-1]}",
        )
    day = snapshot.days[-1]
    outcome = Outcome(skipped={d: f"the online store serves {day}, which is newer" for d in promoted if d != day})
    for older, why in outcome.skipped.items():
        context.say(f"{table.table} {older}: not published; {why}")
    with registry_answers(), store_answers(), online_client(context.settings) as client:  # fail before work starts
        store = feature_store(context.settings)
        with Lease(client, store.project, "registry").held(context.say):  # no flip in between is undone
            register(store, context.settings)
            retired = retired_since(Registered.of(store), table.family, table.table)
            if retired and full:
                leave_again(store, table.family, table.table, context.run.now)
        publication = Publication(context, spark, table, snapshot, store, client, None if full else retired)
        publication.run(full=full)
    if publication.skipped:
        outcome.skipped[day] = publication.skipped
        return outcome
    outcome.days.append(day)
    outcome.rows_in, outcome.rows_out = publication.sent.read, publication.sent.written
    outcome.details.update(publication.counts)
    outcome.paths += publication.paths
    found_again(context, table, [day])
    return outcome


@dataclass
class Publication:
    """One table's newest day on its way to the online store.

    Attributes:
        retired: since when; it is not sent where its fields were cleaned up since.
        skipped: why it was not sent.
    """

    context: Context
    spark: SparkSession
    table: Table
    snapshot: Snapshot
    store: FeatureStore
    client: Any
    retired: datetime | None = None
    skipped: str = ""

    def __post_init__(self) -> None:
        """Begin with nothing sent."""
        self.sent, self.read_back, self.engine = Sent(), 0, "spark"
        self.paths: list[str] = []
        self._swept_to = ""
        self.marker = Marker(self.client, self.store.project, self.table.table)

    @property
    def counts(self) -> dict[str, object]:
        """What became of the rows."""
        counted = ("read", "written", "stale", "tombstoned", "unchanged")
        return {**{name: getattr(self.sent, name) for name in counted}, "read_back": self.read_back}

    @cached_property
    def promoted(self) -> Promoted:
        """What is to be served."""
        delta, day = self.snapshot.delta, self.snapshot.days[-1]
        assert delta is not None  # a day of it is promoted
        aside = self.quarantine.version if self.quarantine.rows([day]) else None
        return Promoted(delta.version(), str(day), str(delta.metadata().id), aside)

    @cached_property
    def quarantine(self) -> Snapshot:
        """What was set aside of the table."""
        return Snapshot(self.context.lake.quarantine(self.table))

    @cached_property
    def stage(self) -> Stage:
        """What the day was promoted from."""
        found = self.snapshot.stage(self.promoted.date)
        assert found is not None  # the day is promoted
        return found

    @cached_property
    def view(self) -> View:
        """The view in the store."""
        return view_of(self.context, self.table)

    @cached_property
    def now(self) -> DataFrame:
        """The rows to be served; columns that the table lacks are null."""
        rows = read_days(self.spark, self.snapshot, [self.promoted.date])
        return with_columns(rows, self.context.catalog.types(self.table))

    @cached_property
    def written_as(self) -> str:
        """How rows are written: where this differs from what is served, every row is written anew."""
        return how_written(self.context.catalog.types(self.table))

    def run(self, *, full: bool) -> None:
        """Send what is new, read some of it back, write the receipt."""
        served, run, name = self.marker.read(), self.context.run, f"{self.table.table} {self.promoted.day}"
        if served == Served(self.promoted, self.written_as) and not full:
            self.sent = Sent(read=self.stage.rows, unchanged=self.stage.rows)
            self.context.say(f"{name}: the online store serves version {self.promoted.version} already")
            return
        with Lease(self.client, self.store.project, self.table.table).held(self.context.say) as ticket:
            if self.retired and self.marker.cleared:
                self.skipped = f"retired since {self.retired:%Y-%m-%d} and cleaned up; --full brings it back"
                self.context.say(f"{name}: not published; {self.skipped}")
                return
            served = self.marker.read()
            if served.promoted and self._is_newer(served.promoted):
                self.context.say(f"{name}: another publication has brought version {served.promoted.version} meanwhile")
                return
            self.marker.begin(run.run_id, self.promoted)
            self._send(served, ticket, full=full)
            counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
            self.context.say(f"{name}: {counts}")
            self._receipt(served)
            # Of what went through Feast nobody knows how the store has taken it.
            written_as = self.written_as if self.engine == "spark" else ""
            self.marker.end(run.run_id, self.promoted, written_as, served)
        if self._swept_to:
            remove(self._swept_to)

    def _is_newer(self, other: Promoted) -> bool:
        return other.table == self.promoted.table and other.version > self.promoted.version

    def _send(self, served: Served, ticket: Ticket, *, full: bool) -> None:
        parts = hide_parts(self.context, self.table, self.snapshot.files([self.promoted.date]))
        reason = unsupported(self.store, self.now.select(*self.table.values).limit(0).toArrow().schema)
        if reason:
            self._through_feast(reason, ticket)
            return
        mark_taken_down(self.context, self.table, None if full or not served.promoted else parts)
        changes = self._difference(served, full=full)
        assert self.table.entity is not None  # a served table has one
        empty = changes.of_nothing and not taken_down(self.context.lake, self.table.entity.name)
        self.sent = send(self.view, changes, replace(ticket, empty=empty))
        self._check(f"{self.table.table} {self.promoted.day}")

    def _difference(self, served: Served, *, full: bool) -> Difference:
        left_at = (
            datetime.combine(self.promoted.date + timedelta(days=1), datetime.min.time(), UTC),
            datetime.fromtimestamp(self.stage.fence / 1_000_000, UTC),
        )
        states = [served.promoted, *served.begun.values()] if served.promoted else []
        known = served.written_as and not full and all(s and s.table == self.promoted.table for s in states)
        before = self._rows_of(states) if states and known else None
        alike = before is not None and len(states) == 1 and served.written_as == self.written_as
        same_day = alike and states[0] is not None and states[0].day == self.promoted.day
        if before is None:
            before = self._swept()
        few = self.stage.rows <= HASHED * int(self.spark.conf.get("spark.sql.shuffle.partitions") or 1)
        aside = self._aside()
        return difference(self.now, before, self.table, left_at, same_day=same_day, aside=aside, hashed=few)

    def _rows_of(self, states: Sequence[Promoted | None]) -> DataFrame | None:
        """Keys and times of days as they were at earlier versions; None where one of them is not kept any more.

        Keys that were set aside then have no times: their last good values are served, which have some.
        """
        frames = []
        key = self.table.keys[0]
        for state in filter(None, states):
            rows = self._day_of(self.snapshot.table, state.version, state.date)
            if rows is None:
                return None
            frames.append(rows.select(key, EVENT_TS, COMPUTED_AT))
            if state.aside is None:
                continue
            aside = self._day_of(self.quarantine.table, state.aside, state.date)
            if aside is None:
                return None
            keys = aside.select(key).where(F.col(key).isNotNull()).distinct()
            keys = keys.join(rows.select(key), on=key, how="left_anti")
            frames.append(keys.withColumns(dict.fromkeys((EVENT_TS, COMPUTED_AT), F.lit(None).cast("timestamp"))))
        return reduce(DataFrame.unionByName, frames)

    def _day_of(self, table: LakeTable, version: int, day: date) -> DataFrame | None:
        """A day as it was at a version; None where that is not kept any more."""
        if then := kept(table, version, day):
            return read_days(self.spark, then, [day])
        self.context.say(f"{table.name}: version {version} is not kept any more")
        return None

    def _aside(self) -> DataFrame | None:
        """The day's rows in quarantine, None where there are none."""
        return read_days(self.spark, self.quarantine, [self.promoted.date]) if self.promoted.aside is not None else None

    def _swept(self) -> DataFrame | None:
        """The keys the store serves, asked of the store; None where there are none."""
        path = f"{self._folder}/online_keys-{self.context.run.run_id}.parquet"
        found = sweep(self.client, self.view, path)
        self._swept_to = path
        if not found:
            return None
        self.context.say(f"{self.table.table}: {found} keys are in the store; those that the table does not have go")
        return self.spark.read.parquet(path)

    def _check(self, name: str) -> None:
        """Every row counted once, and a sample of them served as written."""
        rows = sum(count for (mode, _), count in self.sent.by_mode.items() if mode == "put") + self.sent.unchanged
        expected = self.snapshot.rows([self.promoted.date])
        if rows != expected:
            raise Temporary(f"{name}: {rows} rows were accounted for, the day has {expected}", **self._again)
        every = max(1, expected // SAMPLE)
        key = self.table.keys[0]
        chosen = self.now.where(F.pmod(F.xxhash64(key, F.lit(self.context.run.fence)), F.lit(every)) == 0).limit(SAMPLE)
        sample = chosen.select(key, *self.table.values, EVENT_TS, COMPUTED_AT).toArrow()
        differing = not_as_written(self.store, self.client, self.view, self.table, sample)
        if differing:
            told = f"{len(differing)} of {sample.num_rows} sampled rows are not served as written"
            raise Temporary(f"{name}: {told}, e.g. {', '.join(differing[:3])}", **self._again)
        self.read_back = sample.num_rows

    @property
    def _again(self) -> dict[str, str]:
        return {
            "state": "rows are written, but nobody may rely on them: the next publication sends all of them again",
            "next_step": f"publish_features --table {self.table.table} --day {self.promoted.day}",
        }

    def _through_feast(self, reason: str, ticket: Ticket) -> None:
        self.context.say(f"{self.table.table}: through Feast's own API, slower: {reason}")
        self.engine = "feast"
        assert self.table.entity is not None  # a served table has one
        entity, files = self.table.entity.name, self.snapshot.files([self.promoted.date])

        def gone() -> Collection[str]:
            ticket.check(self.client)
            return taken_down(self.context.lake, entity)

        written: Written = publish_files(self.store, self.table, files, gone)
        mark_taken_down(self.context, self.table)
        self.sent = Sent(read=written.sent, written=written.served, stale=written.not_taken)
        self.read_back = written.sent
        if written.not_taken:
            self.context.say(
                f"{self.table.table}: {written.not_taken} keys serve other values, e.g."
                f" {', '.join(written.sample_not_taken)}: Feast takes no row whose event time it has already"
            )

    @property
    def _folder(self) -> str:
        return self.snapshot.table.run_folder(self.promoted.date, self.stage.run_id)

    def _receipt(self, served: Served) -> None:
        verdict = verdict_of(self.snapshot.table, self.promoted.date, self.stage.run_id)
        counts: dict[str, Any] = self.counts
        receipt = Receipt(
            published_at=self.context.run.now,
            published_by=self.context.run.run_id,
            who=getpass.getuser(),
            view=self.table.table,
            day=self.promoted.date,
            run_id=self.stage.run_id,
            version=self.promoted.version,
            before=served.promoted.version if served.promoted else None,
            engine=self.engine,
            contract=fingerprint(self.table),
            verdict=verdict.outcome if verdict else "",
            checksum=self.stage.digest,
            inputs=self.stage.inputs,
            read_at=self.stage.read_at,
            files=tuple(file.path for file in self.snapshot.files_by_day.get(self.promoted.date, ())),
            **counts,
        )
        append_receipt(self.context.lake.receipts(self.table), receipt)
        path = f"{self._folder}/receipt.json"
        write_json(path, {**receipt.to_json(), "table": self.table.table, "fence": self.stage.fence})
        self.paths.append(path)
