"""The live version of a family, moved and moved back."""

from __future__ import annotations

from contextlib import ExitStack, closing

from content_signals.contract import Table
from content_signals.errors import UnknownName, UsageError
from content_signals.features.lease import Lease
from content_signals.features.live import Flip, flip, version_before
from content_signals.features.registry import register, registry_answers
from content_signals.features.served import Marker
from content_signals.features.store import feature_store, online_client, store_answers
from content_signals.pipeline.context import Context
from content_signals.pipeline.decision import reason_of


def flip_family(context: Context, family: str, version: int | None, reason: str, who: str) -> Flip:
    """Make a version of a family the one that models read who follow it.

    Args:
        version: None: the one that was live before the last flip.

    Raises:
        UsageError: no such family or version, it is live already, a service cannot follow, or no reason; nothing moved.
        Refused: the online store does not hold the version; nothing moved.
        Temporary: the registry or the store does not answer; run it again.
    """
    reason = reason_of(reason, "a flip", "why this version")
    served = [table for table in context.catalog.tables if table.serve]
    chosen = _version(served, family, version)
    with registry_answers(), store_answers(), ExitStack() as stack:
        client = stack.enter_context(closing(online_client(context.settings)))
        store = feature_store(context.settings)
        stack.enter_context(Lease(client, store.project, "registry").held(context.say))  # no publication undoes it
        register(store, context.settings)
        to = chosen or version_before(store, context.catalog, family)
        online = [t.table for t in served if Marker(client, store.project, t.table).read().promoted]
        services = store.list_feature_services()
        done = flip(store, context.catalog, services, to, online, who=who, reason=reason.strip(), now=context.run.now)
    context.say(f"{family}: {done.before} -> {done.after}; moved: {', '.join(done.services)}")
    return done


def _version(served: list[Table], family: str, version: int | None) -> Table | None:
    versions = {t.version: t for t in served if t.family == family}
    if not versions:
        raise UnknownName("served family", family, {t.family for t in served})
    if version is not None and version not in versions:
        told = ", ".join(map(str, sorted(versions)))
        raise UsageError(f"{family} has no version {version}, only {told}", next_step="--to one of them")
    return None if version is None else versions[version]
