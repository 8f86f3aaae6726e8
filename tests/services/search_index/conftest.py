"""An index of chunks, made in Milvus Lite as it is embedded and as a server, and a search in it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

from content_signals.catalog import catalog
from content_signals.lake.layout import Lake, start_run
from content_signals.local.service import free_port
from content_signals.pipeline.context import Context
from content_signals.pipeline.search_index import build_search_index
from content_signals.retrieval.documents import Documents
from content_signals.retrieval.search import Searcher
from tests.lake import promoted
from tests.services.search_index.topic_chunks import (
    CHUNKS_EACH,
    DAY,
    EPISODES,
    MODEL,
    TEXT,
    chunks_of,
    embed,
    signals_of,
)
from tests.settings import settings_in


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
def context(milvus, tmp_path_factory):
    settings = settings_in(tmp_path_factory.mktemp("platform"), vectors=milvus)
    said = []
    made = Context(settings, Lake(settings.lake), catalog(), start_run(), said.append)
    known = made.catalog
    promoted(made.lake.of(known.table("episode_chunks_v1")), DAY, chunks_of(EPISODES))
    promoted(made.lake.of(known.table("episode_text_v1")), DAY, signals_of(TEXT))
    outcome = build_search_index(made, [DAY])
    assert outcome.details["recall"] >= 0.98
    assert outcome.rows_out == 7 * CHUNKS_EACH
    return made


@pytest.fixture
def search(context):
    documents = Documents(context.settings)
    with closing(documents), Searcher(documents, context.lake, embed, MODEL) as found:
        yield found
