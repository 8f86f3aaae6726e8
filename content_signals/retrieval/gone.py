"""What is taken down of what an index holds: episodes, and chunks by themselves."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from content_signals.lake.layout import Lake
from content_signals.lake.takedowns import taken_down
from content_signals.retrieval.version import Version
from content_signals.signals.entities import CHUNK, EPISODE

TAKEDOWNS = "takedowns"  # their name among the inputs of a version


@dataclass(frozen=True)
class Gone:
    """Keys that nobody may find."""

    episodes: AbstractSet[str] = frozenset()
    chunks: AbstractSet[str] = frozenset()

    @property
    def told(self) -> str:
        """All of them, as a version notes them."""
        return json.dumps([sorted(self.episodes), sorted(self.chunks)])

    def less(self, other: Gone) -> Gone:
        """Those that are not in another list."""
        return Gone(self.episodes - other.episodes, self.chunks - other.chunks)

    def __bool__(self) -> bool:
        return bool(self.episodes or self.chunks)


def gone_of(lake: Lake, before: datetime | None = None) -> Gone:
    """What is taken down now, or was by some moment."""
    return Gone(*(
        frozenset(key for key, entry in taken_down(lake, entity.name).items() if before is None or entry.at <= before)
        for entity in (EPISODE, CHUNK)
    ))  # fmt: skip


def gone_from(version: Version) -> Gone:
    """What was taken down already when a version was made: it holds none of it."""
    episodes, chunks = json.loads(version.inputs.get(TAKEDOWNS) or "[[], []]")
    return Gone(frozenset(episodes), frozenset(chunks))
