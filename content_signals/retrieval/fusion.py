"""Several rankings of the same things made one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A rank counts 1 / (DAMPING + rank): the value of Cormack, Clarke and Büttcher 2009, who proposed the method.
DAMPING = 60

Places = NDArray[np.intp]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """How two rankings become one.

    Attributes:
        candidates: how many of each ranking are looked at.
        words: what a rank by words counts.
        meaning: what a rank by meaning counts.
    """

    candidates: int = 200
    words: float = 1.0
    meaning: float = 1.0


def best_first(scores: NDArray[np.floating], most: int) -> Places:
    """Places of the greatest scores, at most so many, the greatest first and equal ones in order."""
    most = min(most, len(scores))
    if most == 0:
        return np.empty(0, np.intp)
    least = np.partition(scores, len(scores) - most)[len(scores) - most]
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)[: most - len(above)]
    chosen = np.concatenate([above, equal])
    return chosen[np.lexsort((chosen, -scores[chosen]))]


def reciprocal_ranks(rankings: Sequence[Places], weights: Sequence[float], total: int) -> Scores:
    """Of `total` things the weighed sum of their reciprocal ranks; what a ranking does not name gets nothing of it.

    Args:
        rankings: places of things, the best first.
        weights: what each ranking counts.
        total: how many things there are.
    """
    fused = np.zeros(total)
    for ranking, weight in zip(rankings, weights, strict=True):
        fused[ranking] += weight / (DAMPING + 1 + np.arange(len(ranking)))
    return fused


def joined(rankings: Sequence[Places], plan: Plan, total: int) -> Scores:
    """Of `total` things what two rankings, by words and by meaning, say of them together."""
    return reciprocal_ranks(rankings, (plan.words, plan.meaning), total)


def ranked(scores: NDArray[np.float64], most: int, hidden: NDArray[np.bool_] | None = None) -> Places:
    """The places of the best, without those hidden; a score of 0 or less has nothing to do with the query."""
    seen = scores if hidden is None else np.where(hidden, 0.0, scores)
    ranking = best_first(seen, most)
    return ranking[seen[ranking] > 0]
