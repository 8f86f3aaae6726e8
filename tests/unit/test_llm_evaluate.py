"""Scores against labels of people, and what routing saves: recomputed by scikit-learn and SciPy, and by hand."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from content_signals.llm.evaluate import Answered, Labelled, evaluate
from content_signals.llm.outcome import Status
from content_signals.llm.router import By, Case, Sure, curve, route, threshold_for
from content_signals.llm.shares import Share

LABELS = ["a", "b", "c", "d"]


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (3, 10), (0, 50), (50, 50), (499, 1000)])
def test_a_shares_bounds_are_wilsons(count, of):
    expected = binomtest(count, of).proportion_ci(0.95, method="wilson")
    share = Share(count, of)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_there_is_no_share():
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high, str(Share(0, 0))) == (None, 0.0, 1.0, "- (0 of 0)")


def some(seed, items=300):
    chance = random.Random(seed)

    def draw():
        return tuple(chance.sample(LABELS, chance.randint(1, 3)))

    people = [Labelled(f"{n}", draw()) for n in range(items)]
    model = [
        Answered(
            one.content_id, Status.OK, one.labels if chance.random() < 0.6 else draw(), tokens=n, cost_micros=2 * n
        )
        for n, one in enumerate(people)
    ]
    return people, model


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_an_independent_recompute(seed):
    people, model = some(seed)
    report = evaluate(people, reversed(model))
    binary = MultiLabelBinarizer(classes=LABELS)
    truth, given = binary.fit_transform([p.labels for p in people]), binary.transform([m.labels for m in model])
    for average in ("micro", "macro"):
        _, _, f1, _ = precision_recall_fscore_support(truth, given, average=average, zero_division=0)
        assert getattr(report, f"{average}_f1") == pytest.approx(f1)
    precision, recall, f1, support = precision_recall_fscore_support(truth, given, zero_division=0)
    for n, label in enumerate(LABELS):
        one = report.labels[label]
        assert (one.precision.value, one.recall.value, one.f1) == pytest.approx((precision[n], recall[n], f1[n]))
        assert one.recall.of == support[n]
    firsts = [p.labels[0] for p in people], [m.labels[0] for m in model]
    assert report.kappa == pytest.approx(cohen_kappa_score(*firsts))
    assert report.main == Share(sum(a == b for a, b in zip(*firsts, strict=True)), 300)
    assert report.exact == Share(sum(set(p.labels) == set(m.labels) for p, m in zip(people, model, strict=True)), 300)
    assert (report.tokens, report.cost_micros) == (sum(range(300)), 2 * sum(range(300)))


def test_an_item_without_a_good_answer_counts_against_the_model():
    people = [Labelled(str(n), ("a",)) for n in range(4)]
    found = [
        Answered("0", Status.OK, ("a",)),
        Answered("1", Status.UNGROUNDED, ("a",)),
        Answered("2", Status.UNPARSED),
        Answered("9", Status.OK, ("b",)),
    ]
    report = evaluate(people, found)
    assert (report.main, report.exact) == (Share(1, 4), Share(1, 4))
    assert (report.labels["a"].precision, report.labels["a"].recall) == (Share(1, 1), Share(1, 4))
    assert report.by_status == {
        "not_asked": Share(1, 4), "ok": Share(1, 4), "ungrounded": Share(1, 4), "unparsed": Share(1, 4)
    }  # fmt: skip
    assert (report.unlabelled, report.missing) == (1, ("3",))
    assert report.macro_f1 == pytest.approx(0.4)


def test_a_collapse_shows():
    people = [Labelled(str(n), (LABELS[n % 4],)) for n in range(40)]
    report = evaluate(people, [Answered(str(n), Status.OK, ("a",)) for n in range(40)])
    assert report.top == ("a", Share(40, 40))
    assert report.kappa == pytest.approx(0)
    assert evaluate(people, []).top is None


def test_kappa_of_one_label_alone_is_none():
    report = evaluate([Labelled("0", ("a",))], [Answered("0", Status.OK, ("a",))])
    assert report.kappa is None
    assert "kappa -" in report.lines()[2]


def test_what_was_answered_without_a_call_is_saved():
    people = [Labelled(str(n), ("a",)) for n in range(4)]
    found = [Answered(str(n), Status.OK, ("a",), by="classifier", called=False) for n in range(3)]
    assert evaluate(people, found).saved == Share(3, 4)


def test_a_report_can_be_read():
    people, model = some(1, 50)
    told = "\n".join(evaluate(people, model).lines())
    for words in ("items: 50 labelled", "kappa", "a: precision", "status ok: 1.000 (50 of 50", "F1: micro"):
        assert words in told


@pytest.mark.parametrize(
    ("people", "found"),
    [
        ([], []),
        ([Labelled("0", ("a",)), Labelled("0", ("b",))], []),
        ([Labelled("0", ("a",))], [Answered("0", Status.OK), Answered("0", Status.OK)]),
    ],
)
def test_sets_that_make_no_sense_are_refused(people, found):
    with pytest.raises(ValueError, match=r"empty|twice"):
        evaluate(people, found)


@pytest.mark.parametrize(
    ("probabilities", "sure", "by"),
    [
        ((0.9, 0.1), Sure(0.9), By.CLASSIFIER),
        ((0.89, 0.11), Sure(0.9), By.MODEL),
        ((0.5, 0.4), Sure(0.5, margin=0.2), By.MODEL),
        ((0.6, 0.3), Sure(0.5, margin=0.2), By.CLASSIFIER),
        ((0.7,), Sure(0.5, margin=0.6), By.CLASSIFIER),
        ((), Sure(0.0), By.MODEL),
        (None, Sure(0.0), By.MODEL),
        ((float("nan"), 0.1), Sure(0.5), By.MODEL),
    ],
)
def test_the_model_is_asked_only_where_the_classifier_is_not_sure(probabilities, sure, by):
    assert route(probabilities, sure) is by


def cases(seed=4, items=500):
    """A classifier that is right as often as it says."""
    chance = random.Random(seed)
    for _ in range(items):
        p = chance.uniform(0.5, 1)
        yield Case(("x", "y"), (p, 1 - p), "x" if chance.random() < p else "y")


def test_a_curve_says_what_each_threshold_saves_and_costs():
    known = list(cases())
    thresholds = [Sure(t / 20) for t in range(8, 21)]
    for point in curve(iter(known), thresholds):
        alone = [case for case in known if case.probabilities[0] >= point.sure.probability]
        assert point.saved == Share(len(alone), 500)
        assert point.agreed == Share(sum(case.model_topic == "x" for case in alone), len(alone))


def test_the_threshold_that_saves_most_is_taken_of_those_that_agree_surely():
    points = curve(cases(), [Sure(t / 20) for t in range(8, 21)])
    best = threshold_for(points, 0.85)
    assert best is not None
    assert best.agreed.low >= 0.85
    lower = [point for point in points if point.sure.probability < best.sure.probability]
    assert lower
    assert all(point.agreed.low < 0.85 for point in lower)
    assert threshold_for(points, 0.999) is None
    assert threshold_for(curve([], [Sure(0.5)]), 0.0) is None
