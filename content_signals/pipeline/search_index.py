"""The index of chunks: a version a day, made, checked and flipped; searched; rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from content_signals.errors import NotLanded, UnknownName, UsageError
from content_signals.features.registry import registry_answers
from content_signals.lake.files import delete_folder, list_folder
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.decision import reason_of
from content_signals.retrieval.build import Maker
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.search import Searcher
from content_signals.retrieval.version import Version, folder_of, read_version

WHO = "build_search_index"


@dataclass(frozen=True)
class Listed:
    """A version of the index, as operators see it."""

    version: str
    state: str
    day: str
    chunks: int
    episodes: int
    recall: float
    built_at: str


def build_search_index(context: Context, days: list[date]) -> Outcome:
    """Make the version of the newest of the days, and make it the live one, unless that is of a newer day.

    Of others the one that was live before is kept for a roll-back; what is older goes.

    Raises:
        NotLanded: the day of chunks is not promoted.
        BrokenData: chunks of several models, or an index that misses too much; what was live stays live.
        Temporary: the document store or the registry does not answer.
    """
    day = max(days)
    with registry_answers(), closing(Documents(context.settings)) as documents:
        made = Maker(documents, context.lake, context.catalog, context.say).build(day, context.run.now)
        outcome = Outcome(days=[day], rows_in=made.chunks, rows_out=made.chunks)
        outcome.paths.append(folder_of(context.lake, made.name))
        outcome.skipped = {one: f"the version of {day} is newer" for one in days if one != day}
        outcome.details |= {"version": made.name, "recall": made.recall}
        live, _ = documents.live()
        current = read_version(context.lake, live) if live else None
        if current and current.day > day:
            context.say(f"{made.name}: not flipped; {current.name}, of {current.day}, is live and newer")
            return outcome
        if live != made.name:
            documents.flip(made.name, who=WHO, reason=f"chunks of {day}", now=context.run.now)
            context.say(f"{made.name}: live; before: {live or 'none'}")
        _retire(context, documents, made.name)
    return outcome


def _retire(context: Context, documents: Documents, made: str) -> None:
    """Remove all versions but the live one, the one before, and the one just made; and what a killed run left."""
    live, _ = documents.live()
    kept = {live, documents.before(), made}
    for name in documents.views():
        if name not in kept:
            documents.drop(name)
            context.say(f"{name}: removed")
    for folder in list_folder(f"{context.lake.root}/search"):
        if folder.base_name not in kept:
            delete_folder(folder_of(context.lake, folder.base_name))


def versions(context: Context) -> list[Listed]:
    """The versions there are, the newest first."""
    with registry_answers(), closing(Documents(context.settings)) as documents:
        live, _ = documents.live()
        before = documents.before()
        found = [(name, read_version(context.lake, name)) for name in documents.views()]
    rows = [_listed(name, version, live, before) for name, version in found]
    return sorted(rows, key=lambda row: row.built_at, reverse=True)


def _listed(name: str, version: Version | None, live: str | None, before: str | None) -> Listed:
    if version is None:
        return Listed(name, "not complete", "", 0, 0, 0.0, "")
    state = "live" if name == live else "live before" if name == before else "kept"
    at = f"{version.built_at:%Y-%m-%d %H:%M:%S}"
    return Listed(name, state, f"{version.day}", version.chunks, version.episodes, version.recall, at)


def flip_index(context: Context, name: str | None, reason: str, who: str) -> str:
    """Make a version the live one; None: the one that was live before the last flip. Its name.

    Raises:
        UsageError: no such version, it is live already, or no reason; nothing moved.
        NotLanded: no version was live before.
    """
    why = reason_of(reason, "a flip", "why this version")
    with registry_answers(), closing(Documents(context.settings)) as documents:
        live, _ = documents.live()
        to = name or documents.before()
        if to is None:
            raise NotLanded("no version of the index was live before", next_step="content-signals index list")
        if to not in documents.views() or read_version(context.lake, to) is None:
            raise UnknownName("version of the index", to, documents.views())
        if to == live:
            raise UsageError(f"{to} is live already", next_step="nothing")
        documents.flip(to, who=who, reason=why, now=context.run.now)
    context.say(f"index of chunks: {live} -> {to}")
    return to


@contextmanager
def searcher(context: Context) -> Iterator[Searcher]:
    """Searches of the live version.

    Raises:
        NotLanded: there is none.
    """
    from content_signals.models.minilm import MODEL_ID, embed

    with registry_answers():
        documents = Documents(context.settings)
        with closing(documents), Searcher(documents, context.lake, embed, MODEL_ID) as found:
            yield found
