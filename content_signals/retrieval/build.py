"""A version of the index, made from a promoted day of chunks: written, checked, and only then made the live one.

Chunks stream into the document store and a file; what grows with them in this one process is the index of words, for
which all texts are held: 1 GB for about 300,000 chunks. Beyond that, a Milvus server and its own BM25 are the place.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from content_signals.catalog import Catalog
from content_signals.contract import Table
from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import delete_folder, filesystem
from content_signals.lake.layout import Lake
from content_signals.lake.scan import rows_where
from content_signals.lake.snapshot import Snapshot
from content_signals.models.spoken import spoken
from content_signals.retrieval.documents import KEY, PLACE, VECTOR, Documents
from content_signals.retrieval.episodes import DayRead, days_of_episodes, signals_of
from content_signals.retrieval.gone import TAKEDOWNS, Gone, gone_of
from content_signals.retrieval.lexical import Words
from content_signals.retrieval.version import CHUNKS, Version, folder_of, name_of, one_model, read_version
from content_signals.signals.entities import CHUNK

if TYPE_CHECKING:
    from feast import Entity, FeatureView

LEAST_RECALL = 0.98  # at ten, against exact search
TOGETHER = 2_000  # chunks written at once
_ASKED, _NEAREST = 50, 10
_TEXTS = (KEY, "episode_id", "chunk_index", "start_char", "end_char", "text")
_COLUMNS = (*_TEXTS, VECTOR, "event_ts")


@dataclass(frozen=True)
class Maker:
    """What makes versions: where from, where to.

    Attributes:
        live: the tables that models read, each in its live version.
    """

    documents: Documents
    lake: Lake
    catalog: Catalog
    live: Sequence[Table]
    say: Callable[[str], None]

    def build(self, day: date, now: datetime) -> Version:
        """The version of a day of chunks. Nothing is made where it is there already; what is half made goes first.

        Raises:
            NotLanded: the day of chunks is not promoted.
            BrokenData: vectors of several models, or an index that does not find what it should; searches go on
                answering from the version before.
            Temporary: the document store does not answer.
        """
        table = self.catalog.table(CHUNKS)
        snapshot = Snapshot(self.lake.of(table))
        if day not in snapshot.days:
            raise NotLanded(f"{CHUNKS} {day} is not promoted", next_step="build_content_signals for the day")
        chunks = DayRead(table, snapshot, day)
        reads = days_of_episodes(self.live, self.lake, day)
        gone = gone_of(self.lake)
        digests = {read.table.table: read.digest for read in (chunks, *reads)}
        named = name_of(digests | {KEY: _keys_of(chunks, gone)})
        inputs = {read.table.table: f"{read.day} {read.digest}" for read in (chunks, *reads)} | {TAKEDOWNS: gone.told}
        for name in (named, f"{named}_2"):
            there = read_version(self.lake, name)
            if there and name in self.documents.views() and self.documents.count(name) == there.chunks:
                self.say(f"{name}: made already")
                return self._seen_again(there, day, inputs)
        # Not in place of what searches read, of which something is missing in the store.
        name = f"{named}_2" if self.documents.live()[0] == named else named
        making = _Making(self.documents, self.lake, self.say, name, chunks, gone)
        return making.make(signals_of(reads, self.catalog, making.owners()), inputs, now)

    def _seen_again(self, version: Version, day: date, inputs: Mapping[str, str]) -> Version:
        """The version, which is the one of this day, too, and holds nothing that is taken down by now."""
        newer = inputs if day >= version.day else {**version.inputs, TAKEDOWNS: inputs[TAKEDOWNS]}
        again = replace(version, day=max(version.day, day), inputs=dict(newer))
        if again != version:
            again.write(self.lake)
        return again


def _living(chunks: DayRead, gone: Gone, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The day's chunks without what is taken down, some at a time."""
    assert chunks.snapshot.delta is not None
    found = chunks.snapshot.delta.to_pyarrow_dataset(file_pruning_predicate=[("ds", "=", str(chunks.day))])
    down = [pa.array(sorted(keys), pa.string()) for keys in (gone.episodes, gone.chunks)]
    wanted = ~ds.field("episode_id").isin(down[0]) & ~ds.field(KEY).isin(down[1])
    for _, rows in rows_where(found, columns, ("episode_id", KEY), wanted, TOGETHER):
        yield rows


def _keys_of(chunks: DayRead, gone: Gone) -> str:
    """Which chunks a version has: the digest of a day stays what it was when some of its rows are erased."""
    keys = sorted(str(key) for rows in _living(chunks, gone, (KEY,)) for key in rows.column(KEY).to_pylist())
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


@dataclass(frozen=True)
class _Making:
    """One version on its way. What is taken down is read once: all steps see the same chunks."""

    documents: Documents
    lake: Lake
    say: Callable[[str], None]
    name: str
    chunks: DayRead
    gone: Gone

    def owners(self) -> list[str]:
        """The episodes that are in it."""
        return sorted(self.chunks.distinct("episode_id") - self.gone.episodes)

    def make(self, signals: pa.Table, inputs: Mapping[str, str], now: datetime) -> Version:
        """Write it, check it, and note that it is whole."""
        model = one_model(self.chunks.distinct("model"))
        self.documents.create(feast_entity(), view_of(self.name, signals.schema, model))
        delete_folder(folder_of(self.lake, self.name))
        with tempfile.TemporaryDirectory() as kept:
            total = self._write(signals, Path(kept))
            pq.write_table(signals, f"{kept}/episodes.parquet")
            self._copy(Path(kept))
        recall = self._checked(total)
        version = Version(self.name, self.chunks.day, model, dict(inputs), total, signals.num_rows, recall, now)
        version.write(self.lake)
        self.say(f"{self.name}: {total} chunks of {signals.num_rows} episodes, recall@{_NEAREST} {recall:.3f}")
        return version

    def _write(self, signals: pa.Table, folder: Path) -> int:
        """The chunks into the store, their texts into a file, their words into an index; how many there are."""
        total, said = 0, list[str]()
        with pq.ParquetWriter(folder / "chunks.parquet", _texts_schema()) as texts:
            for rows in self._living():
                rows = rows.append_column(PLACE, pa.array(range(total, total + len(rows)), pa.int64()))
                of_episode = pc.index_in(rows.column("episode_id"), value_set=signals.column("episode_id"))
                narrowed = signals.select(_narrowing(signals.schema)).take(of_episode)
                written = rows
                for column in narrowed.column_names:
                    written = written.append_column(column, narrowed.column(column))
                self.documents.add(self.name, written)
                texts.write_table(rows.select(_TEXTS).cast(_texts_schema()))
                said += [spoken(str(text)) for text in rows.column("text").to_pylist()]
                total += len(rows)
                self.say(f"{self.name}: {total} chunks written")
        Words.of(said).write(folder / "words")
        return total

    def _living(self) -> Iterator[pa.Table]:
        return _living(self.chunks, self.gone, _COLUMNS)

    def _checked(self, total: int) -> float:
        """Share of the exactly nearest chunks that the index finds, asked with vectors of a few.

        Raises:
            BrokenData: it is too small.
        """
        asked = self._asked(total)
        exact = [np.empty((0, 2)) for _ in asked]
        first = 0
        for rows in self._living() if len(asked) else ():
            products = _vectors(rows) @ asked.T
            for number in range(len(asked)):
                both = np.column_stack([products[:, number], np.arange(first, first + len(rows))])
                merged = np.concatenate([exact[number], both])
                exact[number] = merged[np.argsort(-merged[:, 0], kind="stable")[:_NEAREST]]
            first += len(rows)
        shares = []
        for vector, nearest in zip(asked, exact, strict=True):
            places, _ = self.documents.nearest(self.name, vector, _NEAREST)
            shares.append(len(set(places.tolist()) & set(nearest[:, 1].astype(int).tolist())) / len(nearest))
        recall = float(np.mean(shares)) if shares else 1.0
        if recall < LEAST_RECALL:
            raise BrokenData(
                f"{self.name}: of the {_NEAREST} nearest chunks the index finds {recall:.3f}, wanted {LEAST_RECALL}",
                state="searches answer from the version before",
                next_step="raise ef, M or efConstruction in search_repo/feature_store.yaml, and build again",
            )
        return recall

    def _asked(self, total: int) -> NDArray[np.float32]:
        """Vectors to ask with: halfway between two chunks, so that no answer is the question itself."""
        every = max(total // (2 * _ASKED), 1)
        found = [_vectors(rows)[::every].copy() for rows in self._living()]
        drawn = np.concatenate(found)[: 2 * _ASKED] if found else np.empty((0, 1), np.float32)
        half = len(drawn) // 2
        between = drawn[:half] + drawn[half : 2 * half] if half else drawn
        return np.asarray(between / np.linalg.norm(between, axis=1, keepdims=True), np.float32)

    def _copy(self, kept: Path) -> None:
        files, inner = filesystem(folder_of(self.lake, self.name))
        files.create_dir(inner, recursive=True)
        fs.copy_files(str(kept), inner, source_filesystem=fs.LocalFileSystem(), destination_filesystem=files)


def feast_entity() -> Entity:
    """What a chunk is to Feast."""
    from feast import Entity, ValueType

    return Entity(name=CHUNK.name, join_keys=[KEY], value_type=ValueType.STRING, description=CHUNK.about)


def view_of(name: str, signals: pa.Schema, model: str) -> FeatureView:
    """The view of a version: chunks with their place, text and vector, and the signals of their episodes."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Bool, Float32, Float64, Int64, String

    kinds = {pa.string(): String, pa.int64(): Int64, pa.float64(): Float64, pa.bool_(): Bool}
    places = [Field(name=n, dtype=Int64) for n in (PLACE, "chunk_index", "start_char", "end_char")]
    narrowed = [Field(name=name, dtype=kinds[signals.field(name).type]) for name in _narrowing(signals)]
    vector = Field(name=VECTOR, dtype=Array(Float32), vector_index=True, vector_length=384, vector_search_metric="IP")
    return FeatureView(
        name=name,
        entities=[feast_entity()],
        schema=[
            Field(name=KEY, dtype=String),
            Field(name="episode_id", dtype=String),
            Field(name="text", dtype=String),
            *places,
            vector,
            *narrowed,
        ],
        source=FileSource(name=name, path=f"{name}/chunks.parquet", timestamp_field="event_ts"),
        description="Chunks of transcripts by meaning, with the signals of their episodes.",
        tags={"model": model},
    )


def _narrowing(signals: pa.Schema) -> list[str]:
    """The signals that the document store can be asked about: those that are no lists."""
    return [field.name for field in signals if field.name != "episode_id" and not pa.types.is_list(field.type)]


def _vectors(rows: pa.Table) -> NDArray[np.float32]:
    values = pc.list_flatten(rows.column(VECTOR)).to_numpy()
    return np.asarray(values, np.float32).reshape(rows.num_rows, -1)


def _texts_schema() -> pa.Schema:
    kinds = dict.fromkeys(("chunk_index", "start_char", "end_char"), pa.int32())
    return pa.schema([(name, kinds.get(name, pa.string())) for name in _TEXTS])
