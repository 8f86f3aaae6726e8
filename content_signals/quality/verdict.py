"""A verdict: what the rules say of one staged day, and for exactly which files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any

from content_signals.contract import Source, Table
from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import read_json, write_json
from content_signals.lake.layout import Lake, LakeTable
from content_signals.lake.stage import Stage, StagedFile

PASSED, WARNED, STOPPED = "passed", "warned", "stopped"
CRITICAL, WARNING, INFO = "critical", "warning", "info"
OUTCOMES = (PASSED, WARNED, STOPPED)  # the later, the graver


@dataclass(frozen=True)
class Failure:
    """A rule that failed: what was observed against what is allowed.

    Attributes:
        column: the columns it is about, separated by commas; empty for a rule about the table.
        rows: how many rows break it; 0 for a rule about the day as a whole.
        keys: up to three keys of such rows; a key of several columns with slashes between them.
        number: of the suite's rules of this kind for these columns, which one.
    """

    rule: str
    severity: str
    column: str
    observed: str
    allowed: str
    notes: str
    rows: int = 0
    keys: tuple[str, ...] = ()
    number: int = 1

    @property
    def name(self) -> str:
        """The rule with its columns, `expect_column_values_to_not_be_null(track_id)`; a second one like it with #2."""
        return rule_name(self.rule, self.column, self.number)

    def __str__(self) -> str:
        about = f" of {self.column}" if self.column else ""
        return f"{self.rule}{about}: observed {self.observed}, allowed {self.allowed} ({self.severity}; {self.notes})"


@dataclass(frozen=True)
class Override:
    """Who let a stopped day through, why and when."""

    by: str
    reason: str
    at: str


@dataclass(frozen=True)
class Verdict:
    """What was found of one staged day.

    Attributes:
        outcome: passed, warned (a warning failed, or rows were set aside; the day goes on) or stopped.
        stopped_by: why nothing may be promoted, a sentence each; empty unless stopped.
        files: the staged files it was given for.
        kept: the day without the rows that critical rules set aside; None: the stage as it is.
        quarantined: how many rows were set aside.
        metrics: what later days are compared with; see `history`.
        override: of a stopped day that somebody let through.
    """

    table: str
    day: str
    run_id: str
    fence: int
    outcome: str
    rules: int
    failures: tuple[Failure, ...]
    files: tuple[StagedFile, ...]
    rows: int = 0
    quarantined: int = 0
    kept: Stage | None = None
    stopped_by: tuple[str, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    judged_at: str = ""
    override: Override | None = None

    def write(self, table: LakeTable) -> str:
        """Keep it beside the stage; returns the path."""
        path = self.path(table)
        write_json(f"{path.removesuffix('.json')}-{self.fence}.json", asdict(self))
        write_json(path, asdict(self))
        return path

    def path(self, table: LakeTable) -> str:
        """Where it is kept."""
        return _path(table, date.fromisoformat(self.day), self.run_id)

    def overridden(self, by: str, reason: str, at: datetime) -> Verdict:
        """The same, let through by a person."""
        return replace(self, override=Override(by, reason, at.isoformat(timespec="seconds")))

    def stop(self, contract: Source | Table, lake: Lake) -> BrokenData:
        """The error of a stopped day."""
        table, aside = lake.of(contract), lake.quarantine(contract).name
        # Nothing waits for a source's day that is let through: its ingest has ended without a word to the builds.
        builds = ", then start the builds of the day" if isinstance(contract, Source) else ""
        return BrokenData(
            f"{self.table} {self.day}: " + "; ".join(self.stopped_by),
            state="nothing was promoted; readers see the day as it was promoted last, if it was"
            + (f"; the rows are in {aside}, ds={self.day}" if self.quarantined else ""),
            next_step=f"content-signals quarantine {self.table} --day {self.day} and"
            f" {table.run_folder(date.fromisoformat(self.day), self.run_id)}/validation_result.json show what failed;"
            f" mend the input or the rule in expectations/{self.table}.json, then run the day again; or let it"
            f' through: content-signals promote {self.table} --day {self.day} --override --reason "…"{builds}',
        )


def read_verdict(table: LakeTable, stage: Stage) -> Verdict:
    """The verdict of a stage's run.

    Raises:
        NotLanded: when the run was never validated.
    """
    found = verdict_of(table, date.fromisoformat(stage.day), stage.run_id)
    if found is None:
        raise NotLanded(
            f"{table.name} {stage.day}: run {stage.run_id} has no verdict",
            state="nothing was promoted",
            next_step=f"validate_signals --table {table.name} --day {stage.day} --run-id {stage.run_id}",
        )
    return found


def verdict_of(table: LakeTable, day: date, run_id: str, fence: int | None = None) -> Verdict | None:
    """The verdict a run was given for a day, None when it has none.

    Args:
        fence: of one of the run's attempts; default: the attempt that was judged last.
    """
    path = _path(table, day, run_id)
    record: dict[str, Any] | None = read_json(f"{path.removesuffix('.json')}-{fence}.json") if fence else None
    record = record or read_json(path)
    found = record and _verdict(record)
    return found if found and fence in (None, found.fence) else None


def _verdict(record: dict[str, Any]) -> Verdict:
    failures = tuple(Failure(**{**f, "keys": tuple(f.get("keys", ()))}) for f in record["failures"])
    kept, override = record.get("kept"), record.get("override")
    return Verdict(
        **{
            **record,
            "failures": failures,
            "files": tuple(StagedFile(**f) for f in record["files"]),
            "stopped_by": tuple(record.get("stopped_by", ())),
            "kept": kept and Stage.from_json(kept),
            "override": override and Override(**override),
        }
    )


def rule_name(rule: str, column: str, number: int = 1) -> str:
    """What a rule is called wherever it is named."""
    return f"{rule}({column})" + (f"#{number}" if number > 1 else "")


def _path(table: LakeTable, day: date, run_id: str) -> str:
    return f"{table.run_folder(day, run_id)}/verdict.json"
