"""Answers: the chunks that say what is asked for, by words and by meaning, among those that are allowed."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from content_signals.errors import NotLanded, Temporary, UsageError
from content_signals.lake.files import filesystem
from content_signals.lake.layout import Lake
from content_signals.retrieval.documents import KEY, Documents
from content_signals.retrieval.filters import Condition, allowed, as_feast, conditions, of_episodes
from content_signals.retrieval.fusion import Places, Plan, best_first, joined, ranked
from content_signals.retrieval.gone import Gone, gone_of
from content_signals.retrieval.lexical import Words
from content_signals.retrieval.version import Version, check_model, folder_of, read_version

if TYPE_CHECKING:
    from feast.filter_models import ComparisonFilter, CompoundFilter

DEADLINE = 5.0  # seconds
MOST = 1_000
MOST_ASKED = 16_384  # what a Milvus server gives at most
HANGS_AFTER = 30.0  # seconds: a look at what is live that has not ended by then is not waited for any more
FEW_EPISODES = 500  # as many are named to the document store one by one
_LONGEST_WAIT = 3_600  # seconds
LONGEST_QUERY = 10_000  # characters
TAKEDOWNS_AGE = 5.0  # seconds: how long something that was taken down may still be found
_WORDS, _MEANING = "words", "meaning"

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Hit:
    """A chunk that was found.

    Attributes:
        start_char, end_char: where in the transcript it stands, in code points.
        score: by which hits are ordered: the weighed sum of reciprocal ranks.
        words_score: BM25, 0 where it has no word of the query; null when words have not answered in time.
        meaning_score: cosine of its vector and the query's; null when meaning has not answered in time.
    """

    episode_id: str
    chunk_id: str
    start_char: int
    end_char: int
    text: str
    score: float
    words_score: float | None
    meaning_score: float | None


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        missing: which ranking has not answered within the deadline: `words` or `meaning`.
        version: of the index.
        seconds: how long it took.
    """

    hits: tuple[Hit, ...]
    missing: tuple[str, ...]
    version: str
    seconds: float


class Loaded:
    """The files of a version in memory: texts and episodes; words as they are needed."""

    def __init__(self, lake: Lake, version: Version) -> None:
        self.version = version
        folder = self._folder(folder_of(lake, version.name))
        self.chunks = pq.read_table(folder / "chunks.parquet", memory_map=True)
        self.episodes = pq.read_table(folder / "episodes.parquet")
        self.words = Words.read(folder / "words", self.chunks.num_rows)
        found = pc.index_in(self.chunks.column("episode_id"), value_set=self.episodes.column("episode_id"))
        self.episode_places: NDArray[np.intp] = found.to_numpy().astype(np.intp)

    def _folder(self, path: str) -> Path:
        """The files on this machine: where they are, or a copy that goes with this process."""
        if "://" not in path:
            return Path(path)
        files, inner = filesystem(path)
        self._copy = tempfile.TemporaryDirectory()
        fs.copy_files(inner, self._copy.name, source_filesystem=files, destination_filesystem=fs.LocalFileSystem())
        return Path(self._copy.name)

    @property
    def signals(self) -> pa.Schema:
        """What conditions can be about."""
        return pa.schema([one for one in self.episodes.schema if one.name != "episode_id"])

    def living(self, wanted: Sequence[Condition], gone: Gone) -> NDArray[np.bool_]:
        """Which episodes are to be found."""
        living = allowed(self.episodes, wanted)
        if gone.episodes:
            living &= ~pc.is_in(
                self.episodes.column("episode_id"), value_set=pa.array(sorted(gone.episodes), pa.string())
            ).to_numpy()
        return living

    def narrowed(
        self, wanted: Sequence[Condition], living: NDArray[np.bool_]
    ) -> ComparisonFilter | CompoundFilter | None:
        """What the document store is told of conditions: the episodes, if they are few, which leaves out all others."""
        if wanted and living.sum() <= FEW_EPISODES:
            return of_episodes(list(map(str, self.episodes.column("episode_id").filter(pa.array(living)).to_pylist())))
        return as_feast(wanted, self.signals)

    def hidden(self, living: NDArray[np.bool_], gone: Gone) -> NDArray[np.bool_]:
        """Which chunks are not to be found."""
        hidden: NDArray[np.bool_] = ~living[self.episode_places]
        if gone.chunks:
            hidden |= pc.is_in(self.chunks.column(KEY), value_set=pa.array(sorted(gone.chunks), pa.string())).to_numpy()
        return hidden


class Searcher:
    """Searches the live version of the index, and follows it when it is flipped. Of one process; threads may share it.

    Args:
        embed: makes vectors of texts, those of `model`.

    Raises:
        NotLanded: no version is live.
    """

    def __init__(self, documents: Documents, lake: Lake, embed: Embed, model: str, plan: Plan | None = None) -> None:
        self._documents, self._lake, self._embed, self._model = documents, lake, embed, model
        self._plan = plan or Plan()
        self._gone, self._gone_at = Gone(), -math.inf
        self._turn = threading.Lock()
        self._asked: Future[Any] | None = None
        self._asked_at = -math.inf
        self._loaded = self._live(None)

    def __enter__(self) -> Searcher:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes open the index."""
        self._documents.close()

    @property
    def signals(self) -> pa.Schema:
        """What conditions can be about."""
        return self._loaded.signals

    def search(self, query: str, k: int = 10, where: Sequence[str] = (), deadline: float = DEADLINE) -> Answer:
        """The chunks that answer a query best, the best first.

        Args:
            query: in words; English is what the model reads.
            k: how many at most.
            where: conditions on the signals of episodes; all have to be met.
            deadline: seconds, for all of it. What has answered by then is told, and what has not is named.

        Raises:
            UsageError: an empty or far too long query, a condition that is none, another model than the index's.
            Temporary: nothing has answered by the deadline, or what says what is live and taken down has not.
        """
        until = time.monotonic() + deadline
        _check(query, k, deadline)
        loaded, gone = self._now(until, deadline)
        check_model(self._model, loaded.version.model)
        wanted = conditions(where, loaded.signals)
        living = loaded.living(wanted, gone)
        hidden = loaded.hidden(living, gone)
        most = max(self._plan.candidates, k)
        narrowed = loaded.narrowed(wanted, living)
        asked: dict[str, Future[Any]] = {
            _WORDS: _started(self._by_words, loaded, query),
            _MEANING: _started(self._by_meaning, loaded, query, narrowed, hidden, most, until),
        }
        wait(asked.values(), timeout=max(until - time.monotonic(), 0))
        answers = {name: future.result() for name, future in asked.items() if _has_answered(future)}
        if not answers:
            raise Temporary(f"no answer within {deadline} s", next_step="again, with a longer deadline")
        hits = self._hits(loaded, answers, hidden, k, until)
        missing = tuple(name for name in asked if name not in answers)
        return Answer(hits, missing, loaded.version.name, time.monotonic() - until + deadline)

    def _now(self, until: float, deadline: float) -> tuple[Loaded, Gone]:
        """The live version, and what is taken down.

        Raises:
            Temporary: the registry or the lake, which say so, has not answered in time.
        """
        asked = self._lookup()
        wait([asked], timeout=max(until - time.monotonic(), 0))
        if not asked.done():
            raise Temporary(
                f"no answer within {deadline} s: the registry or the lake does not say what is live and taken down",
                next_step="again, with a longer deadline",
            )
        found: tuple[Loaded, Gone] = asked.result()
        return found

    def _lookup(self) -> Future[Any]:
        """One that is under way, joined by all who search meanwhile; or a new one, also where that one hangs."""
        with self._turn:
            is_late = time.monotonic() - self._asked_at > HANGS_AFTER
            if self._asked is None or self._asked.done() or is_late:
                self._asked, self._asked_at = _started(self._looked_up), time.monotonic()
            return self._asked

    def _looked_up(self) -> tuple[Loaded, Gone]:
        loaded = self._loaded = self._live(self._loaded)
        return loaded, self._taken_down()

    def _hits(
        self, loaded: Loaded, answers: Mapping[str, Any], hidden: NDArray[np.bool_], k: int, until: float
    ) -> tuple[Hit, ...]:
        none: Places = np.empty(0, np.intp)
        words = answers.get(_WORDS)
        vector, places, cosines = answers.get(_MEANING, (None, none, np.empty(0)))
        by_words = none if words is None else ranked(words, max(self._plan.candidates, k), hidden)
        fused = joined([by_words, places], self._plan, loaded.chunks.num_rows)
        found = best_first(fused, k)
        found = found[fused[found] > 0]
        rows = loaded.chunks.take(found).to_pylist()
        meant: dict[int, float] = dict(zip(places.tolist(), cosines.tolist(), strict=True))
        if vector is not None:
            others = [(p, row[KEY]) for p, row in zip(found.tolist(), rows, strict=True) if p not in meant]
            meant |= self._cosines(loaded, vector, others, until)
        return tuple(
            Hit(
                episode_id=row["episode_id"],
                chunk_id=row[KEY],
                start_char=row["start_char"],
                end_char=row["end_char"],
                text=row["text"],
                score=float(fused[place]),
                words_score=None if words is None else float(words[place]),
                meaning_score=meant.get(place),
            )
            for place, row in zip(found.tolist(), rows, strict=True)
        )

    def _by_words(self, loaded: Loaded, query: str) -> NDArray[np.float64]:
        return loaded.words.scores(query)

    def _by_meaning(
        self,
        loaded: Loaded,
        query: str,
        narrowed: ComparisonFilter | CompoundFilter | None,
        hidden: NDArray[np.bool_],
        most: int,
        until: float,
    ) -> tuple[NDArray[np.float32], Places, NDArray[np.float64]]:
        """The query's vector; the nearest chunks that are not hidden, and their cosines.

        The store lets through what a condition knows nothing of, and what was taken down since: more are asked for
        then, up to what a server gives.
        """
        (vector,) = self._embed([query])
        asked = most
        while True:
            places, cosines = self._documents.nearest(loaded.version.name, vector, asked, narrowed)
            seen = ~hidden[places] & (cosines > 0)
            enough = seen.sum() >= most or len(places) < asked or (cosines <= 0).any()
            if enough or asked >= MOST_ASKED or time.monotonic() > until:
                return vector, places[seen][:most], cosines[seen][:most]
            asked = min(4 * asked, MOST_ASKED)

    def _cosines(
        self, loaded: Loaded, vector: NDArray[np.float32], asked: Sequence[tuple[int, str]], until: float
    ) -> dict[int, float]:
        """Place -> cosine, of chunks that words alone have found; nothing where the store is late."""
        if not asked:
            return {}
        found = _started(self._documents.vectors, loaded.version.name, [key for _, key in asked])
        wait([found], timeout=max(until - time.monotonic(), 0))
        if not _has_answered(found):
            return {}
        return dict(zip([place for place, _ in asked], (found.result() @ vector).tolist(), strict=True))

    def _taken_down(self) -> Gone:
        asked_at = time.monotonic()
        if asked_at - self._gone_at > TAKEDOWNS_AGE:
            found = gone_of(self._lake)
            with self._turn:
                if asked_at > self._gone_at:  # else somebody who asked later has been told already
                    self._gone, self._gone_at = found, asked_at
        return self._gone

    def _live(self, loaded: Loaded | None) -> Loaded:
        """The live version: the one that is loaded, or another one since a flip."""
        name, _ = self._documents.live()
        if name is None:
            raise NotLanded("there is no index of chunks yet", next_step="build_search_index.py --day D")
        if loaded and loaded.version.name == name:
            return loaded
        version = read_version(self._lake, name)
        if version is None:
            raise NotLanded(
                f"the files of {name}, the live version of the index, are not in the lake",
                next_step="content-signals index rollback, or build_search_index.py --day D",
            )
        if version.chunks and not self._documents.count(name):
            raise NotLanded(
                f"the document store has no chunk of {name}, the live version of the index",
                state="it was made in another store, or the store was emptied",
                next_step=f"build_search_index.py --day {version.day}",
            )
        return Loaded(self._lake, version)


def _check(query: str, k: int, deadline: float) -> None:
    if not query.strip():
        raise UsageError("an empty query finds nothing", next_step="say what to look for")
    if len(query) > LONGEST_QUERY:
        raise UsageError(
            f"a query of {len(query)} characters; at most {LONGEST_QUERY} are read", next_step="shorten it"
        )
    if not 1 <= k <= MOST:
        raise UsageError(f"k is {k}; from 1 to {MOST} chunks can be asked for", next_step="--k 10")
    if any("\ud800" <= letter <= "\udfff" for letter in query):
        raise UsageError("the query holds half a character", next_step="write it in UTF-8")
    if not 0 < deadline <= _LONGEST_WAIT:  # nor NaN
        raise UsageError(
            f"a deadline of {deadline} s; it is above 0 and at most {_LONGEST_WAIT}", next_step="--deadline 5"
        )


def _started(work: Callable[..., Any], *given: Any) -> Future[Any]:
    """Work begun in a thread of its own: what hangs holds up neither another search nor the end of the process."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work(*given))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="search", daemon=True).start()
    return future


def _has_answered(future: Future[Any]) -> bool:
    """Whether there is an answer; a store that is away counts as late, and any other failure is raised."""
    if not future.done():
        return False
    error = future.exception()
    if error is not None and not isinstance(error, Temporary):
        raise error
    return error is None
