"""What the store said last of some keys, for callers who choose that over no answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from content_signals.features.answer import Features, Rows, Status, ViewState, read_replies
from content_signals.features.service_plan import ServicePlan

Reply = Sequence[bytes | None]


class LastKnown:
    """The replies of the keys asked for last.

    Args:
        size: keys kept; the one not asked for longest goes first. 0: none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._replies: OrderedDict[tuple[ServicePlan, str, str], Reply] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, plan: ServicePlan, keys: Mapping[str, Sequence[str]], rows: Rows) -> None:
        """Keep what the store has just said."""
        if not self.size:
            return
        with self._lock:
            for name, some in keys.items():
                for key, reply in zip(some, rows[name], strict=True):
                    place = plan, name, key
                    self._replies[place] = reply
                    self._replies.move_to_end(place)
            while len(self._replies) > self.size:
                self._replies.popitem(last=False)

    def answer(self, plan: ServicePlan, keys: Mapping[str, Sequence[str]], as_of: int) -> Features:
        """The last values of these keys, marked as such; what was gone or taken down stays so."""
        with self._lock:
            kept = {name: [self._replies.get((plan, name, key)) for key in some] for name, some in keys.items()}
        rows = {name: [reply or plan.nothing for reply in replies] for name, replies in kept.items()}
        found = read_replies(plan, keys, rows, as_of, keep_stale=True)
        states = {
            view.name: _as_kept(found.states[view.name], [reply is not None for reply in kept[view.join_key]])
            for view in plan.views
        }
        return replace(found, states=states)


def _as_kept(state: ViewState, known: Sequence[bool]) -> ViewState:
    """What can be used is the last known; of other keys nothing is."""
    last = {Status.PRESENT: Status.LAST_KNOWN, Status.STALE: Status.LAST_KNOWN}
    pairs = zip(state.status, known, strict=True)
    return replace(state, status=[last.get(status, status) if there else Status.UNAVAILABLE for status, there in pairs])
