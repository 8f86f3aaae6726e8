"""The registry, brought up to the contracts and to the services that models' owners wrote."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from content_signals.features.store import REPO, settings_in_environment
from content_signals.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore


def register(store: FeatureStore, settings: Settings) -> list[str]:
    """Apply entities, views and services. Idempotent; one registry commit. Returns the services' names.

    Feast's own `feast apply` does the same and, besides, opens every source in Spark.
    """
    from feast import FeatureService

    sys.path.insert(0, str(REPO))
    try:
        for name in ("definitions", "services"):
            sys.modules.pop(name, None)  # the lake they name is the one in the settings now
        with settings_in_environment(settings):
            definitions = importlib.import_module("definitions")
            services = importlib.import_module("services")
    finally:
        sys.path.remove(str(REPO))
    own = [value for value in vars(services).values() if isinstance(value, FeatureService)]
    every = [*definitions.families.values(), *own]
    store.apply([*definitions.entities.values(), *definitions.views.values(), *every])
    return sorted(service.name for service in every)
