"""A verdict: what the rules say of one staged day, and for exactly which files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import read_json, write_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.stage import Stage, StagedFile

PASSED, WARNED, STOPPED = "passed", "warned", "stopped"


@dataclass(frozen=True)
class Failure:
    """A rule that failed: what was observed against what is allowed."""

    rule: str
    severity: str
    column: str
    observed: str
    allowed: str
    notes: str

    def __str__(self) -> str:
        about = f" of {self.column}" if self.column else ""
        return f"{self.rule}{about}: observed {self.observed}, allowed {self.allowed} ({self.severity}; {self.notes})"


@dataclass(frozen=True)
class Verdict:
    """`outcome` is passed, warned (a warning failed; the day goes on) or stopped (a critical rule failed)."""

    table: str
    day: str
    run_id: str
    fence: int
    outcome: str
    rules: int
    failures: tuple[Failure, ...]
    files: tuple[StagedFile, ...]

    def write(self, table: LakeTable) -> str:
        """Keep it beside the stage; returns the path."""
        path = _path(table, date.fromisoformat(self.day), self.run_id)
        write_json(path, asdict(self))
        return path

    def stop(self, table: LakeTable) -> BrokenData:
        """The error of a stopped day."""
        failed = [f for f in self.failures if f.severity == "critical"]
        return BrokenData(
            f"{self.table} {self.day}: {len(failed)} critical rule{'s' if len(failed) > 1 else ''} failed: "
            + "; ".join(map(str, failed)),
            state="nothing was promoted; readers see the day as it was promoted last, if it was",
            next_step=f"look at {table.run_folder(date.fromisoformat(self.day), self.run_id)}/validation_result.json,"
            f" mend the input or the rule in expectations/{self.table}.json, then extract the day again",
        )


def read_verdict(table: LakeTable, stage: Stage) -> Verdict:
    """The verdict of a stage's run.

    Raises:
        NotLanded: when the run was never validated.
    """
    record: dict[str, Any] | None = read_json(_path(table, date.fromisoformat(stage.day), stage.run_id))
    if record is None:
        raise NotLanded(
            f"{table.name} {stage.day}: run {stage.run_id} has no verdict",
            state="nothing was promoted",
            next_step=f"validate_signals --table {table.name} --day {stage.day} --run-id {stage.run_id}",
        )
    failures = tuple(Failure(**f) for f in record.pop("failures"))
    files = tuple(StagedFile(**f) for f in record.pop("files"))
    return Verdict(**record, failures=failures, files=files)


def judge(stage: Stage, rules: int, failures: tuple[Failure, ...]) -> Verdict:
    """The outcome that the failures' severities decide."""
    severities = {failure.severity for failure in failures}
    outcome = STOPPED if "critical" in severities else WARNED if "warning" in severities else PASSED
    return Verdict(stage.table, stage.day, stage.run_id, stage.fence, outcome, rules, failures, stage.files)


def _path(table: LakeTable, day: date, run_id: str) -> str:
    return f"{table.run_folder(day, run_id)}/verdict.json"
