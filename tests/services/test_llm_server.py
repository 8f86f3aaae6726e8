"""The client against a server that answers by a script: busy, late, half, wrong, slow. See test_llm_faults, too."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from functools import partial

import pytest

from content_signals.errors import UsageError
from content_signals.llm.outcome import Status
from content_signals.llm.reply import Reply
from content_signals.llm.worker import Worker
from tests.llm import GOOD, item, run_in
from tests.llm_server import (
    QUICK,
    asked_at,
    breaks_off,
    completion,
    drips,
    fails,
    hangs_up,
    says,
    scripted_server,
    silent,
    streams,
)

SECRET = "sk-proj-4f9a8b7c6d5e"
TEXT = json.dumps(GOOD)
ONCE = {"attempts": 1}


@pytest.fixture
def ask(tmp_path):
    """See `asked_at`; the server's calls beside what came."""
    return partial(asked_at, tmp_path)


def test_a_good_answer_is_a_reply(ask):
    (reply,), server = ask(says(completion(TEXT)))
    assert (reply.text, reply.finish_reason, reply.refused) == (TEXT, "stop", False)
    assert (reply.prompt_tokens, reply.output_tokens, reply.estimated, reply.cost_micros) == (100, 10, False, 300)
    assert (reply.model, reply.attempts) == ("scripted fp_1", 1)
    assert abs(reply.asked_at / 1e6 - time.time()) < 60
    (call,) = server.calls
    assert call.path == "/v1/chat/completions"
    assert call.body["max_tokens"] == 100
    assert call.body["messages"][0] == {"role": "system", "content": "Say what the note is about."}
    assert list(call.body["response_format"]["json_schema"]["schema"]["properties"]) == ["topics", "summary"]


def test_a_streamed_answer_is_the_same_reply(ask):
    (reply,), server = ask(streams(TEXT), at={"stream": True})
    assert json.loads(reply.text) == GOOD
    assert (reply.prompt_tokens, reply.output_tokens, reply.estimated, reply.finish_reason) == (100, 10, False, "stop")
    assert server.calls[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": "many", "completion_tokens": 1},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 2**64 - 1, "completion_tokens": 1},  # no column keeps it
    ],
)
def test_tokens_that_nobody_counted_are_estimated_and_said_to_be(ask, usage):
    (reply,), _ = ask(says(completion(TEXT, usage=usage)))
    assert reply.estimated
    assert reply.output_tokens == -(-len(TEXT) // 3)
    assert reply.cost_micros == 2 * reply.prompt_tokens + 10 * reply.output_tokens


def test_a_busy_endpoint_is_asked_again_when_it_says(ask):
    began = time.monotonic()
    (reply,), server = ask(fails(429, "slow down", retry_after="1"), says(completion(TEXT)))
    assert isinstance(reply, Reply)
    assert (reply.attempts, len(server.calls)) == (2, 2)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    "fault",
    [
        fails(500),
        fails(503, retry_after="0"),
        says("<html>bad gateway</html>", 502),
        says("<html>all is well</html>"),
        says("null"),
        says("[]"),
        says({}),
        says(completion(TEXT) | {"choices": []}),
        says(completion(TEXT) | {"choices": [{"message": None, "finish_reason": "stop"}]}),
        says(completion(TEXT) | {"choices": [{"message": {"content": TEXT}, "finish_reason": None}]}),
        says(completion(TEXT) | {"choices": [{"message": {"content": [1]}, "finish_reason": "stop"}]}),
        says(completion(TEXT) | {"choices": [{"message": {"content": [{"type": "x"}]}, "finish_reason": "stop"}]}),
        says(json.dumps(completion(TEXT))[:-40]),
        breaks_off(completion(TEXT)),
        breaks_off(completion(TEXT), share=0),
        hangs_up(),
        silent(5),
        drips(completion(TEXT), 0.05),
    ],
    ids=range(18),
)
def test_a_fault_of_the_server_is_tried_again(ask, fault):
    (reply,), server = ask(fault, says(completion(TEXT)), at={"call_seconds": 1.0})
    assert isinstance(reply, Reply), reply
    assert (reply.text, reply.attempts, len(server.calls)) == (TEXT, 2, 2)


@pytest.mark.parametrize(
    "fault",
    [
        streams(TEXT, upto=3),
        streams(TEXT, upto=0),
        streams(TEXT, upto=3, error="the model fell over"),
        streams(TEXT, pause=0.5),
        says(completion(TEXT)),
        says("data: {broken\n\n"),
        fails(500),
        silent(5),
    ],
    ids=range(8),
)
def test_a_stream_that_ends_early_stalls_or_is_none_is_tried_again(ask, fault):
    (reply,), server = ask(fault, streams(TEXT), at={"stream": True, "call_seconds": 1.0})
    assert isinstance(reply, Reply), reply
    assert (json.loads(reply.text), reply.attempts, len(server.calls)) == (GOOD, 2, 2)


def test_an_answer_in_parts_of_text_is_joined(ask):
    half = len(TEXT) // 2
    parts = [{"type": "text", "text": TEXT[:half]}, {"type": "text", "text": TEXT[half:]}]
    body = completion(TEXT) | {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}
    (reply,), _ = ask(says(body))
    assert reply.text == TEXT


def test_silence_in_a_stream_is_noticed_before_the_call_has_to_end(ask):
    began = time.monotonic()
    (reply,), _ = ask(
        streams(TEXT, pause=9), streams(TEXT), at={"stream": True, "call_seconds": 9, "stall_seconds": 0.3}
    )
    assert isinstance(reply, Reply)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("fault", "billed"), [(fails(503), False), (silent(5), True), (breaks_off(completion(TEXT)), True)]
)
def test_what_may_have_been_paid_for_counts(ask, tmp_path, fault, billed):
    (found,), _ = ask(fault, at={"call_seconds": 0.5}, retry=ONCE)
    assert found.status is Status.FAILED
    ledger = run_in(tmp_path).ledger.open()
    spent = ledger.update("default", lambda state, now: state).budgets["run-1"]
    ledger.close()
    assert (spent.tokens > 100) is billed
    assert (spent.micros > 0) is billed
    assert spent.calls == 1


def test_a_reply_that_repeats_the_key_is_kept_without_it(ask):
    (reply,), _ = ask(says(completion(f"your key is {SECRET}")), at={"key_name": "K"}, environment={"K": SECRET})
    assert reply.text == "your key is ***"


def test_another_key_in_the_environment_is_not_sent(ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    _, server = ask(says(completion(TEXT)))
    assert SECRET not in str(server.calls)


def test_without_its_key_nobody_is_asked(ask):
    with pytest.raises(UsageError, match="no MY_KEY"):
        ask(says(completion(TEXT)), at={"key_name": "MY_KEY"})


def test_half_a_character_is_no_end_of_a_reply(ask):
    (reply,), _ = ask(says(json.dumps(completion("x")).replace('"content": "x"', '"content": "\\ud800x"')))
    assert reply.text == "?x"


@pytest.mark.parametrize("message", [{"content": None, "refusal": "I will not."}, {"refusal": "I will not."}])
def test_a_refusal_is_a_reply(ask, message):
    body = completion("") | {"choices": [{"message": message, "finish_reason": "stop"}]}
    (reply,), _ = ask(says(body))
    assert (reply.refused, reply.text) == (True, "I will not.")


def test_limits_hold_on_the_wire(ask):
    notes = [f"Note number {n} about noodles." for n in range(12)]
    found, server = ask(drips(completion(TEXT), 0.0005), notes=notes, limits={"concurrency": 3})
    assert all(isinstance(one, Reply) for one in found)
    assert (len(server.calls), server.most) == (12, 3)


def test_one_bad_item_fails_nothing_else(tmp_path):
    """A worker's whole way: items of which each goes wrong in another manner, and a good one between any two."""
    notes = [f"They ate noodles in the rain, for the {n}th time." for n in range(9)]
    good = json.dumps({**GOOD, "topics": [{"quote": "ate noodles in the rain", "label": "food"}]})
    by_note = {
        1: says(completion("Certainly! Here is the JSON.")),
        3: says(completion(json.dumps({**GOOD, "summary": "x" * 99}))),
        5: says(completion(json.dumps({**GOOD, "topics": [{"quote": "they never ate noodles", "label": "food"}]}))),
        7: fails(400, "I do not like this one"),
    }

    async def by_what_is_asked(writer, call):
        asked = call.body["messages"][-1]["content"]
        (number,) = (n for n, note in enumerate(notes) if note in asked)
        await by_note.get(number, says(completion(good)))(writer, call)

    with scripted_server(by_what_is_asked) as server:
        run = run_in(tmp_path, at={"base_url": server.url}, retry=QUICK)
        with Worker(run) as worker:
            found = {one.transcript: outcome for one, outcome in worker.outcomes([*map(item, notes), item(" \n")])}
    statuses = [found[note].status.value for note in notes]
    assert statuses == ["ok", "unparsed", "ok", "invalid", "ok", "ungrounded", "ok", "refused", "ok"]
    assert found[" \n"].status is Status.EMPTY
    assert found[notes[1]].reply.text == "Certainly! Here is the JSON."
    assert all(found[notes[n]].reply.prompt_tokens == 100 for n in (1, 3, 5))
    assert all(found[notes[n]].error for n in (1, 3, 5, 7))


def test_a_transcript_without_a_word_is_not_asked_about(tmp_path):
    notes = ["", " \n", "\u200b", "\ufeff", "\x00", "…", "-- ** --", "🔥", "1", "д"]
    with scripted_server(says(completion(TEXT))) as server:
        run = run_in(tmp_path, at={"base_url": server.url}, retry=ONCE)
        with Worker(run) as worker:
            found = {one.transcript: outcome.status for one, outcome in worker.outcomes(map(item, notes))}
    assert [found[note] for note in notes] == [Status.EMPTY] * 8 + [Status.UNGROUNDED] * 2
    assert len(server.calls) == 2


def test_answers_that_come_while_the_reader_is_busy_are_no_late_ones(tmp_path):
    """Whoever reads the outcomes may take longer over a row than a call may take."""
    with scripted_server(says(completion(TEXT))) as server:
        run = run_in(tmp_path, at={"base_url": server.url, "call_seconds": 0.5}, retry=ONCE)
        run = replace(run, at_once=2)
        with Worker(run) as worker:
            statuses = []
            for _, outcome in worker.outcomes(
                item(f"They ate noodles in the rain, and nobody minded. {n}") for n in range(4)
            ):
                time.sleep(0.8)
                statuses.append(outcome.status)
    assert statuses == [Status.OK] * 4
    assert len(server.calls) == 4


def test_a_worker_that_is_broken_off_ends_its_calls(tmp_path):
    with scripted_server(silent(60)) as server:
        run = run_in(tmp_path, at={"base_url": server.url})
        with Worker(run) as worker:
            outcomes = worker.outcomes([item()])
            reader = asyncio.new_event_loop()
            reader.run_in_executor(None, lambda: next(outcomes, None))
            while not server.calls:
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        reader.close()
    ledger = run.ledger.open()
    state = ledger.update("default", lambda state, now: state)
    ledger.close()
    assert (state.leases, state.budgets["run-1"].calls) == ({}, 1)
