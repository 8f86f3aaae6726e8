"""Ledgers: a file and a Redis, used by several processes at once: nothing is granted, claimed or counted twice."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace

import pytest
import redis

from content_signals.llm.ledger.file import FileLedger
from content_signals.llm.ledger.limits import Ask, Breaker, Budget, Granted, Limits, Rules, Stop
from content_signals.llm.ledger.server import ServerLedger
from content_signals.llm.ledger.state import Result, reserve, settle
from content_signals.llm.ledger.store import LedgerAt, LedgerError, Mine, Taken
from content_signals.llm.reply import Reply
from tests.servers import redis_server

REPLY = Reply("k1", "c1", "text", "stop", False, 3, 2, False, 7, "m", 1, 2, 1)
URL_NAME = "LLM_LEDGER_URL"
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def server():
    with redis_server() as url:
        yield url


@pytest.fixture(params=["file", "server"])
def at(request, tmp_path, monkeypatch):
    """Where a ledger is, which is empty."""
    if request.param == "file":
        return LedgerAt(path=str(tmp_path / "deep" / "ledger.sqlite"))
    url = request.getfixturevalue("server")
    redis.Redis.from_url(url).flushall()
    monkeypatch.setenv(URL_NAME, url)
    return LedgerAt(url_name=URL_NAME)


@pytest.fixture
def ledger(at):
    made = at.open()
    yield made
    made.close()


def test_a_key_is_claimed_by_one_and_given_back(ledger):
    assert ledger.look("k1") is None
    assert ledger.claim("k1", "a", 60) == Mine()
    assert ledger.claim("k1", "a", 60) == Mine()
    assert ledger.claim("k1", "b", 60) == Taken()
    assert ledger.look("k1") == Taken()
    ledger.release("k1", "b")
    assert ledger.claim("k1", "b", 60) == Taken(), "nobody gives up another's claim"
    ledger.release("k1", "a")
    assert ledger.look("k1") is None
    assert ledger.claim("k1", "b", 60) == Mine()


def test_a_claim_runs_out(ledger):
    ledger.claim("k1", "a", 0.2)
    assert ledger.claim("k1", "b", 60) == Taken()
    time.sleep(0.3)
    assert ledger.look("k1") is None
    assert ledger.claim("k1", "b", 60) == Mine()
    ledger.release("k1", "a")
    assert ledger.claim("k1", "c", 60) == Taken()


def test_the_first_reply_is_kept_and_ends_the_claim(ledger, at):
    ledger.claim("k1", "a", 60)
    assert ledger.keep(REPLY, "a") == REPLY
    other = at.open()
    assert other.look("k1") == other.claim("k1", "b", 60) == REPLY
    assert other.keep(replace(REPLY, text="another"), "b") == REPLY
    other.forget(["k1", "k2"])
    assert ledger.look("k1") is None
    other.close()


def opened(path, begin, told) -> None:
    begin.wait()
    try:
        ledger = FileLedger(path)
        ledger.claim(str(multiprocessing.current_process().pid), "a", 60)
        ledger.close()
        told.put(None)
    except LedgerError as error:
        told.put(str(error))


def test_many_open_a_new_file_at_once(tmp_path):
    for n in range(40):  # without waiting, one in ten failed
        begin, told = FORK.Barrier(4), FORK.Queue()
        workers = [FORK.Process(target=opened, args=(tmp_path / f"{n}.sqlite", begin, told)) for _ in range(4)]
        for worker in workers:
            worker.start()
        assert [told.get(timeout=60) for _ in workers] == [None] * 4
        for worker in workers:
            worker.join()


def test_nothing_of_what_is_erased_is_left_in_the_file_nor_beside_it(tmp_path):
    ledger = FileLedger(tmp_path / "ledger.sqlite")
    ledger.keep(replace(REPLY, text="what the model said of it " * 500), "a")
    ledger.keep(replace(REPLY, key="k2", text="another"), "a")
    ledger.forget(["k1"])
    assert b"what the model said" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert ledger.look("k2") is not None
    ledger.close()


def test_a_change_that_raises_changes_nothing(ledger):
    def change(state, now):
        state.failures = 5
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ledger.update("e", change)
    assert ledger.update("e", lambda state, now: state.failures) == 0
    ledger.update("e", lambda state, now: setattr(state, "failures", 2))
    assert ledger.update("e", lambda state, now: state.failures) == 2
    assert ledger.update("other", lambda state, now: state.failures) == 0


def test_the_time_is_now(ledger):
    assert abs(ledger.update("e", lambda state, now: now) - time.time()) < 2


RULES = Rules(Limits(concurrency=3), Budget(name="r", calls=60, tokens=10_000), Breaker())


def work(at, number, log):
    """A worker: calls until the budget is spent, noting when each begins and ends."""
    ledger = at.open()
    for turn in range(1000):
        lease = f"{number}-{turn}"
        ask = Ask(lease, 10, 0, 60.0)
        decision = ledger.update("e", lambda state, now, ask=ask: reserve(state, now, ask, RULES))
        if isinstance(decision, Stop):
            break
        if isinstance(decision, Granted):
            with log.open("a") as out:
                out.write("+\n")
            time.sleep(0.002)
            with log.open("a") as out:
                out.write("-\n")
            ledger.update(
                "e",
                lambda state, now, lease=lease: settle(
                    state, now, lease, RULES, tokens=4, micros=0, result=Result.GOOD
                ),
            )
        else:
            time.sleep(0.002)
    ledger.close()


def test_processes_share_places_and_a_budget(at, tmp_path):
    log = tmp_path / "log"
    workers = [FORK.Process(target=work, args=(at, n, log)) for n in range(6)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    assert [one.exitcode for one in workers] == [0] * 6
    level = most = 0
    for mark in log.read_text().split():
        level += 1 if mark == "+" else -1
        most = max(most, level)
    assert log.read_text().count("+") == 60
    assert most <= 3
    ledger = at.open()
    spent = ledger.update("e", lambda state, now: state.budgets["r"])
    ledger.close()
    assert (spent.calls, spent.tokens) == (60, 240)


def race(at, start, number, results):
    """Claim fifty keys with the others; keep a reply for each that was won."""
    ledger = at.open()
    start.wait()
    for key in range(50):
        if ledger.claim(f"k{key}", f"owner-{number}", 60) == Mine():
            results.put(key)
            ledger.keep(replace(REPLY, key=f"k{key}", text=str(number)), f"owner-{number}")
    ledger.close()


def test_of_processes_that_claim_the_same_keys_each_key_has_one_winner(at):
    start, results = FORK.Barrier(4), FORK.SimpleQueue()
    workers = [FORK.Process(target=race, args=(at, start, n, results)) for n in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    assert [one.exitcode for one in workers] == [0] * 4
    won = []
    while not results.empty():
        won.append(results.get())
    assert sorted(won) == list(range(50))


def dies(at):
    """A worker that is killed between two statements of a change."""
    import os

    ledger = at.open()
    ledger.keep(REPLY, "a")
    ledger.update("e", lambda state, now: os._exit(9))


def test_a_worker_that_is_killed_leaves_whole_replies_and_no_lock(at, ledger):
    worker = FORK.Process(target=dies, args=(at,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 9
    assert ledger.look("k1") == REPLY
    ledger.update("e", lambda state, now: setattr(state, "failures", 1))
    assert ledger.update("e", lambda state, now: state.failures) == 1


def test_a_file_that_is_none_is_said_to_be_none(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database, and it is long enough to be seen as none" * 20)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite does not take a write"):
        FileLedger(tmp_path / "ledger.sqlite")


def test_a_server_that_goes_away_is_said_to_be_gone():
    with redis_server() as url:
        ledger = ServerLedger(redis.Redis.from_url(url, decode_responses=True))
        ledger.claim("k1", "a", 60)
    with pytest.raises(LedgerError, match="does not answer") as told:
        ledger.look("k1")
    assert "pass" not in str(told.value)


def test_many_writers_of_one_server_all_get_through(server):
    """Each change of a hundred by each of four processes is there: none overwrites another."""
    redis.Redis.from_url(server).flushall()
    workers = [FORK.Process(target=counts, args=(server,)) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    ledger = ServerLedger(redis.Redis.from_url(server, decode_responses=True))
    assert ledger.update("e", lambda state, now: state.failures) == 400


def counts(url):
    ledger = ServerLedger(redis.Redis.from_url(url, decode_responses=True))
    for _ in range(100):
        ledger.update("e", lambda state, now: setattr(state, "failures", state.failures + 1))
