"""An independent recompute in DuckDB of play events and what is made from them, from a landing folder.

As `oracle`: written from the words about the tables, it shares no code with the package. Every window is stated over
the events themselves; there is no tile.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

EVENTS_KEY = ("ds", "track_id", "event_id")
ENGAGEMENT_KEY = ("ds", "track_id")


def load(con: duckdb.DuckDBPyConnection, landing: Path, days: Iterable[date]) -> None:
    """Make the tables as if these days had landed and no others.

    Tables:
        event_lines(ds, line_number, raw, good, and the fields of the event): every row of every file.
        play_events_v1, track_engagement_v1: every column of theirs.
    """
    con.execute("SET TimeZone = 'UTC'")
    con.execute(_NO_LINES)
    for day in days:
        path = landing / "events" / "play_events" / str(day)
        if path.with_name(f"{day}.parquet").exists():
            con.execute(_PARQUET_ROWS, {"file": f"{path}.parquet", "day": day})
            continue
        packed = path.with_name(f"{day}.jsonl.gz")
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else path.with_name(f"{day}.jsonl").read_bytes()
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
        con.register("_lines", pa.table({"line_number": range(1, len(lines) + 1), "raw": lines}))
        con.execute(_JSON_ROWS, {"day": day})
        con.unregister("_lines")
    con.execute(_EVENTS)
    con.execute(_ENGAGEMENT)


_NO_LINES = """
CREATE OR REPLACE TABLE event_lines (
    ds DATE, line_number BIGINT, raw VARCHAR, event_id VARCHAR, kind VARCHAR, track_id VARCHAR, user_id BIGINT,
    ms_played BIGINT, event_ts TIMESTAMPTZ, ingest_ts TIMESTAMPTZ)
"""

_PARQUET_ROWS = """
INSERT INTO event_lines
SELECT $day, file_row_number + 1, NULL, event_id, kind, track_id, user_id, ms_played, event_ts, ingest_ts
FROM read_parquet($file, file_row_number = true)
"""

_JSON_ROWS = r"""
INSERT INTO event_lines
WITH objects AS (
    SELECT line_number, raw, CASE WHEN json_valid(raw) AND json_type(raw) = 'OBJECT' THEN raw::JSON END AS event
    FROM _lines
), texts AS (
    SELECT *, event ->> '$.event_ts' AS happened, event ->> '$.ingest_ts' AS arrived FROM objects
)
SELECT $day, line_number, raw, event ->> '$.event_id', event ->> '$.kind', event ->> '$.track_id',
       CASE WHEN json_type(event, '$.user_id') IN ('BIGINT', 'UBIGINT')
            THEN try_cast(event ->> '$.user_id' AS BIGINT) END,
       CASE WHEN json_type(event, '$.ms_played') IN ('BIGINT', 'UBIGINT')
            THEN try_cast(event ->> '$.ms_played' AS BIGINT) END,
       CASE WHEN regexp_full_match(happened, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z')
            THEN try_cast(happened AS TIMESTAMPTZ) END,
       CASE WHEN regexp_full_match(arrived, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z')
            THEN try_cast(arrived AS TIMESTAMPTZ) END
FROM texts
"""

_EVENTS = """
ALTER TABLE event_lines ADD COLUMN good BOOLEAN;
UPDATE event_lines SET good = coalesce(
    event_id <> '' AND track_id <> '' AND kind IN ('play', 'skip', 'save') AND user_id IS NOT NULL AND ms_played >= 0
    AND ingest_ts::DATE = ds AND event_ts::DATE BETWEEN ds - 7 AND ds, false);

CREATE OR REPLACE TABLE play_events_v1 AS
SELECT event_id, kind, track_id, user_id, ms_played, event_ts, ingest_ts, ds FROM event_lines WHERE good
QUALIFY row_number() OVER (
    PARTITION BY ds, track_id, event_id ORDER BY ingest_ts, kind, user_id, ms_played, event_ts) = 1;
"""

_OF_DAYS = """
    count(*) FILTER (kind = 'play' AND age < {n}) AS plays_{n}d,
    count(*) FILTER (kind = 'skip' AND age < {n}) AS skips_{n}d,
    count(*) FILTER (kind = 'skip' AND age < {n})
        / nullif(count(*) FILTER (kind IN ('play', 'skip') AND age < {n}), 0) AS skip_ratio_{n}d,
    coalesce(sum(ms_played) FILTER (age < {n}), 0)::BIGINT AS listened_ms_{n}d,
    count(DISTINCT user_id) FILTER (kind = 'play' AND age < {n}) AS listeners_{n}d,
    count(*) FILTER (kind = 'save' AND age < {n}) AS saves_{n}d,"""

_ENGAGEMENT = f"""
CREATE OR REPLACE TABLE track_engagement_v1 AS
WITH aged AS (
    SELECT day.ds, e.* EXCLUDE (ds), date_diff('day', e.ds, day.ds) AS age
    FROM (SELECT DISTINCT ds FROM play_events_v1) day JOIN play_events_v1 e ON e.ds <= day.ds AND e.ds > day.ds - 400
)
SELECT track_id, {"".join(_OF_DAYS.format(n=n) for n in (1, 7, 28))}
    coalesce(sum(round(pow(2, 30) * pow(2, -age / 50))::BIGINT) FILTER (kind = 'play'), 0)::BIGINT::DOUBLE / pow(2, 30)
        AS plays_decayed_50d,
    ds
FROM aged GROUP BY ds, track_id HAVING count(*) FILTER (age < 28) > 0
"""
