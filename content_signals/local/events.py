"""Play events as landing files, many and fast: what a source of events, or a stream, is tried on.

One file a day holds what arrived on that day, in the order of arrival. Popularity is Zipf-like, and one artist takes a
fifth of everything: the hot keys that a skewed join or window meets. Faults are planted at stated rates and counted.

Every value is a function of the seed and the row's number, computed by DuckDB (`events_sql`): one seed gives the same
files, byte for byte and whatever the number of threads, with the versions of the jobs lock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from pathlib import Path

import duckdb

from content_signals.errors import UsageError
from content_signals.local import events_sql as sql
from content_signals.local.events_sql import ARTIST_TRACKS, FIRST_MALFORMED, MALFORMED, DayNumbers, Format, Plan
from content_signals.local.rates import MAX_MALFORMED_RATIO, check_rates

_MAX_TRACKS = 3_000_000
_WEEK = (95, 93, 95, 100, 112, 110, 95)  # events on a Monday, a Tuesday, …
_MEMORY = "2GB"


@dataclass(frozen=True)
class EventRates:
    """How often things happen; each a share between 0 and 1.

    Attributes:
        duplicate: events that arrive a second time, later on the same day, of a day's events.
        late: events that happened one to three days before the day on which they arrive; none of them is a duplicate.
        delayed: events that arrive up to four hours after they happened; the others take up to five minutes.
        malformed: rows that do not parse, of a day's events; below the 1 % at which a source stops the day.
    """

    duplicate: float = 0.005
    late: float = 0.005
    delayed: float = 0.01
    malformed: float = 0.0005

    def __post_init__(self) -> None:
        check_rates(self)
        if self.duplicate + self.late > 1:
            raise UsageError(f"rates duplicate and late are 1 together at most, not {self.duplicate + self.late}")


@dataclass(frozen=True)
class GeneratedEvents:
    """What was written and what was planted in it.

    Attributes:
        paths: each day's file.
        artist_tracks: the tracks of the one artist, the most played first; none with `even`.
        rows: rows (lines) of each day's file, the planted ones included.
        duplicates: rows of each day that repeat an earlier one of the day, but for `ingest_ts`.
        late: rows of each day whose `event_ts` lies on an earlier day.
        malformed: rows of each day that do not parse.
    """

    folder: Path
    paths: Mapping[date, Path]
    artist_tracks: tuple[str, ...]
    rows: Mapping[date, int]
    duplicates: Mapping[date, int]
    late: Mapping[date, int]
    malformed: Mapping[date, int]


@dataclass(frozen=True)
class _Counts:
    """What one day's file holds."""

    rows: int
    duplicates: int
    late: int
    malformed: int


def generate_events(
    folder: Path,
    *,
    rows: int,
    days: Sequence[date],
    seed: int,
    format: Format = "parquet",  # noqa: A002 - named like the command's option
    tracks: int | None = None,
    even: bool = False,
    rates: EventRates | None = None,
) -> GeneratedEvents:
    """Write `events/play_events/{day}.parquet` or `.jsonl` below `folder`; files of these days are replaced.

    Args:
        rows: valid events in all, each with an id of its own; the planted duplicates and malformed rows come on top.
        days: the days to write; a Friday gets a fifth more than a Monday.
        seed: the same seed and arguments write the same bytes.
        tracks: how many tracks there are to play; default: a hundredth of the rows, at least 1000, at most 3 million.
        even: every track is as popular as any other, and there is no artist who takes a fifth.

    Raises:
        UsageError: a rate that is no share, no days, fewer rows than days, too few tracks, an unknown format.
    """
    rates = rates or EventRates()
    wanted = sorted(set(days))
    tracks = min(max(1000, rows // 100), _MAX_TRACKS) if tracks is None else tracks
    _check(rows, wanted, format, tracks, even)
    plan = Plan(seed, rows, tracks, even, format, rates.duplicate, rates.late, rates.delayed)
    home = folder / "events" / "play_events"
    home.mkdir(parents=True, exist_ok=True)
    paths = {day: home / f"{day}.{format}" for day in wanted}
    counts: dict[date, _Counts] = {}
    with tempfile.TemporaryDirectory(prefix=".events-", dir=folder) as work, _connect(Path(work)) as db:
        db.execute(sql.create_tracks(plan))
        for part in _split(plan, wanted, rates.malformed):
            unfinished = Path(work) / "day"
            counts[part.day] = _write_day(db, plan, part, unfinished)
            _remove_other_formats(paths[part.day])
            unfinished.replace(paths[part.day])
        artist_tracks = tuple(row[0] for row in db.execute(sql.artist_tracks(plan)).fetchall())
    return GeneratedEvents(
        folder=folder,
        paths=paths,
        artist_tracks=artist_tracks,
        rows={day: c.rows for day, c in counts.items()},
        duplicates={day: c.duplicates for day, c in counts.items()},
        late={day: c.late for day, c in counts.items()},
        malformed={day: c.malformed for day, c in counts.items()},
    )


def _check(rows: int, days: Sequence[date], file_format: str, tracks: int, even: bool) -> None:
    if not days:
        raise UsageError("no days to generate")
    if rows < len(days):
        raise UsageError(f"{rows} rows do not fill {len(days)} days; take a row a day or more")
    if file_format not in MALFORMED:
        raise UsageError(f"unknown format {file_format!r}", next_step=f"take one of {', '.join(MALFORMED)}")
    least = 1 if even else 2 * ARTIST_TRACKS
    if tracks < least:
        raise UsageError(f"{tracks} tracks are too few; take {least} or more")


def _split(plan: Plan, days: Sequence[date], malformed: float) -> list[DayNumbers]:
    """A row for each day, and the others by the weekday's weight."""
    weights = [_WEEK[day.weekday()] for day in days]
    shares = [weight * (plan.rows - len(days)) // sum(weights) for weight in accumulate(weights)]
    ends = [share + n for n, share in enumerate(shares, start=1)]
    parts = []
    for day, start, end in zip(days, [0, *ends], ends, strict=False):
        # Rounded over the days before, so that small files keep the rate together; and no file is one that would stop.
        first, last = round(malformed * start), round(malformed * end)
        last = min(last, first + int(MAX_MALFORMED_RATIO * (end - start)))
        parts.append(DayNumbers(day, range(start, end), range(FIRST_MALFORMED + first, FIRST_MALFORMED + last)))
    return parts


def _connect(work: Path) -> duckdb.DuckDBPyConnection:
    # A day may be larger than memory: its sort spills into `work`. With two threads a day of ten million rows went over
    # the limit instead; and as one thread deals out the numbers, two were not faster.
    return duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1, "temp_directory": str(work / "spill")})


def _write_day(db: duckdb.DuckDBPyConnection, plan: Plan, part: DayNumbers, path: Path) -> _Counts:
    (rows,) = db.execute(sql.copy_day(plan, part, path)).fetchone() or (0,)
    (late,) = db.execute(sql.count_late(plan, part)).fetchone() or (0,)
    return _Counts(
        rows=rows,
        duplicates=rows - len(part.events) - len(part.malformed),
        late=late,
        malformed=len(part.malformed),
    )


def _remove_other_formats(path: Path) -> None:
    """Left by an earlier call: a day in two formats has landed twice."""
    for file_format in MALFORMED:
        if path.suffix != f".{file_format}":
            path.with_suffix(f".{file_format}").unlink(missing_ok=True)
