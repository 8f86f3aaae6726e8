"""What went wrong with a call, by the client's errors and by what the endpoint says: told without secrets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import openai

from content_signals.llm.failure import NO_QUOTA, Failure, Kind, kind_of, of_status
from content_signals.llm.redaction import Redactor

# Errors of the client of a request that never left, by name: they are classes of a package below it.
_NOT_SENT = ("Connect", "Pool", "LocalProtocolError", "UnsupportedProtocol", "ProxyError")
# What is shown of an answer that is an error and has no message: characters.
_SHOWN = 200
# Of errors that come with HTTP 200, and have a name in place of a number, the status they otherwise come with.
_STATUS_OF = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
}


class Faults:
    """Reads errors."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def of_status(self, error: openai.APIStatusError) -> Failure:
        """Of an answer whose status is an error, or a redirection: that would take transcript and key elsewhere."""
        status, headers = error.status_code, {name.lower(): value for name, value in error.response.headers.items()}
        if status < 400:
            to = self._redactor.line(_host(str(error.request.url), headers.get("location", "")))
            return Failure(Kind.CLOSED, f"HTTP {status}: redirected to {to}; base_url is to name where calls end")
        # Without a message its body is told, code and all.
        said = _said(error.body) or self._redactor.line(error.response.text, _SHOWN)
        return of_status(status, headers, self._redactor.line(said), time.time(), names_of(error.body))

    def in_answer(self, error: object) -> Failure:
        """Of what a body has under `error` though its status says that all is well.

        Where it has a code it is read as the error with that code is; else it may have been paid for.
        """
        names = names_of(error)
        status = next((found for name in names if (found := _status_of(name))), 0)
        said = self._redactor.line(_said(error) or _named(error))
        if not status and kind_of(0, names) is not Kind.CLOSED:
            return Failure(Kind.SERVER, f"an error in place of an answer: {said}", billed=True)
        return Failure(kind_of(status, names), f"an error in place of an answer: {said}")

    def of_connection(self, error: openai.APIConnectionError) -> Failure:
        """Of a call that nothing came back of."""
        causes = list(_causes(error))
        name = type(causes[0]).__name__ if causes else type(error).__name__
        billed = not name.startswith(_NOT_SENT)
        if isinstance(error, openai.APITimeoutError):
            return Failure(Kind.TIMEOUT, f"silence: {name}", billed=billed)
        told = self._redactor.line(": ".join(part for part in (name, _reason(causes)) if part))
        return Failure(Kind.CONNECTION, f"the connection failed: {told}", billed=billed)


def names_of(error: object) -> tuple[str, ...]:
    """Code and type of an error, in lower case: what it is called, whatever its message says."""
    if not isinstance(error, Mapping):
        return ()
    return tuple(str(error[name]).lower() for name in ("code", "type") if error.get(name) is not None)


def _status_of(name: str) -> int:
    if name.isascii() and name.isdigit() and 400 <= int(name[:4]) < 600:
        return int(name[:4])
    return _STATUS_OF.get(name, 0)


def _named(error: object) -> str:
    """What an error is called: its code, or the type that ends a run; other types say no more than a status."""
    if not isinstance(error, Mapping):
        return ""
    kind = str(error.get("type") or "")
    return str(error.get("code") or (kind if kind.lower() in NO_QUOTA else ""))


def _said(error: Any) -> str:
    """What an error is called, and its message; empty where it has none. Not the client's own words."""
    message = error.get("message") if isinstance(error, Mapping) else error
    if not isinstance(message, str) or not message:
        return ""
    return f"{named}: {message}" if (named := _named(error)) else message


def _host(url: str, location: str) -> str:
    """The host that a redirection names. The rest of it may be a secret."""
    try:
        return (urlsplit(urljoin(url, location)).hostname or "nowhere") if location else "nowhere"
    except ValueError:
        return "what is no URL"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error was raised from, and so on: the client's, the transport's, the system's."""
    cause, seen = error.__cause__, {id(error)}
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        # Of several addresses that were tried the first tells enough. The transport hides what the system says.
        first = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = first or cause.__cause__ or cause.__context__


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause}"
        if isinstance(cause, socket.gaierror):
            return f"unknown host: {cause}"
        if isinstance(cause, ConnectionRefusedError):
            return f"refused: {cause}"
    return next((str(cause) for cause in causes if str(cause)), "")
