"""An index of chunks, made in Milvus Lite as it is embedded and as a server, and a search in it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import SecretStr

from content_signals.local.service import free_port
from content_signals.pipeline.search_index import build_search_index
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.search import Searcher
from tests.services.search_index.topic_chunks import (
    CHUNKS_EACH,
    DAY,
    EPISODES,
    MODEL,
    TAGS,
    TEXT,
    chunks_of,
    embed,
    put,
    signals_of,
    tags_of,
)
from tests.stores import store_and_lake


@pytest.fixture(params=["embedded", "server"], scope="module")
def milvus(request, tmp_path_factory):
    """Where the document store is."""
    folder = tmp_path_factory.mktemp("milvus")
    if request.param == "embedded":
        yield str(folder)
        return
    port = free_port()
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite.cmdline", "server", "--data-dir", str(folder / "data"),
             "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(port, server):
    for _ in range(200):
        assert server.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


@pytest.fixture(scope="module")
def context(milvus):
    with store_and_lake("index") as found:
        settings = found.settings.model_copy(update={"vectors": SecretStr(milvus)})
        made = replace(found, settings=settings, say=[].append)
        put(made, "episode_chunks_v1", DAY, chunks_of(EPISODES))
        put(made, "episode_text_v1", DAY, signals_of(TEXT))
        put(made, "episode_tags_llm_v1", DAY, tags_of(TAGS))
        outcome = build_search_index(made, [DAY])
        assert outcome.details["recall"] >= 0.98
        assert outcome.rows_out == 7 * CHUNKS_EACH
        yield made


@pytest.fixture
def search(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, MODEL) as found:
        yield found
