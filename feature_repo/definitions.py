"""Entities, sources, views and the families' services, all made from the contracts."""

from content_signals.catalog import catalog
from content_signals.features.views import feast_entities, feast_services, feast_views
from content_signals.lake.layout import Lake
from content_signals.settings import load_settings

entities = feast_entities(catalog())
views = feast_views(catalog(), Lake(load_settings().lake))
families = feast_services(catalog(), views)

# Feast finds objects among a module's globals.
globals().update({f"entity_{name}": entity for name, entity in entities.items()})
globals().update({f"view_{name}": view for name, view in views.items()})
globals().update({f"family_{name}": service for name, service in families.items()})
