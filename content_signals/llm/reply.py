"""What a paid call brought, as it is kept: everything that is judged later, and nothing that judging adds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Reply:
    """An answer as the endpoint gave it.

    Attributes:
        key: the name of the call: `Identity.key`.
        text: the raw text.
        finish_reason: why the model stopped, in the endpoint's word: stop, length, content_filter, …
        refused: whether the model said that it would not answer; then `text` is what it said.
        estimated: whether the endpoint did not count tokens, and the numbers are estimates.
        cost_micros: price of the call, in micro-units of the endpoint's currency.
        model: what answered, by the endpoint's word, its fingerprint included where it gives one.
        asked_at: microseconds since 1970 (UTC) when the call was sent.
        took_ms: until its end.
        attempts: calls that were sent for this reply, itself included.
    """

    key: str
    content_id: str
    text: str
    finish_reason: str
    refused: bool
    prompt_tokens: int
    output_tokens: int
    estimated: bool
    cost_micros: int
    model: str
    asked_at: int
    took_ms: int
    attempts: int

    def to_json(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Reply:
        """What `to_json` wrote."""
        return cls(**json.loads(line))
