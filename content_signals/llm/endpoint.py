"""Where a model answers, and what calls to it take. A key is known by the name of its environment variable alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from content_signals.errors import UsageError
from content_signals.llm.costs import Price
from content_signals.llm.digests import canonical

Structured = Literal["strict", "schema", "json", "text"]


class Endpoint(BaseModel):
    """An OpenAI-compatible endpoint.

    Attributes:
        name: whose limits these are: runs that share an endpoint share its limits by this name.
        base_url: up to and with the version, as in https://host/v1. No user or password stands in it.
        model: what the endpoint calls the model; none: the name that the prompt gives.
        weights: which weights answer: a dated snapshot, or the SHA-256 of a file. Answers of others are never mixed.
        key_name: the environment variable that holds the key; none: the endpoint asks for none.
        structured: how the schema reaches the model: `strict` and `schema` as the response format, the former in the
            subset that strict endpoints take; `json` asks for any JSON and `text` for nothing, and both put the schema
            into the prompt.
        output_limit: the name under which the endpoint takes the limit of an answer.
        stream: whether answers come word by word: an endpoint that stalls is noticed sooner.
        call_seconds: a call takes no longer, whatever it is doing then.
        stall_seconds: nor is there silence for so long.
        context_tokens: what prompt and answer may have together.
        bytes_per_token: for estimates; low is careful.
        input_micros_per_million, output_micros_per_million: the price, in micro-units of `currency`.
        extra: further entries of every call's body, such as {"reasoning_effort": "low"}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    base_url: str
    model: str = ""
    weights: str = Field(min_length=1)
    key_name: str = Field(default="", pattern=r"^([A-Z][A-Z0-9_]*)?$")
    structured: Structured = "schema"
    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    stream: bool = False
    call_seconds: float = Field(default=120, gt=0)
    stall_seconds: float = Field(default=60, gt=0)
    context_tokens: int = Field(default=8192, ge=1)
    bytes_per_token: float = Field(default=3.0, gt=0)
    input_micros_per_million: int = Field(default=0, ge=0)
    output_micros_per_million: int = Field(default=0, ge=0)
    currency: str = "USD"
    extra: dict[str, Any] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
        except ValueError:  # its text quotes the URL
            raise ValueError("base_url is no URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("base_url is http://… or https://… up to and with the version, as in https://host/v1")
        if "@" in parts.netloc:
            raise ValueError("base_url holds a user or password; name an environment variable in key_name instead")
        return value.rstrip("/")

    @field_validator("extra")
    @classmethod
    def _json_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, one in value.items():
            try:
                canonical(one)
            except (TypeError, ValueError):
                raise ValueError(f"{name} is nothing that JSON has: no date, no infinity") from None
        return value

    @property
    def price(self) -> Price:
        """What tokens cost."""
        return Price(self.input_micros_per_million, self.output_micros_per_million)

    def key(self, environment: Mapping[str, str] = os.environ) -> SecretStr | None:
        """The key, from the environment of this process; None where the endpoint asks for none.

        Raises:
            UsageError: the variable is not set, or holds what no header can.
        """
        if not self.key_name:
            return None
        value = environment.get(self.key_name, "").strip()
        if not value:
            raise UsageError(
                f"endpoint {self.name}: the environment has no {self.key_name}",
                next_step=f"export {self.key_name} where Spark's executors start",
            )
        if not (value.isascii() and value.isprintable()):
            raise UsageError(
                f"endpoint {self.name}: {self.key_name} has a character that no key has: a line break, "
                "a control character, or one beyond ASCII",
                next_step=f"export {self.key_name} anew, as the endpoint gave it",
            )
        return SecretStr(value)
