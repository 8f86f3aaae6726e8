"""A feature service as a reader needs it: which fields of which hashes, and how long their values are good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from content_signals.errors import UnknownName, UsageError
from content_signals.features import encode
from content_signals.features.entity_key import KINDS, EntityKey
from content_signals.features.on_demand import OnDemandPlan
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


_Plan = TypeVar("_Plan", ViewPlan, OnDemandPlan)


@dataclass(frozen=True)
class ServicePlan:
    """The views of a service, in its order: two plans are equal if they read the same.

    Attributes:
        views: what is read from tables, or from their hashes.
        on_demand: what is computed from that.
        hidden: full names of what is read for that alone.
    """

    service: str
    views: tuple[ViewPlan, ...]
    on_demand: tuple[OnDemandPlan, ...] = ()
    hidden: frozenset[str] = frozenset()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Worked out once: a client that keeps last values looks up each key with its plan."""
        return hash((self.service, self.views, self.on_demand))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Full names of all features, those that are computed last."""
        read = tuple(name for view in self.views for name in view.names if name not in self.hidden)
        return (*read, *(name for plan in self.on_demand for name in plan.names))

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
    def request(self) -> dict[str, int]:
        """Column -> number of the feast.types.ValueType, of what comes with each question besides keys."""
        return {column: kind for plan in self.on_demand for column, kind in plan.request}

    @cached_property
    def column_kinds(self) -> dict[str, int]:
        """The same of keys and of what comes with a question."""
        return {**self.key_kinds, **self.request}

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
        return (None,) * max((first + len(view.fields) for view, _, first in self.places), default=0)

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
        on_demand = tuple(_only(plan, wanted) for plan in self.on_demand if wanted & set(plan.names))
        inputs = {name for plan in on_demand for name in plan.inputs}
        views = tuple(_only(view, wanted | inputs) for view in self.views if (wanted | inputs) & set(view.names))
        return ServicePlan(self.service, views, on_demand, frozenset(inputs - wanted))

    def _full(self, feature: str) -> str:
        found = [name for name in self.names if feature in (name, name.split(":")[1])]
        if len(found) != 1:
            raise UnknownName(f"feature of service {self.service}", feature, found or self.names)
        return found[0]


def _only(plan: _Plan, wanted: set[str]) -> _Plan:
    """A view for some of its features."""
    chosen = [
        (feature, kind)
        for feature, kind, name in zip(plan.features, plan.kinds, plan.names, strict=True)
        if name in wanted
    ]
    features, kinds = zip(*chosen, strict=True)
    return replace(plan, features=features, kinds=kinds)


def service_plan(store: FeatureStore, service: str) -> ServicePlan:
    """A service as it is registered now; the registry is asked, not its cache.

    Raises:
        UnknownName: for a service that is not registered.
        UsageError: for one with a view that aggregates on demand, is read in a version of Feast's own, or is keyed by
            neither texts nor whole numbers; or whose names or columns cannot be told apart.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        found = store.registry.get_feature_service(service, store.project)
    except FeatureServiceNotFoundException:
        known = [known.name for known in store.list_feature_services()]
        raise UnknownName("feature service", service, known) from None
    check_projections(service, found.feature_view_projections)
    plan = _planned(store, service, found.feature_view_projections)
    for view in plan.views:
        for column, kind in zip(view.key.columns, view.key.kinds, strict=True):
            if kind != plan.key_kinds[column]:
                raise _refusal(
                    service,
                    view.name,
                    f"has {KINDS[kind]} in column {column}, and another has {KINDS[plan.key_kinds[column]]} there",
                    "map one of them to another column: with_join_key_map",
                )
    for computed in plan.on_demand:
        for column, kind in computed.request:
            inputs = {part for name in computed.inputs for part in (name.split(":")[1], name.replace(":", "__"))}
            if column in inputs:
                raise _refusal(service, computed.name, f"asks for {column}, and is made of a feature of that name")
            if column in plan.key_kinds or plan.request[column] != kind:
                raise _refusal(
                    service, computed.name, f"asks for {column}, which is a key or of another type elsewhere"
                )
    return plan


def _planned(store: FeatureStore, service: str, projections: Iterable[FeatureViewProjection]) -> ServicePlan:
    own: list[ViewPlan] = []
    on_demand: list[OnDemandPlan] = []
    inputs: list[ViewPlan] = []
    for projection in projections:
        view = _registered_view(store, service, projection)
        if not _is_computed(view):
            own.append(_view_plan(service, projection, view))
            continue
        if view.aggregations:
            raise _refusal(service, projection.name, "aggregates over what it is asked for together")
        check_projections(service, [*view.source_feature_view_projections.values()])
        sources = [
            _view_plan(service, source, _registered_view(store, service, source))
            for source in view.source_feature_view_projections.values()
        ]
        inputs += sources
        on_demand.append(OnDemandPlan.of(projection, view, [name for source in sources for name in source.names]))
    views = _merged(service, own, inputs)
    given = {name for view in own for name in view.names}
    hidden = frozenset(name for view in views for name in view.names if name not in given)
    return ServicePlan(service, views, tuple(on_demand), hidden)


def _merged(service: str, own: Iterable[ViewPlan], inputs: Iterable[ViewPlan]) -> tuple[ViewPlan, ...]:
    """The views that a service gives, and what it needs besides: each view is read once."""
    found = {view.name: view for view in own}
    for view in inputs:
        known = found.setdefault(view.name, view)
        if (known.view, known.key) != (view.view, view.key):
            raise _refusal(service, view.name, "is two things: one that it gives, and one that it computes from")
        more = [pair for pair in zip(view.features, view.kinds, strict=True) if pair[0] not in known.features]
        for feature, kind in more:
            known = replace(known, features=(*known.features, feature), kinds=(*known.kinds, kind))
        found[view.name] = known
    names = Counter(name.lower() for name in found)
    if alike := [name for name in found if names[name.lower()] > 1]:
        raise _refusal(service, alike[0], f"is called as {alike[1]} is, which SQL does not tell apart")
    return tuple(found.values())


def _registered_view(store: FeatureStore, service: str, projection: FeatureViewProjection) -> Any:
    """The view of a projection, of whatever kind."""
    from feast.errors import FeatureViewNotFoundException
    from sqlalchemy.exc import SQLAlchemyError

    if projection.version_tag is not None:
        raise _refusal(service, projection.name, "is read in a version of Feast's own")
    try:
        return store.registry.get_any_feature_view(projection.name, store.project)
    except FeatureViewNotFoundException:
        raise _refusal(service, projection.name, "is not registered", "register it, or leave it out") from None
    except SQLAlchemyError:
        raise
    except Exception as error:  # whatever the text of a function does when it is loaded
        why = f"cannot be loaded here: {type(error).__name__}: {error}"
        raise _refusal(service, projection.name, why, "install what its function needs, or mend it") from error


def _is_computed(view: Any) -> bool:
    """Whether a view is computed when it is asked; one on demand may be kept in the store, too."""
    from feast.on_demand_feature_view import OnDemandFeatureView

    return isinstance(view, OnDemandFeatureView) and not view.write_to_online_store


def _view_plan(service: str, projection: FeatureViewProjection, view: Any) -> ViewPlan:
    if _is_computed(view):
        raise _refusal(service, projection.name, "is computed on demand, and another from it")
    columns = sorted(view.entity_columns, key=lambda column: column.name)
    key = EntityKey(
        join_keys=tuple(column.name for column in columns),
        columns=tuple(projection.join_key_map.get(column.name, column.name) for column in columns),
        kinds=tuple(column.dtype.to_value_type().value for column in columns),
    )
    if not columns or not set(key.kinds) <= set(KINDS):
        raise _refusal(service, projection.name, "is not keyed by texts and whole numbers")
    ttl = getattr(view, "ttl", None)  # of one on demand values are good for ever
    return ViewPlan(
        name=called(projection),
        view=view.name,
        key=key,
        features=tuple(feature.name for feature in projection.features),
        kinds=tuple(feature.dtype.to_value_type().value for feature in projection.features),
        ttl=None if ttl in (None, FOREVER) else ttl // timedelta(microseconds=1),
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
    services = sql.feature_services.c
    of_service = select(services.feature_service_proto).where(
        services.feature_service_name == plan.service, services.project_id == store.project
    )
    names = [*(view.view for view in plan.views), *(computed.view for computed in plan.on_demand)]
    of_views = [
        select(table.c.feature_view_proto)
        .where(table.c.feature_view_name.in_(names), table.c.project_id == store.project)
        .order_by(table.c.feature_view_name)
        for table in (sql.feature_views, sql.stream_feature_views, sql.on_demand_feature_views)
    ]
    with store.registry.read_engine.connect() as connection:
        return tuple(found for query in (of_service, *of_views) for found in connection.scalars(query))
