"""The index of chunks: a version a day, made, checked and flipped; searched; rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from content_signals.errors import NotLanded, UnknownName, UsageError
from content_signals.features.lease import Lease
from content_signals.features.live import live_tables
from content_signals.features.registry import registry_answers
from content_signals.features.store import PROJECT_NAME, feature_store, online_client, store_answers
from content_signals.lake.files import delete_folder, list_folder
from content_signals.lake.snapshot import Snapshot
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.decision import reason_of
from content_signals.retrieval.build import Maker
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.gone import Gone, gone_from, gone_of
from content_signals.retrieval.search import Searcher
from content_signals.retrieval.version import CHUNKS, Version, folder_of, read_version
from content_signals.signals.entities import CHUNK, EPISODE

Check = Callable[[], None]
WHO = "build_search_index"
_AS_IT_WAS = "searches go on in the version that was live"


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


def build_search_index(context: Context, days: list[date], *, skip_missing: bool = False) -> Outcome:
    """Make the version of the newest of the days, and make it the live one.

    A day before that of the live version is left out, and a version that somebody has taken back stays back.
    The version that was live before is kept for a roll-back; what is older goes.

    Args:
        skip_missing: a day whose chunks are not promoted yet is left out, not failed.

    Raises:
        NotLanded: the day of chunks is not promoted.
        BrokenData: chunks of several models, or an index that misses too much; what was live stays live.
        Temporary: the document store, the registry or the online store does not answer, or another run makes versions.
    """
    day = max(days)
    outcome = Outcome(skipped={one: f"the version of {day} is newer" for one in days if one != day})
    if skip_missing and day not in Snapshot(context.lake.of(context.catalog.table(CHUNKS))).days:
        outcome.skipped[day] = f"{CHUNKS} is not promoted yet"
    else:
        with _alone(context, "build_search_index for the day again") as (documents, check):
            current = _live(context, documents)
            if current and current.day > day:
                outcome.skipped[day] = f"{current.name}, of {current.day}, is live and newer"
            else:
                _build(context, documents, day, outcome, check)
    for one, why in outcome.skipped.items():
        context.say(f"index of chunks {one}: left out; {why}")
    return outcome


@contextmanager
def _alone(context: Context, next_step: str) -> Iterator[tuple[Documents, Check]]:
    """The document store, for one run that makes versions at a time: two would write the same one.

    With it a check that this is still the one, for before whatever another run would be hurt by. What it writes into
    a version is what the other would write there.

    Args:
        next_step: of whoever could not go on.

    Raises:
        Temporary: the other one has not ended in time, or the registry or the online store, which knows it, is away.
    """
    answers = registry_answers(_AS_IT_WAS, next_step), store_answers(_AS_IT_WAS, next_step)
    with answers[0], answers[1], online_client(context.settings) as client:
        held = Lease(client, PROJECT_NAME, "search_index").held(context.say, state=_AS_IT_WAS, next_step=next_step)
        with held as ticket, closing(Documents(context.settings)) as documents:
            yield documents, partial(ticket.check, client)


def _live(context: Context, documents: Documents) -> Version | None:
    name, _ = documents.live()
    return read_version(context.lake, name) if name else None


def _build(context: Context, documents: Documents, day: date, outcome: Outcome, check: Check) -> None:
    """Make the version of a day, flip to it, remove what nobody needs any more."""
    services = feature_store(context.settings).list_feature_services()
    tables = list(live_tables(services, context.catalog).values())
    made = Maker(documents, context.lake, context.catalog, tables, context.say).build(day, context.run.now)
    outcome.days.append(day)
    outcome.rows_in = outcome.rows_out = made.chunks
    outcome.paths.append(folder_of(context.lake, made.name))
    outcome.details |= {"version": made.name, "recall": made.recall}
    check()
    documents.refresh()
    live, _ = documents.live()
    back = documents.taken_back(WHO)
    if back and back[0] == made.name:
        context.say(f"{made.name}: not made live; it was taken back by {back[1]}")
    elif live != made.name:
        documents.flip(made.name, who=WHO, reason=f"chunks of {day}", now=context.run.now)
        context.say(f"{made.name}: live; before: {live or 'none'}")
    _retire(context, documents, made.name, check)


def _retire(context: Context, documents: Documents, made: str, check: Check) -> None:
    """Remove all versions but the live one, the one before, and the one just made; and what a killed run left.

    One that is not complete may be on its way, by a run that has lost its lease and does not know: for a day it stays.
    """
    documents.refresh()
    live, _ = documents.live()
    kept = {live, documents.before(), made}
    for name, since in documents.views().items():
        fresh = context.run.now - since < timedelta(days=1) and read_version(context.lake, name) is None
        if name not in kept and not fresh:
            check()
            documents.drop(name)
            context.say(f"{name}: removed")
    kept |= set(documents.views())
    for folder in list_folder(_folders(context)):
        if folder.base_name not in kept:
            delete_folder(folder_of(context.lake, folder.base_name))


def _folders(context: Context) -> str:
    return f"{context.lake.root}/search"


def take_from_index(context: Context, entity: str, keys: Sequence[str]) -> None:
    """Remove what is taken down from every version: plain Feast reads them too.

    Raises:
        Temporary: the document store does not answer; the list of what is taken down has it already.
    """
    fields = {EPISODE.name: EPISODE.join_key, CHUNK.name: CHUNK.join_key}
    if entity not in fields or not list_folder(_folders(context)):
        return
    with registry_answers(), closing(Documents(context.settings)) as documents:
        for name in documents.views():
            documents.remove(name, fields[entity], keys)


def purge_index(context: Context, before: datetime, outcome: Outcome) -> None:
    """Erase from the index what was taken down before some moment: versions that hold it go, after a new one is made.

    Raises:
        Temporary: the document store does not answer.
    """
    if not list_folder(_folders(context)):
        return
    down = gone_of(context.lake, before)
    with _alone(context, "purge_removed again") as (documents, check):
        holding = {name for name in documents.views() if _holds(read_version(context.lake, name), down)}
        current = _live(context, documents)
        if current and current.name in holding:
            _build(context, documents, current.day, outcome, check)
        live, _ = documents.live()
        for name in sorted(holding - {live}):
            check()
            documents.drop(name)
            delete_folder(folder_of(context.lake, name))
            outcome.paths.append(folder_of(context.lake, name))
            context.say(f"{name}: removed, it held what was taken down")


def _holds(version: Version | None, down: Gone) -> bool:
    return version is not None and bool(down.less(gone_from(version)))


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
