"""Is the online store what the table says? Rows of some keys, compared, and every difference given its cause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.features import encode
from content_signals.features.decode import moment, values_of
from content_signals.features.online import View, versions
from content_signals.features.row_version import GONE, SIZE, TAKEN_DOWN, is_ours

# Digits were lost of numbers that differ by no more than this share of themselves. A whole number loses some as a float
# of 32 bits at worst, and none up to 2**24.
_DIGITS, _WHOLE_DIGITS, _EXACT = 1e-5, 2.0**-23, 2**24


class Cause(StrEnum):
    """Why a key is served otherwise than the table has it now."""

    LATE = "late data"  # the table has moved since it was published
    TTL = "ttl"  # served as it is in the table, but too old to be used
    FAILED = "failed write"  # an older row, none, or one that should be gone
    COERCED = "type coercion"  # the same value as another type, or with digits lost
    DEFINITION = "definition changed"  # the view had other features when the row was written
    TAKEN_DOWN = "taken down"  # not served, on purpose
    OTHERS = "written by others"  # other values under the very version that was published, or under none of ours


# Nobody has to do anything about these.
EXPECTED = (Cause.LATE, Cause.TTL, Cause.TAKEN_DOWN)


@dataclass(frozen=True)
class Mismatch:
    """A key that is served otherwise: which features, and why."""

    key: str
    cause: Cause
    told: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A row, encoded: its version and its features' cells; a cell that is None has no field at all."""

    version: bytes
    cells: tuple[bytes | None, ...]

    @property
    def event(self) -> int:
        """Event time, in microseconds."""
        return int.from_bytes(self.version[1:9], "big")

    @property
    def times(self) -> bytes:
        """What orders versions."""
        return self.version[1:SIZE]


def lines_of(view: View, rows: pa.Table) -> dict[str, Line]:
    """Key -> its row of a table."""
    if not rows.num_rows:
        return {}
    whole = rows.combine_chunks().to_batches()[0]
    stamps = versions(whole.column(EVENT_TS), whole.column(COMPUTED_AT), "put").to_pylist()
    cells = zip(*(encode.values(whole.column(name)).to_pylist() for name in view.features), strict=True)
    keys = whole.column(view.join_key).to_pylist()
    return {str(key): Line(stamp, tuple(row)) for key, stamp, row in zip(keys, stamps, cells, strict=True)}


def fetch(client: Any, view: View, keys: Sequence[str]) -> dict[str, Line]:
    """Key -> what the store has of it, in one pipeline; keys of which it has nothing are left out."""
    names = encode.entity_keys(pa.array(keys, pa.string()), view.join_key, view.project).to_pylist()
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hmget(name, view.time_field, view.version_field, *view.feature_fields)
    found = {}
    for key, (time, version, *cells) in zip(keys, pipe.execute(), strict=True):
        if time is not None:
            known = version[:SIZE] if version and is_ours(time, version) else None
            found[key] = Line(known or b"?" + moment(time).to_bytes(8, "big"), tuple(cells))
    return found


def compare(
    view: View,
    kinds: Sequence[int],
    keys: Sequence[str],
    stored: Mapping[str, Line],
    published: Mapping[str, Line],
    now: Mapping[str, Line],
    taken_down: Mapping[str, Any],
    *,
    at: int,
    ttl: int | None,
    redefined: bool,
) -> list[Mismatch]:
    """Every key that is not served as the table has it now; what nothing excuses comes first.

    Args:
        kinds: number of each feature's feast.types.ValueType.
        stored, published, now: rows in the store, of the version that was published, and of the table's newest day.
        at: microseconds at which freshness is judged; ttl: how long a value is good, None: for ever.
        redefined: rows are written otherwise today than the publication wrote them (`encode.how_written`).
    """
    found = []
    for key in keys:
        lines = stored.get(key), published.get(key), now.get(key)
        one = _compared(view, kinds, key, *lines, down=key in taken_down, redefined=redefined)
        if one is None and (line := stored.get(key)) and ttl is not None and at > line.event + ttl and key in now:
            one = Mismatch(
                key, Cause.TTL, f"older than its time to live by {(at - line.event - ttl) / 3.6e9:.1f} hours"
            )
        if one:
            found.append(one)
    return sorted(found, key=lambda one: one.cause in EXPECTED)


def _compared(
    view: View,
    kinds: Sequence[int],
    key: str,
    stored: Line | None,
    published: Line | None,
    now: Line | None,
    *,
    down: bool,
    redefined: bool,
) -> Mismatch | None:
    living = stored is not None and stored.version[:1] not in (GONE, TAKEN_DOWN)
    if down:
        told = "taken down, and served all the same" if living else "removed on purpose"
        return Mismatch(key, Cause.FAILED if living else Cause.TAKEN_DOWN, told)
    shown = stored if living else None
    if _same(shown, now):
        return None
    if _same(shown, published):
        return Mismatch(key, Cause.LATE, "the table has changed since it was published")
    if published is None:
        return Mismatch(key, Cause.FAILED, "has left the table, and is served all the same")
    if shown is None or shown.times < published.times[: len(shown.times)]:
        return Mismatch(key, Cause.FAILED, "nothing is served" if shown is None else "an older row is served")
    return _of_values(view, kinds, key, shown, published, redefined=redefined)


def _same(one: Line | None, other: Line | None) -> bool:
    if one is None or other is None:
        return one is other
    event_time = min(len(one.times), len(other.times))  # of a row that plain Feast wrote nothing more is known
    return one.times[:event_time] == other.times[:event_time] and one.cells == other.cells


def _of_values(
    view: View, kinds: Sequence[int], key: str, stored: Line, published: Line, *, redefined: bool
) -> Mismatch:
    cells = zip(view.features, kinds, stored.cells, published.cells, strict=True)
    differing = [(name, kind, was, should) for name, kind, was, should in cells if was != should]
    names = tuple(name for name, *_ in differing)
    if stored.times == published.times and differing:
        if all(was is None for _, _, was, _ in differing):
            if redefined:
                return Mismatch(key, Cause.DEFINITION, "the row was written before the view had these features", names)
            return Mismatch(key, Cause.FAILED, "fields of the row are not there", names)
        if all(_coerced(kind, was, should) for _, kind, was, should in differing):
            return Mismatch(key, Cause.COERCED, "the same values, encoded as another type or with digits lost", names)
    return Mismatch(key, Cause.OTHERS, "other values than were published", names)


def _coerced(kind: int, was: bytes | None, should: bytes | None) -> bool:
    """Whether a cell holds the value it should, as another type or nearly."""
    if not was or not should:
        return False
    one, other = _number(was[0] >> 3, was), _number(kind, should)
    if isinstance(one, str) or isinstance(other, str):
        return str(one) == str(other)
    if one is None or other is None:
        return False
    if isinstance(one, int) and isinstance(other, int):
        return one == other or (abs(other) > _EXACT and math.isclose(one, other, rel_tol=_WHOLE_DIGITS))
    return math.isclose(one, other, rel_tol=_DIGITS)


def _number(kind: int, cell: bytes) -> float | str | None:
    """A cell's value, if it is a number or a text."""
    try:
        [value] = values_of(kind, [cell]).python()
    except (ValueError, IndexError, KeyError):
        return None
    return value if isinstance(value, int | float | str) else None
