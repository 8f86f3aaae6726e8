"""Several versions of a family, where the catalogue has one."""

from __future__ import annotations

from dataclasses import replace

from content_signals.catalog import Catalog, catalog

FAMILY = "track_title"


def with_versions(monkeypatch, *versions: int) -> Catalog:
    """The catalogue with these versions of the family. Version 1 is what `playlist_ranker_v1` pins."""
    known = catalog.__wrapped__()
    table = known.table(FAMILY)
    others = [t for t in known.tables if t.family != FAMILY]
    changed = Catalog([*known.sources, *others, *(replace(table, version=n) for n in versions)])
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: changed)
    return changed
