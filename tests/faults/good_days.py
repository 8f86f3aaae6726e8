"""Good days of three tables, made in memory: every rule of their suites kept, no day like another."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from content_signals.catalog import catalog
from content_signals.contract import COMPUTED_AT, EVENT_TS, RUN_ID, Computed, Windowed

POPULARITY, TITLE, ENGAGEMENT = "track_popularity_v1", "track_title_v1", "track_engagement_v1"
TABLES = (POPULARITY, TITLE, ENGAGEMENT)
KEYS = 600  # from 500 rows on distributions are judged; 1 % of them is six rows
FIRST = date(2020, 3, 1)
EARLIER = [FIRST + timedelta(days=n) for n in range(9)]
DAY = EARLIER[-1] + timedelta(days=1)

TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
}
_STAMP = pa.timestamp("us", tz="UTC")
Values = dict[str, Any]


def schema_of(table: str) -> pa.Schema:
    """Key, signals and stamps, as extract stages them; the day is in the folder's name."""
    contract = catalog().table(table)
    columns = [(column.name, _type_of(column)) for column in contract.columns]
    return pa.schema(
        [("track_id", pa.string()), *columns, (EVENT_TS, _STAMP), (COMPUTED_AT, _STAMP), (RUN_ID, pa.string())]
    )


def _type_of(column: Computed | Windowed) -> pa.DataType:
    if isinstance(column, Computed):
        return TYPES[column.type]
    if column.op == "days_since":
        return pa.int32()
    return pa.float64() if column.op == "ratio" or column.half_life_days else pa.int64()


def good_rows(table: str, day: date, keys: int = KEYS) -> pa.Table:
    """A day of a table; the first keys are the same whatever their number."""
    chance = np.random.default_rng([TABLES.index(table), (day - FIRST).days])
    values = {POPULARITY: _popularity, TITLE: _title, ENGAGEMENT: _engagement}[table](chance, keys, day)
    over = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    columns = {
        "track_id": [f"track{n:05}" for n in range(keys)],
        **values,
        EVENT_TS: [over] * keys,
        COMPUTED_AT: [over + timedelta(hours=2)] * keys,
        RUN_ID: ["run-00001"] * keys,
    }
    return pa.table(columns, schema=schema_of(table))


def digest_of(rows: pa.Table) -> str:
    """Of keys and values, stamps aside, whatever their order: equal for the rows of a day that come again."""
    values = rows.drop_columns([EVENT_TS, COMPUTED_AT, RUN_ID])
    lines = sorted(repr(tuple(row.values())) for row in values.to_pylist())
    return f"{rows.num_rows:x}-{hashlib.sha256(repr(lines).encode()).hexdigest()[:16]}"


def _popularity(chance: np.random.Generator, keys: int, day: date) -> Values:
    held = chance.geometric(0.5, keys) - (chance.random(keys) < 0.1)
    best = chance.integers(1, 100, keys)
    mean = np.where(held == 1, best, best + np.round(chance.random(keys) * 30, 2))
    since = np.where(chance.random(keys) < 0.4, 400, chance.integers(0, 40, keys))  # 400: never added
    added_1d = (since == 0).astype(int)
    added_7d = added_1d + np.where(since < 7, chance.integers(0, 2, keys) + (since > 0), 0)
    added_28d = added_7d + np.where(since < 28, chance.integers(0, 3, keys) + (since >= 7), 0)
    removed = chance.binomial(2, 0.02, keys), chance.binomial(2, 0.1, keys), chance.binomial(3, 0.3, keys)
    aged = 0.95 * (added_7d - added_1d) + 0.8 * (added_28d - added_7d)
    return {
        "playlists_count": held,
        "best_position": [int(p) if n else None for p, n in zip(best, held, strict=True)],
        "mean_position": [float(p) if n else None for p, n in zip(mean, held, strict=True)],
        "playlists_added_1d": added_1d,
        "playlists_added_7d": added_7d,
        "playlists_added_28d": added_28d,
        "playlists_removed_1d": removed[0],
        "playlists_removed_7d": removed[0] + removed[1],
        "playlists_removed_28d": sum(removed),
        "distinct_playlists_28d": held + chance.binomial(3, 0.3, keys),
        "decayed_adds_50d": added_1d + aged + np.where(since < 400, 0.3, 0.0),
        "days_since_added": [int(n) if n < 400 else None for n in since],
    }


def _title(_: np.random.Generator, keys: int, day: date) -> Values:
    chance = np.random.default_rng(7)  # a catalogue: what changes from day to day is its age
    shares = {
        "is_live": 0.08,
        "is_remix": 0.05,
        "is_remaster": 0.03,
        "is_acoustic": 0.02,
        "is_instrumental": 0.01,
        "is_cover": 0.01,
        "has_featured_artist": 0.15,
    }
    seconds = np.clip(chance.normal(205, 55, keys), 31, 1500).astype(int)
    return {
        **{name: chance.random(keys) < share for name, share in shares.items()},
        "artists_count": 1 + (chance.random(keys) < 0.25),
        "title_length_chars": chance.integers(3, 40, keys),
        "script": chance.choice(["Latn", "Cyrl", "Jpan", "Hebr", "Zyyy"], keys, p=[0.85, 0.06, 0.04, 0.03, 0.02]),
        "duration_ms": [int(s) * 1000 if chance.random() > 0.005 else None for s in seconds],
        "catalogue_age_days": chance.integers(0, 200, keys) + (day - FIRST).days,
    }


def _engagement(chance: np.random.Generator, keys: int, day: date) -> Values:
    popular = np.random.default_rng(3).lognormal(1.0, 1.0, keys)
    found: Values = {}
    plays = skips = saves = np.zeros(keys, dtype=int)
    for days, more in ((1, 1), (7, 6), (28, 21)):
        plays = plays + chance.poisson(popular * more)
        skips = skips + chance.poisson(popular * more * 0.25)
        saves = saves + chance.poisson(popular * more * 0.05)
        started = (plays + skips).tolist()
        found |= {
            f"plays_{days}d": plays,
            f"skips_{days}d": skips,
            f"skip_ratio_{days}d": [s / n if n else None for s, n in zip(skips.tolist(), started, strict=True)],
            f"listened_ms_{days}d": plays * 180_000 + skips * 20_000,
            f"listeners_{days}d": -(-plays * 4 // 5),
            f"saves_{days}d": saves,
        }
    return {**found, "plays_decayed_50d": found["plays_7d"] + 0.8 * (plays - found["plays_7d"])}
