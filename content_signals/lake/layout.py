"""Where things lie in the lake.

<lake>/{sources,signals,quarantine}/<table>        Delta tables, partitioned by ds
<lake>/quarantine/<source>{,_rows}                 lines that are no rows, and rows that break rules
<lake>/signals/<table>{_tiles,_tiles_coarse}       partials of a day's events, and of whole blocks of days
<lake>/signals/<table>_history                     rows that rebuilds have superseded
<lake>/quarantine/<table>_contents                 what of a day no signal can be made of
<lake>/contents/<table>                            what is kept by content: texts of a source, results of a table
<lake>/receipts/<table>                            what was published to the online store
<lake>/takedowns/<entity>                          what nobody may read any more
<lake>/_runs/<table>/<day>/<run_id>/*.json         what a run staged, its verdict, its receipt
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime

from content_signals.contract import Source, Table
from content_signals.errors import UsageError

_RUN_ID = re.compile(r"[a-z0-9-]{8,64}")


@dataclass(frozen=True)
class LakeTable:
    """A Delta table of the lake: its name, where it lies, and where its run files lie."""

    name: str
    path: str
    runs: str

    def run_folder(self, day: date, run_id: str) -> str:
        """Folder of a run's files for one day."""
        return f"{self.runs}/{day}/{run_id}"

    @property
    def history(self) -> LakeTable:
        """The table's history: the rows that rebuilds have superseded."""
        return LakeTable(f"{self.name}_history", f"{self.path}_history", f"{self.runs}_history")


@dataclass(frozen=True)
class Lake:
    """The lake at `root`, a folder or an object-store URL."""

    root: str

    def of(self, contract: Source | Table) -> LakeTable:
        """The table of a contract."""
        return self._table(contract.area, contract.table)

    def signals(self, name: str) -> LakeTable:
        """A signal table by its name: also one that has no contract any more."""
        return self._table("signals", name)

    def tiles(self, table: Table) -> LakeTable:
        """The tiles of a signal table."""
        return self._table("signals", table.tiles)

    def coarse_tiles(self, table: Table) -> LakeTable:
        """The coarse tiles of a signal table with long windows."""
        return self._table("signals", f"{table.tiles}_coarse")

    def malformed(self, source: Source) -> LakeTable:
        """Lines of landing files that are no rows of a source."""
        return self._quarantine(source.table)

    def quarantine(self, contract: Source | Table) -> LakeTable:
        """Rows that broke critical rules of a table."""
        return self._quarantine(f"{contract.table}_rows" if isinstance(contract, Source) else contract.table)

    def contents(self, contract: Source | Table) -> LakeTable:
        """What is kept by content: texts of a source, results of a signal table."""
        name = f"contents/{contract.table}"
        return LakeTable(name, f"{self.root}/{name}", f"{self.root}/_runs/{name}")

    def unusable(self, table: Table) -> LakeTable:
        """Contents of a signal table's driver that no signal can be made of."""
        return self._quarantine(f"{table.table}_contents")

    def receipts(self, table: Table) -> LakeTable:
        """What of a signal table was published, and when."""
        name = f"receipts/{table.table}"
        return LakeTable(name, f"{self.root}/{name}", f"{self.root}/_runs/{name}")

    def _quarantine(self, name: str) -> LakeTable:
        return LakeTable(f"quarantine/{name}", f"{self.root}/quarantine/{name}", f"{self.root}/_runs/quarantine/{name}")

    def _table(self, area: str, name: str) -> LakeTable:
        return LakeTable(name, f"{self.root}/{area}/{name}", f"{self.root}/_runs/{name}")


@dataclass(frozen=True)
class Run:
    """One attempt of a run.

    Attributes:
        run_id: names the run; a retry keeps it.
        fence: microseconds since 1970, fixed before any work starts. Of two attempts at one day the one with the
            newer fence wins, whichever finishes last.
        now: when the attempt started; the `computed_at` of the rows it changes.
    """

    run_id: str
    fence: int
    now: datetime

    @property
    def folder(self) -> str:
        """Name of the attempt's folder under a table's `data/`: never used twice."""
        return f"{self.run_id}-{self.fence}"


def start_run(run_id: str | None = None) -> Run:
    """A new attempt, its fence taken from this machine's clock.

    Raises:
        UsageError: for a run id outside [a-z0-9-]{8,64}: it becomes a folder name.
    """
    fence = time.time_ns() // 1_000
    now = datetime.fromtimestamp(fence / 1_000_000, UTC)
    if run_id is None:
        run_id = f"manual-{now:%Y%m%dt%H%M%S}-{hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:6]}"
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"run id {run_id!r} is not of the form [a-z0-9-]{{8,64}}", next_step="leave --run-id out, or mend it"
        )
    return Run(run_id, fence, now)
