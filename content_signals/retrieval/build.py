"""A version of the index, made from a promoted day of chunks: written, checked, and only then made the live one.

Chunks stream into the document store and a file; what grows with them in this one process is the index of words, for
which all texts are held: 1 GB for about 300,000 chunks. Beyond that, a Milvus server and its own BM25 are the place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from content_signals.errors import BrokenData, NotLanded
from content_signals.lake.files import delete_folder, filesystem
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.lake.takedowns import taken_down
from content_signals.models.spoken import spoken
from content_signals.retrieval.documents import KEY, PLACE, VECTOR, Documents
from content_signals.retrieval.episodes import DayRead, days_of_episodes, signals_of
from content_signals.retrieval.lexical import Words
from content_signals.retrieval.version import CHUNKS, Version, folder_of, name_of, one_model, read_version
from content_signals.signals.entities import CHUNK, EPISODE

if TYPE_CHECKING:
    from feast import FeatureView

LEAST_RECALL = 0.98  # at ten, against exact search
TOGETHER = 2_000  # chunks written at once
_ASKED, _NEAREST = 50, 10
_TEXTS = (KEY, "episode_id", "chunk_index", "start_char", "end_char", "text")
_COLUMNS = (*_TEXTS, VECTOR, "event_ts")


@dataclass(frozen=True)
class Maker:
    """What makes versions: where from, where to."""

    documents: Documents
    lake: Lake
    catalog: Catalog
    say: Callable[[str], None]

    def build(self, day: date, now: datetime) -> Version:
        """The version of a day of chunks. Nothing is done where it is there already; what is half made goes first.

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
        reads = days_of_episodes(self.catalog, self.lake, day)
        inputs = {read.table.table: read.digest for read in (chunks, *reads)} | {"takedowns": self._gone_digest()}
        name = name_of(day, inputs)
        there = read_version(self.lake, name)
        if there and name in self.documents.views():
            self.say(f"{name}: made already")
            return there
        return self._make(name, chunks, reads, inputs, now)

    def _make(self, name: str, chunks: DayRead, reads: list[DayRead], inputs: dict[str, str], now: datetime) -> Version:
        from content_signals.features.views import feast_entities

        model = one_model(chunks.distinct("model"))
        owners = sorted(chunks.distinct("episode_id") - self._gone(EPISODE.name))
        signals = signals_of(reads, self.catalog, owners)
        self.documents.create(feast_entities(self.catalog)[CHUNK.name], view_of(name, signals.schema, model))
        delete_folder(folder_of(self.lake, name))
        with tempfile.TemporaryDirectory() as kept:
            total = self._write(name, chunks, signals, Path(kept))
            pq.write_table(signals, f"{kept}/episodes.parquet")
            self._copy(name, Path(kept))
        recall = self._checked(name, chunks, total)
        version = Version(name, chunks.day, model, inputs, total, len(owners), recall, now)
        version.write(self.lake)
        self.say(f"{name}: {total} chunks of {len(owners)} episodes, recall@{_NEAREST} {recall:.3f}")
        return version

    def _write(self, name: str, chunks: DayRead, signals: pa.Table, folder: Path) -> int:
        """The chunks into the store, their texts into a file, their words into an index; how many there are."""
        total, said = 0, list[str]()
        with pq.ParquetWriter(folder / "chunks.parquet", _texts_schema()) as texts:
            for rows in self._living(chunks):
                rows = rows.append_column(PLACE, pa.array(range(total, total + len(rows)), pa.int64()))
                of_episode = pc.index_in(rows.column("episode_id"), value_set=signals.column("episode_id"))
                narrowed = signals.drop_columns("episode_id").take(of_episode)
                written = rows
                for column in narrowed.column_names:
                    written = written.append_column(column, narrowed.column(column))
                self.documents.add(name, written)
                texts.write_table(rows.select(_TEXTS).cast(_texts_schema()))
                said += [spoken(str(text)) for text in rows.column("text").to_pylist()]
                total += len(rows)
                self.say(f"{name}: {total} chunks written")
        Words.of(said).write(folder / "words")
        return total

    def _living(self, chunks: DayRead) -> Iterator[pa.Table]:
        """The day's chunks without what was taken down, some at a time."""
        gone = pa.array(sorted(self._gone(EPISODE.name)), pa.string())
        gone_chunks = pa.array(sorted(self._gone(CHUNK.name)), pa.string())
        assert chunks.snapshot.delta is not None
        found = chunks.snapshot.delta.to_pyarrow_dataset(file_pruning_predicate=[("ds", "=", str(chunks.day))])
        wanted = ~ds.field("episode_id").isin(gone) & ~ds.field(KEY).isin(gone_chunks)
        for batch in found.to_batches(columns=list(_COLUMNS), filter=wanted, batch_size=TOGETHER):
            if batch.num_rows:
                yield pa.table(batch)

    def _checked(self, name: str, chunks: DayRead, total: int) -> float:
        """Share of the exactly nearest chunks that the index finds, asked with the vectors of a hashed few.

        Raises:
            BrokenData: it is too small, or the store does not have the chunks.
        """
        asked = self._asked(chunks, total)
        exact = [np.empty((0, 2)) for _ in asked]
        first = 0
        for rows in self._living(chunks):
            products = _vectors(rows) @ asked.T
            for number in range(len(asked)):
                both = np.column_stack([products[:, number], np.arange(first, first + len(rows))])
                merged = np.concatenate([exact[number], both])
                exact[number] = merged[np.argsort(-merged[:, 0], kind="stable")[:_NEAREST]]
            first += len(rows)
        shares = []
        for vector, nearest in zip(asked, exact, strict=True):
            places, _ = self.documents.nearest(name, vector, _NEAREST)
            shares.append(len(set(places.tolist()) & set(nearest[:, 1].astype(int).tolist())) / len(nearest))
        recall = float(np.mean(shares)) if shares else 0.0
        if recall < LEAST_RECALL:
            raise BrokenData(
                f"{name}: of the {_NEAREST} nearest chunks the index finds {recall:.3f}, wanted {LEAST_RECALL}",
                state="searches answer from the version before",
                next_step="raise ef, M or efConstruction in search_repo/feature_store.yaml, and build again",
            )
        return recall

    def _asked(self, chunks: DayRead, total: int) -> NDArray[np.float32]:
        """Vectors to ask with: halfway between two chunks, so that no answer is the question itself."""
        every = max(total // (2 * _ASKED), 1)
        drawn = np.concatenate([_vectors(rows)[::every] for rows in self._living(chunks)])[: 2 * _ASKED]
        half = len(drawn) // 2
        between = drawn[:half] + drawn[half : 2 * half] if half else drawn
        return np.asarray(between / np.linalg.norm(between, axis=1, keepdims=True), np.float32)

    def _copy(self, name: str, kept: Path) -> None:
        files, inner = filesystem(folder_of(self.lake, name))
        files.create_dir(inner, recursive=True)
        fs.copy_files(str(kept), inner, source_filesystem=fs.LocalFileSystem(), destination_filesystem=files)

    def _gone(self, entity: str) -> set[str]:
        return set(taken_down(self.lake, entity))

    def _gone_digest(self) -> str:
        return " ".join(sorted(self._gone(EPISODE.name) | self._gone(CHUNK.name)))


def view_of(name: str, signals: pa.Schema, model: str) -> FeatureView:
    """The view of a version: chunks with their place, text and vector, and the signals of their episodes."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Bool, Float32, Float64, Int64, String

    kinds = {pa.string(): String, pa.int64(): Int64, pa.float64(): Float64, pa.bool_(): Bool}
    places = [Field(name=n, dtype=Int64) for n in (PLACE, "chunk_index", "start_char", "end_char")]
    narrowed = [Field(name=field.name, dtype=kinds[field.type]) for field in signals if field.name != "episode_id"]
    vector = Field(name=VECTOR, dtype=Array(Float32), vector_index=True, vector_length=384, vector_search_metric="IP")
    return FeatureView(
        name=name,
        entities=[Entity(name=CHUNK.name, join_keys=[KEY], value_type=ValueType.STRING)],
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


def _vectors(rows: pa.Table) -> NDArray[np.float32]:
    values = pc.list_flatten(rows.column(VECTOR)).to_numpy()
    return np.asarray(values, np.float32).reshape(rows.num_rows, -1)


def _texts_schema() -> pa.Schema:
    kinds = dict.fromkeys(("chunk_index", "start_char", "end_char"), pa.int32())
    return pa.schema([(name, kinds.get(name, pa.string())) for name in _TEXTS])
