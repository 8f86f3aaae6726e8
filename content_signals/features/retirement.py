"""Versions that nobody needs online any more: no registered service reads them, and they were live, or are not defined.

Of a family that no contract serves its own service does not count.

A version that is new, which nobody has flipped to yet, is not one of them; nor is one that a model's service pins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from content_signals.features.live import left_live
from content_signals.features.on_demand import registered_on_demand, views_read
from content_signals.features.served import Marker

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView, OnDemandFeatureView


@dataclass(frozen=True)
class Registered:
    """What is registered of those who read: services, and by name the views on demand that they may read through."""

    services: Sequence[FeatureService]
    on_demand: Mapping[str, OnDemandFeatureView]

    @classmethod
    def of(cls, store: FeatureStore) -> Registered:
        """As it is now."""
        return cls(store.list_feature_services(), registered_on_demand(store))

    def readers(self, view: str) -> list[str]:
        """Names of the services that read a view, by its name."""
        return sorted(service.name for service in self.services if view in views_read(service, self.on_demand))

    def left_live(self, family: str) -> dict[str, datetime]:
        """Versions of a family that were live: view -> when a flip ended that."""
        return left_live(self.services, family)


def retired_since(registered: Registered, family: str, view: str) -> datetime | None:
    """When a flip retired a version, by the name of its view; None: it was never live, or a service reads it."""
    return None if registered.readers(view) else registered.left_live(family).get(view)


def unneeded_since(
    view: FeatureView,
    registered: Registered,
    defined: Mapping[str, str],
    marker: Marker,
    now: datetime,
) -> datetime | None:
    """Since when nobody needs a registered view; None: it is needed.

    The store notes when a view was seen to be read last: of one that a service pinned for months after the flip, the
    time of grace begins when that service has gone.

    Args:
        defined: view -> family, of the views that contracts define. Of one whose contract is gone the store notes when
            that was first seen. The service of a family that no contract serves needs nothing.
    """
    family = view.tags["family"]
    left = registered.left_live(family).get(view.name)
    reading = set(registered.readers(view.name)) - (set() if family in defined.values() else {family})
    if reading or (left is None and view.name in defined):
        marker.used(now)
        return None
    return max(left, marker.last_used() or left) if left else marker.unused_since(now)
