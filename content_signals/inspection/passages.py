"""What a search has found, for people to read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from content_signals.retrieval.search import Answer, Hit

WIDTH = 100
_UNKNOWN = "?"


def told(answer: Answer, query: str) -> Iterator[str]:
    """The lines of an answer: a passage each, where it stands, and why it was found."""
    for place, hit in enumerate(answer.hits, 1):
        yield f"{place}. {hit.episode_id}, characters {hit.start_char:,} to {hit.end_char:,}"
        yield f"   {_scores(hit)}"
        yield from textwrap.wrap(
            " ".join(hit.text.split()), WIDTH, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False
        )
        yield ""
    if not answer.hits:
        yield f"nothing found for {query!r}"
    if answer.missing:
        yield f"not answered in time: {', '.join(answer.missing)}; with a longer --deadline there may be more"
    yield f"{len(answer.hits)} passages in {answer.seconds:.2f} s, by {answer.version}"


def _scores(hit: Hit) -> str:
    words = _UNKNOWN if hit.words_score is None else f"{hit.words_score:.2f}"
    meaning = _UNKNOWN if hit.meaning_score is None else f"{hit.meaning_score:.3f}"
    return f"score {hit.score:.4f}; by words {words} (BM25), by meaning {meaning} (cosine)"
