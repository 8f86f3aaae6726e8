"""How good a language model's tags are on a labelled set: asked for now, within a budget of its own, and compared."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from content_signals.errors import UsageError
from content_signals.llm.evaluate import Answered, Labelled, Report, evaluate
from content_signals.llm.labelled import ClosedList, LabelledItem
from content_signals.llm.outcome import Outcome, Status
from content_signals.llm.request import Item
from content_signals.llm.run import Run, run_of
from content_signals.llm.shares import Share
from content_signals.llm.task import Task
from content_signals.llm.worker import Worker
from content_signals.signals.episode_main_topic.compute import task as main_topic
from content_signals.signals.episode_tags_llm.answer import AUDIENCES, FLAGS, TOPICS
from content_signals.signals.episode_tags_llm.compute import task as tags
from content_signals.signals.needs import LANGUAGE_MODEL

# Nobody knows yet what the model says of these: another run may bring it.
_OPEN = frozenset({Status.NOT_ASKED, Status.FAILED})


@dataclass(frozen=True)
class Kind:
    """What is judged: which part of an answer to which prompt, and the labels there are."""

    closed: ClosedList
    given: Callable[[Mapping[str, Any]], Sequence[str]]
    task: Callable[[], Task] = tags


def _flags(answer: Mapping[str, Any]) -> list[str]:
    return [one["flag"] for one in answer["brand_safety"]]


KINDS = {
    "topics": Kind(ClosedList(TOPICS, 1, len(TOPICS)), lambda answer: [one["label"] for one in answer["topics"]]),
    "audience": Kind(ClosedList(AUDIENCES, 1, 1), lambda answer: [answer["audience"]["label"]]),
    "brand_safety": Kind(ClosedList(FLAGS, 0, len(FLAGS)), _flags),
    "main_topic": Kind(ClosedList(TOPICS, 1, 1), lambda answer: [answer["topic"]["label"]], main_topic),
}


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        rows: an item each: what people and model say of it, and what became of it.
        used: calls, tokens and money (micro-units) of this run by its budget; calls that were given up count in full.
        open: items whose answer another run may bring.
    """

    kind: str
    model: str
    prompt: str
    report: Report
    rows: list[dict[str, Any]]
    used: Mapping[str, int]
    open: Sequence[str]


def run_from(file: Path | None, task: Task, environment: Mapping[str, str] = os.environ) -> Run:
    """The run of an evaluation: its budget is its own, the limits of the endpoint are everybody's.

    Raises:
        UsageError: no file is named, or it is wrong, or the environment lacks what it names.
    """
    path = file or Path(environment.get(LANGUAGE_MODEL.variable, "").strip())
    if path == Path():
        raise UsageError(
            f"no endpoint: neither --endpoint nor {LANGUAGE_MODEL.variable} names a file",
            next_step=f"{LANGUAGE_MODEL.variable} names {LANGUAGE_MODEL.about}",
        )
    run = run_of(path, task, f"evaluate {time.time_ns()}")
    run.endpoint.key(environment)  # missing it is known before anything starts
    return run


def evaluated(
    run: Run, kind: str, items: Sequence[LabelledItem], say: Callable[[str], None] = lambda _: None
) -> Evaluation:
    """Ask about each item, and compare."""
    started = time.time_ns() // 1000
    content = {item.id: Item(hashlib.sha256(item.transcript.encode()).hexdigest(), item.transcript) for item in items}
    outcomes: dict[str, Outcome] = {}
    wanted = dict.fromkeys(content.values())
    with Worker(run) as worker:
        for item, outcome in worker.outcomes(wanted):
            outcomes[item.content_id] = outcome
            if len(outcomes) % max(1, len(wanted) // 20) == 0:
                say(f"{len(outcomes)} of {len(wanted)} transcripts: {outcome.status}")
    found = {one.id: outcomes[content[one.id].content_id] for one in items}
    answered = [_answered(one.id, found[one.id], KINDS[kind], started) for one in items]
    report = evaluate([Labelled(one.id, one.labels) for one in items], answered)
    rows = [_row(one, answer, found[one.id]) for one, answer in zip(items, answered, strict=True)]
    still_open = [one.id for one in items if found[one.id].status in _OPEN]
    return Evaluation(kind, run.identity.model, run.task.prompt.id, report, rows, _used(run), still_open)


def record_of(found: Evaluation) -> dict[str, Any]:
    """An evaluation as a record to be shown: single figures first, then the labels."""
    report = found.report
    return {
        "kind": found.kind,
        "model": found.model,
        "prompt": found.prompt,
        "items": report.items,
        "main_label_right": _share(report.main),
        "all_labels_right": _share(report.exact),
        "micro_f1": _rounded(report.micro_f1),
        "macro_f1": _rounded(report.macro_f1),
        "kappa": _rounded(report.kappa),
        "most_given": f"{report.top[0]}, {report.top[1]}" if report.top else None,
        "answered_without_a_call": _share(report.saved),
        "used": dict(found.used),
        "statuses": [{"status": status, **_shares("share", share)} for status, share in report.by_status.items()],
        "labels": [
            {
                "label": label,
                **_shares("precision", one.precision),
                **_shares("recall", one.recall),
                "f1": _rounded(one.f1),
            }
            for label, one in report.labels.items()
        ],
    }


def _answered(name: str, outcome: Outcome, kind: Kind, started: int) -> Answered:
    reply = outcome.reply
    paid_now = reply is not None and reply.asked_at >= started
    return Answered(
        content_id=name,
        status=outcome.status,
        labels=tuple(dict.fromkeys(kind.given(outcome.answer))) if outcome.answer else (),
        called=paid_now or (reply is None and outcome.attempts > 0),
        tokens=reply.prompt_tokens + reply.output_tokens if reply and paid_now else 0,
        cost_micros=reply.cost_micros if reply and paid_now else 0,
    )


def _row(item: LabelledItem, answer: Answered, outcome: Outcome) -> dict[str, Any]:
    return {
        "id": item.id,
        "status": outcome.status.value,
        "labels": list(item.labels),
        "answered": list(answer.labels),
        "error": outcome.error or None,
        "evidence": [asdict(one) for one in outcome.evidence],
        "called": answer.called,
    }


def _used(run: Run) -> dict[str, int]:
    """What the ledger says this run has used."""
    ledger = run.ledger.open()
    try:
        spent = ledger.update(run.endpoint.name, lambda state, _: state.budgets.get(run.rules.budget.name))
    finally:
        ledger.close()
    return {
        "calls": spent.calls if spent else 0,
        "tokens": spent.tokens if spent else 0,
        "cost_micros": spent.micros if spent else 0,
    }


def _share(share: Share) -> str:
    return str(share)


def _shares(name: str, share: Share) -> dict[str, Any]:
    bounds = f"{share.low:.3f} to {share.high:.3f}" if share.of else None
    return {name: _rounded(share.value), f"{name}_of": f"{share.count} of {share.of}", f"{name}_95": bounds}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
