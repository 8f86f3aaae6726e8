"""What an endpoint refuses, says wrong or sends elsewhere, and what cannot be reached: told without a secret."""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from content_signals.llm.outcome import Status, Unanswered
from content_signals.llm.reply import Reply
from tests.llm import GOOD, run_in
from tests.llm_server import asked_at, completion, echoes_the_key, fails, hangs_up, says, scripted_server, streams

SECRET = "sk-proj-4f9a8b7c6d5e"
TEXT = json.dumps(GOOD)
ONCE = {"attempts": 1}


@pytest.fixture
def ask(tmp_path):
    """See `asked_at`; the server's calls beside what came."""
    return partial(asked_at, tmp_path)


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_filter_before_the_model_is_an_answer_and_is_not_asked_again(ask, code):
    (reply,), server = ask(fails(400, "The prompt was filtered", code=code))
    (again,), another = ask(says(completion(TEXT)))
    assert (reply.text, reply.finish_reason, reply.output_tokens, reply.estimated) == ("", "content_filter", 0, True)
    assert again == reply
    assert (len(server.calls), len(another.calls)) == (1, 0)


@pytest.mark.parametrize(
    ("act", "at", "error"),
    [
        (says(completion(TEXT) | {"choices": [{"message": {"content": TEXT}, "finish_reason": None}]}), {},
         "the answer has no finish_reason"),
        (says(completion(TEXT) | {"choices": [{"message": {"content": TEXT}}]}), {}, "the answer has no finish_reason"),
        (streams(TEXT, upto=3), {"stream": True}, "the answer has no finish_reason"),
        (says(completion(TEXT)), {"stream": True}, "no stream came, but application/json"),
    ],
)  # fmt: skip
def test_what_an_answer_lacks_is_named(ask, act, at, error):
    (found,), _ = ask(act, at=at, retry=ONCE)
    assert found.status is Status.FAILED
    assert error in found.error


def error_in_200(**error):
    return says({"error": {"message": "no such luck", **error}})


def error_in_stream(**error):
    return says(f"data: {json.dumps({'error': {'message': 'no such luck', **error}})}\n\n")


@pytest.mark.parametrize(
    ("error", "status", "calls"),
    [
        ({"code": 403}, Status.NOT_ASKED, 1),
        ({"code": "401"}, Status.NOT_ASKED, 1),
        ({"code": None, "type": "insufficient_quota"}, Status.NOT_ASKED, 1),
        ({"code": 400}, Status.REFUSED, 1),
        ({"code": "context_length_exceeded", "type": "invalid_request_error"}, Status.REFUSED, 1),
        ({"code": 429}, Status.FAILED, 3),
        ({"code": "rate_limit_exceeded"}, Status.FAILED, 3),
        ({"code": 502}, Status.FAILED, 3),
        ({"code": "what_is_this"}, Status.FAILED, 3),
        ({}, Status.FAILED, 3),
    ],
)
@pytest.mark.parametrize("act", [error_in_200, error_in_stream])
def test_an_error_that_comes_as_an_answer_is_read_as_that_error(ask, tmp_path, act, error, status, calls):
    at = {"stream": act is error_in_stream}
    (found,), server = ask(act(**error), at=at)
    assert (found.status, len(server.calls)) == (status, calls)
    assert "an error in place of an answer: " in found.error
    assert "no such luck" in found.error
    # In a stream, or without a code that is known, nobody knows what was paid.
    unknown = act is error_in_stream or error in ({}, {"code": "what_is_this"})
    assert (spent_in(tmp_path)[1] > 0) is unknown


@pytest.mark.parametrize("act", [error_in_200, error_in_stream])
def test_a_filter_that_comes_as_an_answer_is_an_answer(ask, act):
    (reply,), _ = ask(act(code="content_filter"), at={"stream": act is error_in_stream})
    assert (reply.text, reply.finish_reason) == ("", "content_filter")


def spent_in(folder):
    """Calls, tokens and micro-units of money that the ledger has of the run."""
    ledger = run_in(folder).ledger.open()
    spent = ledger.update("default", lambda state, now: state).budgets["run-1"]
    ledger.close()
    return spent.calls, spent.tokens, spent.micros


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/v1", "refused: "),
        ("http://no-such-host.invalid/v1", "unknown host: "),
        ("https://127.0.0.1:{port}/v1", "TLS: "),
    ],
)
def test_where_nobody_can_be_reached_it_is_said_why_and_nothing_was_paid(ask, tmp_path, url, why):
    plain = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # answers whatever comes, TLS too
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    at = {"base_url": url.format(port=plain.server_port)}
    (found,), _ = ask(says(completion(TEXT)), at=at, retry=ONCE)
    plain.shutdown()
    plain.server_close()
    assert found.status is Status.FAILED
    assert found.error.startswith(f"1 attempts; the last: the connection failed: ConnectError: {why}")
    assert spent_in(tmp_path) == (1, 0, 0)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirection_is_not_followed_and_ends_the_run(ask, tmp_path, status, stream):
    with scripted_server(says(completion(TEXT))) as elsewhere:
        to = elsewhere.url.replace("://", "://me:word@") + f"/chat?key={SECRET}"
        at = {"stream": stream, "key_name": "K"}
        (found,), server = ask(says("", status, location=to), at=at, environment={"K": SECRET})
    assert (found.status, elsewhere.calls, len(server.calls)) == (Status.NOT_ASKED, [], 1)
    assert f"HTTP {status}: redirected to 127.0.0.1;" in found.error
    assert not any(secret in found.error for secret in (SECRET, "word", "/chat"))
    assert spent_in(tmp_path) == (1, 0, 0)


@pytest.mark.parametrize(
    ("headers", "host"),
    [({}, "nowhere"), ({"location": "/v2/"}, "127.0.0.1"), ({"location": "//other.example:8/"}, "other.example"),
     ({"location": "https://[bad"}, "what is no URL")],
)  # fmt: skip
def test_a_redirection_names_its_host(ask, headers, host):
    (found,), _ = ask(says("", 307, **headers))
    assert f"redirected to {host};" in found.error


def test_a_proxy_of_the_environment_is_used(ask, monkeypatch):
    with scripted_server(says(completion(TEXT))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        (reply,), _ = ask(hangs_up(), at={"base_url": "http://models.invalid/v1"}, retry=ONCE)
    assert isinstance(reply, Reply)
    assert [call.path for call in proxy.calls] == ["http://models.invalid/v1/chat/completions"]


@pytest.mark.parametrize(
    ("act", "status", "error"),
    [
        (fails(400, "the schema has a keyword I do not know", "invalid_schema"), Status.REFUSED, "invalid_schema: "),
        (fails(422, "no"), Status.REFUSED, "HTTP 422"),
        (fails(401, "who are you"), Status.NOT_ASKED, "HTTP 401"),
        (fails(404, "no such model", "model_not_found"), Status.NOT_ASKED, "model_not_found"),
        (fails(429, "you are out of money", "insufficient_quota"), Status.NOT_ASKED, "insufficient_quota"),
        (says("no", 403), Status.NOT_ASKED, "HTTP 403"),
        (
            says({"error": {"message": "out of money", "type": "insufficient_quota", "code": None}}, 429),
            Status.NOT_ASKED,
            "insufficient_quota: out of money",
        ),
        (says({"detail": [{"loc": ["body"], "msg": "field required"}]}, 422), Status.REFUSED, "field required"),
        (says({"detail": "x" * 500}, 422), Status.REFUSED, "x" * 180),
        (says({"message": "bad grammar", "code": 400}, 400), Status.REFUSED, "400: bad grammar"),
        (says({"error": "bad thing"}, 400), Status.REFUSED, "HTTP 400: bad thing"),
    ],
)
def test_what_would_be_refused_again_is_not_asked_again(ask, act, status, error):
    (found,), server = ask(act)
    assert isinstance(found, Unanswered)
    assert found.status is status
    assert error in found.error
    assert len(found.error) < 300
    assert len(server.calls) == 1


@pytest.mark.parametrize("act", [echoes_the_key(401), echoes_the_key(400), echoes_the_key(500)])
def test_the_key_is_sent_and_is_in_no_error_row_or_log(ask, caplog, capsys, monkeypatch, act):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses-key")
    (found,), server = ask(act, at={"key_name": "MY_KEY"}, environment={"MY_KEY": SECRET}, retry=ONCE)
    assert server.calls[0].headers["authorization"] == f"Bearer {SECRET}"
    everything = f"{found!r} {caplog.text} {capsys.readouterr()}"
    assert SECRET not in everything
    assert "elses" not in f"{everything} {server.calls}"
    assert "***" in found.error


def test_the_key_is_in_no_body_that_is_shown(ask):
    act = says({"detail": [{"input": {"headers": f"Authorization: Bearer {SECRET}"}, "x": SECRET}]}, 422)
    (found,), _ = ask(act, at={"key_name": "MY_KEY"}, environment={"MY_KEY": SECRET})
    assert SECRET not in found.error
    assert "***" in found.error


def test_half_a_character_in_an_error_is_no_end_of_a_row(ask):
    (found,), _ = ask(says('{"error": {"message": "no \\ud83d"}}', 400))
    assert found.status is Status.REFUSED
    assert found.error.encode().endswith(b"no ?")
