"""Versions of the index: what each was made of, and what lies where.

A version is a view of Feast's project `content_search`, with the vectors, and a folder of the lake,
`<lake>/search/<version>/`, with what a search by words and the filters need. Its name follows from what it is made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from content_signals.errors import BrokenData, UsageError
from content_signals.lake.files import read_json, write_json
from content_signals.lake.layout import Lake

CHUNKS = "episode_chunks_v1"
SERVICE = "episode_chunks"  # reads the live version
FORMAT = "index-2"  # of the folder and of the view: another one makes another version of the same input


@dataclass(frozen=True)
class Version:
    """A version of the index.

    Attributes:
        name: of its view and folder.
        day: of the chunks; the newest, where those of several days are the same.
        model: what made the vectors.
        inputs: table -> digest of the day that was read of it, and which day.
        chunks, episodes: how many it holds.
        recall: share of the ten nearest chunks, found exactly, that the index found among its ten.
        built_at: when, in UTC.
    """

    name: str
    day: date
    model: str
    inputs: Mapping[str, str]
    chunks: int
    episodes: int
    recall: float
    built_at: datetime

    def write(self, lake: Lake) -> None:
        """Note that the version is complete: nobody reads one without this note."""
        told = asdict(self) | {"day": self.day.isoformat(), "built_at": self.built_at.isoformat()}
        write_json(f"{folder_of(lake, self.name)}/version.json", told)


def name_of(made_of: Mapping[str, str]) -> str:
    """Name of the version that is made of some rows: the same for the same, whatever day they are of.

    Args:
        made_of: table -> digest of its rows; and one of which chunks there are.
    """
    told = "\n".join([FORMAT, *(f"{table} {digest}" for table, digest in sorted(made_of.items()))])
    return f"{CHUNKS}_{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def folder_of(lake: Lake, name: str) -> str:
    """Where a version's files lie."""
    return f"{lake.root}/search/{name}"


def read_version(lake: Lake, name: str) -> Version | None:
    """A version that is complete, None for another."""
    found: dict[str, Any] | None = read_json(f"{folder_of(lake, name)}/version.json")
    if found is None:
        return None
    day, built_at = date.fromisoformat(found["day"]), datetime.fromisoformat(found["built_at"])
    return Version(**{**found, "day": day, "built_at": built_at})


def one_model(models: Collection[str]) -> str:
    """The one model of an index.

    Raises:
        BrokenData: there are several, or none.
    """
    found = sorted(set(models))
    if len(found) != 1:
        raise BrokenData(
            f"an index holds vectors of one model, not of {', '.join(map(repr, found)) or 'none'}",
            state="nothing was indexed; searches answer from the version before",
            next_step=f"rebuild_signals.py --tables {CHUNKS} for the day: it computes what is of another model",
        )
    return found[0]


def check_model(asked: str, indexed: str) -> None:
    """Vectors of two models are never compared.

    Raises:
        UsageError: they are of two.
    """
    if asked != indexed:
        raise UsageError(
            f"the query's vector is of {asked!r}, the index of {indexed!r}: they cannot be compared",
            next_step="build_search_index.py for a day whose chunks are of the model that is installed",
        )
