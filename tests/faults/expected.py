"""What each fault must meet in each table: the outcome, and a rule that the owner is told.

Rules are named as in an alert, without the `expect_` that begins each. `BrokenData` stands for files that no rule could
be asked about.
"""

from __future__ import annotations

from tests.faults.good_days import ENGAGEMENT, POPULARITY, TITLE
from tests.faults.meeting import ALERTED, QUARANTINED, STOPPED

Cell = tuple[str, str]

KEY, FORMAT, ROWS = (
    "column_values_to_not_be_null(track_id)",
    "column_values_to_match_regex(track_id)",
    "row_count_to_be_like_history()",
)
DIFFERS, EVENT, COMPUTED = (
    "table_to_differ_from_day_before()",
    "column_values_to_be_null(event_ts)",
    "column_values_to_be_null(computed_at)",
)


def _between(column: str) -> str:
    return f"column_values_to_be_between({column})"


def _never(column: str) -> str:
    return f"column_values_to_be_null({column})"


def _mean(column: str) -> str:
    return f"column_mean_to_be_like_history({column})"


def _all(outcome: str, rule: str) -> dict[str, Cell]:
    return dict.fromkeys((POPULARITY, TITLE, ENGAGEMENT), (outcome, rule))


def _each(popularity: Cell, title: Cell, engagement: Cell) -> dict[str, Cell]:
    return {POPULARITY: popularity, TITLE: title, ENGAGEMENT: engagement}


EXPECTED: dict[str, dict[str, Cell]] = {
    "null_keys": _all(QUARANTINED, KEY),
    "null_keys_many": _all(STOPPED, KEY),
    "repeated_keys": _all(QUARANTINED, "column_values_to_be_unique(track_id)"),
    "unit_x1000": _each(
        (STOPPED, _mean("mean_position")), (STOPPED, _mean("duration_ms")), (STOPPED, _mean("listened_ms_1d"))
    ),
    "unit_div1000": _each(
        (STOPPED, _mean("mean_position")), (STOPPED, _mean("duration_ms")), (STOPPED, _mean("listened_ms_1d"))
    ),
    "swapped_columns": _each(
        (STOPPED, _never("playlists_added_7d")), (STOPPED, _mean("artists_count")), (STOPPED, _never("skips_1d"))
    ),
    "yesterday_again": _all(STOPPED, DIFFERS),
    "older_day_again": _all(STOPPED, DIFFERS),
    "wrong_day": _all(STOPPED, EVENT),
    "half": _all(STOPPED, ROWS),
    "type_drift_text": _all(STOPPED, "BrokenData"),
    "type_drift_known": _all(STOPPED, "BrokenData"),
    "emoji_key": _all(QUARANTINED, FORMAT),
    "rtl_values": _each(
        (QUARANTINED, FORMAT), (QUARANTINED, "column_values_to_be_in_set(script)"), (QUARANTINED, FORMAT)
    ),
    "out_of_range": _each(
        (QUARANTINED, _between("best_position")),
        (QUARANTINED, _between("duration_ms")),
        (QUARANTINED, _between("plays_1d")),
    ),
    "huge_value": _each(
        (STOPPED, _between("playlists_count")), (STOPPED, _between("title_length_chars")), (STOPPED, _mean("saves_28d"))
    ),
    "all_zero": _each(
        (STOPPED, _mean("playlists_count")),
        (STOPPED, "column_true_share_to_be_like_history(is_live)"),
        (STOPPED, _mean("plays_1d")),
    ),
    "volume_x0.1": _all(STOPPED, ROWS),
    "volume_x10": _all(STOPPED, ROWS),
    "new_category": _each(
        (QUARANTINED, FORMAT), (QUARANTINED, "column_values_to_be_in_set(script)"), (QUARANTINED, FORMAT)
    ),
    "clock_ahead": _all(STOPPED, EVENT),
    "clock_behind": _all(STOPPED, COMPUTED),
    "clock_in_the_future": _all(STOPPED, COMPUTED),
    "truncated_file": _all(STOPPED, "BrokenData"),
    "damaged_page": _all(STOPPED, "BrokenData"),
    "null_share_up": _each(
        (STOPPED, _never("playlists_count")),
        (ALERTED, "column_null_share_to_be_like_history(duration_ms)#2"),
        (STOPPED, _never("skips_1d")),
    ),
    "nan": _each(
        (QUARANTINED, _between("mean_position")), (STOPPED, "BrokenData"), (QUARANTINED, _between("plays_decayed_50d"))
    ),
}

# What `make test` runs of it: each way to be caught once, in the table that shows it best.
QUICK = {
    ("null_keys", TITLE),
    ("unit_x1000", TITLE),
    ("yesterday_again", TITLE),
    ("null_share_up", TITLE),
    ("truncated_file", TITLE),
    ("type_drift_text", TITLE),
}
