"""A small prompt, its answers, a run, and a transport that answers by a script: for tests without a server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from content_signals.llm.client import Client, Surroundings
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.failure import Failed, Failure, Retry
from content_signals.llm.ledger.file import FileLedger
from content_signals.llm.ledger.limits import Breaker, Budget, Limits, Rules
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.prompt import Prompt, read_prompt
from content_signals.llm.reply import Reply
from content_signals.llm.request import Item, Request, build
from content_signals.llm.run import Run
from content_signals.llm.task import Task

STRICT = ConfigDict(extra="forbid", frozen=True)


class Claim(BaseModel):
    """A label and what supports it."""

    model_config = STRICT

    quote: Annotated[str, Field(min_length=12, max_length=120)]
    label: Literal["food", "sport"]


class Told(BaseModel):
    """The answers of the small prompt."""

    model_config = STRICT

    topics: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=2)]
    summary: Annotated[str, Field(min_length=1, max_length=60)]


PROMPT = """\
---
about: What a note is about.
owner: somebody
model: small
decoding: {temperature: 0, max_output_tokens: 100}
excerpts: {max_tokens: 200, chunk_tokens: 40, lead_chunks: 1, queries: [food eating, sport playing]}
examples: [soup, match]
shuffle_seed: 3
schema:
  type: object
  properties:
    topics:
      type: array
      minItems: 1
      maxItems: 2
      items:
        type: object
        properties:
          quote: {type: string, minLength: 12, maxLength: 120}
          label: {type: string, enum: [food, sport]}
        required: [quote, label]
        additionalProperties: false
    summary: {type: string, minLength: 1, maxLength: 60}
  required: [topics, summary]
  additionalProperties: false
---
# System
Say what the note is about.

# User
The note:
{{transcript}}
Answer in JSON.
"""
EXAMPLES = {
    "soup": {
        "transcript": "The soup was hot and the bread was fresh.",
        "answer": {"topics": [{"quote": "The soup was hot", "label": "food"}], "summary": "Soup."},
    },
    "match": {
        "transcript": "We won the match in the last minute.",
        "answer": {"topics": [{"quote": "We won the match", "label": "sport"}], "summary": "A match."},
    },
}
NOTE = "They ate noodles in the rain, and nobody minded."
GOOD = {"topics": [{"quote": "They ate noodles in the rain", "label": "food"}], "summary": "Noodles."}


def write_prompt(folder: Path, text: str = PROMPT, version: int = 1, examples: dict[str, Any] | None = None) -> Path:
    """The prompt `notes` in a folder of prompts."""
    (folder / "notes" / "examples").mkdir(parents=True, exist_ok=True)
    for name, example in (EXAMPLES if examples is None else examples).items():
        (folder / "notes" / "examples" / f"{name}.json").write_text(json.dumps(example), "utf-8")
    path = folder / "notes" / f"v{version}.md"
    path.write_text(textwrap.dedent(text), "utf-8")
    return path


def prompt_in(folder: Path, *changes: tuple[str, str]) -> Prompt:
    """The prompt `notes`, with words of its file replaced."""
    text = PROMPT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    write_prompt(folder, text)
    return read_prompt("notes", folder=folder)


def item(transcript: str = NOTE) -> Item:
    """A content."""
    return Item(hashlib.sha256(transcript.encode()).hexdigest(), transcript)


def endpoint(**changes: Any) -> Endpoint:
    """An endpoint that costs 2 a token read and 10 a token written, in micro-units."""
    given: dict[str, Any] = {
        "base_url": "http://127.0.0.1:9/v1",
        "weights": "w1",
        "input_micros_per_million": 2_000_000,
        "output_micros_per_million": 10_000_000,
        "call_seconds": 20,
    }
    return Endpoint(**given | changes)


def run_in(
    folder: Path,
    *,
    limits: dict[str, Any] | None = None,
    budget: dict[str, Any] | None = None,
    breaker: dict[str, Any] | None = None,
    retry: dict[str, Any] | None = None,
    at: dict[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """A run of the prompt `notes`, with its ledger in a folder."""
    rules = Rules(Limits(**limits or {}), Budget(**{"name": "run-1", **(budget or {})}), Breaker(**breaker or {}))
    ledger = LedgerAt(path=str(folder / "ledger.sqlite"))
    run = Run(Task(prompt_in(folder), Told), endpoint(**at or {}), rules, Retry(**retry or {}), ledger)
    return replace(run, **changes)


def request_of(run: Run, transcript: str = NOTE) -> Request:
    """The call about a transcript."""
    return build(run.task.prompt, run.endpoint, item(transcript))


def reply_to(request: Request, text: str = json.dumps(GOOD), **changes: Any) -> Reply:
    """A reply of 100 tokens read and 10 written."""
    given: dict[str, Any] = {
        "key": request.key,
        "content_id": request.content_id,
        "text": text,
        "finish_reason": "stop",
        "refused": False,
        "prompt_tokens": 100,
        "output_tokens": 10,
        "estimated": False,
        "cost_micros": 300,
        "model": "small",
        "asked_at": 0,
        "took_ms": 5,
        "attempts": 1,
    }
    return Reply(**given | changes)


@dataclass
class World:
    """Time that passes when somebody sleeps, once for all who sleep at the same time; and chance that is none."""

    time: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.time + seconds
        await asyncio.sleep(0)
        self.time = max(self.time, until)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(now=lambda: self.time, monotonic=lambda: self.time, random=lambda: 0.5, sleep=self.sleep)


Answer = Reply | Failure | Callable[[Request], Awaitable[Reply]]


class Script:
    """A transport that gives one answer after the other; the last one for ever."""

    def __init__(self, *answers: Answer, world: World | None = None) -> None:
        self.answers, self.sent, self.times, self._world = list(answers), [], [], world
        self.under_way = self.most = 0

    async def send(self, request: Request) -> Reply:
        self.sent.append(request)
        self.times.append(self._world.time if self._world else 0.0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if isinstance(answer, Failure):
                raise Failed(answer)
            if isinstance(answer, Reply):
                return replace(answer, key=request.key, content_id=request.content_id)
            return await answer(request)
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        return


def client_of(run: Run, script: Script, world: World) -> Client:
    """A client whose ledger has the world's time. To be made in an event loop."""
    return Client(run, script, FileLedger(run.ledger.path, clock=lambda: world.time), world.surroundings)
