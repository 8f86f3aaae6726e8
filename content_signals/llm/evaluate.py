"""How good answers are, against labels that people gave; and what they took. Pure: rows in, a report out.

An item without a good answer counts: it has no label, and so misses every one that people gave it. A model that answers
the easy half alone is not taken for a good one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from content_signals.llm.outcome import Status
from content_signals.llm.shares import Share


@dataclass(frozen=True)
class Labelled:
    """An item of a labelled set: the labels that people gave it, of one kind (topics, flags), the main one first."""

    content_id: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """What became of an item.

    Attributes:
        labels: the answer's, the main one first; none without a good answer.
        by: who answered: the model, or the classifier before it.
        called: whether a call was paid for it now.
    """

    content_id: str
    status: Status
    labels: tuple[str, ...] = ()
    by: str = "model"
    called: bool = True
    tokens: int = 0
    cost_micros: int = 0


@dataclass(frozen=True)
class OfLabel:
    """One label: how often it is right where it is given, and given where it is right."""

    precision: Share
    recall: Share

    @property
    def f1(self) -> float | None:
        """The harmonic mean of the two; None where the label is nowhere."""
        given_and_right = self.precision.of + self.recall.of
        return 2 * self.precision.count / given_and_right if given_and_right else None


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        by_status: items of each status.
        labels: of each label that people or the model gave.
        exact: items whose labels are the very ones.
        main: items whose first label is the people's first.
        kappa: agreement of the first labels beyond chance (J. Cohen, 1960); no answer is a label of its own. None:
            both always say one and the same.
        top: the label most often given first, and the share of items it is given to: of a model that has collapsed,
            nearly all.
        saved: items answered without a call.
    """

    items: int
    by_status: Mapping[str, Share]
    labels: Mapping[str, OfLabel]
    exact: Share
    main: Share
    kappa: float | None
    top: tuple[str, Share] | None
    saved: Share
    tokens: int
    cost_micros: int
    unlabelled: int = 0
    missing: Sequence[str] = field(default=())

    @property
    def micro_f1(self) -> float | None:
        """F1 of all labels counted together."""
        of = sum(one.precision.of + one.recall.of for one in self.labels.values())
        return 2 * sum(one.precision.count for one in self.labels.values()) / of if of else None

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of labels that people gave: rare ones weigh as much as common ones."""
        scores = [one.f1 for one in self.labels.values() if one.recall.of]
        return sum(score or 0.0 for score in scores) / len(scores) if scores else None

    def lines(self) -> list[str]:
        """The report, to be read."""
        told = [
            f"items: {self.items} labelled, {len(self.missing)} of them without an outcome",
            f"outcomes without labels, left out: {self.unlabelled}",
            f"main label right: {self.main}; all labels right: {self.exact}; kappa {_number(self.kappa)}",
            f"F1: micro {_number(self.micro_f1)}, macro {_number(self.macro_f1)}",
            f"most given: {f'{self.top[0]}, {self.top[1]}' if self.top else '-'}",
            f"answered without a call: {self.saved}; {self.tokens} tokens, {self.cost_micros / 1e6:.6f} paid",
        ]
        told += [f"status {status}: {share}" for status, share in self.by_status.items()]
        told += [
            f"{label}: precision {one.precision}, recall {one.recall}, F1 {_number(one.f1)}"
            for label, one in self.labels.items()
        ]
        return told


R = TypeVar("R", Labelled, Answered)


def evaluate(labelled: Iterable[Labelled], answered: Iterable[Answered]) -> Report:
    """Measure answers against a labelled set.

    Raises:
        ValueError: a content stands twice on one side, or there is no labelled item.
    """
    truth = _by_content(labelled, "labelled set")
    found = _by_content(answered, "outcomes")
    if not truth:
        raise ValueError("the labelled set is empty")
    ids = sorted(truth)
    outcomes = {one: found.get(one) or Answered(one, Status.NOT_ASKED, called=False) for one in ids}
    given = {one: outcome.labels if outcome.status is Status.OK else () for one, outcome in outcomes.items()}
    firsts = [(_first(truth[one].labels), _first(given[one])) for one in ids]
    statuses = Counter(outcome.status.value for outcome in outcomes.values())
    return Report(
        items=len(ids),
        by_status={status: Share(count, len(ids)) for status, count in sorted(statuses.items())},
        labels=_of_labels([(set(truth[one].labels), set(given[one])) for one in ids]),
        exact=Share(sum(set(truth[one].labels) == set(given[one]) for one in ids), len(ids)),
        main=Share(sum(bool(people) and people == model for people, model in firsts), len(ids)),
        kappa=_kappa(firsts),
        top=_top(firsts),
        saved=Share(sum(o.status is Status.OK and not o.called for o in outcomes.values()), len(ids)),
        tokens=sum(outcome.tokens for outcome in outcomes.values()),
        cost_micros=sum(outcome.cost_micros for outcome in outcomes.values()),
        unlabelled=len(found.keys() - truth.keys()),
        missing=tuple(one for one in ids if one not in found),
    )


def _by_content(rows: Iterable[R], side: str) -> dict[str, R]:
    made: dict[str, R] = {}
    for row in rows:
        if row.content_id in made:
            raise ValueError(f"{row.content_id} stands twice in the {side}")
        made[row.content_id] = row
    return made


def _of_labels(pairs: Sequence[tuple[set[str], set[str]]]) -> dict[str, OfLabel]:
    right = Counter(label for people, model in pairs for label in people & model)
    by_people = Counter(label for people, _ in pairs for label in people)
    by_model = Counter(label for _, model in pairs for label in model)
    return {
        label: OfLabel(Share(right[label], by_model[label]), Share(right[label], by_people[label]))
        for label in sorted({*by_people, *by_model})
    }


def _first(labels: Sequence[str]) -> str:
    return labels[0] if labels else ""


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    n = len(pairs)
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(one[label] * other[label] for label in one) / (n * n)
    same = sum(a == b for a, b in pairs) / n
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)


def _top(pairs: Sequence[tuple[str, str]]) -> tuple[str, Share] | None:
    given = Counter(model for _, model in pairs if model)
    if not given:
        return None
    label = min(given, key=lambda one: (-given[one], one))
    return label, Share(given[label], sum(given.values()))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
