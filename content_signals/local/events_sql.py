"""What `events` has DuckDB run: every value of a row from the row's number.

There is no random(): its values would depend on which thread asks first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Literal

Format = Literal["parquet", "jsonl"]

# In turn; a Parquet file has types, so fewer things can be wrong in it.
MALFORMED: Mapping[str, tuple[str, ...]] = {
    "parquet": ("null track_id", "unknown kind", "negative ms_played", "empty event_id", "null event_ts"),
    "jsonl": (
        "cut off",
        "missing track_id",
        "ms_played not a number",
        "unknown kind",
        "empty event_id",
        "bad timestamp",
    ),
}
ARTIST_TRACKS = 20
FIRST_MALFORMED = 1 << 40  # row numbers of malformed rows: beyond those of any event

_ARTIST_SHARE = 0.2
_ARTIST_EXPONENT = 0.9  # gives the first of the twenty a quarter of the artist's events
_TRACK_EXPONENT = 1.05
_USER_EXPONENT = 0.6
_PLAY, _SKIP = 0.8, 0.15  # the others are saves
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECOND, _MINUTE, _HOUR, _DAY = 10**6, 60 * 10**6, 3600 * 10**6, 86_400 * 10**6
_COPY: Mapping[str, str] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1_000_000",
    # The lines are ready-made, for no JSON writer would write a broken one. \x01 stands in none of them.
    "jsonl": "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01'",
}


@dataclass(frozen=True)
class Plan:
    """What all days share; the three last are the rates of `EventRates`."""

    seed: int
    rows: int
    tracks: int
    even: bool
    format: Format
    duplicate: float
    late: float
    delayed: float


@dataclass(frozen=True)
class DayNumbers:
    """The row numbers of a day: of its events, and of its malformed rows."""

    day: date
    events: range
    malformed: range


def create_tracks(plan: Plan) -> str:
    """The table of tracks by rank of popularity, the artist's first; the same ids whatever the seed."""
    # 62^11 is above 2^64: eleven characters hold a whole hash, so no two tracks share an id.
    digits = [
        f"substr('{_ALPHABET}', 1 + ((hash(track + {salt}) // {62**place}) % 62)::INTEGER, 1)"
        for salt in (0, 1 << 60)
        for place in range(11)
    ]
    return f"""
    CREATE TABLE tracks AS SELECT track, concat({", ".join(digits)}) AS track_id
    FROM range(1, {plan.tracks + 1}) AS ranks(track)"""  # noqa: S608


def artist_tracks(plan: Plan) -> str:
    """The artist's tracks, the most played first."""
    return f"SELECT track_id FROM tracks WHERE track <= {0 if plan.even else ARTIST_TRACKS} ORDER BY track"  # noqa: S608


def count_late(plan: Plan, part: DayNumbers) -> str:
    """How many of the day's events happened on an earlier day."""
    return f"SELECT count(*) FROM {_numbers(part.events)} WHERE {_is_late(plan)}"  # noqa: S608


def copy_day(plan: Plan, part: DayNumbers, path: Path) -> str:
    """Write the day's file; answers with the number of its rows."""
    select = _parquet(_rows(plan, part)) if plan.format == "parquet" else _jsonl(_rows(plan, part))
    quoted = str(path).replace("'", "''")
    return f"COPY ({select}) TO '{quoted}' ({_COPY[plan.format]})"


# --- draws ------------------------------------------------------------------------------------------------------------


def _numbers(numbers: range) -> str:
    return f"range({numbers.start}, {numbers.stop}) AS numbers(i)"


def _draw(plan: Plan, purpose: str) -> str:
    """A number of [0, 1) for row `i`, of its own for each purpose.

    DuckDB's hash of several values XORs the later ones in: between two purposes every row would differ by the same
    bits. So one value is hashed, and the purpose says where in the numbers it lies.
    """
    digest = hashlib.blake2b(f"{plan.seed}/{purpose}".encode(), digest_size=8).digest()
    return f"((hash(i + {int.from_bytes(digest) >> 2}) >> 11) * {2.0**-53!r})"


def _up_to(draw: str, bound: str) -> str:
    """A whole number from 0 to below `bound`."""
    return f"floor({draw} * ({bound}))::BIGINT"


def _zipf(draw: str, exponent: float, first: int, last: int) -> str:
    """A rank from `first` to `last` with weight rank^-exponent: the inverse of the integral that stands for the sum."""
    power = 1 - exponent
    low, high = (first - 0.5) ** power, (last + 0.5) ** power
    return f"least(greatest(round(pow({low!r} + {draw} * {high - low!r}, {1 / power!r}))::BIGINT, {first}), {last})"


def _is_late(plan: Plan) -> str:
    return f"{_draw(plan, 'fate')} < {plan.late!r}"


def _is_duplicated(plan: Plan) -> str:
    fate = _draw(plan, "fate")
    return f"{fate} >= {plan.late!r} AND {fate} < {plan.late + plan.duplicate!r}"


def _track(plan: Plan) -> str:
    if plan.even:
        return f"1 + {_up_to(_draw(plan, 'track'), str(plan.tracks))}"
    artist = _zipf(_draw(plan, "track"), _ARTIST_EXPONENT, 1, ARTIST_TRACKS)
    others = _zipf(_draw(plan, "track"), _TRACK_EXPONENT, ARTIST_TRACKS + 1, plan.tracks)
    return f"CASE WHEN {_draw(plan, 'artist')} < {_ARTIST_SHARE} THEN {artist} ELSE {others} END"


# --- a day's file -----------------------------------------------------------------------------------------------------


def _arrivals(plan: Plan, part: DayNumbers) -> str:
    """Every row that arrives: its number, whether it is a second copy, what is wrong with it."""
    kinds = MALFORMED[plan.format]
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"""
        SELECT i, false AS again, NULL::VARCHAR AS fault FROM {_numbers(part.events)}
        UNION ALL SELECT i, true, NULL FROM {_numbers(part.events)} WHERE {_is_duplicated(plan)}
        UNION ALL SELECT i, false, [{names}][1 + (i - {FIRST_MALFORMED}) % {len(kinds)}]
        FROM {_numbers(part.malformed)}"""  # noqa: S608


def _rows(plan: Plan, part: DayNumbers) -> str:
    """The rows of a day in order, all right but for the faults that both formats write alike; moments in micros."""
    midnight = int(datetime.combine(part.day, time(), UTC).timestamp()) * _SECOND
    # What is not late happened on the day itself, so that "late" means one thing only.
    longest = f"CASE WHEN {_draw(plan, 'delayed')} < {plan.delayed!r} THEN {4 * _HOUR} ELSE {5 * _MINUTE} END"
    under_way = _up_to(_draw(plan, "under way"), f"least({longest}, arrived)")
    before_midnight = f"1 + {_up_to(_draw(plan, 'under way'), str(3 * _DAY))}"
    # The first copy leaves the day two seconds, so that the second is later and still of the day.
    arrived = _up_to(_draw(plan, "arrived"), str(_DAY - 2 * _SECOND))
    again = f"{_SECOND} + {_up_to(_draw(plan, 'again'), f'least({10 * _MINUTE}, {_DAY - _SECOND} - arrived)')}"
    user = _zipf(_draw(plan, "user"), _USER_EXPONENT, 1, max(100, plan.rows // 30))
    return f"""
    WITH arrivals AS ({_arrivals(plan, part)}),
    drawn AS (
        SELECT i, again, fault, {arrived} AS arrived, {_track(plan)} AS track, {user} AS user_rank,
            {_draw(plan, "kind")} AS kind_draw, {_draw(plan, "played")} AS played
        FROM arrivals
    )
    SELECT
        fault,
        CASE WHEN fault = 'empty event_id' THEN '' ELSE md5('{plan.seed}/' || i) END AS event_id,
        CASE WHEN fault = 'unknown kind' THEN 'rewind' WHEN kind_draw < {_PLAY} THEN 'play'
            WHEN kind_draw < {_PLAY + _SKIP} THEN 'skip' ELSE 'save' END AS kind,
        track_id,
        (hash(user_rank) >> 16)::BIGINT AS user_id,
        CASE WHEN kind_draw < {_PLAY} THEN 30_000 + {_up_to("played", "330_000")}
            WHEN kind_draw < {_PLAY + _SKIP} THEN {_up_to("played", "30_000")} ELSE 0 END AS ms_played,
        {midnight} + CASE WHEN fault IS NULL AND {_is_late(plan)} THEN -({before_midnight})
            ELSE arrived - {under_way} END AS event_us,
        {midnight} + arrived + CASE WHEN again THEN {again} ELSE 0 END AS ingest_us
    FROM drawn JOIN tracks USING (track)
    ORDER BY ingest_us, event_id"""  # noqa: S608


def _parquet(rows: str) -> str:
    return f"""
    SELECT event_id, kind,
        CASE WHEN fault = 'null track_id' THEN NULL ELSE track_id END AS track_id,
        user_id,
        CASE WHEN fault = 'negative ms_played' THEN -1 ELSE ms_played END AS ms_played,
        CASE WHEN fault = 'null event_ts' THEN NULL ELSE make_timestamptz(event_us) END AS event_ts,
        make_timestamptz(ingest_us) AS ingest_ts
    FROM ({rows})"""  # noqa: S608


def _jsonl(rows: str) -> str:
    iso = "%Y-%m-%dT%H:%M:%S.%fZ"
    return f"""
    SELECT CASE WHEN fault = 'cut off' THEN left(line, length(line) // 2) ELSE line END FROM (
        SELECT fault, concat(
            '{{"event_id":"', event_id, '","kind":"', kind,
            CASE WHEN fault = 'missing track_id' THEN '' ELSE '","track_id":"' || track_id END,
            '","user_id":', user_id,
            ',"ms_played":', CASE WHEN fault = 'ms_played not a number' THEN '"long"' ELSE ms_played::VARCHAR END,
            ',"event_ts":"', CASE WHEN fault = 'bad timestamp' THEN '2024-13-45T25:61:00Z'
                ELSE strftime(make_timestamp(event_us), '{iso}') END,
            '","ingest_ts":"', strftime(make_timestamp(ingest_us), '{iso}'), '"}}') AS line
        FROM ({rows})
    )"""  # noqa: S608
