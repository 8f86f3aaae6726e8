"""How the rows of a big day lie in files: by ranges of the key, so that a reader who looks for a key opens one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from content_signals.contract import DAY

# 100 to 250 MB of most tables: few files to list, and one is sorted in memory.
ROWS_PER_FILE = 2_500_000
FEWEST_ROWS = ROWS_PER_FILE // 10
# A column of a frame that is laid out: which partition a row lies in.
PLACE = "_place"
_SAMPLE = 20_000


@dataclass(frozen=True)
class Ranges:
    """Where the rows of some days go: each day has as many partitions as there are ranges, and shares none.

    Attributes:
        key: the column whose ranges they are.
        bounds: the first key of every range but the first.
    """

    days: tuple[date, ...]
    key: str
    bounds: tuple[str | int, ...]

    @property
    def each_day(self) -> int:
        """Partitions, and files, of a day."""
        return len(self.bounds) + 1

    @property
    def partitions(self) -> int:
        """Partitions in all."""
        return len(self.days) * self.each_day

    def lay_out(self, frame: DataFrame) -> DataFrame:
        """The frame with each row in its partition, which `_place` names.

        Rows equal in day and key, and with it in `_place`, lie together: to group or number them moves no row again.
        """
        number = F.lit(0)
        for bound in self.bounds:
            number += F.coalesce((F.col(self.key) >= F.lit(bound)).cast("int"), F.lit(0))
        day = F.array_position(F.lit(list(self.days)), F.col(DAY)).cast("int") - 1  # days may lie far apart
        place = day * self.each_day + number
        return frame.withColumn(PLACE, place).repartitionById(self.partitions, PLACE)


def ranges_of(days: Sequence[date], key: str, sample: Sequence[str | int], rows: int, tasks: int) -> Ranges:
    """Ranges that hold about as many rows each.

    Args:
        sample: keys of some rows, each as likely as any other to be among them.
        rows: of the largest day.
        tasks: how many partitions in all shall be there at least, for the workers to share.
    """
    for_workers = min(ceil(tasks / len(days)), ceil(rows / FEWEST_ROWS))  # no crumbs, however many workers there are
    each_day = max(ceil(rows / ROWS_PER_FILE), for_workers, 1)
    ordered = sorted(sample)
    bounds = {ordered[len(ordered) * n // each_day] for n in range(1, each_day)} if ordered else set()
    # Nothing lies below the smallest key: as a bound it would make an empty range.
    return Ranges(tuple(sorted(days)), key, tuple(sorted(bounds - set(ordered[:1]))))


def sample_share(rows: int) -> float:
    """Which share of so many rows is sample enough; what is drawn comes to the driver."""
    return min(1.0, _SAMPLE / max(rows, 1))


def sample_of_keys(frame: DataFrame, key: str, rows: int) -> tuple[list[str | int], int]:
    """Some of the different keys of a frame of so many rows, the same whenever they are drawn; and how many there are.

    The number is an estimate: its relative standard error is 1 / sqrt(keys drawn), 1 % at best.
    """
    every = max(1, rows // _SAMPLE)
    drawn = frame.where(F.pmod(F.xxhash64(key), F.lit(every)) == 0).select(key).distinct()
    keys = [row[0] for row in drawn.collect()]
    return keys, len(keys) * every
