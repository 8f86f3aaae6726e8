"""Tiny landing folders, written row by row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HEADER = "date,playlist,position,track_id"
CATALOGUE_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("track_id", "title", "artists", "album_id", "length")]
    + [("first_seen", pa.date32())]
)


def write_positions(
    landing: Path, day: date, lines: Iterable[str], *, header: str = HEADER, end: str = "\n", gz: bool = True
) -> Path:
    """A day's file of raw lines below a header."""
    folder = landing / "playlists" / "daily"
    folder.mkdir(parents=True, exist_ok=True)
    data = "".join(line + end for line in [header, *lines] if line is not None).encode("utf-8", "surrogateescape")
    path = folder / (f"{day}.csv.gz" if gz else f"{day}.csv")
    path.write_bytes(gzip.compress(data, mtime=0) if gz else data)
    return path


def held(day: date, playlists: dict[str, str]) -> list[str]:
    """Lines of a day: playlist -> its tracks, one letter each, in order."""
    return [
        f"{day},{name},{place},{track}" for name, tracks in playlists.items() for place, track in enumerate(tracks, 1)
    ]


def write_catalogue(landing: Path, rows: list[tuple], schema: pa.Schema = CATALOGUE_SCHEMA) -> Path:
    """The undated catalogue."""
    path = landing / "playlists" / "tracks.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema), path
    )
    return path


def an_event(day: date, **changes: object) -> dict[str, object]:
    """A play of the day."""
    return {
        "event_id": "e1",
        "kind": "play",
        "track_id": "t1",
        "user_id": 7,
        "ms_played": 1000,
        "event_ts": f"{day}T10:00:00.000001Z",
        "ingest_ts": f"{day}T10:00:05.123456Z",
        **changes,
    }


def write_events(landing: Path, day: date, lines: Iterable[object], *, gz: bool = False, end: str = "\n") -> Path:
    """A day's events: objects, or lines as they are."""
    folder = landing / "events" / "play_events"
    folder.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    data = "".join(text + end for text in texts).encode("utf-8", "surrogateescape")
    path = folder / (f"{day}.jsonl.gz" if gz else f"{day}.jsonl")
    path.write_bytes(gzip.compress(data, mtime=0) if gz else data)
    return path


def write_event_table(landing: Path, day: date, table: pa.Table, **options: Any) -> Path:
    """A day's events in Parquet."""
    path = landing / "events" / "play_events" / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path
