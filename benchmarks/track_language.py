"""How well languages are told: on labelled samples in 75 languages, and on a real catalogue.

    .venv/jobs/bin/python -m benchmarks.track_language --data FOLDER --write

The samples are halved by the hash of their texts. Powers and cuts are chosen on one half, all else is reported on the
other. One core: seconds are CPU seconds of this process; loading models is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from lingua import LanguageDetectorBuilder
from numpy.typing import NDArray

from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.models import language
from content_signals.models.language import CODES, LANGUAGES, UNKNOWN
from content_signals.signals.track_language.compute import WEIGHTS, languages
from content_signals.signals.track_language.wording import wording

COMMAND = "python -m benchmarks.track_language --data DATA --write"
MEASURED = PACKAGE / "signals" / "track_language" / "measured.json"
SENTENCES, PAIRS, WORDS = KINDS = "sentences", "word-pairs", "single-words"
POWERS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0)
CUTS = np.round(np.arange(0.1, 1.0, 0.05), 2)
# What the cuts are chosen for: the smallest with this precision, for texts of one word and of a few; the greatest with
# this accuracy for those of many letters, where what is not told counts as wrong.
WANTED_OF_ONE_WORD, WANTED, WANTED_OF_MANY_LETTERS = 0.95, 0.93, 0.962

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Samples:
    """Labelled texts: arrays of one length."""

    texts: NDArray[np.object_]
    labels: NDArray[np.str_]
    kinds: NDArray[np.str_]

    def where(self, chosen: Flags) -> Samples:
        """Some of them."""
        return Samples(self.texts[chosen], self.labels[chosen], self.kinds[chosen])


@dataclass(frozen=True)
class Answers:
    """Guesses for samples, and which of them are right and told."""

    codes: NDArray[np.str_]
    confidences: NDArray[np.float64]
    right: Flags
    told: Flags

    @staticmethod
    def of(samples: Samples, weights: dict[str, float]) -> Answers:
        """Those of the detector."""
        texts = samples.texts.tolist()
        guesses = language.guess(texts, weights)
        codes, confidences = (np.array(column) for column in zip(*guesses, strict=True))
        told = confidences >= np.array([language.cut(text) for text in texts])
        return Answers(codes, confidences, codes == samples.labels, told & (codes != UNKNOWN))


def halves(path: Path, share: int) -> tuple[Samples, Samples]:
    """The samples in two halves, or one of every `share` of each."""
    rows = duckdb.sql(f"""
        WITH hashed AS (SELECT text, language, kind, md5_number_lower(text) AS number FROM '{path}')
        SELECT text, language, kind, number % 2 AS half FROM hashed WHERE (number >> 8) % {share} = 0 ORDER BY ALL
    """).fetchnumpy()
    texts, labels, kinds = (rows[name].tolist() for name in ("text", "language", "kind"))
    samples = Samples(np.array(texts, object), np.array(labels), np.array(kinds))
    first = np.array(rows["half"]) == 0
    return samples.where(first), samples.where(~first)


def curve(right: Flags, confidences: NDArray[np.float64]) -> dict[float, float]:
    """Coverage -> precision of the surest guesses."""
    order = np.argsort(-confidences, kind="stable")
    return {share: float(right[order][: int(share * len(right))].mean()) for share in (0.5, 0.6, 0.75, 0.9, 1.0)}


def fitted_powers(samples: Samples) -> dict[str, float]:
    """The power under which the label is likeliest, of short texts and of those of one piece."""
    lengths = np.array([len(text) for text in samples.texts])
    groups = {"short": lengths < language.SHORT, "others": (lengths >= language.SHORT) & (lengths <= language.LONGEST)}
    return {name: _fitted_power(samples.where(group)) for name, group in groups.items()}


def _fitted_power(samples: Samples) -> float:
    values = np.array([language.confidences(text) for text in samples.texts.tolist()])
    places = np.array([CODES.index(label) for label in samples.labels])
    open_ones = (values.max(axis=1) < 1) & values.any(axis=1)  # lingua's rules have not decided
    logs, places = np.log(np.maximum(values[open_ones], language.FLOOR)), places[open_ones]

    def surprise(power: float) -> float:
        scaled = power * logs - (power * logs).max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(places)), places]).mean())

    return min(POWERS, key=surprise)


def chosen_cuts(samples: Samples, answers: Answers) -> dict[str, float]:
    """Group of texts -> the cut that gives what is wanted of it; the groups are those of `language.cut`."""
    own = np.array([language.cut(text) for text in samples.texts.tolist()])

    def cuts(group: Flags, good: Callable[[Flags, Flags], bool]) -> list[float]:
        right, confidences = answers.right[group], answers.confidences[group]
        return [float(cut) for cut in CUTS if good(right, confidences >= cut)]

    return {
        "one word": min(cuts(own == language.CUT_OF_ONE_WORD, lambda r, t: r[t].mean() >= WANTED_OF_ONE_WORD)),
        "few words": min(cuts(own == language.CUT, lambda r, t: r[t].mean() >= WANTED)),
        "many letters": max(
            cuts(own == language.CUT_OF_MANY_LETTERS, lambda r, t: (r & t).mean() >= WANTED_OF_MANY_LETTERS)
        ),
    }


def calibration(answers: Answers) -> str:
    """Share of right guesses by confidence, in fifths."""
    found = []
    for low in np.arange(0, 1, 0.2):
        inside = (answers.confidences >= low) & ((answers.confidences < low + 0.2) | (low > 0.7))
        found.append(f"{low:.1f}-{low + 0.2:.1f}: {answers.right[inside].mean():.2f}")
    return "; ".join(found)


def confused(samples: Samples, answers: Answers, count: int = 12) -> list[tuple[str, int, int]]:
    """The commonest wrong answers that are told, as "label→answer", with how many and of how many samples."""
    wrong = answers.told & ~answers.right
    pairs = Counter(zip(samples.labels[wrong].tolist(), answers.codes[wrong].tolist(), strict=True))
    totals = Counter(samples.labels.tolist())
    return [(f"{label}→{code}", n, totals[label]) for (label, code), n in pairs.most_common(count)]


def mode_costs(texts: Sequence[tuple[str, str]], low: bool) -> tuple[float, float, float, float]:
    """Of lingua alone, in a fresh process: rows a CPU second, MB of memory, right of all, right of the surest 75 %."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_mode_costs, (texts, low))


def _mode_costs(texts: Sequence[tuple[str, str]], low: bool) -> tuple[float, float, float, float]:
    builder = LanguageDetectorBuilder.from_all_languages()
    detector = (builder.with_low_accuracy_mode() if low else builder).build()
    before = _memory_mb()
    for text, _ in texts:  # loads the models
        detector.compute_language_confidence_values(text)
    started = time.process_time()
    firsts = [detector.compute_language_confidence_values(text)[0] for text, _ in texts]
    rate = len(texts) / (time.process_time() - started)
    right = np.array(
        [f.language.iso_code_639_1.name.lower() == label for f, (_, label) in zip(firsts, texts, strict=True)]
    )
    at = curve(right, np.array([f.value for f in firsts]))
    return rate, _memory_mb() - before, at[1.0], at[0.75]


def _memory_mb() -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@dataclass(frozen=True)
class Catalogue:
    """What is told of a real catalogue."""

    contents: int
    rate: float
    titles: Counter[str]
    artists: Counter[str]
    read: list[tuple[str, str, str, float]]  # title, artists, language, confidence


def catalogue(path: Path, shown: int) -> Catalogue:
    """The languages of every distinct pair of title and artist line, and some by hash to look at."""
    query = f"FROM (SELECT DISTINCT title, artists FROM '{path}') ORDER BY md5(title || ' by ' || artists)"
    titles, artists = zip(*duckdb.sql(query).fetchall(), strict=True)
    languages(titles[:200], artists[:200])  # loads the models
    started = time.process_time()
    found = languages(titles, artists)
    seconds = time.process_time() - started
    rows = list(zip(titles, artists, found.language, found.language_confidence, strict=True))
    return Catalogue(
        len(titles), len(titles) / seconds, Counter(found.language), Counter(found.artists_language), rows[:shown]
    )


def by_kind(samples: Samples, answers: Answers) -> list[dict[str, str]]:
    """Accuracy, coverage and precision of each kind of sample."""
    found = []
    for kind in KINDS:
        own = samples.kinds == kind
        right, told = answers.right[own], answers.told[own]
        on = f"{own.sum():,} {kind}, the half not used for choosing"
        found += [
            {"what": f"{kind}: right of all, not told is wrong", "value": f"{(right & told).mean():.4f}", "on": on},
            {"what": f"{kind}: told", "value": f"{told.mean():.4f}", "on": on},
            {"what": f"{kind}: right of those told", "value": f"{right[told].mean():.4f}", "on": on},
            {"what": f"{kind}: right of the surest half, 60 %, 75 %, 90 %, all",
             "value": ", ".join(f"{p:.4f}" for p in curve(right, answers.confidences[own]).values()), "on": on},
        ]  # fmt: skip
    return found


def main() -> None:
    """Measure, print, and with --write keep it beside the family."""
    parser = argparse.ArgumentParser(description="Quality and cost of languages.")
    parser.add_argument("--data", type=Path, required=True, help="folder with languages/ and playlists/")
    parser.add_argument("--share", type=int, default=1, help="take one of so many samples")
    parser.add_argument("--titles", type=int, default=100, help="print so many titles of the catalogue")
    parser.add_argument("--write", action="store_true", help="write measured.json")
    given = parser.parse_args()
    quality = of_samples(given.data / "languages" / "samples.parquet", given.share)
    found = catalogue(given.data / "playlists" / "tracks.parquet", given.titles)
    for title, artists, code, confidence in found.read:
        print(f"{code:4}{confidence:7.4f}  {title}  |  {wording(title)}  |  {artists}")
    measured = {
        "command": COMMAND,
        "machine": machine(),
        "quality": quality + _of_catalogue(found),
        "cost": {
            "rows_per_cpu_second": round(found.rate, 1),
            "core_hours_per_100_million": round(1e8 / found.rate / 3600, 1),
        },
    }
    tell(measured, MEASURED if given.write else None)


def of_samples(path: Path, share: int) -> list[dict[str, str]]:
    """Choose on one half, measure on the other."""
    known, rest = halves(path, share)
    asked = language.confidences
    language.confidences = cache(asked)  # each text is asked of lingua once, whatever the weights
    try:
        check_choices(known, strict=share == 1)
        answers, even = Answers.of(rest, dict(WEIGHTS)), Answers.of(rest, {})
    finally:
        language.confidences = asked
    quality = by_kind(rest, answers)
    for kind in KINDS:
        own = rest.kinds == kind
        value = f"{answers.right[own].mean():.4f}; {even.right[own].mean():.4f}"
        what = f"{kind}: right of all if every guess is believed; the same if all languages are as frequent"
        quality.append({"what": what, "value": value, "on": f"{own.sum():,} {kind}"})
    unknown = sorted(set(rest.labels) ^ set(CODES))
    wrong = ", ".join(f"{pair} {n} ({total:,})" for pair, n, total in confused(rest, answers))
    on = f"{len(rest.texts):,} samples of all kinds"
    return [
        *quality,
        {"what": "share right by confidence, all languages as frequent", "value": calibration(even), "on": on},
        {"what": "commonest wrong answers told (of so many samples)", "value": wrong, "on": on},
        {"what": "languages of lingua or of the samples alone", "value": ", ".join(unknown) or "none", "on": on},
        *_modes(rest),
    ]


def check_choices(samples: Samples, strict: bool) -> None:
    """Print the powers and cuts chosen on some samples.

    Raises:
        AssertionError: the detector uses others.
    """
    chosen = {**fitted_powers(samples), **chosen_cuts(samples, Answers.of(samples, dict(WEIGHTS)))}
    used = dict(zip(chosen, (
        language.SHARPNESS_OF_SHORT, language.SHARPNESS,
        language.CUT_OF_ONE_WORD, language.CUT, language.CUT_OF_MANY_LETTERS,
    ), strict=True))  # fmt: skip
    print(f"chosen powers and cuts: {chosen}; in use: {used}")
    assert not strict or chosen == used


def _modes(samples: Samples) -> list[dict[str, str]]:
    pairs = samples.where(samples.kinds == PAIRS)
    some = list(zip(pairs.texts.tolist()[::6], pairs.labels.tolist()[::6], strict=True))
    rows = []
    for name, low in (("high accuracy", False), ("low accuracy", True)):
        rate, memory, right, surest = mode_costs(some, low)
        value = f"{right:.4f}; {surest:.4f}; {rate:,.0f} rows/s; {memory:,.0f} MB"
        what = f"lingua alone, {name}: right of all; right of the surest 75 %; rows a CPU second; memory"
        rows.append({"what": what, "value": value, "on": f"{len(some):,} word-pairs"})
    return rows


def _of_catalogue(found: Catalogue) -> list[dict[str, Any]]:
    on = f"{found.contents:,} titles with artist lines of the real catalogue"

    def shares(counted: Counter[str]) -> str:
        return ", ".join(f"{code} {n / found.contents:.2%}" for code, n in counted.most_common(13))

    return [
        {"what": "languages of titles", "value": shares(found.titles), "on": on},
        {"what": "languages of artist lines", "value": shares(found.artists), "on": on},
        {"what": "languages that can be told", "value": str(len(LANGUAGES)), "on": f"{len(CODES)} of them by lingua"},
    ]


if __name__ == "__main__":
    main()
