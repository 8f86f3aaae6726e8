"""A line of a day's positions, parsed strictly: a row, or the reason why it is none."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.sources.lines import RAW

HEADER = ("date", "playlist", "position", "track_id")
# RFC 4180: a quote inside quotes is doubled; a backslash is a character like any other.
_CSV = {"escape": '"', "columnNameOfCorruptRecord": "corrupt", "maxCharsPerColumn": "-1"}
_FIELDS = ", ".join(f"{name} string" for name in HEADER)


def parse(lines: DataFrame) -> DataFrame:
    """The frame of lines with the source's columns, `_reason` (null: the row is good) and `_of_playlist`.

    `_of_playlist` is the playlist a malformed row most likely belongs to, null where nothing tells: its list of the day
    has a hole and counts as not observed.
    """
    row = F.from_csv(F.col(RAW), f"{_FIELDS}, corrupt string", _CSV).alias("row")
    parsed = lines.select("*", row)
    field = {name: F.col(f"row.{name}") for name in HEADER}
    position = F.when(field["position"].rlike("^[0-9]+$"), field["position"].try_cast("int"))
    reason = (
        F.when(~F.is_valid_utf8(RAW), "not UTF-8")
        .when(F.trim(RAW) == "", "blank line")
        .when(
            F.col("row.corrupt").isNotNull() | F.col("row").isNull(),
            f"not the {len(HEADER)} fields {', '.join(HEADER)}",
        )
        .when(~field["date"].eqNullSafe(F.date_format("ds", "yyyy-MM-dd")), "date is not the file's day")
        .when(F.trim(F.coalesce(field["playlist"], F.lit(""))) == "", "playlist is empty")
        .when(position.isNull() | (position < 1), "position is not an integer of 1 or more")
        .when(F.trim(F.coalesce(field["track_id"], F.lit(""))) == "", "track_id is empty")
    )
    return parsed.select(
        *lines.columns,
        field["playlist"].alias("playlist"),
        position.alias("position"),
        field["track_id"].alias("track_id"),
        reason.alias("_reason"),
        F.when(F.col("row.corrupt").isNull(), field["playlist"]).otherwise(_guess()).alias("_of_playlist"),
    )


def complete(rows: DataFrame, aside: DataFrame) -> DataFrame:
    """Good rows with `observed`: false where a row of the same playlist and day was set aside."""
    holes = aside.select("ds", F.col("_of_playlist").alias("playlist")).distinct().withColumn("_hole", F.lit(True))
    marked = rows.join(F.broadcast(holes), on=["ds", "playlist"], how="left")
    return marked.withColumn("observed", F.col("_hole").isNull())


def _guess() -> Column:
    """The playlist of a line with too few or too many fields.

    Too many: a comma in the name was not quoted, so everything between the first field and the last two is the name.
    """
    parts = F.split(F.col(RAW), ",", -1)
    size = F.size(parts)
    between = F.array_join(F.slice(parts, F.lit(2), F.greatest(size - 3, F.lit(1))), ",")
    return F.nullif(F.trim(F.when(size > len(HEADER), between).when(size >= 2, F.element_at(parts, 2))), F.lit(""))
