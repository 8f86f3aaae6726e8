"""Which parts of a transcript a model is shown: all of it if it fits the budget, else the parts that say most.

Parts are looked for with BM25 by the prompt's queries, and the ranks under each query are joined by reciprocal rank
(Cormack, Clarke and Büttcher, SIGIR 2009). Whoever has a better ranking, by embeddings say, passes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
from numpy.typing import NDArray

from content_signals.llm.costs import tokens_of
from content_signals.llm.prompt import Excerpts

Part = tuple[int, int]  # [start, end) in code points

# Stands between parts that are not neighbours. No quote reaches across it: it is in no transcript.
GAP = "\n[…]\n"
_WORD = re.compile(r"\w+")
_RANK_OFFSET = 60  # the paper's
# Best places to cut, the best first: between paragraphs, lines, sentences, words.
_CUTS = [re.compile(pattern) for pattern in (r"\n\s*\n", r"\n", r"[.!?…。！？][\"'”’)\]]*\s*", r"\s")]


@dataclass(frozen=True)
class Ranking:
    """How parts are ranked.

    Attributes:
        name: of this very way, as a part of the identity of replies.
        scores: texts and queries -> a score for each text; 0: nothing speaks for it. A function that Spark can send.
    """

    name: str
    scores: Callable[[Sequence[str], Sequence[str]], Sequence[float]]


def excerpt(transcript: str, wanted: Excerpts, bytes_per_token: float, ranking: Ranking) -> str:
    """What is shown of a transcript: no more than `wanted.max_tokens`."""
    parts = chosen(transcript, wanted, bytes_per_token, ranking)
    return GAP.join(transcript[start:end] for start, end in _joined(parts, transcript))


def chosen(transcript: str, wanted: Excerpts, bytes_per_token: float, ranking: Ranking) -> list[Part]:
    """The parts that are shown, in the order of the transcript."""
    if tokens_of(transcript, bytes_per_token) <= wanted.max_tokens:
        return [(0, len(transcript))]
    limit = int(min(wanted.chunk_tokens, wanted.max_tokens) * bytes_per_token)
    parts = list(cut(transcript, limit))
    left = wanted.max_tokens
    taken: list[Part] = []
    for number in _best_first(transcript, parts, wanted, ranking):
        part = parts[number]
        needed = tokens_of(transcript[slice(*part)] + (GAP if taken else ""), bytes_per_token)
        if needed <= left:
            taken.append(part)
            left -= needed
    return sorted(taken)


def cut(text: str, limit: int) -> Iterator[Part]:
    """The whole text in parts of at most `limit` bytes of UTF-8 each, cut where it hurts least.

    Raises:
        ValueError: the limit is below the four bytes that a character may take.
    """
    if limit < 4:
        raise ValueError(f"a part of {limit} bytes holds no character")
    start = 0
    while start < len(text):
        furthest = start + len(text[start : start + limit].encode("utf-8")[:limit].decode("utf-8", "ignore"))
        end = len(text) if furthest >= len(text) else _cut_before(text, start, furthest)
        yield start, end
        start = end


def by_words(texts: Sequence[str], queries: Sequence[str]) -> list[float]:
    """Scores by words in common; all 0 where no text has a word of any query."""
    joined = np.zeros(len(texts))
    said = [_words(text) for text in texts]
    asked = [words for query in queries if (words := _words(query))]
    if any(said):
        index = bm25s.BM25()
        index.index(said, show_progress=False)
        for words in asked:
            joined += _by_rank(index.get_scores(words))
    return [float(score) for score in joined]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


BY_WORDS = Ranking("bm25", by_words)


def _by_rank(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Reciprocal ranks of scores; 0 for those that are 0. Of equal ones the earlier text ranks first."""
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    return np.where(scores > 0, 1 / (_RANK_OFFSET + ranks), 0.0)


def _best_first(transcript: str, parts: list[Part], wanted: Excerpts, ranking: Ranking) -> list[int]:
    """Numbers of the parts in the order in which they are taken: the lead, what was found, then spread evenly."""
    found = ranking.scores([transcript[slice(*part)] for part in parts], wanted.queries)
    lead = list(range(min(wanted.lead_chunks, len(parts))))
    ranked = sorted((n for n in range(len(parts)) if found[n] > 0), key=lambda n: (-found[n], n))
    return list(dict.fromkeys([*lead, *ranked, *_spread(len(parts))]))


def _spread(count: int) -> list[int]:
    """0 to count - 1, so ordered that any beginning of it is spread evenly: the middle, the quarters, the eighths."""
    width = max(count - 1, 1).bit_length()
    reversed_bits = [int(f"{n:0{width}b}"[::-1], 2) for n in range(1 << width)]
    return [n for n in reversed_bits if n < count]


def _cut_before(text: str, start: int, furthest: int) -> int:
    """Where to cut: the last good place in the second half of what fits, else where it ends."""
    middle = (start + furthest) // 2
    for places in _CUTS:
        ends = [found.end() for found in places.finditer(text, middle, furthest)]
        if ends:
            return ends[-1]
    return furthest


def _joined(parts: list[Part], transcript: str) -> list[Part]:
    """Neighbours put together, and white space at the ends left out."""
    made: list[Part] = []
    for start, end in parts:
        if made and made[-1][1] == start:
            made[-1] = (made[-1][0], end)
        else:
            made.append((start, end))
    return [
        (start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip()))
        for start, end in made
        if (text := transcript[start:end]).strip()
    ]
