"""One call over the wire, by the official client. It does not retry: who does has limits and budgets to keep to."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import openai

from content_signals.llm.costs import tokens_of
from content_signals.llm.endpoint import Endpoint
from content_signals.llm.failure import Failed, Failure, Kind
from content_signals.llm.faults import Faults, names_of
from content_signals.llm.redaction import Redactor
from content_signals.llm.reply import Reply
from content_signals.llm.request import Request

_MOST_TOKENS = 10**9  # of one call: more has no model, and a count beyond is a fault, as an unsigned -1
# Codes of errors by which endpoints say that a filter stopped the call: of its prompt, that is of the transcript.
_FILTERED = frozenset({"content_filter", "content_policy_violation"})


class Transport(Protocol):
    """Sends calls."""

    async def send(self, request: Request) -> Reply:
        """The reply.

        Raises:
            Failed: there is none.
        """

    async def close(self) -> None:
        """Let go of connections."""


class OpenAITransport:
    """Sends calls to an OpenAI-compatible endpoint. One of these serves one event loop.

    Raises:
        UsageError: the environment lacks the endpoint's key.
    """

    def __init__(self, endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> None:
        key = endpoint.key(environment)
        self._endpoint = endpoint
        self._redactor = Redactor(key)
        self._faults = Faults(self._redactor)
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key.get_secret_value() if key else "none",  # the client wants one
            max_retries=0,
            timeout=endpoint.stall_seconds,
            # What a redirection leads to is not what base_url names: neither transcript nor key goes there.
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=endpoint.stall_seconds),
        )

    async def send(self, request: Request) -> Reply:
        """See `Transport`."""
        asked_at, began = time.time_ns() // 1000, time.monotonic()
        try:
            async with asyncio.timeout(self._endpoint.call_seconds):
                body = await (self._streamed(request.body) if self._endpoint.stream else self._whole(request.body))
        except TimeoutError:
            raise Failed(
                Failure(Kind.TIMEOUT, f"no answer within {self._endpoint.call_seconds:g} s", billed=True)
            ) from None
        except openai.APIConnectionError as error:
            raise Failed(self._faults.of_connection(error)) from None
        except openai.APIError as error:
            if error.code not in _FILTERED:
                raise Failed(self._failure(error)) from None
            body = _filtered()
        took_ms = round((time.monotonic() - began) * 1000)
        return self._reply(request, body, asked_at, took_ms)

    async def close(self) -> None:
        """See `Transport`."""
        await self._client.close()

    async def _whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's body."""
        response = await self._client.chat.completions.with_raw_response.create(**body)
        try:
            found = json.loads(response.text)
        except ValueError:
            raise _broken("the answer is no JSON") from None
        if not isinstance(found, dict):
            raise _broken("the answer is no JSON object")
        if found.get("error") and not found.get("choices"):
            if not _FILTERED.isdisjoint(names_of(found["error"])):
                return _filtered()
            raise Failed(self._faults.in_answer(found["error"]))
        return found

    async def _streamed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of a streamed answer as the body of a whole one."""
        stream = await self._client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
        text: list[str] = []
        refusal: list[str] = []
        choice: dict[str, Any] = {"finish_reason": None}
        made: dict[str, Any] = {"choices": [choice]}
        came = False
        try:
            async with stream:
                async for chunk in stream:
                    came = True
                    made["model"] = chunk.model or made.get("model")
                    made["system_fingerprint"] = chunk.system_fingerprint or made.get("system_fingerprint")
                    made["usage"] = chunk.usage.model_dump() if chunk.usage else made.get("usage")
                    for part in chunk.choices or ():
                        text.append(_text_of(part.delta.content))
                        refusal.append(part.delta.refusal or "")
                        choice["finish_reason"] = part.finish_reason or choice["finish_reason"]
        except (ValueError, TypeError, AttributeError):
            raise _broken("a part of the stream is no part of an answer") from None
        if not came:
            sort = self._redactor.line(stream.response.headers.get("content-type", "nothing"))
            raise _broken(f"no stream came, but {sort}: where the endpoint ignores `stream`, set stream = false")
        choice["message"] = {"content": "".join(text), "refusal": "".join(refusal)}
        return made

    def _reply(self, request: Request, body: dict[str, Any], asked_at: int, took_ms: int) -> Reply:
        """The reply of an answer's body.

        Raises:
            Failed: it is no whole answer.
        """
        try:
            choice = body["choices"][0]
            message = choice["message"]
            text, refusal = _text_of(message.get("content")), message.get("refusal") or ""
            finish_reason = choice.get("finish_reason")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise _broken("the answer has no choice with a message") from None
        if not finish_reason:
            raise _broken("the answer has no finish_reason: it broke off, or the endpoint gives none")
        if not isinstance(refusal, str):
            raise _broken("the refusal of the answer is no text")
        said = self._clean(refusal or text)
        prompt_tokens, output_tokens, estimated = self._usage(request, body, said)
        fingerprint = body.get("system_fingerprint")
        return Reply(
            key=request.key,
            content_id=request.content_id,
            text=said,
            finish_reason=self._clean(str(finish_reason)),
            refused=bool(refusal),
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            estimated=estimated,
            cost_micros=self._endpoint.price.of(prompt_tokens, output_tokens),
            model=self._clean(f"{body.get('model') or ''}{f' {fingerprint}' if fingerprint else ''}"),
            asked_at=asked_at,
            took_ms=took_ms,
            attempts=1,
        )

    def _usage(self, request: Request, body: dict[str, Any], said: str) -> tuple[int, int, bool]:
        """Tokens read and written, and whether they are estimates: also of a count that no call can have."""
        usage = body.get("usage")
        if isinstance(usage, dict):
            counted = usage.get("prompt_tokens"), usage.get("completion_tokens")
            if all(isinstance(count, int) and 0 <= count <= _MOST_TOKENS for count in counted):
                return int(counted[0] or 0), int(counted[1] or 0), False
        return request.prompt_tokens, tokens_of(said, self._endpoint.bytes_per_token), True

    def _clean(self, text: str) -> str:
        """Without the key, and without halves of characters, which no file keeps."""
        return self._redactor.text(text).encode("utf-8", "replace").decode("utf-8")

    def _failure(self, error: openai.APIError) -> Failure:
        if isinstance(error, openai.APIStatusError):
            return self._faults.of_status(error)
        # In the middle of a stream: what came before may have been paid for.
        return replace(self._faults.in_answer(error.body or error.message), billed=True)


def _filtered() -> dict[str, Any]:
    """An answer like any other, kept and counted: asking again would bring the same."""
    return {"choices": [{"finish_reason": "content_filter", "message": {}}]}


def _text_of(content: object) -> str:
    """The text of an answer, which some endpoints give in parts.

    Raises:
        Failed: a part of it is no text.
    """
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    # Beside the text a part may say what the model thought.
    said = [one for one in parts if not isinstance(one, Mapping) or one.get("type", "text") == "text"]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in said]
    if (parts and not texts) or not all(isinstance(text, str) for text in texts):
        raise _broken("the content of the answer is neither a text nor parts of text")
    return "".join(map(str, texts))


def _broken(what: str) -> Failed:
    return Failed(Failure(Kind.SERVER, what, billed=True))
