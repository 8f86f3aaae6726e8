# ruff: noqa: S608  SQL of names that contracts have checked
"""Point-in-time joins in DuckDB: for each entity row the row of a view that was true, or known, at its moment.

No JVM: the files of one version of a table are read as they lie. Rows in are rows out, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["event", "known"]

EVENT, ROW, MOMENT, PLACE = "event_timestamp", "_row", "_moment", "_place"
_AT = f"epoch_us(e.{EVENT})"  # the moment of an entity row, in microseconds
_NO_END = 2**63 - 1
_ABOVE = f"{2**64}::hugeint"  # what lifts an event time above every computed_at


@dataclass(frozen=True)
class Rows:
    """The rows of a view.

    Attributes:
        view: what its features are called after, view__feature.
        asked: column of the entity rows that has the keys.
        key: column of the relation that has them.
        relation: SQL of a relation with the key, the features, `event_ts` and `computed_at`, and, of rows that rebuilds
            have superseded, `superseded_at`, null in rows that are in the table; and `_place`, a number of its own for
            each row, the same whenever it is read.
        ttl: microseconds a value is good for; None: for ever.
    """

    view: str
    asked: str
    key: str
    features: tuple[str, ...]
    relation: str
    ttl: int | None


def joined(entities: str, views: Sequence[Rows], mode: Mode) -> str:
    """SQL of the entity rows with the features of every view.

    Rows are wide, and to bring each to its key costs more than all else. So the join in time carries only keys, times
    and places; the features of the rows it finds are fetched after it.

    Args:
        entities: SQL of a relation with the keys, `event_timestamp`, and a row number `_row`.
        mode: "event": what the tables say now was true at the moment: the greatest `event_ts` not after it, and of
            several rows with that the last computed. "known": the same among the rows that had been computed by then
            and not been superseded.
    """
    numbered = [(f"v{number}", f"{PLACE}_{number}", rows) for number, rows in enumerate(views)]
    places = [f"{alias}.{PLACE} as {place}" for alias, place, _ in numbered]
    lasts = " ".join(_found(rows, alias, mode) for alias, _, rows in numbered)
    found = f"select {', '.join(['e.*', *places])} from ({entities}) e {lasts}"
    columns = [f"e.* exclude ({', '.join([ROW, *(place for _, place, _ in numbered)])})"]
    columns += [
        f'{_alive(rows, alias, name)} as "{rows.view}__{name}"' for alias, _, rows in numbered for name in rows.features
    ]
    fetched = " ".join(_fetched(rows, alias, place) for alias, place, rows in numbered)
    return f"with found as materialized ({found}) select {', '.join(columns)} from found e {fetched} order by e.{ROW}"


def own_columns(views: int) -> set[str]:
    """Names that entity rows cannot have when so many views are asked, in whatever case."""
    return {ROW, MOMENT, *(f"{PLACE}_{number}" for number in range(views))}


def _found(rows: Rows, alias: str, mode: Mode) -> str:
    """Beside each entity row the place of the last row of a view's timeline that is not after its moment.

    Hashes of the keys are compared first: numbers sort faster than texts. The texts decide.
    """
    # In event mode a moment stands after every row that became valid at it, whenever that was computed.
    moment = _AT if mode == "known" else f"{_AT} * {_ABOVE} + {_NO_END}"
    asked = f'e."{rows.asked}"'
    return (
        f'asof left join (select *, hash("{rows.key}") as _hash from ({_timeline(rows, mode)})) {alias}'
        f' on hash({asked}) = {alias}._hash and {asked} = {alias}."{rows.key}"'
        f" and {moment} >= {alias}._since"
    )


def _fetched(rows: Rows, alias: str, place: str) -> str:
    columns = [f'"{name}"' for name in rows.features] + ["epoch_us(event_ts) as _event", PLACE]
    return f"left join (select {', '.join(columns)} from ({rows.relation})) {alias} on e.{place} = {alias}.{PLACE}"


def _alive(rows: Rows, alias: str, feature: str) -> str:
    """The feature's value, null when it is older than it may be."""
    value = f'{alias}."{feature}"'
    return value if rows.ttl is None else f"case when {alias}._event >= {_AT} - {rows.ttl} then {value} end"


def _timeline(rows: Rows, mode: Mode) -> str:
    """Key and place of the rows that are ever the answer for their key, and since when each is: `_since`.

    In event mode that is their rank by (event time, computed_at). In known mode it is the moment a row is seen, if it
    is then the greatest of those seen so far. Keys of which a rebuild has left a row out, and put none in its place,
    need more: there the answer may go back to an earlier day, so it is worked out for each moment of a change.
    """
    key = f'"{rows.key}"'
    if mode == "event":
        return f"select {key}, {PLACE}, _rank as _since from ({_stamped(rows)}) where _end = {_NO_END}"
    withdrawn = f"select distinct {key} from ({_withdrawn(rows)})"
    plain = (
        f"select {key}, {PLACE}, _visible as _since from ({_stamped(rows)}) where {key} not in ({withdrawn})"
        f" qualify _rank = max(_rank) over (partition by {key} order by _visible range unbounded preceding)"
    )
    changed = f"select * from ({_stamped(rows)}) where {key} in ({withdrawn})"
    points = f"select distinct {key}, unnest([_visible, _end]) as _since from ({changed})"
    exact = (
        f"select p.{key}, f.{PLACE}, p._since from ({points}) p left join ({changed}) f"
        f" on p.{key} = f.{key} and f._visible <= p._since and p._since < f._end"
        f" qualify row_number() over (partition by p.{key}, p._since order by f._rank desc nulls last) = 1"
    )
    return f"{plain} union all {exact}"


def _withdrawn(rows: Rows) -> str:
    """Rows that a rebuild has left out: when they were superseded, none of the same event time took their place."""
    stamped, key = _stamped(rows), f'"{rows.key}"'
    return (
        f"select g.* from ({stamped}) g anti join ({stamped}) f"
        f" on g.{key} = f.{key} and g._event = f._event and f._rank > g._rank and f._computed <= g._end"
        f" where g._end < {_NO_END}"
    )


def _stamped(rows: Rows) -> str:
    """The rows with their times in microseconds, and `_rank`, which orders them by event time, then by computed_at."""
    event, computed = "epoch_us(event_ts)", "epoch_us(computed_at)"
    return (
        f'select "{rows.key}", {PLACE}, {event} as _event, {computed} as _computed,'
        f" greatest({event}, {computed}) as _visible,"
        f" {event} * {_ABOVE} + {computed} as _rank, coalesce(epoch_us(superseded_at), {_NO_END}) as _end"
        f' from ({rows.relation}) where "{rows.key}" is not null'
    )
