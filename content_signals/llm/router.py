"""Who answers: the classifier where it is sure, the model only where it is not; and what that saves and costs.

How sure is sure enough is measured on contents that both have answered: `curve` says for each threshold how many calls
it saves and how often the two agree where the classifier would answer alone; `threshold_for` takes the lowest that
agrees often enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from content_signals.llm.shares import Share


class By(StrEnum):
    """Who answers."""

    CLASSIFIER = "classifier"
    MODEL = "model"


@dataclass(frozen=True)
class Sure:
    """When the classifier answers alone.

    Attributes:
        probability: of its first topic, at least.
        margin: its first topic is so much likelier than its second, at least.
    """

    probability: float
    margin: float = 0.0


@dataclass(frozen=True)
class Case:
    """A content that both have answered: the classifier's topics, the likeliest first, and the model's main topic."""

    topics: Sequence[str]
    probabilities: Sequence[float]
    model_topic: str


@dataclass(frozen=True)
class Point:
    """What a threshold brings.

    Attributes:
        saved: contents that need no call, of all.
        agreed: of those, contents of which the model says the same.
    """

    sure: Sure
    saved: Share
    agreed: Share


def route(probabilities: Sequence[float] | None, sure: Sure) -> By:
    """Who answers about a content, by the classifier's probabilities, the highest first; none: it has no opinion."""
    if not probabilities or not probabilities[0] >= sure.probability:  # NaN is not sure
        return By.MODEL
    second = probabilities[1] if len(probabilities) > 1 else 0.0
    return By.CLASSIFIER if probabilities[0] - second >= sure.margin else By.MODEL


def curve(cases: Iterable[Case], thresholds: Iterable[Sure]) -> list[Point]:
    """What each threshold brings on some cases."""
    known = list(cases)
    return [_point(known, sure) for sure in thresholds]


def threshold_for(points: Iterable[Point], agreement: float) -> Point | None:
    """The point that saves most of those that agree often enough: with 95 % confidence, not by luck of few cases."""
    enough = [point for point in points if point.agreed.of and point.agreed.low >= agreement]
    return max(enough, key=lambda point: (point.saved.count, -point.sure.probability), default=None)


def _point(cases: Sequence[Case], sure: Sure) -> Point:
    alone = [case for case in cases if route(case.probabilities, sure) is By.CLASSIFIER]
    same = sum(case.topics[0] == case.model_topic for case in alone)
    return Point(sure, Share(len(alone), len(cases)), Share(same, len(alone)))
