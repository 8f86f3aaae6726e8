"""An event, parsed strictly: a row, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.sources.lines import RAW

KINDS = ("play", "skip", "save")
LATE_DAYS = 7

_TEXT = (pa.string(),)
_MOMENT = (pa.timestamp("us", "UTC"), pa.timestamp("ms", "UTC"), pa.timestamp("us"), pa.timestamp("ms"))
EXPECTED: Mapping[str, tuple[pa.DataType, ...]] = {
    "event_id": _TEXT,
    "kind": _TEXT,
    "track_id": _TEXT,
    "user_id": (pa.int64(),),
    "ms_played": (pa.int64(),),
    "event_ts": _MOMENT,
    "ingest_ts": _MOMENT,
}

# The line is put inside an object of ours. What follows the event on its line, another event even, is then an error and
# not passed over in silence. Moments are read as text: the JSON reader would take a number for one, as seconds.
_LINE = ('{"event":', ',"end":0}')
_SCHEMA = """
    event struct<event_id: string, kind: string, track_id: string, user_id: bigint, ms_played: bigint, event_ts: string,
                 ingest_ts: string>,
    end int"""
_BOM = "\ufeff"
_DAY_MICROS = 86_400_000_000  # a date of a moment would ask the time zone's rules about each row
_STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}


def parse(lines: DataFrame) -> DataFrame:
    """The frame of JSON lines with the source's columns and `_reason`, null where the row is good."""
    # Only where there is one: to trim walks through every line.
    text = F.when(F.startswith(RAW, F.lit(_BOM)), F.expr(f"trim(LEADING '{_BOM}' FROM {RAW})")).otherwise(F.col(RAW))
    read = F.from_json(F.concat(F.lit(_LINE[0]), text, F.lit(_LINE[1])), _SCHEMA, _STRICT)
    event = F.col("_read.event")
    rows = lines.select("*", read.alias("_read")).select(
        *lines.columns,
        (event.isNotNull() & F.col("_read.end").isNotNull()).alias("_whole"),
        *[event[name].alias(name) for name in EXPECTED if not name.endswith("_ts")],
        *[_moment(event[name]).alias(name) for name in EXPECTED if name.endswith("_ts")],
    )
    reason = (
        F.when(~F.is_valid_utf8(RAW), "not UTF-8")
        .when(F.col("_whole"), _fault())
        .when(F.trim(RAW) == "", "blank line")
        .otherwise("not a JSON object")
    )
    return rows.select(*lines.columns, *EXPECTED, reason.alias("_reason"))


def check(rows: DataFrame) -> DataFrame:
    """Typed rows with `ds`, the file's day, and `_reason`, null where the row is good."""
    texts = [F.is_valid_utf8(name) for name, types in EXPECTED.items() if types is _TEXT]
    broken = F.array_contains(F.array(*texts), False)
    return rows.select("*", F.when(broken, "not UTF-8").otherwise(_fault()).alias("_reason"))


def _fault() -> Column:
    """What is wrong with the values of a row, null where nothing is."""
    day = F.unix_date("ds")
    happened, arrived = (F.floor(F.unix_micros(name) / F.lit(_DAY_MICROS)) for name in ("event_ts", "ingest_ts"))
    return (
        F.when(_is_empty("event_id"), "event_id is empty")
        .when(
            F.col("kind").isNull() | ~F.col("kind").isin(*KINDS), f"kind is not {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        )
        .when(_is_empty("track_id"), "track_id is empty")
        .when(F.col("user_id").isNull(), "user_id is not a whole number")
        .when(F.col("ms_played").isNull() | (F.col("ms_played") < 0), "ms_played is not a whole number of 0 or more")
        .when(F.col("event_ts").isNull(), "event_ts is not a time")
        .when(F.col("ingest_ts").isNull(), "ingest_ts is not a time")
        .when(arrived != day, "ingest_ts is not on the file's day")
        .when(happened > day, "event_ts is after the file's day")
        .when(happened < day - LATE_DAYS, f"event_ts is more than {LATE_DAYS} days before the file's day")
    )


def _moment(text: Column) -> Column:
    """A moment in ISO 8601, in UTC where it names no zone. A cast alone would take a bare year or date for one."""
    marks = (F.substring(text, 14, 1) == ":") & (F.substring(text, 17, 1) == ":")
    return F.when(marks & F.substring(text, 11, 1).isin("T", " "), text.try_cast("timestamp"))


def _is_empty(name: str) -> Column:
    return F.trim(F.coalesce(name, F.lit(""))) == ""
