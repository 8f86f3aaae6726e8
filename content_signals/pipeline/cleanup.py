"""The online fields of versions that nobody needs any more, removed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from content_signals.contract import COMPUTED_AT, EVENT_TS
from content_signals.errors import UsageError
from content_signals.features.fallback import unsupported
from content_signals.features.lease import Lease, Ticket
from content_signals.features.online import View, Writer
from content_signals.features.registry import register, registry_answers
from content_signals.features.retirement import Registered, unneeded_since
from content_signals.features.served import Marker
from content_signals.features.store import feature_store, online_client, store_answers
from content_signals.features.sweep import rows
from content_signals.pipeline.context import Context, Outcome

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def clean_retired(context: Context, after_days: int) -> Outcome:
    """Remove from the online store what it holds of versions that were retired so many days ago.

    A flip back until then finds everything in its place. May be run again, where it was killed in the middle.

    Raises:
        UsageError: less than a day of grace: readers may still be at the version before a flip.
        Temporary: the registry or the store does not answer; what is left is removed by the next run.
    """
    if after_days < 1:
        raise UsageError(f"--after-days {after_days}: a flip can be undone for a day at least", next_step="give 1")
    outcome = Outcome()
    with registry_answers(), store_answers(), closing(online_client(context.settings)) as client:
        store = feature_store(context.settings)
        if reason := unsupported(store, []):
            context.say(f"nothing is cleaned up: {reason}")
            return outcome
        cleanup = Cleanup(context, store, client, timedelta(days=after_days))
        for view in cleanup.views():
            removed = cleanup.clean(view)
            if removed is not None:
                outcome.rows_in, outcome.rows_out = outcome.rows_in + removed, outcome.rows_out + removed
                outcome.details[view.name] = {"keys_cleaned": removed}
    return outcome


@dataclass(frozen=True)
class Cleanup:
    """One pass over the views."""

    context: Context
    store: FeatureStore
    client: Any
    grace: timedelta

    def views(self) -> list[FeatureView]:
        """Every view of ours that is registered, services as they are defined now: a pin counts at once."""
        if self.store.list_feature_views():  # else nothing was ever published
            with self._registry():
                register(self.store, self.context.settings)
        return sorted((v for v in self.store.list_feature_views() if "family" in v.tags), key=lambda view: view.name)

    def clean(self, view: FeatureView) -> int | None:
        """Remove the rows of a view, if its time has come: of how many keys. None: it has not, or nothing is there."""
        marker = Marker(self.client, self.store.project, view.name)
        if self._since(view, marker) is None or marker.is_clear:
            self._say_who_keeps(view)
            return None
        with Lease(self.client, self.store.project, view.name).held(self.context.say) as ticket:
            with self._registry():  # no flip, no pin in between: from here on a flip to it is refused
                since = self._since(view, marker)
                if since is None:
                    return None
                marker.clear()
            removed = self._remove(view, ticket)
            marker.end_clear()
        self.context.say(f"{view.name}: retired since {since:%Y-%m-%d}; the fields of {removed} keys are removed")
        return removed

    def _since(self, view: FeatureView, marker: Marker) -> datetime | None:
        """Since when nobody needs a view whose time of grace is over; None: it is needed, or not over."""
        now = self.context.run.now
        since = unneeded_since(view, Registered.of(self.store), self._defined, marker, now)
        return since if since is not None and since + self.grace <= now else None

    @property
    def _defined(self) -> dict[str, str]:
        return {table.table: table.family for table in self.context.catalog.tables if table.serve}

    def _say_who_keeps(self, view: FeatureView) -> None:
        registered = Registered.of(self.store)
        reading = registered.readers(view.name)
        if view.name in registered.left_live(view.tags["family"]) and reading:
            self.context.say(f"{view.name}: not live any more, and kept: {', '.join(reading)} reads it")
        elif view.name not in self._defined:
            days = self.grace.days
            self.context.say(f"{view.name}: no contract serves it; removed once that was so for {days} days and unread")

    def _remove(self, view: FeatureView, ticket: Ticket) -> int:
        features = tuple(feature.name for feature in view.features)
        url = self.context.settings.online_store.get_secret_value()
        of_store = View(url, self.store.project, view.name, view.entity_columns[0].name, features)
        removed, at = 0, self.context.run.now
        with Writer(of_store, replace(ticket, empty=True)) as writer:  # whatever a row says, it goes: none is looked at
            for keys in rows(self.client, of_store):
                times = pa.array([at] * len(keys), pa.timestamp("us", "UTC"))
                columns: dict[str, Any] = {of_store.join_key: pa.array(keys, pa.string())}
                writer.write(pa.record_batch(columns | {EVENT_TS: times, COMPUTED_AT: times}), "clear")
                removed += len(keys)
        return removed

    def _registry(self) -> Any:
        return Lease(self.client, self.store.project, "registry").held(self.context.say)
