"""What a model gets: columns of values, and of each whether it can be used and how old it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from content_signals.errors import BrokenData, UnknownName
from content_signals.features.decode import Column, aware, column_of, exactly, moment, values_of
from content_signals.features.on_demand import OnDemandPlan
from content_signals.features.row_version import GONE, TAKEN_DOWN, state_of
from content_signals.features.service_plan import ServicePlan, ViewPlan

Wanted = Mapping[str, Sequence[Any]]  # column -> keys, or what came with the question; all of one length
Rows = Sequence[Sequence[Sequence[bytes | None]]]  # of each key of the plan, a reply of the store a row


class Status(StrEnum):
    """Of the values of one key in one view.

    `present` may still be null: the row has none. `stale`: older than the view's time to live, or not valid yet. A key
    without a row is `missing`, and so is one that has left the table. `last known`: the store did not answer, and this
    is what it said last; `unavailable`: it did not answer, and never has for this key. What is computed on demand has
    the worst status of what it is computed from, where that has nulls; its value is what its function makes of them.
    """

    PRESENT = "present"
    STALE = "stale"
    MISSING = "missing"
    TAKEN_DOWN = "taken down"
    LAST_KNOWN = "last known"
    UNAVAILABLE = "unavailable"


_BEST_LAST = (
    Status.UNAVAILABLE,
    Status.TAKEN_DOWN,
    Status.MISSING,
    Status.STALE,
    Status.LAST_KNOWN,
    Status.PRESENT,
)
_NOT_THERE = {GONE: Status.MISSING, TAKEN_DOWN: Status.TAKEN_DOWN}


@dataclass(frozen=True)
class ViewState:
    """Of one view, key by key.

    Attributes:
        status: a `Status` each.
        event_ts: microseconds since 1970 at which the row became valid; -1 where there is no row.
    """

    status: Sequence[Status]
    event_ts: Sequence[int]


@dataclass(frozen=True)
class Value:
    """One feature of one key."""

    value: Any
    status: Status
    valid_from: datetime | None


@dataclass(frozen=True)
class Features:
    """Features of some keys, in the order they were asked for.

    Attributes:
        keys: column -> the keys, or what came with the question.
        key_kinds: column -> number of the feast.types.ValueType of these.
        columns: full name, view:feature -> its values; none where the status says that they cannot be used.
        states: view -> status and age of its values.
        as_of: microseconds since 1970 at which freshness was judged.
    """

    keys: Wanted
    key_kinds: Mapping[str, int]
    columns: Mapping[str, Column]
    states: Mapping[str, ViewState]
    as_of: int

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the features."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.keys.values())))

    def __getitem__(self, feature: str) -> np.ma.MaskedArray[Any, Any]:
        """A feature's values, by its full name or by its own where only one view has it."""
        return self.columns[self._full(feature)].numpy()

    def status(self, feature: str) -> npt.NDArray[Any]:
        """A `Status` a key."""
        status = self.states[self._view(feature)].status
        return np.fromiter(status, object, len(status))

    def age(self, feature: str) -> npt.NDArray[np.float64]:
        """Seconds since the values became valid, a key each; NaN where there is no row."""
        found = np.array(self.states[self._view(feature)].event_ts, np.int64)
        return np.where(found < 0, np.nan, (self.as_of - found) / 1e6)

    def numpy(self) -> dict[str, np.ma.MaskedArray[Any, Any]]:
        """Every feature as a masked array: types are exact, nulls are masked."""
        return {name: column.numpy() for name, column in self.columns.items()}

    def arrow(self) -> pa.Table:
        """Keys and features, types exact, with nulls."""
        keys = {name: exactly(values, self.key_kinds[name]) for name, values in self.keys.items()}
        return pa.table(keys | {name: column.arrow() for name, column in self.columns.items()})

    def pandas(self) -> Any:
        """Keys and features in a pandas frame of nullable types: a whole number beside a null stays one."""
        import pandas as pd

        return self.arrow().to_pandas(types_mapper=pd.ArrowDtype)

    def dicts(self) -> list[dict[str, Any]]:
        """One dictionary a key: its features' values."""
        columns = [column.python() for column in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def cells(self) -> list[dict[str, Value]]:
        """One dictionary a key: value, status and moment of each feature."""
        found: list[dict[str, Value]] = [{} for _ in range(len(self))]
        for name, column in self.columns.items():
            state = self.states[name.split(":")[0]]
            for row, value, status, since in zip(found, column.python(), state.status, state.event_ts, strict=True):
                row[name] = Value(value, status, None if since < 0 else aware(since))
        return found

    def _full(self, feature: str) -> str:
        if feature in self.columns:
            return feature
        found = [name for name in self.columns if name.split(":")[1] == feature]
        if len(found) != 1:
            raise UnknownName("feature", feature, found or self.columns)
        return found[0]

    def _view(self, feature: str) -> str:
        try:
            return self._full(feature).split(":")[0]
        except UnknownName:
            if feature in self.states:
                return feature
            raise


def read_replies(plan: ServicePlan, keys: Wanted, rows: Rows, as_of: int, *, keep_stale: bool) -> Features:
    """What the store's replies say: a row that is stale, gone or taken down has no values."""
    columns, states = {}, {}
    usable = {Status.PRESENT, Status.STALE} if keep_stale else {Status.PRESENT}
    for view, number, first in plan.places:
        replies = rows[number]
        state = states[view.name] = _state(view, replies, first, as_of)
        if not usable.issuperset(state.status):
            pairs = zip(replies, state.status, strict=True)
            replies = [reply if status in usable else plan.nothing for reply, status in pairs]
        try:
            for place, (name, kind) in enumerate(view.named_kinds, first + 2):
                columns[name] = values_of(kind, [reply[place] for reply in replies])
        except ValueError as error:
            raise BrokenData(
                f"{name}: {error}, as the registry says",
                state="the view was registered with another type than its rows were written with",
                next_step=f"publish_features --table {view.view} --day D --full writes every row anew",
            ) from error
    return Features(keys, plan.column_kinds, columns, states, as_of)


def with_computed(plan: ServicePlan, found: Features) -> Features:
    """With what is computed on demand, and without what was read for that alone.

    Raises:
        BrokenData: a view's function fails.
    """
    if not plan.on_demand:
        return found
    given = {name: exactly(values, plan.column_kinds[name]) for name, values in found.keys.items()}
    given |= {name: column.arrow() for name, column in found.columns.items()}
    columns = {name: column for name, column in found.columns.items() if name not in plan.hidden}
    states = dict(found.states)
    for computed in plan.on_demand:
        columns |= {name: column_of(values) for name, values in computed.computed(given, plan.columns).items()}
        states[computed.name] = _state_of(computed, found)
    shown = {name.split(":")[0] for name in columns}
    return replace(found, columns=columns, states={name: state for name, state in states.items() if name in shown})


def _state_of(computed: OnDemandPlan, found: Features) -> ViewState:
    """The worst status of what it is computed from, and the oldest event time."""
    sources = [found.states[name] for name in computed.views]
    if not sources:  # made of the question alone
        return ViewState([Status.PRESENT] * len(found), [found.as_of] * len(found))
    status = [min(some, key=_BEST_LAST.index) for some in zip(*(state.status for state in sources), strict=True)]
    return ViewState(status, [min(some) for some in zip(*(state.event_ts for state in sources), strict=True)])


def _state(view: ViewPlan, replies: Sequence[Sequence[bytes | None]], first: int, as_of: int) -> ViewState:
    """Status and event time of each key, by the time and version fields at `first` of each reply."""
    moments = [-1 if reply[first] is None else moment(reply[first] or b"") for reply in replies]
    oldest = -(1 << 62) if view.ttl is None else as_of - view.ttl
    status = [
        Status.MISSING
        if since < 0
        else _NOT_THERE.get(state_of(reply[first], reply[first + 1]))
        or (Status.PRESENT if oldest <= since <= as_of else Status.STALE)
        for since, reply in zip(moments, replies, strict=True)
    ]
    return ViewState(status, moments)
