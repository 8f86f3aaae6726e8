"""A feature service as a reader needs it: which fields of which hashes, and how long their values are good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from content_signals.errors import UnknownName, UsageError
from content_signals.features import encode
from content_signals.features.entity_key import KINDS, EntityKey
from content_signals.features.online import View
from content_signals.features.projections import called, check_projections

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.feature_view_projection import FeatureViewProjection

FOREVER = timedelta(0)  # Feast's way to say so


@dataclass(frozen=True)
class ViewPlan:
    """What a service takes from one view.

    Attributes:
        name: what the service calls it: its own name, or the one the service gives it.
        view: as it is registered, which is what its table and its fields are called.
        key: what its rows are keyed by.
        kinds: number of the feast.types.ValueType of each feature.
        ttl: how long a value is good after its event time, in microseconds; None: for ever.
    """

    name: str
    view: str
    key: EntityKey
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
        own = [encode.time_field(self.view), View("", "", self.view, "", ()).version_field]
        return [*own, *(encode.field_name(self.view, feature) for feature in self.features)]


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
    def keys(self) -> tuple[EntityKey, ...]:
        """What the views are keyed by, each once: of each a hash is read for every row asked for."""
        return tuple(dict.fromkeys(view.key for view in self.views))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that name the things asked about, each once."""
        return tuple(self.key_kinds)

    @cached_property
    def key_kinds(self) -> dict[str, int]:
        """Column -> number of the feast.types.ValueType of its keys."""
        return {column: kind for key in self.keys for column, kind in zip(key.columns, key.kinds, strict=True)}

    @cached_property
    def places(self) -> tuple[tuple[ViewPlan, int, int], ...]:
        """Each view, the number of its key, and where its fields begin in the reply of that key's hash."""
        found, ends = [], [0] * len(self.keys)
        for view in self.views:
            number = self.keys.index(view.key)
            found.append((view, number, ends[number]))
            ends[number] += len(view.fields)
        return tuple(found)

    @cached_property
    def nothing(self) -> tuple[None, ...]:
        """A reply without any value, as long as the longest."""
        return (None,) * max(first + len(view.fields) for view, _, first in self.places)

    @cached_property
    def commands(self) -> tuple[tuple[bytes, bytes], ...]:
        """What an HMGET of each key's hashes has before the hash's name, and after it."""
        found = []
        for key in self.keys:
            fields = [field for view in self.views if view.key == key for field in view.fields]
            head = b"*%d\r\n$5\r\nHMGET\r\n" % (2 + len(fields))
            tail = b"\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(field), field) for field in fields)
            found.append((head, tail))
        return tuple(found)

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
                views.append(replace(view, features=names, kinds=kinds))
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
        UsageError: for one with a view that is computed on demand, is read in a version of Feast's own, or is keyed by
            neither texts nor whole numbers; or whose names or columns cannot be told apart.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        found = store.registry.get_feature_service(service, store.project)
    except FeatureServiceNotFoundException:
        known = [known.name for known in store.list_feature_services()]
        raise UnknownName("feature service", service, known) from None
    check_projections(service, found.feature_view_projections)
    plan = ServicePlan(
        service, tuple(_view_plan(store, service, projection) for projection in found.feature_view_projections)
    )
    for view in plan.views:
        for column, kind in zip(view.key.columns, view.key.kinds, strict=True):
            if kind != plan.key_kinds[column]:
                raise _refusal(
                    service,
                    view.name,
                    f"has {KINDS[kind]} in column {column}, and another has {KINDS[plan.key_kinds[column]]} there",
                    "map one of them to another column: with_join_key_map",
                )
    return plan


def _view_plan(store: FeatureStore, service: str, projection: FeatureViewProjection) -> ViewPlan:
    from feast.errors import FeatureViewNotFoundException

    try:
        view = store.registry.get_feature_view(projection.name, store.project)
    except FeatureViewNotFoundException:
        raise _refusal(service, projection.name, "is no view of a table, as those computed on demand") from None
    if projection.version_tag is not None:
        raise _refusal(service, projection.name, "is read in a version of Feast's own")
    columns = sorted(view.entity_columns, key=lambda column: column.name)
    key = EntityKey(
        join_keys=tuple(column.name for column in columns),
        columns=tuple(projection.join_key_map.get(column.name, column.name) for column in columns),
        kinds=tuple(column.dtype.to_value_type().value for column in columns),
    )
    if not columns or not set(key.kinds) <= set(KINDS):
        raise _refusal(service, projection.name, "is not keyed by texts and whole numbers")
    return ViewPlan(
        name=called(projection),
        view=view.name,
        key=key,
        features=tuple(feature.name for feature in projection.features),
        kinds=tuple(feature.dtype.to_value_type().value for feature in projection.features),
        ttl=None if view.ttl in (None, FOREVER) else view.ttl // timedelta(microseconds=1),
    )


def _refusal(service: str, view: str, why: str, next_step: str = "") -> UsageError:
    return UsageError(
        f"service {service}: its view {view} {why}",
        next_step=next_step or "read this service through Feast's own SDK, or leave the view out of it",
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
        .where(views.feature_view_name.in_([view.view for view in plan.views]), views.project_id == store.project)
        .order_by(views.feature_view_name)
    )
    with store.registry.read_engine.connect() as connection:
        return tuple(found for query in (of_service, of_views) for found in connection.scalars(query))
