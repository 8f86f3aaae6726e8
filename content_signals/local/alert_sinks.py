"""A mailbox and a webhook on this machine that keep what they get: where alerts arrive in a demo and in tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol

from aiosmtpd.controller import Controller

from content_signals.local.service import free_port

HOST = "127.0.0.1"
ADDRESS = "owner@example.test"


class _Envelope(Protocol):
    rcpt_tos: list[str]
    content: bytes


@dataclass
class MailSink:
    """An SMTP server on a free port of the loopback interface. `mails` is what it got."""

    mails: list[EmailMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._controller = Controller(self, hostname=HOST, port=free_port())

    @property
    def url(self) -> str:
        """As a channel of alerts."""
        return f"mailto://{HOST}:{self._controller.port}?from=content-signals@example.test&to={ADDRESS}"

    def __enter__(self) -> MailSink:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: object, session: object, envelope: _Envelope) -> str:  # noqa: N802, the server's
        """Keep a mail."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


class WebhookSink:
    """An HTTP server on a free port of the loopback interface that takes any POST.

    Attributes:
        posts: path, with its query, and JSON of each.
        status: what it answers.
    """

    def __init__(self, status: int = 200) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.status = status
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.posts.append((self.path, json.loads(body)))
                self.send_response(sink.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the base class's name
                """A demo's output is its own."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)

    @property
    def url(self) -> str:
        """As a channel of alerts."""
        return f"http://{HOST}:{self._server.server_port}/hooks/content-signals?token=not-to-be-printed"

    def __enter__(self) -> WebhookSink:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(preferencelist=("plain", "html"))
    return "" if part is None else "\n".join(str(part.get_content()).splitlines()).strip()


def wait_until(done: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it was done in time: a server may still be at a message that its sender has finished with."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()
