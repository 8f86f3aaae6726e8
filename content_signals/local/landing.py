"""A landing folder for those who have none: the same formats as the real one, with known faults planted in it.

What a demo needs to show is planted at stated rates and told to the caller: exact duplicate rows, malformed rows, days
that never landed, playlists absent for a day, tracks standing twice in one playlist. One seed gives one folder, byte
for byte, with the versions of the jobs lock.

The daily habits are those of 100 real editorial playlists over 115 days (2020): a playlist changes on 45 % of days and
then swaps about 9 % of its tracks.
"""

from __future__ import annotations

import csv
import gzip
import io
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from content_signals.errors import UsageError
from content_signals.local import landing_words as words
from content_signals.local.rates import MAX_MALFORMED_RATIO, check_rates

HEADER = ("date", "playlist", "position", "track_id")
KINDS = ("position not an integer", "position below 1", "empty track_id", "date of another day", "field missing")
_STRINGS = ("title", "artists", "album_id", "length")
CATALOGUE_SCHEMA = pa.schema(
    [pa.field("track_id", pa.string(), nullable=False)] + [pa.field(name, pa.string()) for name in _STRINGS]
).append(pa.field("first_seen", pa.date32()))

Row = tuple[str, ...]
Ids = npt.NDArray[np.int64]

_ALPHABET = np.array(list(string.digits + string.ascii_letters))
_ID_CHARS = 22
_BACK_CATALOGUE_DAYS = 90


@dataclass(frozen=True)
class Rates:
    """How often things happen; each a share between 0 and 1.

    Attributes:
        duplicate: exact copies of rows, of a day's rows.
        malformed: rows that do not parse, of a day's rows; below the 1 % at which a source stops the day.
        repeat: rows whose track stands in the playlist a second time, further down.
        missing_day: days without a file, of all days; never the first or the last.
        absent: playlists missing from a day's file.
        update: days on which a playlist changes (real: 0.45).
        turnover: tracks a changing playlist swaps (real: 0.09).
        new: tracks first seen within the days; the others are older.
        marker: titles that carry a version marker.
        guest: titles that name a guest.
        remix: tracks that are somebody's remix.
    """

    duplicate: float = 0.002
    malformed: float = 0.0005
    repeat: float = 0.0005
    missing_day: float = 1 / 30
    absent: float = 0.01
    update: float = 0.45
    turnover: float = 0.09
    new: float = 0.25
    marker: float = 0.08
    guest: float = 0.07
    remix: float = 0.03

    def __post_init__(self) -> None:
        check_rates(self)


@dataclass(frozen=True)
class MalformedRow:
    """A row that does not parse.

    Attributes:
        line: its line in the unpacked file; the header is line 1.
        playlist: the playlist that it makes unobserved for the day.
        kind: one of `KINDS`.
        text: the line as written.
    """

    line: int
    playlist: str
    kind: str
    text: str


@dataclass(frozen=True)
class GeneratedLanding:
    """What was written and what was planted in it.

    Attributes:
        days: days that have a file, in order.
        missing_days: days asked for that have none.
        tracks: rows of the catalogue.
        rows: lines of each day's file without the header, the planted ones included.
        duplicates: exact copies in each day's file.
        malformed: the rows of each day's file that do not parse.
        repeats: rows of each day's file whose track stands higher up in the same playlist too.
        absent: playlists that are not in the day's file.
    """

    folder: Path
    days: tuple[date, ...]
    missing_days: tuple[date, ...]
    tracks: int
    rows: Mapping[date, int] = field(default_factory=dict)
    duplicates: Mapping[date, int] = field(default_factory=dict)
    malformed: Mapping[date, tuple[MalformedRow, ...]] = field(default_factory=dict)
    repeats: Mapping[date, int] = field(default_factory=dict)
    absent: Mapping[date, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _DayFile:
    """One day's file and what was planted in it."""

    content: bytes
    rows: int
    duplicates: int
    malformed: tuple[MalformedRow, ...]
    repeats: int
    absent: tuple[str, ...]


def generate_landing(
    folder: Path,
    *,
    days: Sequence[date],
    seed: int,
    tracks: int = 5000,
    playlists: int = 60,
    tracks_per_playlist: int = 100,
    zipf_exponent: float = 0.9,
    rates: Rates | None = None,
) -> GeneratedLanding:
    """Write `playlists/tracks.parquet` and `playlists/daily/{day}.csv.gz` below `folder`; files there are replaced.

    Args:
        days: the days to write; one in thirty is left out, from the middle.
        seed: the same seed and arguments write the same bytes.
        tracks_per_playlist: mean length of a playlist; lengths vary by half of it.
        zipf_exponent: the n-th most popular track is chosen with weight n^-exponent.

    Raises:
        UsageError: a rate that is no share, no days, or fewer tracks than the longest playlist needs.
    """
    rates = rates or Rates()
    wanted = sorted(set(days))
    if not wanted:
        raise UsageError("no days to generate")
    if tracks * (1 - rates.new) < 3 * tracks_per_playlist or playlists < 1:
        raise UsageError(f"{tracks} tracks do not fill playlists of {tracks_per_playlist}; take more tracks")
    # Streams of their own: another number of playlists leaves the catalogue as it was.
    catalogue_rng, playlists_rng, faults_rng = (np.random.default_rng([seed, n]) for n in range(3))

    catalogue = _catalogue(catalogue_rng, tracks, wanted, rates)
    weights = catalogue_rng.permutation(np.arange(1, tracks + 1) ** -zipf_exponent)
    daily = folder / "playlists" / "daily"
    daily.mkdir(parents=True, exist_ok=True)
    pq.write_table(catalogue, folder / "playlists" / "tracks.parquet")

    ids = [str(track_id) for track_id in catalogue["track_id"].to_pylist()]
    first_seen = catalogue["first_seen"].to_numpy()
    missing = _missing_days(wanted, rates.missing_day)
    names = _playlist_names(playlists)
    held: list[Ids] = []
    files: dict[date, _DayFile] = {}
    for day in wanted:
        available = np.where(first_seen <= np.datetime64(day), weights, 0.0)
        held = (
            [_changed(playlists_rng, tracks_of, available, rates) for tracks_of in held]
            if held
            else [
                _choose(playlists_rng, available, int(n))
                for n in _lengths(playlists_rng, playlists, tracks_per_playlist)
            ]
        )
        path = daily / f"{day}.csv.gz"
        if day in missing:
            # Left by an earlier call with other days.
            path.unlink(missing_ok=True)
            continue
        files[day] = _day_file(faults_rng, day, dict(zip(names, held, strict=True)), ids, rates)
        path.write_bytes(files[day].content)
    return GeneratedLanding(
        folder=folder,
        days=tuple(files),
        missing_days=tuple(missing),
        tracks=tracks,
        rows={day: f.rows for day, f in files.items()},
        duplicates={day: f.duplicates for day, f in files.items()},
        malformed={day: f.malformed for day, f in files.items()},
        repeats={day: f.repeats for day, f in files.items()},
        absent={day: f.absent for day, f in files.items()},
    )


# --- days and playlists -----------------------------------------------------------------------------------------------


def _missing_days(days: Sequence[date], rate: float) -> list[date]:
    """Evenly spread over the middle, so that there is a day before and a day after each."""
    count = min(round(rate * len(days)), max(len(days) - 2, 0))
    places = {round((n + 1) * (len(days) - 1) / (count + 1)) for n in range(count)}
    return [days[place] for place in sorted(places)]


def _playlist_names(count: int) -> list[str]:
    plain = [f"{mood} {place}" for place in words.PLACES for mood in words.MOODS]
    named = [*words.PLAYLISTS, *plain]
    return [*named, *(f"Mix No. {n}" for n in range(1, count + 1))][:count]


def _lengths(rng: np.random.Generator, playlists: int, mean: int) -> Ids:
    return rng.integers(max(mean // 2, 1), max(3 * mean // 2, 1) + 1, size=playlists)


def _choose(rng: np.random.Generator, weights: npt.NDArray[np.float64], count: int) -> Ids:
    """`count` different tracks, each drawn in proportion to its weight among those left."""
    with np.errstate(divide="ignore"):
        arrival = rng.exponential(size=len(weights)) / weights
    first = np.argpartition(arrival, count)[:count]
    return first[np.argsort(arrival[first])]


def _changed(rng: np.random.Generator, held: Ids, available: npt.NDArray[np.float64], rates: Rates) -> Ids:
    """The playlist a day later."""
    if rng.random() >= rates.update:
        return held
    swapped = min(max(int(rng.binomial(len(held), rates.turnover)), 1), len(held) - 1)
    if rates.turnover == 0 or swapped < 1:
        return held
    kept = np.delete(held, rng.choice(len(held), swapped, replace=False))
    open_to = available.copy()
    open_to[held] = 0.0
    # Lengths wander by one, and no playlist dies out.
    added = _choose(rng, open_to, max(swapped + int(rng.integers(-1, 2)), 1))
    return np.insert(kept, np.sort(rng.integers(0, len(kept) + 1, size=len(added))), added)


# --- a day's file -----------------------------------------------------------------------------------------------------


def _day_file(
    rng: np.random.Generator, day: date, held: Mapping[str, Ids], ids: Sequence[str], rates: Rates
) -> _DayFile:
    absent = [name for name in held if rng.random() < rates.absent]
    if len(absent) == len(held):
        absent = absent[1:]
    rows: list[Row] = []
    repeats = 0
    for name, tracks in held.items():
        if name in absent:
            continue
        order = [ids[track] for track in tracks]
        for _ in range(_share(rng, rates.repeat, len(order))):
            order.append(order[int(rng.integers(len(order)))])
            repeats += 1
        rows += [(day.isoformat(), name, str(n), track) for n, track in enumerate(order, start=1)]

    # A row is broken or copied, never both: a copy of a broken row would count twice as malformed.
    allowed = max(int(MAX_MALFORMED_RATIO * (len(rows) - 1)), 0)
    broken = min(_share(rng, rates.malformed, len(rows)), allowed)
    copied = min(_share(rng, rates.duplicate, len(rows)), len(rows) - broken)
    chosen = rng.choice(len(rows), broken + copied, replace=False)
    kinds = {int(place): KINDS[int(rng.integers(len(KINDS)))] for place in chosen[:broken]}
    twice = {int(place) for place in chosen[broken:]}

    lines = [_line(HEADER)]
    malformed: list[MalformedRow] = []
    for place, row in enumerate(rows):
        if place in kinds:
            text = _line(_broken(row, kinds[place], day))
            malformed.append(MalformedRow(len(lines) + 1, row[1], kinds[place], text.rstrip("\n")))
            lines.append(text)
        else:
            lines += [_line(row)] * (2 if place in twice else 1)
    content = gzip.compress("".join(lines).encode(), compresslevel=6, mtime=0)
    return _DayFile(content, len(lines) - 1, copied, tuple(malformed), repeats, tuple(absent))


def _share(rng: np.random.Generator, rate: float, count: int) -> int:
    """`rate` of `count`, rounded up or down by chance so that small files keep the rate on average."""
    return int(rate * count + rng.random())


def _broken(row: Row, kind: str, day: date) -> Row:
    written, playlist, position, track = row
    return {
        "position not an integer": (written, playlist, f"{position}.5", track),
        "position below 1": (written, playlist, "0", track),
        "empty track_id": (written, playlist, position, ""),
        "date of another day": ((day - timedelta(days=1)).isoformat(), playlist, position, track),
        "field missing": (written, playlist, position),
    }[kind]


def _line(row: Row) -> str:
    out = io.StringIO()
    # RFC 4180: a quote is doubled, a backslash is itself.
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


# --- the catalogue ----------------------------------------------------------------------------------------------------


def _catalogue(rng: np.random.Generator, count: int, days: Sequence[date], rates: Rates) -> pa.Table:
    artists = _artist_names(rng, max(count // 4, 30))
    titles, lines = zip(*(_title(rng, artists, rates) for _ in range(count)), strict=True)
    album_ids = _identifiers(rng, max(count // 3, 1))
    columns = {
        "track_id": _identifiers(rng, count),
        "title": titles,
        "artists": lines,
        "album_id": [album_ids[int(n)] for n in rng.integers(len(album_ids), size=count)],
        "length": [_length(int(seconds)) for seconds in np.clip(rng.normal(205, 55, size=count), 31, 1500)],
        "first_seen": _first_seen(rng, count, days, rates.new),
    }
    return pa.table(columns, schema=CATALOGUE_SCHEMA)


def _first_seen(rng: np.random.Generator, count: int, days: Sequence[date], new: float) -> list[date]:
    span = (days[-1] - days[0]).days
    old = rng.integers(-_BACK_CATALOGUE_DAYS, 1, size=count)
    recent = rng.integers(min(1, span), span + 1, size=count)
    return [days[0] + timedelta(days=int(n)) for n in np.where(rng.random(count) < new, recent, old)]


def _length(seconds: int) -> str:
    # The real catalogue writes what is under a minute as bare seconds.
    return str(seconds) if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d}"


def _identifiers(rng: np.random.Generator, count: int) -> list[str]:
    """62^22 possibilities: two equal ones will not be seen."""
    return ["".join(row) for row in _ALPHABET[rng.integers(len(_ALPHABET), size=(count, _ID_CHARS))]]


def _artist_names(rng: np.random.Generator, count: int) -> list[str]:
    bands = [band.replace("_", " ") for band in words.BANDS]
    people = [f"{first} {last}" for first in words.FIRST_NAMES for last in words.LAST_NAMES]
    return [*bands, *(people[int(n)] for n in rng.permutation(len(people)))][:count]


def _title(rng: np.random.Generator, artists: Sequence[str], rates: Rates) -> tuple[str, str]:
    """A title and the artist line that goes with it."""
    shares = np.array([language.share for language in words.LANGUAGES.values()])
    language = list(words.LANGUAGES.values())[int(rng.choice(len(shares), p=shares / shares.sum()))]
    billed = [artists[int(n)] for n in rng.choice(len(artists), 3, replace=False)]
    line = billed[: 1 + int(rng.random() < 0.2)]
    head, tail = _pick(rng, language.heads), _pick(rng, language.tails)
    title = _pick(rng, words.NUMBERS) if rng.random() < 0.004 else language.joint.join((head, tail))
    if rng.random() < rates.guest:
        title += _pick(rng, (" (feat. {})", " (with {})", " - feat. {}", " (ft. {})")).format(billed[2])
        line = [billed[0], billed[2]]
    if rng.random() < rates.remix:
        title += f" - {billed[1]} Remix"
        line = [*dict.fromkeys((*line, billed[1]))]
    elif rng.random() < rates.marker:
        title += _pick(rng, language.markers)
    return title, ", ".join(line)


def _pick(rng: np.random.Generator, among: Sequence[str]) -> str:
    return among[int(rng.integers(len(among)))]
