"""Chunks in memory, searched by words and by meaning at once: exactly, whatever the index that is served finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from content_signals.errors import BrokenData
from content_signals.retrieval.fusion import Plan, best_first, joined, ranked
from content_signals.retrieval.lexical import Words
from content_signals.retrieval.version import check_model, one_model


@dataclass(frozen=True)
class Hit:
    """A chunk that was found; of two scores the greater is the better, and they mean nothing else."""

    chunk_id: str
    episode_id: str
    score: float


@dataclass(frozen=True)
class Chunks:
    """What is indexed, place by place.

    Attributes:
        chunk_ids: their names.
        episode_ids: the episodes they are part of.
        texts: what is spoken in them.
        vectors: what they mean, [chunks, width], each of length 1.
        models: what made the vectors.
    """

    chunk_ids: Sequence[str]
    episode_ids: Sequence[str]
    texts: Sequence[str]
    vectors: NDArray[np.float32]
    models: Sequence[str]


class ChunkIndex:
    """An index of chunks whose vectors are all of one model.

    Raises:
        BrokenData: vectors of several models, or more of one thing than of another.
    """

    def __init__(self, chunks: Chunks) -> None:
        self.model = one_model(chunks.models)
        lengths = {len(part) for part in (chunks.chunk_ids, chunks.episode_ids, chunks.texts, chunks.vectors)}
        if lengths != {len(chunks.models)}:
            raise BrokenData(f"an index of {len(chunks.models)} chunks was given parts of {sorted(lengths)}")
        self._chunks = chunks
        self._words = Words.of(chunks.texts)

    def search(
        self,
        query: str,
        vector: NDArray[np.float32],
        model: str,
        most: int = 10,
        plan: Plan | None = None,
        hidden: NDArray[np.bool_] | None = None,
    ) -> list[Hit]:
        """The chunks that answer a query best, the best first.

        Args:
            query: in words.
            vector: what it means, of length 1.
            model: what made the vector.
            most: how many are wanted.
            plan: how words and meaning are joined.
            hidden: places that are not to be found.

        Raises:
            UsageError: the vector is of another model than those of the index.
        """
        check_model(model, self.model)
        plan = plan or Plan()
        rankings = [ranked(scores, plan.candidates, hidden) for scores in self._both(query, vector)]
        fused = joined(rankings, plan, len(self._chunks.chunk_ids))
        found = best_first(fused, most)
        return [
            Hit(self._chunks.chunk_ids[place], self._chunks.episode_ids[place], float(fused[place]))
            for place in found[fused[found] > 0]
        ]

    def _both(self, query: str, vector: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._words.scores(query), (self._chunks.vectors @ vector).astype(np.float64)
