"""One alert per problem: who is told what, and what is only written down.

A problem is a day of a table that did not go through. It is told once. It is not told again by a retry or a rerun that
fails the same rules, nor when it follows from the problem of a table it is made from, which was told. When the day
passes, one line says so. Nothing here fails a job: what goes wrong is said, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from pydantic import SecretStr

from content_signals.alerts import lineage, message, problem
from content_signals.alerts.message import Message
from content_signals.alerts.problem import KINDS, LATE, LOST, Problem
from content_signals.alerts.records import Record, Records, Ref
from content_signals.alerts.send import Deliver, Delivery, to_channels
from content_signals.catalog import Catalog
from content_signals.contract import Source, Table
from content_signals.errors import SignalsError, summary_of
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.quality.verdict import PASSED, STOPPED, Verdict

Contract = Source | Table

# However many messages there are and whatever a server does, a job spends no more than this on them, the one under way
# when it is over excepted. What was not sent is not marked as told: the next run tells.
MOST_TIME = timedelta(minutes=2)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Alerts:
    """Tells the owners of tables what became of their days.

    As a context manager it spares them a flood: of several days of a table with the same problem the first is told at
    once, the others in one message at the end; so are several days that pass.

    Args:
        urls: the channels; without any nobody is told, but records are kept.
        say: gets one line per thing that happened, as in `Context`.
        clock: the time, with its zone.
        deliver: how a message is sent, for tests.
    """

    def __init__(
        self,
        urls: Sequence[SecretStr],
        lake: Lake,
        catalog: Catalog,
        say: Callable[[str], None],
        *,
        clock: Callable[[], datetime] = utc_now,
        deliver: Deliver | None = None,
        records: Records | None = None,
    ) -> None:
        self._lake, self._catalog, self._say, self._clock = lake, catalog, say, clock
        self._deliver = deliver or to_channels(urls)
        self._records = records or Records(lake.root, clock)
        self._gathers, self._spent, self._attempts = False, timedelta(), 0
        self._problems: dict[tuple[str, str, frozenset[str]], list[Problem]] = {}
        self._ends: dict[str, list[tuple[Record, list[str]]]] = {}

    def __enter__(self) -> Alerts:
        self._gathers = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def judged(
        self,
        table: Contract,
        verdict: Verdict,
        *,
        served: str | None = None,
        task_log: str | None = None,
        docs: str | None = None,
    ) -> None:
        """A day was judged: told when it was stopped or passed with warnings, closed when it passed.

        Args:
            verdict: one with an `override` is told with who let the day through, and why.
            served: what readers see, of a day that is promoted; without it what they see meanwhile is looked up.
            task_log: URL of the task's log, and `docs` of the day's page in Data Docs.
        """
        if verdict.outcome == PASSED:
            self.mended(table, date.fromisoformat(verdict.day))
            return
        with self._never_fails(f"{table.table} {verdict.day}"):
            shown = served or served_meanwhile(self._lake, table, date.fromisoformat(verdict.day))
            found = problem.of_verdict(table, verdict, self._lake, shown, task_log, docs)
            there = bool(verdict.override) or (served is not None and verdict.outcome != STOPPED)
            self._problem(replace(found, promoted=there))

    def failed(
        self, table: Contract, day: date, error: SignalsError, *, served: str = "", task_log: str | None = None
    ) -> None:
        """A step gave a day up for an error that no retry cures: a broken file, a refused promotion."""
        with self._never_fails(f"{table.table} {day}"):
            shown = served or served_meanwhile(self._lake, table, day)
            self._problem(problem.of_error(table, day, error, shown, task_log))

    def late(
        self, table: Contract, day: date, reason: str, *, task_log: str | None = None, run_id: str | None = None
    ) -> None:
        """A day is not there `fresh_within` after its end."""
        self._without_verdict(table, day, LATE, reason, task_log, run_id)

    def lost(
        self, table: Contract, day: date, reason: str, *, task_log: str | None = None, run_id: str | None = None
    ) -> None:
        """A job ended without a word of its own: killed, timed out, its worker gone."""
        self._without_verdict(table, day, LOST, reason, task_log, run_id)

    def mended(self, table: Contract, day: date, *, kinds: Sequence[str] = KINDS) -> None:
        """A day went through: what is open of it is closed, in one line if it had been told.

        Args:
            kinds: only a problem of these kinds is over: a publish that went through says nothing of a day's rules.
        """
        with self._never_fails(f"{table.table} {day}"):
            at = Ref(table.table, day)
            if _is_open(self._records.read(at), kinds):
                with self._records.turn(at):
                    found = self._records.read(at)
                    if found is not None and _is_open(found, kinds):
                        self._end(table, found)

    def test(self) -> list[Delivery]:
        """Send a message to every channel that says it is a trial; what became of it, channel by channel."""
        return self._deliver(
            Message(
                "content-signals: a trial alert",
                "This channel gets the alerts of content-signals. Nothing is wrong.",
                message.SUCCESS,
                {"event": "trial"},
            )
        )

    def close(self) -> None:
        """Tell what was gathered."""
        self._gathers = False
        for problems in self._problems.values():
            if problems:
                with self._never_fails(problems[0].table):
                    self._tell_gathered(problems)
        for ends in self._ends.values():
            if ends:
                table = self._catalog.any(ends[0][0].at.table)
                with self._never_fails(table.table):
                    affected = list(dict.fromkeys(name for _, names in ends for name in names))
                    days = [record.at.day for record, _ in ends]
                    self._send(table.table, message.of_more_ends(table.table, days, affected, table.owner))
        self._problems, self._ends = {}, {}

    def _without_verdict(
        self, table: Contract, day: date, kind: str, reason: str, task_log: str | None, run_id: str | None
    ) -> None:
        with self._never_fails(f"{table.table} {day}"):
            shown = served_meanwhile(self._lake, table, day)
            self._problem(problem.of_reason(table, day, kind, reason, shown, task_log, run_id))

    def _problem(self, found: Problem) -> None:
        attempts = self._attempts
        try:
            self._fold_or_tell(found)
        except OSError as error:
            self._say(f"{found.table} {found.day}: what was told before cannot be read: {summary_of(error)}")
            if self._attempts == attempts:
                self._send(f"{found.table} {found.day}", message.of_problem(found))

    def _fold_or_tell(self, found: Problem) -> None:
        at = Ref(found.table, found.day)
        with self._records.turn(at):
            before = self._records.read(at) or Record(at)
            record = before.with_problem(found, self._clock())
            if record.open and not record.has_news(found):
                self._records.write(record)
                self._say(f"{at}: told already ({_listed(found)}); not told again")
            elif not self._follows(found, record):
                self._tell(found, record)

    def _follows(self, found: Problem, record: Record) -> bool:
        """Write down that the problem follows from another one, if it does."""
        cause = lineage.cause_of(found, self._catalog, self._records, self._clock())
        if cause is None:
            return False
        self._records.write(replace(record, cause=cause))
        # Had the cause ended in between, nobody would ever look at this record: whoever ends it looks after closing it.
        root = self._records.read(cause)
        if root is None or not lineage.explains(root, found, self._clock()):
            return False
        self._say(f"{record.at}: follows from {cause}, which was told; not told again")
        return True

    def _tell(self, found: Problem, record: Record) -> None:
        signature = (found.table, found.kind, found.keys)
        if self._gathers and signature in self._problems:
            self._problems[signature].append(found)
            self._records.write(record.as_told(self._clock()))
            return
        waiting = [t.table for t in self._catalog.downstream([found.table]) if t.table != found.table]
        related = lineage.related_to(found, self._catalog, self._records)
        if self._send(str(record.at), message.of_problem(found, waiting, related)):
            record = record.as_told(self._clock())
            self._problems.setdefault(signature, [])
        self._records.write(replace(record, cause=None))

    def _tell_gathered(self, problems: Sequence[Problem]) -> None:
        if self._send(problems[0].table, message.of_more(problems)):
            return
        for found in problems:  # nobody was told after all: the next run tells
            at = Ref(found.table, found.day)
            with self._records.turn(at):
                record = self._records.read(at)
                if record is not None:
                    self._records.write(replace(record, told=(), told_kind="", told_at=None))

    def _end(self, table: Contract, record: Record) -> None:
        self._records.write(record.as_closed(self._clock()))
        affected = [str(at) for at in self._close_affected(record.at)]
        if not record.told:
            return
        if self._gathers and table.table in self._ends:
            self._ends[table.table].append((record, affected))
            return
        line = message.of_end(table.table, record.at.day, record.told_kind, record.told_at, affected, table.owner)
        if self._send(str(record.at), line):
            self._ends.setdefault(table.table, [])

    def _close_affected(self, root: Ref) -> list[Ref]:
        """Close what followed from a problem: its own line names them. What is still wrong then is told as new."""
        affected = lineage.affected_by(root, self._catalog, self._records)
        with ThreadPoolExecutor(max_workers=16) as pool:  # each waits for its turn: a year of days may follow from one
            closed = pool.map(lambda found: self._close_if_caused_by(root, found.at), affected)
            return [found.at for found, done in zip(affected, closed, strict=True) if done]

    def _close_if_caused_by(self, root: Ref, at: Ref) -> bool:
        with self._records.turn(at):
            record = self._records.read(at)
            if record is None or not record.open or record.cause != root:
                return False
            self._records.write(record.as_closed(self._clock()))
            return True

    def _send(self, about: str, told: Message) -> bool:
        """Whether one channel at least has it."""
        if self._spent > MOST_TIME:
            self._say(f"{about}: no alert sent, the job has spent {self._spent} on alerts: {told.title}")
            return False
        began, self._attempts = self._clock(), self._attempts + 1
        deliveries = self._deliver(told)
        self._spent += self._clock() - began
        if not deliveries:
            self._say(f"{about}: no alert sent, there is no channel in alert_urls: {told.title}")
        for delivery in deliveries:
            how = f"alert not delivered: {delivery.why_not}" if delivery.why_not else "alert sent"
            self._say(f"{about}: {delivery.channel}: {how}")
        return any(not delivery.why_not for delivery in deliveries)

    @contextmanager
    def _never_fails(self, about: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # an alert is worth no job
            self._say(f"{about}: the alert could not be dealt with: {summary_of(error)}")


def served_meanwhile(lake: Lake, table: Contract, day: date) -> str:
    """What readers see of a table while one of its days is not promoted."""
    try:
        days = Snapshot(lake.of(table)).days
    except Exception:  # said in an alert: better without than not at all
        return "what was promoted before"
    if day in days:
        return f"{day} as it was promoted before"
    earlier = [d for d in days if d < day]
    return f"days up to {max(earlier)}; {day} has no rows" if earlier else f"no day up to {day} has rows"


def _is_open(record: Record | None, kinds: Sequence[str]) -> bool:
    return record is not None and record.open and record.kind in kinds


def _listed(found: Problem) -> str:
    return ", ".join(sorted(found.keys))
