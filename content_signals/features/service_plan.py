"""A feature service as a reader needs it: which fields of which hashes, and how long their values are good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from content_signals.errors import UnknownName, UsageError
from content_signals.features import encode
from content_signals.features.online import View

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from feast.feature_view_projection import FeatureViewProjection

FOREVER = timedelta(0)  # Feast's way to say so


@dataclass(frozen=True)
class ViewPlan:
    """What a service takes from one view.

    Attributes:
        kinds: number of the feast.types.ValueType of each feature.
        ttl: how long a value is good after its event time, in microseconds; None: for ever.
    """

    name: str
    join_key: str
    features: tuple[str, ...]
    kinds: tuple[int, ...]
    ttl: int | None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' full names, view:feature."""
        return tuple(f"{self.name}:{feature}" for feature in self.features)

    @cached_property
    def named_kinds(self) -> tuple[tuple[str, int], ...]:
        """Full name and kind of each feature."""
        return tuple(zip(self.names, self.kinds, strict=True))

    @cached_property
    def fields(self) -> list[bytes]:
        """What to ask a hash for: time, version, features."""
        own = [encode.time_field(self.name), View("", "", self.name, self.join_key, ()).version_field]
        return [*own, *(encode.field_name(self.name, feature) for feature in self.features)]


@dataclass(frozen=True)
class ServicePlan:
    """The views of a service, in its order: two plans are equal if they read the same."""

    service: str
    views: tuple[ViewPlan, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Worked out once: a client that keeps last values looks up each key with its plan."""
        return hash((self.service, self.views))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Full names of all features."""
        return tuple(name for view in self.views for name in view.names)

    @cached_property
    def join_keys(self) -> tuple[str, ...]:
        """Columns that name the things asked about, each once."""
        return tuple(dict.fromkeys(view.join_key for view in self.views))

    @cached_property
    def places(self) -> tuple[tuple[ViewPlan, int], ...]:
        """Each view, and where its fields begin in the reply of its entity's hash."""
        found, ends = [], dict.fromkeys(self.join_keys, 0)
        for view in self.views:
            found.append((view, ends[view.join_key]))
            ends[view.join_key] += len(view.fields)
        return tuple(found)

    @cached_property
    def nothing(self) -> tuple[None, ...]:
        """A reply without any value, as long as the longest."""
        return (None,) * max(first + len(view.fields) for view, first in self.places)

    @cached_property
    def commands(self) -> dict[str, tuple[bytes, bytes, bytes]]:
        """Join key -> what an HMGET of its hashes has before the hash's name, what that begins with, and the rest."""
        found = {}
        for join_key in self.join_keys:
            fields = [field for view in self.views if view.join_key == join_key for field in view.fields]
            head = b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(fields))
            tail = b"\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(field), field) for field in fields)
            found[join_key] = (head, encode.string_key_prefix(join_key), tail)
        return found

    def only(self, features: tuple[str, ...]) -> ServicePlan:
        """The same for some of its features, by full names or by names of one view alone.

        Raises:
            UnknownName: for a feature the service does not have.
        """
        wanted = {self._full(feature) for feature in features}
        views = []
        for view in self.views:
            chosen = [
                (f, k) for f, k, name in zip(view.features, view.kinds, view.names, strict=True) if name in wanted
            ]
            if chosen:
                names, kinds = zip(*chosen, strict=True)
                views.append(ViewPlan(view.name, view.join_key, names, kinds, view.ttl))
        return ServicePlan(self.service, tuple(views))

    def _full(self, feature: str) -> str:
        found = [name for name in self.names if feature in (name, name.split(":")[1])]
        if len(found) != 1:
            raise UnknownName(f"feature of service {self.service}", feature, found or self.names)
        return found[0]


def service_plan(store: FeatureStore, service: str) -> ServicePlan:
    """A service as it is registered now; the registry is asked, not its cache.

    Raises:
        UnknownName: for a service that is not registered.
        UsageError: for one with a view that is none of a table keyed by one text, or is read under another name or key.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        found = store.registry.get_feature_service(service, store.project)
    except FeatureServiceNotFoundException:
        known = [known.name for known in store.list_feature_services()]
        raise UnknownName("feature service", service, known) from None
    views = []
    for projection in found.feature_view_projections:
        view = _view(store, service, projection)
        names = tuple(feature.name for feature in projection.features)
        kinds = tuple(feature.dtype.to_value_type().value for feature in projection.features)
        ttl = None if view.ttl in (None, FOREVER) else view.ttl // timedelta(microseconds=1)
        views.append(ViewPlan(view.name, view.entity_columns[0].name, names, kinds, ttl))
    return ServicePlan(service, tuple(views))


def _view(store: FeatureStore, service: str, projection: FeatureViewProjection) -> FeatureView:
    """The view of a projection, if it is one that is read here."""
    from feast.errors import FeatureViewNotFoundException
    from feast.types import String

    odd = ""
    if projection.name_alias not in (None, projection.name) or projection.join_key_map:
        odd = "is read under another name or key"
    else:
        try:
            view = store.registry.get_feature_view(projection.name, store.project)
        except FeatureViewNotFoundException:
            odd = "is no view of a table, as those computed on demand"
        else:
            if [column.dtype for column in view.entity_columns] == [String]:
                return view
            odd = "is not keyed by one text"
    raise UsageError(
        f"service {service}: its view {projection.name} {odd}",
        next_step="read this service through Feast's own SDK, or leave the view out of it",
    )


def registered(store: FeatureStore, plan: ServicePlan) -> tuple[bytes, ...]:
    """What the registry holds of a service and its views, as it is stored: while that is the same, so is the plan.

    A fraction of making the plan, which is mostly Feast's own checks of types. () for a registry other than SQL.
    """
    from feast.infra.registry import sql
    from sqlalchemy import select

    if not isinstance(store.registry, sql.SqlRegistry):
        return ()
    services, views = sql.feature_services.c, sql.feature_views.c
    of_service = select(services.feature_service_proto).where(
        services.feature_service_name == plan.service, services.project_id == store.project
    )
    of_views = (
        select(views.feature_view_proto)
        .where(views.feature_view_name.in_([view.name for view in plan.views]), views.project_id == store.project)
        .order_by(views.feature_view_name)
    )
    with store.registry.read_engine.connect() as connection:
        return tuple(found for query in (of_service, of_views) for found in connection.scalars(query))
