"""Several versions of a family, where the catalogue has one; and services that models' owners might write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from content_signals.catalog import Catalog, catalog
from content_signals.features.store import REPO

FAMILY = "track_title"

# A view on demand, of version 1 and of the question: text of services.py.
LENGTH = """
from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

asked = RequestSource(name="asked", schema=[Field(name="asked_ms", dtype=Int64)])


@on_demand_feature_view(
    sources=[views["track_title_v1"][["duration_ms"]], asked],
    mode="python",
    schema=[Field(name="mixed_ms", dtype=Int64)],
)
def length_v1(rows):
    pairs = list(zip(rows["duration_ms"], rows["asked_ms"], strict=True))
    return {"mixed_ms": [None if None in pair else pair[0] ^ pair[1] for pair in pairs]}


"""


def with_versions(monkeypatch, *versions: int) -> Catalog:
    """The catalogue with these versions of the family. Version 1 is what `playlist_ranker_v1` pins."""
    known = catalog.__wrapped__()
    table = known.table(FAMILY)
    others = [t for t in known.tables if t.family != FAMILY]
    changed = Catalog([*known.sources, *others, *(replace(table, version=n) for n in versions)])
    monkeypatch.setattr("content_signals.catalog.catalog", lambda: changed)
    return changed


def with_services(folder: Path, monkeypatch, text: str) -> None:
    """feature_repo/ with services more, in place of those of before."""
    repo = folder / "repo"
    repo.mkdir(exist_ok=True)
    for name in ("definitions.py", "feature_store.yaml", "services.py"):
        (repo / name).write_text((REPO / name).read_text("utf-8"), "utf-8")
    with (repo / "services.py").open("a") as services:
        services.write(f"{text}\n")
    monkeypatch.setattr("content_signals.features.registry.REPO", repo)
