"""A call to a model, made of a prompt and one transcript, and the name under which its reply is kept.

A transcript is data. It stands in a fence whose name it cannot know, control words of chat templates in it are broken
up, and the schema and the check of quotes hold whatever it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from content_signals.llm.costs import tokens_of, tokens_of_messages
from content_signals.llm.digests import canonical, digest
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.excerpts import BY_WORDS, Ranking, excerpt
from content_signals.llm.prompt import PLACE, Example, Prompt
from content_signals.llm.schema import portable

# An invisible space after what opens a control word, as in <|im_start|>, </s> or [INST]: servers make such words of a
# message's text too. Quotes are compared without it.
_CONTROL = re.compile(r"<(?=[|/!a-zA-Z｜])|\[(?=/?[A-Z_]{3,}\])")
_INVISIBLE = "\u200b"
# What the two marks of a fence take beyond their bytes: of a hash hardly two characters make a token.
_FENCE_TOKENS = 20


@dataclass(frozen=True)
class Identity:
    """What a reply depends on beside the content: replies of equal identity and content are the same reply."""

    model: str
    weights: str
    prompt_hash: str
    decoding: str
    schema_hash: str

    @property
    def prefix(self) -> str:
        """A hash of all parts."""
        return digest(canonical([self.model, self.weights, self.prompt_hash, self.decoding, self.schema_hash]))

    def key(self, content_id: str) -> str:
        """The name of the reply about a content. In Spark: sha2(concat(prefix, ':', content_id), 256)."""
        return digest(f"{self.prefix}:{content_id}")


@dataclass(frozen=True)
class Item:
    """A content to ask about: the hash of it that the platform gives, and its transcript."""

    content_id: str
    transcript: str


@dataclass(frozen=True)
class Request:
    """A call.

    Attributes:
        body: what is sent, as the endpoint takes it.
        prompt_tokens: estimated.
        max_output_tokens: an answer has no more.
    """

    key: str
    content_id: str
    body: Mapping[str, Any]
    prompt_tokens: int
    max_output_tokens: int

    @property
    def tokens(self) -> int:
        """What the call may take in all."""
        return self.prompt_tokens + self.max_output_tokens


def identity(prompt: Prompt, endpoint: Endpoint, ranking: Ranking = BY_WORDS) -> Identity:
    """Of the replies that an endpoint gives to a prompt. How parts of long transcripts are chosen is in it."""
    decoding = {
        **prompt.decoding.model_dump(exclude_none=True),
        "structured": endpoint.structured,
        "extra": endpoint.extra,
        "shown_by": [ranking.name, endpoint.bytes_per_token],
    }
    return Identity(
        endpoint.model or prompt.model, endpoint.weights, prompt.hash, canonical(decoding), prompt.schema_hash
    )


def build(prompt: Prompt, endpoint: Endpoint, item: Item, ranking: Ranking = BY_WORDS) -> Request:
    """The call about an item."""
    messages = [{"role": "system", "content": _system(prompt, endpoint)}]
    for example in shuffled(prompt, item.content_id):
        messages.append({"role": "user", "content": _user(prompt, example.transcript)})
        messages.append({"role": "assistant", "content": json.dumps(example.answer, ensure_ascii=False)})
    shown = excerpt(item.transcript, prompt.excerpts, endpoint.bytes_per_token, ranking)
    messages.append({"role": "user", "content": _user(prompt, shown)})
    decoding = prompt.decoding.model_dump(exclude_none=True)
    limit = decoding.pop("max_output_tokens")
    body = {
        **endpoint.extra,
        "model": endpoint.model or prompt.model,
        "messages": messages,
        **decoding,
        endpoint.output_limit: limit,
        **_response_format(prompt, endpoint),
    }
    key = identity(prompt, endpoint, ranking).key(item.content_id)
    return Request(key, item.content_id, body, _estimate(body, endpoint), limit)


def _estimate(body: Mapping[str, Any], endpoint: Endpoint) -> int:
    """Tokens that a call is read as. Endpoints that hold an answer to its schema may count that too."""
    texts: list[str] = [message["content"] for message in body["messages"]]
    schema = json.dumps(body.get("response_format", {}), ensure_ascii=False)
    fences: int = sum(message["role"] == "user" for message in body["messages"])
    sent = tokens_of_messages(texts, endpoint.bytes_per_token) + tokens_of(schema, endpoint.bytes_per_token)
    return sent + fences * _FENCE_TOKENS


def shuffled(prompt: Prompt, content_id: str) -> list[Example]:
    """The examples in an order of the item's own: none of them stands last, where it weighs most, for all items."""
    return sorted(prompt.examples, key=lambda one: digest(f"{prompt.shuffle_seed}:{content_id}:{one.name}"))


def fenced(transcript: str) -> str:
    """A transcript as data: between two marks that do not occur in it, its control words broken up."""
    shown = _CONTROL.sub(lambda found: found[0] + _INVISIBLE, transcript)
    name = f"transcript-{digest(shown)[:12]}"
    while name in shown:  # as likely as guessing a hash of the text that one is writing
        name = f"transcript-{digest(name)[:12]}"
    return f"<{name}>\n{shown}\n</{name}>"


def _user(prompt: Prompt, transcript: str) -> str:
    return prompt.user.replace(PLACE, fenced(transcript))


def _system(prompt: Prompt, endpoint: Endpoint) -> str:
    if endpoint.structured in ("strict", "schema"):
        return prompt.system
    schema = json.dumps(prompt.schema, ensure_ascii=False)
    return f"{prompt.system}\n\nThe answer is one JSON object of this schema, and nothing beside it:\n{schema}"


def _response_format(prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.structured == "text":
        return {}
    if endpoint.structured == "json":
        return {"response_format": {"type": "json_object"}}
    strict = endpoint.structured == "strict"
    schema = portable(prompt.schema) if strict else prompt.schema
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": prompt.name, "strict": strict, "schema": schema},
        }
    }
