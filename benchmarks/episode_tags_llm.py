"""What asking a language model costs beside the model, and what was measured to choose its limits.

    .venv/jobs/bin/python -m benchmarks.episode_tags_llm --transcripts transcripts.parquet --write

Real transcripts, chosen by the hash of their ids. One core: seconds are CPU seconds of this process. With --asked N,
SmolLM2-135M on this machine is asked about N of them too, which takes minutes each and knows nothing about topics: of
its answers only the form is measured here. How good a real model is says `content-signals llm evaluate` on a labelled
set.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measured import PACKAGE, tell
from benchmarks.sides import machine
from content_signals.llm.client import Client
from content_signals.llm.costs import tokens_of
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.failure import Retry
from content_signals.llm.grounding import SHORTEST
from content_signals.llm.ledger.limits import Breaker, Budget, Limits, Rules
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.outcome import Outcome, Status, judge
from content_signals.llm.reply import Reply
from content_signals.llm.request import Item, Request, build
from content_signals.llm.run import Run
from content_signals.llm.worker import Worker
from content_signals.signals.episode_tags_llm.compute import task
from tests.llm_server import model_path, model_server

COMMAND = "python -m benchmarks.episode_tags_llm --transcripts transcripts.parquet --write"
MEASURED = PACKAGE / "signals" / "episode_tags_llm" / "measured.json"
PAIRS = 1000
LENGTHS = (4, 8, 12, 16, 24, 40)


class AtOnce:
    """A transport that answers at once, with quotes of the transcript it was asked about."""

    def __init__(self, replies: dict[str, str]) -> None:
        self._replies = replies

    async def send(self, request: Request) -> Reply:
        """See `Transport`."""
        text = self._replies[request.content_id]
        return Reply(request.key, request.content_id, text, "stop", False, 1, 1, False, 0, "m", 0, 0, 1)

    async def close(self) -> None:
        """See `Transport`."""


def transcripts(path: Path, count: int) -> list[Item]:
    """Some episodes: those whose ids have the smallest hashes."""
    query = f"SELECT sha256(transcript), transcript FROM '{path}' ORDER BY sha256(episode_id) LIMIT {count}"
    return [Item(*row) for row in duckdb.sql(query).fetchall()]


def run_at(url: str, folder: Path) -> Run:
    """A run without limits."""
    rules = Rules(Limits(concurrency=2), Budget(name="benchmark"), Breaker())
    endpoint = Endpoint(base_url=url, weights=model_path().name, call_seconds=900, stall_seconds=900)
    return Run(task(), endpoint, rules, Retry(attempts=1), LedgerAt(path=str(folder / "ledger.sqlite")))


def answer_of(text: str) -> str:
    """A good answer about a transcript: its quotes are words from its middle."""
    words = text[len(text) // 2 : len(text) // 2 + 400].split()
    quote = " ".join(words[1:12])[:250]
    return json.dumps(
        {
            "topics": [{"quote": quote, "label": "gotime"}],
            "summary": {"quote": quote, "text": "A summary."},
            "audience": {"quote": quote, "label": "everyone"},
            "brand_safety": [],
        }
    )


def chance_of_quotes(items: Sequence[Item], pairs: int) -> dict[int, float]:
    """Length -> the share of stretches of one episode, whole words of so many characters, that another says too.

    Plainly, with no code of ours: white space as one space, bounds of words by a regular expression.
    """
    chance = random.Random(1)  # noqa: S311  # no secret
    plain = [" ".join(item.transcript.split()) for item in items]
    found: dict[int, float] = {}
    for length in LENGTHS:
        hits = 0
        for _ in range(pairs):
            one, other = chance.sample(plain, 2)
            start = one.index(" ", chance.randrange(len(one) // 2)) + 1
            stretch = re.escape(one[start : one.index(" ", start + length - 1)])
            hits += re.search(rf"(?<!\w){stretch}(?!\w)", other) is not None
        found[length] = hits / pairs
    return found


def cost_of(items: Sequence[Item], run: Run, answer: Callable[[str], str] = answer_of) -> tuple[float, float]:
    """CPU seconds an item to make its call, and to judge a good reply."""
    answers = {item.content_id: answer(item.transcript) for item in items}
    build(run.task.prompt, run.endpoint, items[0])  # what is loaded once is not counted
    started = time.process_time()
    for item in items:
        build(run.task.prompt, run.endpoint, item)
    built = time.process_time()
    for item in items:
        text = answers[item.content_id]
        reply = Reply("k", item.content_id, text, "stop", False, 1, 1, False, 0, "m", 0, 0, 1)
        outcome = judge(reply, item.transcript, run.task.answer)
        assert outcome.status is Status.OK, outcome.error
    return (built - started) / len(items), (time.process_time() - built) / len(items)


def ledger_seconds(items: Sequence[Item], run: Run) -> tuple[float, float]:
    """Seconds, and CPU seconds, an item for what stands before a model: claim, leave to call, keeping, accounts."""
    short = [replace(item, transcript=item.transcript[:3000]) for item in items]
    replies = {item.content_id: answer_of(item.transcript) for item in short}
    started, cpu = time.monotonic(), time.process_time()
    with Worker(run, lambda run: Client(run, AtOnce(replies), run.ledger.open())) as worker:
        statuses = Counter(outcome.status for _, outcome in worker.outcomes(short))
    assert statuses == {Status.OK: len(short)}, statuses
    return (time.monotonic() - started) / len(short), (time.process_time() - cpu) / len(short)


def of_model(items: Sequence[Item], run: Run) -> list[tuple[Item, Outcome]]:
    """What the model on this machine answers about some episodes."""
    with Worker(run) as worker:
        return list(worker.outcomes(items))


def bytes_per_token(found: Sequence[tuple[Item, Outcome]], run: Run) -> list[float]:
    """Of each call, the bytes that were sent by the tokens that the model counted."""
    made = []
    for item, outcome in found:
        if outcome.reply:
            sent = build(run.task.prompt, run.endpoint, item).body["messages"]
            made.append(sum(len(m["content"].encode()) for m in sent) / outcome.reply.prompt_tokens)
    return made


def main() -> None:
    """Measure, print, and write with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--asked", type=int, default=0, help="episodes that SmolLM2 is asked about: minutes each")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    items = transcripts(options.transcripts, options.count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chances = chance_of_quotes(items, PAIRS)
        for length, share in chances.items():
            print(f"stretches of {length} characters that another episode says too: {share:.3f}")
        run = run_at("http://127.0.0.1:9/v1", folder)
        building, judging = cost_of(items, run)
        print(f"CPU seconds an episode: {building:.4f} to make the call, {judging:.4f} to judge the reply")
        wall, cpu = ledger_seconds(items, run)
        print(f"between call and model, an item: {wall * 1000:.1f} ms, {cpu * 1000:.1f} ms of CPU")
        shown = [tokens_of(item.transcript, 3.0) for item in items]
        print(f"tokens of a transcript, estimated: median {statistics.median(shown):.0f}")
        asked = asked_about(items[: options.asked], folder) if options.asked else []
    tell(_report(len(items), chances, building + judging + cpu, asked), MEASURED if options.write else None)


def asked_about(items: Sequence[Item], folder: Path) -> list[dict[str, str]]:
    """What SmolLM2 answers about some episodes, printed; and what of it is a figure."""
    with model_server() as url:
        run = run_at(url, folder)
        found = of_model(items, run)
    statuses = Counter(outcome.status.value for _, outcome in found)
    print(f"SmolLM2-135M on {len(found)} episodes: {dict(statuses)}")
    for _, outcome in found:
        if outcome.error:
            print(f"    {outcome.status}: {outcome.error[:150]}")
    rates = bytes_per_token(found, run)
    if not rates:
        return []
    seconds = [outcome.reply.took_ms / 1000 for _, outcome in found if outcome.reply]
    print(f"bytes a token: {min(rates):.2f} to {max(rates):.2f}; seconds a call: {statistics.median(seconds):.1f}")
    of_schema = len(found) - sum(statuses[name] for name in ("unparsed", "invalid", "cut_off", "failed"))
    return [
        {
            "what": "replies that are JSON of the schema (plumbing alone)",
            "value": f"{of_schema} of {len(found)}",
            "on": f"real episodes, SmolLM2-135M by xllamacpp; {dict(statuses)}",
        },
        {
            "what": "bytes of English in UTF-8 by tokens counted",
            "value": f"{min(rates):.2f} to {max(rates):.2f}",
            "on": f"{len(rates)} calls of SmolLM2-135M; 3.0 is what limits and budgets go by",
        },
    ]


def _report(items: int, chances: dict[int, float], cpu: float, asked: list[dict[str, str]]) -> dict[str, Any]:
    quality = [
        {
            "what": f"chance that a stretch of {length} characters of one episode is said in another too",
            "value": f"{share:.3f}",
            "on": f"{PAIRS} pairs of {items} real episodes; a quote has {SHORTEST} characters or more",
        }
        for length, share in chances.items()
    ] + asked
    cost = {"rows_per_cpu_second": round(1 / cpu, 1), "core_hours_per_100_million": round(cpu * 1e8 / 3600)}
    return {
        "command": COMMAND,
        "machine": "{processor}, {cores} cores, Python {python}".format(**machine()),
        "quality": quality,
        "cost": cost,
    }


if __name__ == "__main__":
    main()
