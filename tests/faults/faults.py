"""What can go wrong with a staged day: each kind of corruption as a function from good rows to damaged ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from content_signals.contract import COMPUTED_AT, EVENT_TS, RUN_ID
from content_signals.lake.layout import LakeTable
from content_signals.lake.stage import Stage, write_stage_record
from tests.faults.good_days import DAY, ENGAGEMENT, KEYS, POPULARITY, TITLE, digest_of, good_rows
from tests.lake import stage_of

FEW = 3  # rows: half a percent of a day, fewer than the 1 % at which a day is stopped
RTL, EMOJI = "\u202eevil\u202c", "track\U0001f3b5"

# What stands for a kind of fault in each table.
UNIT = {POPULARITY: "mean_position", TITLE: "duration_ms", ENGAGEMENT: "listened_ms_1d"}
SWAPPED = {
    POPULARITY: ("playlists_added_7d", "playlists_removed_7d"),
    TITLE: ("artists_count", "title_length_chars"),
    ENGAGEMENT: ("skips_1d", "saves_1d"),
}
RANGE = {POPULARITY: ("best_position", -1), TITLE: ("duration_ms", -5000), ENGAGEMENT: ("plays_1d", -7)}
HUGE = {POPULARITY: "playlists_count", TITLE: "title_length_chars", ENGAGEMENT: "saves_28d"}
EMPTIED = {POPULARITY: ("best_position", "mean_position"), TITLE: ("duration_ms",), ENGAGEMENT: ("skip_ratio_1d",)}
NOT_A_NUMBER = {POPULARITY: "mean_position", TITLE: "duration_ms", ENGAGEMENT: "plays_decayed_50d"}
DRIFTED = {POPULARITY: "playlists_count", TITLE: "artists_count", ENGAGEMENT: "plays_7d"}
_STAMPS = (EVENT_TS, COMPUTED_AT, RUN_ID)

Damage = Callable[[str, pa.Table], pa.Table]
Put = Callable[[LakeTable, str, pa.Table], Stage]


def staged(table: LakeTable, name: str, rows: pa.Table) -> Stage:
    """Rows staged for the day, as they are."""
    return stage_of(table, DAY, rows, files=3, digest=digest_of(rows))


@dataclass(frozen=True)
class Fault:
    """A kind of corruption.

    Attributes:
        about: what happened, for a reader.
        damage: table and good rows -> damaged rows.
        put: stages the damaged rows.
    """

    about: str
    damage: Damage
    put: Put = staged


def set_values(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    """The rows with other values in a column, which keeps its type."""
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


def _in_few(rows: pa.Table, name: str, values: list[object]) -> pa.Table:
    return set_values(rows, name, [*values, *rows[name].to_pylist()[len(values) :]])


def _scaled(rows: pa.Table, name: str, by: float) -> pa.Table:
    kind = rows.schema.field(name).type
    scaled = [None if v is None else v * by for v in rows[name].to_pylist()]
    return set_values(
        rows, name, scaled if pa.types.is_floating(kind) else [v if v is None else int(v) for v in scaled]
    )


def _swap(table: str, rows: pa.Table) -> pa.Table:
    one, other = SWAPPED[table]
    values = rows[one].to_pylist(), rows[other].to_pylist()
    return set_values(set_values(rows, one, values[1]), other, values[0])


def _values(table: str, rows: pa.Table) -> list[str]:
    return [name for name in rows.schema.names if name not in ("track_id", *_STAMPS)]


def _all_zero(table: str, rows: pa.Table) -> pa.Table:
    for name in _values(table, rows):
        kind = rows.schema.field(name).type
        zero: object = False if pa.types.is_boolean(kind) else "Zyyy" if pa.types.is_string(kind) else 0
        rows = set_values(rows, name, [zero] * rows.num_rows)
    return rows


def _keys(*keys: str | None) -> Damage:
    return lambda table, rows: _in_few(rows, "track_id", list(keys))


def _earlier(days: int, *, stamps: bool) -> Damage:
    """The rows of an earlier day, with their own stamps or with the day's."""

    def damage(table: str, rows: pa.Table) -> pa.Table:
        old = good_rows(table, DAY - timedelta(days=days))
        for name in () if stamps else (EVENT_TS, COMPUTED_AT):
            old = set_values(old, name, rows[name].to_pylist())
        return old

    return damage


def _times(factor: float) -> Damage:
    return lambda table, rows: good_rows(table, DAY, round(KEYS * factor))


def _clock(name: str, by: timedelta) -> Damage:
    return lambda table, rows: set_values(rows, name, [moment + by for moment in rows[name].to_pylist()])


def _emptied(share: float) -> Damage:
    def damage(table: str, rows: pa.Table) -> pa.Table:
        gone = round(rows.num_rows * share)
        for name in EMPTIED[table]:
            rows = _in_few(rows, name, [None] * gone)
        return rows

    return damage


def _not_a_number(table: str, rows: pa.Table) -> pa.Table:
    name = NOT_A_NUMBER[table]
    if pa.types.is_floating(rows.schema.field(name).type):
        return _in_few(rows, name, [math.nan] * FEW)
    return _as_type(rows, name, pa.float64(), lambda v: math.nan if v is None else float(v))


def _as_type(rows: pa.Table, name: str, kind: pa.DataType, as_kind: Callable[[object], object]) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, name, pa.array([as_kind(value) for value in rows[name].to_pylist()], kind))


def _new_category(table: str, rows: pa.Table) -> pa.Table:
    if table == TITLE:
        return _in_few(rows, "script", ["Aaaa"] * FEW)
    return _in_few(rows, "track_id", [f"episode:{n}" for n in range(FEW)])  # no other column is a category


def _drifted(kind: pa.DataType, as_kind: Callable[[object], object]) -> Damage:
    return lambda table, rows: _as_type(rows, DRIFTED[table], kind, as_kind)


def _put_as_declared(table: LakeTable, name: str, rows: pa.Table) -> Stage:
    """The stage speaks of the columns as the contract declares them, whatever the files hold."""
    declared = stage_of(table, DAY, good_rows(name, DAY), run_id="run-00000", files=3)
    stage = replace(staged(table, name, rows), schema_json=declared.schema_json)
    write_stage_record(table, stage)
    return stage


def _put_truncated(table: LakeTable, name: str, rows: pa.Table) -> Stage:
    stage = staged(table, name, rows)
    file = Path(table.path) / stage.files[0].path
    file.write_bytes(file.read_bytes()[: stage.files[0].size // 2])
    return stage


def _put_damaged(table: LakeTable, name: str, rows: pa.Table) -> Stage:
    """A page in the middle of a file is overwritten; its footer is whole."""
    stage = staged(table, name, rows)
    file = Path(table.path) / stage.files[0].path
    held = bytearray(file.read_bytes())
    held[4:400] = b"\xff" * 396
    file.write_bytes(held)
    return stage


def _half(table: str, rows: pa.Table) -> pa.Table:
    return rows.take(pc.indices_nonzero(pa.array([n % 2 == 0 for n in range(rows.num_rows)])))


def _twice(table: str, rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(0, FEW)])


FAULTS = {
    "null_keys": Fault("a key is null in three rows", _keys(*[None] * FEW)),
    "null_keys_many": Fault("a key is null in a tenth of the rows", _keys(*[None] * (KEYS // 10))),
    "repeated_keys": Fault("three rows come twice", _twice),
    "unit_x1000": Fault("a column in a unit a thousand times smaller", lambda t, r: _scaled(r, UNIT[t], 1000)),
    "unit_div1000": Fault("a column in a unit a thousand times greater", lambda t, r: _scaled(r, UNIT[t], 0.001)),
    "swapped_columns": Fault("two columns of one type change places", _swap),
    "yesterday_again": Fault("the rows of the day before, as the day's", _earlier(1, stamps=False)),
    "older_day_again": Fault("the rows of four days before, as the day's", _earlier(4, stamps=False)),
    "wrong_day": Fault("the rows of four days before, with their own stamps", _earlier(4, stamps=True)),
    "half": Fault("every second row is missing", _half),
    "type_drift_text": Fault("whole numbers come as text", _drifted(pa.string(), str), _put_as_declared),
    "type_drift_known": Fault("the same, and the stage's schema says so", _drifted(pa.string(), str)),
    "emoji_key": Fault("an emoji, a text direction mark and a line break in keys", _keys(EMOJI, RTL, "track\n")),
    "rtl_values": Fault(
        "right-to-left text where a code or an id is due",
        lambda t, r: _in_few(r, "script" if t == TITLE else "track_id", ["\u05e9\u05dc\u05d5\u05dd"]),
    ),
    "out_of_range": Fault("a negative value in three rows", lambda t, r: _in_few(r, RANGE[t][0], [RANGE[t][1]] * FEW)),
    "huge_value": Fault("two billion in three rows", lambda t, r: _in_few(r, HUGE[t], [2_000_000_000] * FEW)),
    "all_zero": Fault("every value is 0", _all_zero),
    "volume_x0.1": Fault("a tenth of the rows", _times(0.1)),
    "volume_x10": Fault("ten times the rows", _times(10)),
    "new_category": Fault("a script, or a kind of key, never seen before, in three rows", _new_category),
    "clock_ahead": Fault("event time two days ahead", _clock(EVENT_TS, timedelta(days=2))),
    "clock_behind": Fault("computed an hour before the day was over", _clock(COMPUTED_AT, timedelta(hours=-3))),
    "clock_in_the_future": Fault("computed in the next century", _clock(COMPUTED_AT, timedelta(days=36_500))),
    "truncated_file": Fault("a staged file ends in the middle", lambda t, r: r, _put_truncated),
    "damaged_page": Fault("a page of a staged file is overwritten", lambda t, r: r, _put_damaged),
    "null_share_up": Fault("a tenth of a column that may be null is", _emptied(0.1)),
    "nan": Fault("NaN in three rows; of a column of whole numbers that had nulls, all as doubles", _not_a_number),
}
