"""What the signals of transcripts cost, and how well ad reads are found.

    .venv/jobs/bin/python -m benchmarks.episode_text --transcripts transcripts.parquet --write

Real transcripts, chosen by the hash of their ids. One core: seconds are CPU seconds of this process; loading the models
is not counted.

Ad reads are compared with `labels/sponsor_passages.csv`: 363 paragraphs, each read, with where the
ad read in it begins and ends. They were drawn at random from strata, in those episodes alone that no rule was
made on: every paragraph that the first rules found (`flagged`), and of the others paragraphs with a phrase of sponsors
or offers, far wider than the rules (`strong`); with the name of somebody who sponsors these shows (`named`); the first,
the last and those at a break (`position`); with any word of thanks, links or prices (`wide`); the rest. A paragraph of
a stratum stands for as many as the stratum has to those read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import html
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from scipy.stats import binomtest

from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models.language import detect
from content_signals.signals.episode_text.compute import signals
from content_signals.signals.episode_text.measures import Episode, ads_of, read_episode

COMMAND = "python -m benchmarks.episode_text --transcripts transcripts.parquet --write"
MEASURED = PACKAGE / "signals" / "episode_text" / "measured.json"
LABELS = Path(__file__).parent / "labels" / "sponsor_passages.csv"
# Paragraphs that each stratum had when its passages were drawn.
STRATA = {"flagged": 73, "strong": 383, "named": 846, "position": 7220, "wide": 11460, "rest": 88463}
T = TypeVar("T")


def transcripts(path: Path, count: int) -> dict[str, str]:
    """The transcripts of some episodes: those whose ids have the smallest hashes."""
    query = f"SELECT episode_id, transcript FROM '{path}' ORDER BY sha256(episode_id) LIMIT {count}"
    return dict(duckdb.sql(query).fetchall())


def cpu(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and its CPU seconds."""
    started = time.process_time()
    return work(), time.process_time() - started


@dataclass(frozen=True)
class Passage:
    """A labelled paragraph, and what the rules say of it, in words."""

    stratum: str
    ad_words: int
    found_words: int
    both_words: int

    @property
    def is_ad(self) -> bool:
        """Whether the reader saw an ad read in it."""
        return self.ad_words > 0

    @property
    def is_found(self) -> bool:
        """Whether the rules see one in it."""
        return self.found_words > 0


def passages(path: Path) -> list[Passage]:
    """The labelled passages, each beside what the rules say of it.

    Raises:
        AssertionError: where a passage is not the text that was read.
    """
    with LABELS.open(encoding="utf-8", newline="") as lines:
        labels = list(csv.DictReader(lines))
    wanted = sorted({label["episode_id"] for label in labels})
    texts = dict(
        duckdb.execute(f"SELECT episode_id, transcript FROM '{path}' WHERE episode_id IN ?", [wanted]).fetchall()
    )
    episodes = {name: read_episode(text) for name, text in texts.items()}
    ads = {name: ads_of(episode) for name, episode in episodes.items()}
    found = []
    for label in labels:
        name, start, end = label["episode_id"], int(label["start"]), int(label["end"])
        passage = html.unescape(texts[name])[start:end]
        assert hashlib.sha256(passage.encode()).hexdigest() == label["sha256"], f"{name} {start}: another text"
        found.append(_judged(label, episodes[name], ads[name]))
    return found


def _judged(label: dict[str, str], episode: Episode, ads: list[list[bool]]) -> Passage:
    """A sentence is the reader's when its middle lies in the labelled stretch."""
    start, end = int(label["start"]), int(label["end"])
    first, last = (int(label["ad_start"]), int(label["ad_end"])) if label["label"] == "ad" else (0, 0)
    counts: Counter[str] = Counter()
    for paragraph, sentences, flags in zip(episode.transcript.paragraphs, episode.sentences, ads, strict=True):
        if not start <= paragraph.start < end:
            continue
        for sentence, flag in zip(sentences, flags, strict=True):
            middle = paragraph.start + sentence.start + len(sentence.text.rstrip()) // 2
            is_ad = first <= middle < last
            counts["ad"] += len(sentence.words) * is_ad
            counts["found"] += len(sentence.words) * flag
            counts["both"] += len(sentence.words) * (is_ad and flag)
    return Passage(label["stratum"], counts["ad"], counts["found"], counts["both"])


def interval(hits: int, of: int) -> str:
    """A share with its 95 % Wilson interval."""
    low, high = binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits / of:.2f} ({low:.2f} to {high:.2f}; {hits} of {of})"


def sponsor_quality(read: Sequence[Passage]) -> list[dict[str, str]]:
    """Precision and recall of passages and of words."""
    drawn = Counter(one.stratum for one in read)

    def weighed(count: Callable[[Passage], float]) -> float:
        return sum(STRATA[one.stratum] / drawn[one.stratum] * count(one) for one in read)

    hits = sum(one.is_ad and one.is_found for one in read)
    on = f"{len(read)} labelled paragraphs, {sum(one.is_ad for one in read)} with an ad read"
    weighted = f"the same, each weighed by its stratum: {sum(STRATA.values())} paragraphs"
    values = (
        ("ad reads, paragraphs: precision", interval(hits, sum(one.is_found for one in read)), on),
        ("ad reads, paragraphs: recall among those read", interval(hits, sum(one.is_ad for one in read)), on),
        (
            "ad reads, paragraphs: recall, estimated",
            f"{weighed(lambda one: one.is_ad and one.is_found) / weighed(lambda one: one.is_ad):.2f}",
            weighted,
        ),
        (
            "ad reads, words: precision, estimated",
            f"{weighed(lambda one: one.both_words) / weighed(lambda one: one.found_words):.2f}",
            weighted,
        ),
        (
            "ad reads, words: recall, estimated",
            f"{weighed(lambda one: one.both_words) / weighed(lambda one: one.ad_words):.2f}",
            weighted,
        ),
    )
    return [{"what": what, "value": value, "on": where} for what, value, where in values]


def text_quality(rows: Sequence[dict[str, Any]], episodes: Sequence[Episode]) -> list[dict[str, str]]:
    """Language told, and how far shares of distinct words hang on length."""
    lengths = [row["word_count"] for row in rows]
    plain = []
    for episode in episodes:
        said = [word.casefold() for sentence in episode.all_sentences for word in sentence.words]
        plain.append(len(set(said)) / len(said))
    windowed = [row["distinct_word_ratio"] for row in rows]
    english = sum(row["language"] == "en" for row in rows)
    on = f"{len(rows)} real episodes"
    return [
        {"what": "language: English told as English", "value": interval(english, len(rows)), "on": on},
        {
            "what": "distinct_word_ratio: correlation with word_count",
            "value": f"{statistics.correlation(windowed, lengths):.2f}",
            "on": on,
        },
        {
            "what": "the plain share of distinct words: correlation with word_count",
            "value": f"{statistics.correlation(plain, lengths):.2f}",
            "on": on,
        },
    ]


def syllable_quality(episodes: Sequence[Episode], dictionary: Path) -> list[dict[str, str]]:
    """Readability by hyphenation beside readability by a pronouncing dictionary, as textstat would take it."""
    import textstat.backend.counts._count_syllables as counting
    from textstat.backend.metrics import flesch_kincaid_grade, flesch_reading_ease

    from content_signals.signals.episode_text.readability import readability, text_of

    pronounced: dict[str, list[list[str]]] = {}
    for line in dictionary.read_text("utf-8").splitlines():
        word, *phones = line.split("#")[0].split()
        pronounced.setdefault(word.split("(")[0], []).append(phones)
    counting.get_cmudict = lambda _lang: pronounced  # type: ignore[assignment]
    ours = [readability(episode.all_sentences) for episode in episodes]
    theirs = [
        (flesch_reading_ease(text, "en_US"), flesch_kincaid_grade(text, "en_US"))
        for text in (text_of(episode.all_sentences) for episode in episodes)
    ]
    on = f"{len(episodes)} real episodes"
    return [
        {
            "what": f"{name}: mean difference to syllables by dictionary, and correlation",
            "value": f"{statistics.mean(a[n] - b[n] for a, b in zip(ours, theirs, strict=True)):+.1f}, "
            f"{statistics.correlation([a[n] for a in ours], [b[n] for b in theirs]):.3f}",
            "on": on,
        }
        for n, name in enumerate(("readability", "reading_level"))
    ]


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Cost and quality of the signals of transcripts.")
    parser.add_argument("--transcripts", type=Path, required=True, help="Parquet: episode_id, transcript")
    parser.add_argument("--episodes", type=int, default=120)
    parser.add_argument("--cmudict", type=Path, help="cmudict.dict: also compare syllables with the dictionary's")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    texts = list(transcripts(given.transcripts, given.episodes).values())
    signals(texts[:1], detect)
    rows, seconds = cpu(lambda: signals(texts, detect))
    _, reading = cpu(lambda: [ads_of(read_episode(text)) for text in texts])
    episodes = [read_episode(text) for text in texts]
    quality = [*sponsor_quality(passages(given.transcripts)), *text_quality(rows, episodes)]
    if given.cmudict:
        quality += syllable_quality(episodes, given.cmudict)
    per_second = len(texts) / seconds
    measured = {
        "command": COMMAND + (" --cmudict cmudict.dict" if given.cmudict else ""),
        "machine": machine(),
        "quality": quality,
        "cost": {
            "rows_per_cpu_second": round(per_second, 2),
            "core_hours_per_100_million": round(1e8 / per_second / 3600),
            "characters_per_cpu_second": round(sum(map(len, texts)) / seconds),
            "share_of_reading_and_ad_reads": round(reading / seconds, 2),
        },
    }
    tell(measured, MEASURED if given.write else None)


if __name__ == "__main__":
    main()
