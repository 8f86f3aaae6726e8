"""Which version of a family models read: what follows `live` moves from one to another, and back.

The registry says it: the service of a family's own name reads the live version, and with it moves every service with
the tag follow=live. Each moves in one registry commit. A service that pins its versions never moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from content_signals.catalog import Catalog
from content_signals.contract import Table
from content_signals.errors import Refused, UsageError
from content_signals.features.on_demand import registered_on_demand, views_read
from content_signals.features.projections import check_projections

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, OnDemandFeatureView
    from feast.feature_view_projection import FeatureViewProjection

FOLLOWS = ("follow", "live")
_BEFORE, _BY, _WHY, _WHEN = "live_before", "flipped_by", "flipped_because", "flipped_at"
_LEFT = "left_live:"  # with a version: when a flip ended its time, kept with the family's own service


@dataclass(frozen=True)
class Flip:
    """A move of a family's live version: tables, and the services that moved."""

    family: str
    before: str
    after: str
    services: tuple[str, ...]


def live_tables(services: Iterable[FeatureService], catalog: Catalog) -> dict[str, Table]:
    """Family -> the version that is live: as registered, and the newest where the family is not registered yet.

    Raises:
        UsageError: the live version has no contract any more: its readers would move without the checks of a flip.
    """
    registered = {service.name: service for service in services}
    found = {}
    for table in catalog.tables:
        if table.serve:
            service = registered.get(table.family)
            names = [projection.name for projection in service.feature_view_projections] if service else []
            known = [t for t in catalog.tables if t.table in names]
            if names and not known:
                raise UsageError(
                    f"{names[0]} is live and has no contract any more: who follows {table.family} would be moved"
                    " without the checks of a flip",
                    next_step=f"put its contract back, content-signals features flip {table.family} --to"
                    f" {table.version}, and remove it then",
                )
            found[table.family] = known[0] if known else catalog.live(table.family)
    return found


def at_live(
    service: FeatureService, views: Mapping[str, Any], live: Mapping[str, Table], tags: Mapping[str, str]
) -> FeatureService:
    """A service that follows live, reading the live version of each of its families; any other as it is.

    Args:
        views: by name, those on demand too.
        tags: what flips have noted; added to those it has, in place of what earlier flips had noted.

    Raises:
        UsageError: the live version lacks a feature that the service reads, or is read by it under one name twice; or
            the service has a view on demand that is made of a version.
    """
    from feast import FeatureService as Service
    from feast import OnDemandFeatureView

    if service.tags.get(FOLLOWS[0]) != FOLLOWS[1]:
        return service
    features: list[Any] = []
    for projection in service.feature_view_projections:
        view = views[projection.name]
        if isinstance(view, OnDemandFeatureView):
            _check_sources(service, view, views)
            features.append(_as_called(view[[feature.name for feature in projection.features]], projection))
            continue
        table = live.get(view.tags["family"])
        target = views[table.table] if table else view
        names = [feature.name for feature in projection.features]
        if service.name == view.tags["family"]:
            features.append(target)  # the family's own: all there is
            continue
        missing = sorted(set(names) - {feature.name for feature in target.features})
        if missing:
            raise UsageError(
                f"service {service.name} follows live and reads what {target.name} does not have: {', '.join(missing)}",
                next_step=f"add the feature to {target.name}, or pin a version in feature_repo/services.py",
            )
        features.append(_as_called(target[names], projection))
    # Two versions that it read side by side are one now.
    check_projections(service.name, [view.projection for view in features], "it reads what it has read")
    return Service(
        name=service.name,
        features=features,
        description=service.description,
        owner=service.owner,
        tags={**{name: text for name, text in service.tags.items() if not name.startswith(_LEFT)}, **tags},
    )


def _check_sources(service: FeatureService, view: OnDemandFeatureView, views: Mapping[str, Any]) -> None:
    """What is computed on demand names the versions it is made of: a service with it cannot follow others.

    It would read two versions in one call, or stop every flip and every way back.
    """
    for source in view.source_feature_view_projections.values():
        family = views[source.name].tags.get("family", "") if source.name in views else ""
        if family:
            raise UsageError(
                f"service {service.name} follows live, and {view.name}, computed on demand, is made of {source.name}"
                " and of no other version",
                next_step=f"let it pin its versions: without the tag {'='.join(FOLLOWS)}",
            )


def _as_called(view: Any, projection: FeatureViewProjection) -> Any:
    """A view under the name and the keys that the service gives it."""
    if projection.name_alias:
        view = view.with_name(projection.name_alias)
    return view.with_join_key_map(projection.join_key_map) if projection.join_key_map else view


def flip(
    store: FeatureStore,
    catalog: Catalog,
    services: Sequence[FeatureService],
    to: Table,
    served: Sequence[str],
    *,
    who: str,
    reason: str,
    now: datetime,
) -> Flip:
    """Make a version of a family the live one.

    Args:
        services: all that are registered, as they are defined.
        served: the views that the online store holds.

    Raises:
        UsageError: it is live already, or a service reads what it does not have; nothing was moved.
        Refused: the store does not hold the version; nothing was moved.
    """
    live = live_tables(store.list_feature_services(), catalog)
    before = live[to.family]
    if before.table == to.table:
        raise UsageError(f"{to.table} is the live version of {to.family} already", next_step="nothing")
    left = left_live(store.list_feature_services(), to.family)
    if to.table not in served:
        cleaned = f"; it was live until {left[to.table]:%Y-%m-%d}, then cleaned up" if to.table in left else ""
        raise Refused(
            f"{to.table} is not in the online store{cleaned}: whoever follows {to.family} would read nothing",
            state=f"{before.table} stays live",
            next_step=f"publish_features --table {to.table} --day D{' --full' if cleaned else ''}, then flip again",
        )
    views: dict[str, Any] = {view.name: view for view in store.list_feature_views()}
    views |= registered_on_demand(store)
    told = {_BEFORE: before.table, _BY: who, _WHY: reason, _WHEN: now.isoformat(timespec="seconds")}
    ended = _noted({name: at for name, at in {**left, before.table: now}.items() if name != to.table})
    moved = [
        at_live(service, views, {**live, to.family: to}, told | (ended if service.name == to.family else {}))
        for service in services
        if service.tags.get(FOLLOWS[0]) == FOLLOWS[1] and to.family in _families(views, service)
    ]
    for service in moved:  # made before any is written: one that cannot move leaves all where they are
        store.apply([service])
    return Flip(to.family, before.table, to.table, tuple(service.name for service in moved))


def tags_of_flip(service: FeatureService | None) -> dict[str, str]:
    """What flips have noted with a service: of the last one who, why, when; what was live before, and until when."""
    tags = service.tags if service else {}
    return {n: text for n, text in tags.items() if n in (_BEFORE, _BY, _WHY, _WHEN) or n.startswith(_LEFT)}


def left_live(services: Iterable[FeatureService], family: str) -> dict[str, datetime]:
    """Versions of a family that were live: table -> when a flip ended that, as its registered service has noted."""
    tags: dict[str, str] = next((service.tags for service in services if service.name == family), {})
    last = {tags[_BEFORE]: tags[_WHEN]} if _BEFORE in tags else {}
    noted = {name.removeprefix(_LEFT): text for name, text in tags.items() if name.startswith(_LEFT)}
    return {name: datetime.fromisoformat(text) for name, text in {**last, **noted}.items()}


def leave_again(store: FeatureStore, family: str, table: str, now: datetime) -> None:
    """Note that a version which was live has left it only now: its time of grace begins anew."""
    service = store.get_feature_service(family)
    service.tags.update(_noted({table: now}))
    store.apply([service])


def _noted(left: Mapping[str, datetime]) -> dict[str, str]:
    return {_LEFT + name: at.isoformat(timespec="seconds") for name, at in left.items()}


def version_before(store: FeatureStore, catalog: Catalog, family: str) -> Table:
    """The version that was live before the last flip.

    Raises:
        UsageError: the family was never flipped.
    """
    tags = next((s.tags for s in store.list_feature_services() if s.name == family), {})
    if _BEFORE not in tags:
        raise UsageError(f"{family} was never flipped", next_step=f"content-signals features flip {family} --to N")
    return catalog.table(tags[_BEFORE])


def _families(views: Mapping[str, Any], service: FeatureService) -> set[str]:
    return {views[name].tags.get("family", "") for name in views_read(service, views) if name in views}
