"""What a table holds at one version: files per day, and which stage each day was promoted from."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cached_property

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from content_signals.lake.files import all_exist, list_folder, read_json
from content_signals.lake.layout import LakeTable
from content_signals.lake.stage import Stage, StagedFile


class Snapshot:
    """One version of a table, loaded once. A table that does not exist yet holds nothing.

    Args:
        version: an earlier version. DeltaError: it is not kept.
    """

    def __init__(self, table: LakeTable, version: int | None = None) -> None:
        self.table = table
        try:
            self.delta: DeltaTable | None = DeltaTable(table.path, version=version)
        except TableNotFoundError:
            if version is not None:
                raise
            self.delta = None

    @property
    def version(self) -> int | None:
        """The version, None when there is no table."""
        return self.delta.version() if self.delta else None

    @property
    def schema_json(self) -> str | None:
        """The table's schema, in the JSON that Delta and Spark share."""
        return self.delta.schema().to_json() if self.delta else None

    def fence(self, day: date) -> int | None:
        """The fence of the stage the day was promoted from, None when the day has not been promoted."""
        return self.delta.transaction_version(app_id(self.table, day)) if self.delta else None

    def files(self, days: Iterable[date] | None = None) -> list[str]:
        """Absolute paths of the files of some days, or of all."""
        wanted = None if days is None else set(days)
        chosen = (found for day, found in self.files_by_day.items() if wanted is None or day in wanted)
        return [f"{self.table.path}/{file.path}" for files in chosen for file in files]

    @cached_property
    def files_by_day(self) -> dict[date, list[StagedFile]]:
        """The files of each day; a day without any is left out."""
        if not self.delta:
            return {}
        adds = self.delta.get_add_actions(flatten=True)
        if not adds.num_rows:
            return {}
        found: dict[date, list[StagedFile]] = {}
        columns = (adds.column(name).to_pylist() for name in ("partition.ds", "path", "size_bytes"))
        for day, path, size in zip(*columns, strict=True):
            found.setdefault(date.fromisoformat(str(day)), []).append(StagedFile(path, size))
        return dict(sorted(found.items()))

    def rows(self, days: Iterable[date]) -> int:
        """Rows of some days, by the statistics of their files."""
        if not self.delta:
            return 0
        wanted = {str(day) for day in days}
        adds = self.delta.get_add_actions(flatten=True)
        counts = zip(adds.column("partition.ds").to_pylist(), adds.column("num_records").to_pylist(), strict=True)
        return sum(rows for day, rows in counts if str(day) in wanted)

    @cached_property
    def days(self) -> list[date]:
        """Every promoted day, sorted; days promoted without a row included."""
        if not self.delta:
            return []
        named = [info.base_name for info in list_folder(self.table.runs) if not info.base_name.startswith(".")]
        return [day for day in map(date.fromisoformat, sorted(named)) if self.fence(day) is not None]

    def stage(self, day: date) -> Stage | None:
        """The stage the day was promoted from: its digest, inputs and run."""
        fence = self.fence(day)
        if fence is None:
            return None
        for run in list_folder(f"{self.table.runs}/{day}"):
            # promote leaves a copy per fence: a retry overwrites stage.json before it is promoted itself
            record = read_json(f"{self.table.runs}/{day}/{run.base_name}/promoted-{fence}.json")
            if record is not None:
                return Stage.from_json(record)
        return None

    def digests(self, days: Iterable[date]) -> dict[date, str]:
        """The digest of each of some days that is promoted."""
        wanted = sorted(set(days) & set(self.days))
        with ThreadPoolExecutor(max_workers=8) as pool:
            stages = pool.map(self.stage, wanted)
        return {day: stage.digest for day, stage in zip(wanted, stages, strict=True) if stage}


def kept(table: LakeTable, version: int, day: date) -> Snapshot | None:
    """A table at a version, None where that, or a file of the day, is not kept any more."""
    try:
        then = Snapshot(table, version)
        return then if all_exist(then.files([day])) else None
    except DeltaError:
        return None


def app_id(table: LakeTable, day: date) -> str:
    """The application transaction that carries the day's fence."""
    return f"{table.name}/ds={day}"
