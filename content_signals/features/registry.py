"""The registry, brought up to the contracts and to the services that models' owners wrote."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import content_signals.catalog as catalog_module
from content_signals.errors import Temporary, UsageError
from content_signals.features.live import at_live, live_tables, tags_of_flip
from content_signals.features.on_demand import check_definition, registered_on_demand
from content_signals.features.projections import check_projections
from content_signals.features.store import REPO, settings_in_environment
from content_signals.lake.layout import Lake
from content_signals.lake.takedowns import create_takedowns
from content_signals.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore
    from feast.diff.registry_diff import FeastObjectDiff
    from feast.repo_contents import RepoContents

# When an object was registered, and where; and a function's pickle, which is another one in each process. Its text says
# whether it has changed.
_NOT_COMPARED = ("meta", "project", "body")


@contextmanager
def registry_answers(
    state: str = "the online store serves what it served", next_step: str = "publish the day again"
) -> Iterator[None]:
    """A registry that is locked by another writer, or does not answer, is a temporary failure.

    The defaults are a publication's.

    Raises:
        Temporary: naming what the registry's database said.
    """
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        raise Temporary(
            f"the registry does not answer: {error.orig}",  # not the statement, which holds whole definitions
            state=state,
            next_step=next_step,
        ) from error


def register(store: FeatureStore, settings: Settings) -> list[str]:
    """Apply entities, views and services, if any of them is not as it is registered. Returns the services' names.

    Writing each anew at every publish would only have publishing jobs wait for each other. Feast's own `feast apply`
    does the same and, besides, opens every source in Spark.
    """
    contents = _contents(settings)
    owners = {table.part_of.name for table in catalog_module.catalog().tables if table.part_of}
    for name in sorted({entity.name for entity in contents.entities} | owners):  # sources leave out what these list
        create_takedowns(Lake(settings.lake), name)
    contents.feature_services[:] = _following(store, contents)
    with _loaded(store):
        difference, _, _ = store.plan(contents)
        if any(map(_is_new, difference.feast_object_diffs)):
            views, on_demand = contents.feature_views, contents.on_demand_feature_views
            store.apply([*contents.entities, *views, *on_demand, *contents.feature_services])
    return sorted(service.name for service in contents.feature_services)


@contextmanager
def _loaded(store: FeatureStore) -> Iterator[None]:
    """Feast loads every function that is registered. One that cannot be, whoever registered it, is named.

    Raises:
        UsageError: naming the views.
    """
    try:
        yield
    except (ImportError, NameError, SyntaxError, AttributeError) as error:
        broken = [name for name in registered_on_demand(store) if not _loads(store, name)]
        if not broken:
            raise
        raise UsageError(
            f"the registry has views on demand whose functions cannot be loaded here: {', '.join(broken)}:"
            f" {type(error).__name__}: {error}",
            state="nothing was registered",
            next_step="install what they import, or take them out: feast -c feature_repo delete NAME",
        ) from error


def _loads(store: FeatureStore, view: str) -> bool:
    try:
        store.registry.get_on_demand_feature_view(view, store.project)
    except Exception:  # it is told by whoever asks
        return False
    return True


def _following(store: FeatureStore, contents: RepoContents) -> list[FeatureService]:
    """The services; those that follow live at the versions that are live in the registry: no definition moves them."""
    views = {view.name: view for view in (*contents.feature_views, *contents.on_demand_feature_views)}
    registered = {service.name: service for service in store.list_feature_services()}
    live = live_tables(registered.values(), catalog_module.catalog())
    return [
        at_live(service, views, live, tags_of_flip(registered.get(service.name)))
        for service in contents.feature_services
    ]


def _contents(settings: Settings) -> RepoContents:
    """What `feature_repo/` defines, with these settings."""
    from feast import FeatureService, OnDemandFeatureView
    from feast.repo_contents import RepoContents

    sys.path.insert(0, str(REPO))
    linecache.checkcache()  # where Feast reads the text of a function: a file may be another one since
    try:
        for name in ("definitions", "services"):
            sys.modules.pop(name, None)  # the lake they name is the one in the settings now
        with settings_in_environment(settings):
            definitions = importlib.import_module("definitions")
            services = importlib.import_module("services")
    finally:
        sys.path.remove(str(REPO))
    own = [value for value in vars(services).values() if isinstance(value, FeatureService)]
    named = {value.name: value for value in vars(services).values() if isinstance(value, OnDemandFeatureView)}
    for view in named.values():
        check_definition(view)
    for service in own:
        _check_service(service, {**definitions.views, **named})
    views = list(definitions.views.values())
    return RepoContents(
        projects=[],
        data_sources=[view.batch_source for view in views],
        feature_views=views,
        on_demand_feature_views=list(named.values()),
        stream_feature_views=[],
        label_views=[],
        entities=list(definitions.entities.values()),
        feature_services=[*definitions.families.values(), *own],
        permissions=[],
    )


def _check_service(service: FeatureService, views: Mapping[str, Any]) -> None:
    """Refuse what only some of its readers could read.

    Args:
        views: by name, all that is defined.
    """
    state = "nothing was registered"
    check_projections(service.name, service.feature_view_projections, state)
    for projection in service.feature_view_projections:
        if projection.name not in views:
            raise UsageError(
                f"service {service.name} reads {projection.name}, which is in no variable of feature_repo/services.py",
                state=state,
                next_step="give it a variable of its own: what is registered is found by those",
            )
        sources = getattr(views[projection.name], "source_feature_view_projections", {})
        check_projections(service.name, [*sources.values()], state)


def _is_new(difference: FeastObjectDiff) -> bool:
    """Whether an object is not registered, or differently. Objects that are not defined any more stay as they are.

    Feast's own verdict compares times of registration too: to it every object has changed.
    """
    if difference.new_feast_object is None:
        return False
    if difference.current_feast_object is None:
        return True
    return bool(_said(difference.new_feast_object) != _said(difference.current_feast_object))


def _said(definition: Any) -> Any:
    """The object's message without what Feast adds when it registers it."""
    message = definition.to_proto()
    _clear(message)
    return message


def _clear(message: Any) -> None:
    for name in _NOT_COMPARED:
        if name in message.DESCRIPTOR.fields_by_name:
            message.ClearField(name)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = [part for part in value.values() if hasattr(part, "ListFields")]
        else:
            parts = value if field.is_repeated else [value]
        for part in parts:
            _clear(part)
