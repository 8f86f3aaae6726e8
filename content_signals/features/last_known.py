"""What the store said last of some keys, for callers who choose that over no answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from content_signals.features.answer import Features, Rows, Status, ViewState, Wanted, read_replies
from content_signals.features.entity_key import Key
from content_signals.features.service_plan import ServicePlan

Reply = Sequence[bytes | None]


class LastKnown:
    """The replies of the keys asked for last.

    Args:
        size: keys kept; the one not asked for longest goes first. 0: none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._replies: OrderedDict[tuple[ServicePlan, int, tuple[Key, ...]], Reply] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, plan: ServicePlan, keys: Wanted, rows: Rows) -> None:
        """Keep what the store has just said."""
        if not self.size:
            return
        with self._lock:
            for number, (entity_key, replies) in enumerate(zip(plan.keys, rows, strict=True)):
                for row, reply in zip(entity_key.rows(keys), replies, strict=True):
                    place = plan, number, row
                    self._replies[place] = reply
                    self._replies.move_to_end(place)
            while len(self._replies) > self.size:
                self._replies.popitem(last=False)

    def answer(self, plan: ServicePlan, keys: Wanted, as_of: int) -> Features:
        """The last values of these keys, marked as such; what was gone or taken down stays so."""
        with self._lock:
            kept = [
                [self._replies.get((plan, number, row)) for row in entity_key.rows(keys)]
                for number, entity_key in enumerate(plan.keys)
            ]
        rows = [[reply or plan.nothing for reply in replies] for replies in kept]
        found = read_replies(plan, keys, rows, as_of, keep_stale=True)
        states = {
            view.name: _as_kept(found.states[view.name], [reply is not None for reply in kept[number]])
            for view, number, _ in plan.places
        }
        return replace(found, states=states)


def _as_kept(state: ViewState, known: Sequence[bool]) -> ViewState:
    """What can be used is the last known; of other keys nothing is."""
    last = {Status.PRESENT: Status.LAST_KNOWN, Status.STALE: Status.LAST_KNOWN}
    pairs = zip(state.status, known, strict=True)
    return replace(state, status=[last.get(status, status) if there else Status.UNAVAILABLE for status, there in pairs])
