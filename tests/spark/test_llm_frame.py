"""Outcomes in Spark: one row an item, the same limits for all partitions, and no call paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from content_signals.llm.frame import OUTCOME_SCHEMA, REPLY_SCHEMA, asked, judged, reply_key
from content_signals.llm.task import Task
from tests.llm import GOOD, Told, prompt_in, run_in
from tests.llm_server import completion, drips, fails, says, scripted_server

pytestmark = pytest.mark.spark

SCHEMA = "content_id string, transcript string"
TEXT = json.dumps({**GOOD, "topics": [{"quote": "ate noodles in the rain", "label": "food"}]})
RETRY = {"attempts": 2, "first_seconds": 0.01, "max_seconds": 0.05}


def notes(count):
    texts = [f"They ate noodles in the rain, for the {n}th time." for n in range(count)]
    return [(hashlib.sha256(text.encode()).hexdigest(), text) for text in texts]


@pytest.fixture
def contents(spark):
    return lambda rows, parts=4: spark.createDataFrame(rows, SCHEMA).repartition(parts)


def run_at(server, folder, **changes):
    return run_in(folder, at={"base_url": server.url}, **{"retry": RETRY, **changes})


def test_each_item_is_one_row_with_all_that_a_call_brought(contents, tmp_path):
    rows = [*notes(6), ("empty", " "), ("null", None)]
    with scripted_server(says(completion(TEXT))) as server:
        run = run_at(server, tmp_path)
        frame = asked(contents(rows), run)
        assert frame.columns == OUTCOME_SCHEMA.names
        found = {row.content_id: row for row in frame.collect()}
    assert set(found) == {content_id for content_id, _ in rows}
    assert (found["empty"].status, found["null"].status) == ("empty", "empty")
    assert found["null"].raw is None
    for content_id, text in notes(6):
        row = found[content_id]
        assert (row.status, row.error, row.raw, row.prompt_tokens) == ("ok", None, TEXT, 100)
        assert (row.output_tokens, row.cost_micros, row.served_by, row.attempts) == (10, 300, "scripted fp_1", 1)
        assert json.loads(row.answer)["summary"] == "Noodles."
        (evidence,) = json.loads(row.evidence)
        assert text[evidence["start"] : evidence["end"]] == evidence["quote"] == "ate noodles in the rain"
        assert row.reply_key == run.identity.key(content_id)
    assert len(server.calls) == 6


def test_computing_a_frame_again_calls_nobody(contents, tmp_path):
    with scripted_server(says(completion(TEXT))) as server:
        frame = asked(contents(notes(10)), run_at(server, tmp_path))
        first, second = frame.orderBy("content_id").collect(), frame.orderBy("content_id").collect()
        asked(contents(notes(12), parts=2), run_at(server, tmp_path)).count()
    assert first == second
    assert len(server.calls) == 12, "ten, and the two that are new"


def test_a_changed_prompt_calls_for_what_it_changes(contents, tmp_path):
    with scripted_server(says(completion(TEXT))) as server:
        rows = contents(notes(5))
        asked(rows, run_at(server, tmp_path)).count()
        run = run_at(server, tmp_path)
        renamed = replace(run, task=Task(prompt_in(tmp_path, ("owner: somebody", "owner: else")), Told))
        asked(rows, renamed).count()
        assert len(server.calls) == 5, "whose prompt it is, no model is shown"
        changed = replace(run, task=Task(prompt_in(tmp_path, ("Say what", "Tell what")), Told))
        asked(rows, changed).count()
        assert len(server.calls) == 10
        asked(rows, run_at(server, tmp_path)).count()
        assert len(server.calls) == 10, "back at the first prompt, all of it is known"


def test_a_task_that_dies_after_its_calls_does_not_pay_again(contents, tmp_path):
    """What Spark does when a worker is lost: everything of its partition is computed again."""
    marker = tmp_path / "died"

    def dies_once(batches):
        for number, batch in enumerate(batches):
            if number == 0 and not marker.exists():
                marker.touch()
                os._exit(1)
            yield batch

    with scripted_server(says(completion(TEXT))) as server:
        frame = asked(contents(notes(20), parts=1), run_at(server, tmp_path))
        dying = frame.mapInArrow(dies_once, frame.schema)
        with pytest.raises((PySparkException, Py4JJavaError)):
            dying.collect()
        assert marker.exists()
        paid = len(server.calls)
        assert paid > 0
        assert dying.count() == 20
    assert len(server.calls) == 20
    assert len({json.dumps(call.body) for call in server.calls}) == 20


def test_partitions_share_limits_and_a_budget(contents, tmp_path):
    with scripted_server(drips(completion(TEXT), 0.0005)) as server:
        run = run_at(server, tmp_path, limits={"concurrency": 2}, budget={"calls": 9})
        rows = asked(contents(notes(20), parts=6), run).collect()
    assert server.most <= 2
    assert len(server.calls) == 9
    statuses = [row.status for row in rows]
    assert (statuses.count("ok"), statuses.count("not_asked")) == (9, 11)
    assert all("budget" in row.error for row in rows if row.status == "not_asked")


def test_one_bad_item_fails_no_batch(contents, tmp_path):
    rows = notes(8)

    async def by_what_is_asked(writer, call):
        asked_about = call.body["messages"][-1]["content"]
        bad = any(f"for the {n}th" in asked_about for n in (2, 5))
        await (fails(400, "no") if bad else says(completion(TEXT)))(writer, call)

    with scripted_server(by_what_is_asked) as server:
        found = {row.content_id: row for row in asked(contents(rows), run_at(server, tmp_path)).collect()}
    assert [found[content_id].status for content_id, _ in rows] == [
        "refused" if n in (2, 5) else "ok" for n in range(8)
    ]
    assert found[rows[2][0]].error == "HTTP 400: no"


def test_a_transcript_of_days_is_not_read(contents, tmp_path):
    with scripted_server(says(completion(TEXT))) as server:
        (row,) = asked(contents([("a" * 64, "word " * 4_000_001)]), run_at(server, tmp_path)).collect()
    assert (row.status, row.error) == ("too_long", "the transcript has 20000005 characters, more than 20000000")
    assert server.calls == []


def test_kept_replies_are_judged_without_a_call(contents, tmp_path):
    with scripted_server(says(completion(TEXT))) as server:
        run = run_at(server, tmp_path)
        rows = contents(notes(5))
        first = asked(rows, run).orderBy("content_id")
        kept = first.select("content_id", *REPLY_SCHEMA.names).collect()
        kept = rows.sparkSession.createDataFrame(kept, first.select("content_id", *REPLY_SCHEMA.names).schema)
        again = judged(rows.join(kept, on="content_id"), run).orderBy("content_id")
        assert again.collect() == first.collect()
    assert len(server.calls) == 5


def test_the_name_of_a_reply_is_made_by_sql_too(contents, tmp_path):
    run = run_in(tmp_path)
    rows = contents(notes(3)).select("content_id", reply_key(run).alias("key")).collect()
    assert {row.key for row in rows} == {run.identity.key(row.content_id) for row in rows}


def test_types_in_spark_are_those_of_the_rows(contents, tmp_path):
    frame = asked(contents(notes(1)), run_in(tmp_path))
    types = {"string": "string", "bool": "boolean", "int64": "bigint"}
    assert dict(frame.dtypes) == {field.name: types[str(field.type)] for field in OUTCOME_SCHEMA}
