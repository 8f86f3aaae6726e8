"""Errors of the client, read: whether a request left, and why nothing came back."""

from __future__ import annotations

import socket
import ssl

import httpx2
import openai
import pytest
from pydantic import SecretStr

from content_signals.llm.failure import Kind
from content_signals.llm.faults import Faults
from content_signals.llm.redaction import Redactor

REQUEST = httpx2.Request("POST", "http://127.0.0.1:9/v1")
SECRET = "sk-proj-4f9a8b7c6d5e"


def raised(cause, system=None, kind=openai.APIConnectionError):
    """An error as the client raises it: from the transport's, that came while the system's was handled."""
    try:
        try:
            try:
                if system:
                    raise system
            finally:
                raise cause
        except httpx2.TransportError as error:
            raise kind(request=REQUEST) from error
    except openai.APIConnectionError as found:
        return found


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("ConnectError", False),
        ("ConnectTimeout", False),
        ("PoolTimeout", False),
        ("LocalProtocolError", False),
        ("UnsupportedProtocol", False),
        ("ProxyError", False),
        ("ReadError", True),
        ("WriteError", True),
        ("ReadTimeout", True),
        ("RemoteProtocolError", True),
    ],
)
def test_what_never_left_was_not_paid_for(name, sent):
    timeout = name.endswith("Timeout")
    error = raised(getattr(httpx2, name)("no"), kind=openai.APITimeoutError if timeout else openai.APIConnectionError)
    failure = Faults(Redactor()).of_connection(error)
    assert (failure.billed, failure.kind) == (sent, Kind.TIMEOUT if timeout else Kind.CONNECTION)
    assert name in failure.error


@pytest.mark.parametrize(
    ("system", "why"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed"), "TLS: certificate verify failed"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host: [Errno -2] Name or service not known"),
        (ConnectionRefusedError(111, "Connection refused"), "refused: [Errno 111] Connection refused"),
        (ExceptionGroup("all", [ConnectionRefusedError(111, "no")]), "refused: [Errno 111] no"),
        (OSError(101, "Network is unreachable"), "it failed"),
        (None, "it failed"),
    ],
)
def test_why_nothing_can_be_reached_is_told(system, why):
    failure = Faults(Redactor()).of_connection(raised(httpx2.ConnectError("it failed"), system))
    assert why in failure.error


def test_a_cause_is_told_without_secrets():
    error = raised(httpx2.ProxyError(f"no way by http://me:word@proxy:1 with {SECRET}"))
    failure = Faults(Redactor(SecretStr(SECRET))).of_connection(error)
    assert failure.error == "the connection failed: ProxyError: no way by http://***@proxy:1 with ***"
