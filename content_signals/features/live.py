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

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView

FOLLOWS = ("follow", "live")
_BEFORE, _BY, _WHY, _WHEN = "live_before", "flipped_by", "flipped_because", "flipped_at"


@dataclass(frozen=True)
class Flip:
    """A move of a family's live version: tables, and the services that moved."""

    family: str
    before: str
    after: str
    services: tuple[str, ...]


def live_tables(services: Iterable[FeatureService], catalog: Catalog) -> dict[str, Table]:
    """Family -> the version that is live: as registered, and the newest where the family is not registered yet."""
    registered = {service.name: service for service in services}
    found = {}
    for table in catalog.tables:
        if table.serve:
            service = registered.get(table.family)
            names = [projection.name for projection in service.feature_view_projections] if service else []
            known = [t for t in catalog.tables if t.table in names]
            found[table.family] = known[0] if known else catalog.live(table.family)
    return found


def at_live(
    service: FeatureService, views: Mapping[str, FeatureView], live: Mapping[str, Table], tags: Mapping[str, str]
) -> FeatureService:
    """A service that follows live, reading the live version of each of its families; any other as it is.

    Args:
        tags: added to those it has.

    Raises:
        UsageError: the live version lacks a feature that the service reads.
    """
    from feast import FeatureService as Service

    if service.tags.get(FOLLOWS[0]) != FOLLOWS[1]:
        return service
    features: list[Any] = []
    for projection in service.feature_view_projections:
        view = views[projection.name]
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
        features.append(target[names])
    return Service(
        name=service.name,
        features=features,
        description=service.description,
        owner=service.owner,
        tags={**service.tags, **tags},
    )


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
    if to.table not in served:
        raise Refused(
            f"{to.table} is not in the online store: whoever follows {to.family} would read nothing",
            state=f"{before.table} stays live",
            next_step=f"publish_features --table {to.table} --day D, then flip again",
        )
    views = {view.name: view for view in store.list_feature_views()}
    told = {_BEFORE: before.table, _BY: who, _WHY: reason, _WHEN: now.isoformat(timespec="seconds")}
    moved = [
        at_live(service, views, {**live, to.family: to}, told)
        for service in services
        if service.tags.get(FOLLOWS[0]) == FOLLOWS[1] and to.family in _families(views, service)
    ]
    for service in moved:  # made before any is written: one that cannot move leaves all where they are
        store.apply([service])
    return Flip(to.family, before.table, to.table, tuple(service.name for service in moved))


def tags_of_flip(service: FeatureService | None) -> dict[str, str]:
    """What the last flip has noted with a service: who, why, when, and what was live before."""
    tags = service.tags if service else {}
    return {name: tags[name] for name in (_BEFORE, _BY, _WHY, _WHEN) if name in tags}


def version_before(store: FeatureStore, catalog: Catalog, family: str) -> Table:
    """The version that was live before the last flip.

    Raises:
        UsageError: the family was never flipped.
    """
    tags = next((s.tags for s in store.list_feature_services() if s.name == family), {})
    if _BEFORE not in tags:
        raise UsageError(f"{family} was never flipped", next_step=f"content-signals features flip {family} --to N")
    return catalog.table(tags[_BEFORE])


def _families(views: Mapping[str, FeatureView], service: FeatureService) -> set[str]:
    names = [projection.name for projection in service.feature_view_projections]
    return {views[name].tags.get("family", "") for name in names if name in views}
