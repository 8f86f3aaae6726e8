"""What asking a model only where the classifier is not sure saves, and how often the two agree elsewhere."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from content_signals.errors import UsageError
from content_signals.llm.router import Case, Point, Sure, curve, threshold_for
from content_signals.signals.episode_tags_llm.answer import TOPICS

COLUMNS = ("topics", "probabilities", "main_topic")
THRESHOLDS = tuple(Sure(percent / 100) for percent in (40, 50, 60, 70, 75, 80, 85, 90, 95, 98, 99))


def read_cases(path: Path) -> tuple[list[Case], int]:
    """The episodes of a Parquet file that both have answered; and how many the model has no good answer of.

    Columns: `topics` and `probabilities` as in episode_topics_v1, the likeliest first; `main_topic` as in
    episode_tags_llm_v1, null where there is none.

    Raises:
        UsageError: it cannot be read, lacks a column or has it twice, or has topics or probabilities that are none.
    """
    try:
        # Of a file columns of one name too, which are told; Spark writes a folder.
        found = pa.parquet.read_table(path) if path.is_dir() else pa.parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise _wrong(path, f"it cannot be read as Parquet: {error}") from None
    missing = [name for name in COLUMNS if name not in found.column_names]
    if missing:
        raise _wrong(path, f"it has no column {', '.join(missing)}")
    twice = [name for name in COLUMNS if found.column_names.count(name) > 1]
    if twice:
        raise _wrong(path, f"it has more than one column {', '.join(twice)}")
    rows = found.select(COLUMNS).to_pylist()
    answered = [row for row in rows if row["main_topic"]]
    for row in answered:
        _check(path, row)
    if not answered:
        raise _wrong(path, "no row has an answer of the model")
    cases = [Case(row["topics"], row["probabilities"], row["main_topic"]) for row in answered]
    return cases, len(rows) - len(answered)


def routing(cases: list[Case], agreement: float, left_out: int = 0) -> dict[str, Any]:
    """A line a threshold, and the threshold that saves most of those that agree often enough."""
    points = curve(cases, THRESHOLDS)
    best = threshold_for(points, agreement)
    return {
        "episodes": len(cases),
        "without_an_answer": left_out,
        "agreement_wanted": agreement,
        "threshold": best.sure.probability if best else None,
        "calls_saved": str(best.saved) if best else "none: the two agree too seldom at every threshold",
        "thresholds": [_row(point) for point in points],
    }


def _row(point: Point) -> dict[str, Any]:
    bounds = f"{point.agreed.low:.3f} to {point.agreed.high:.3f}" if point.agreed.of else None
    return {
        "sure_from": point.sure.probability,
        "calls_saved": _rounded(point.saved.value),
        "saved_of": f"{point.saved.count} of {point.saved.of}",
        "agreement": _rounded(point.agreed.value),
        "agreement_95": bounds,
    }


def _check(path: Path, row: dict[str, Any]) -> None:
    topics, probabilities = row["topics"], row["probabilities"]
    told = f"{topics!r} with {probabilities!r}"
    if not isinstance(topics, list) or not isinstance(probabilities, list):
        raise _wrong(path, f"{told} are not lists of topics and of their probabilities")
    foreign = sorted({str(one) for one in (*topics, row["main_topic"]) if one not in TOPICS})
    if foreign:
        raise _wrong(path, f"{', '.join(foreign)} is no topic; they are {', '.join(TOPICS)}")
    # A null, a text and NaN are none.
    if not all(isinstance(one, int | float) and 0 <= one <= 1 for one in probabilities):
        raise _wrong(path, f"{told}: a probability is a number from 0 to 1")
    in_order = all(one >= other for one, other in itertools.pairwise(probabilities))
    if not topics or len(topics) != len(probabilities) or not in_order:
        raise _wrong(path, f"{told} are not topics with their probabilities, the likeliest first")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"{path}: {what}", next_step="docs/language-models.md says how to make the file")
