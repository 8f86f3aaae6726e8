"""Connections that threads share: the right answer to each, whatever happened to them before."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import redis

from content_signals.features.connections import Connections
from content_signals.features.wire import bulk
from tests.services.conftest import BOTH_STORES

FORKED = """
import os, sys
from content_signals.features.connections import Connections
from content_signals.features.wire import bulk
one = Connections(sys.argv[1], 2, 5.0)
one.exchange(b"*1\\r\\n" + bulk(b"PING"), 1)
child = os.fork()
own = str(os.getpid()).encode()
right = all(one.exchange(b"*2\\r\\n" + bulk(b"ECHO") + bulk(own), 1) == [own] for _ in range(500))
if child == 0:
    os._exit(0 if right else 1)
sys.exit(0 if right and os.waitpid(child, 0)[1] == 0 else 1)
"""


def echo(*texts: bytes) -> bytes:
    return b"".join(b"*2\r\n" + bulk(b"ECHO") + bulk(text) for text in texts)


@pytest.fixture
def connections(store, store_settings):
    made = []

    def connect(most: int = 2, timeout: float = 1.0) -> Connections:
        made.append(Connections(store_settings.online_store.get_secret_value(), most, timeout))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@BOTH_STORES
def test_one_that_the_store_has_closed_is_made_anew(connections, store):
    one = connections()
    assert one.exchange(echo(b"a", b"b"), 2) == [b"a", b"b"]
    store.client_kill_filter(_type="normal", skipme=True)
    assert one.exchange(echo(b"c"), 1) == [b"c"]


def test_calls_one_after_the_other_share_one(connections, store):
    before, one = len(store.client_list()), connections(most=8)
    for n in range(20):
        assert one.exchange(echo(b"%d" % n), 1) == [b"%d" % n]
    assert len(store.client_list()) == before + 1
    one.close()
    assert len(store.client_list()) == before
    assert one.exchange(echo(b"again"), 1) == [b"again"]


def test_after_an_error_the_next_answer_is_the_right_one(connections, store):
    store.set("text", "x")
    one = connections(most=1)
    wrong = b"*2\r\n" + bulk(b"LLEN") + bulk(b"text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        one.exchange(wrong + echo(b"left behind"), 2)
    assert one.exchange(echo(b"a"), 1) == [b"a"]


def test_a_call_waits_for_a_free_one_and_not_for_ever(connections, store):
    """Of three calls to a silent store, half a second each, the second has the connection when the first gives up."""
    one, raised = connections(most=1, timeout=0.5), []

    def call() -> None:
        with pytest.raises(redis.RedisError) as error:
            one.exchange(echo(b"a"), 1)
        raised.append(error)

    store.client_pause(3000)
    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    store.client_unpause()
    kinds = [error.type for error in raised]
    assert sorted(kinds, key=str) == [redis.ConnectionError, redis.TimeoutError, redis.TimeoutError]
    refused = raised[kinds.index(redis.ConnectionError)]
    assert "none of 1 connections became free in 0.5 s" in str(refused.value)
    assert one.exchange(echo(b"b"), 1) == [b"b"]


def test_no_more_than_so_many_at_a_time(connections, store):
    before, one, seen = len(store.client_list()), connections(most=3, timeout=5.0), []

    def read(own: bytes) -> None:
        seen.extend(one.exchange(echo(own), 1) == [own] for _ in range(200))

    threads = [threading.Thread(target=read, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 1600
    assert len(store.client_list()) <= before + 3


def test_a_forked_process_has_its_own(store_settings, store):
    url = store_settings.online_store.get_secret_value()
    assert subprocess.run([sys.executable, "-c", FORKED, url], timeout=60).returncode == 0
