"""Chunks of episodes in Spark: every transcript's, once, with where they stand in it and what they mean."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from content_signals.models import minilm
from content_signals.quality.suite import read_suite
from content_signals.signals.episode_chunks import compute as family
from content_signals.signals.episode_chunks.compute import NOTHING_SAID, TOGETHER, compute, place
from content_signals.signals.episode_chunks.contract import EPISODE_CHUNKS_V1
from tests.transcripts import TRANSCRIPTS, real_transcripts

pytestmark = pytest.mark.spark

DAY, NEXT_DAY = date(2024, 3, 1), date(2024, 3, 2)
LONG = "\n\n".join(f"**Ada:** Number {n} is said now. It is a number like any other." for n in range(100))
CONTENTS = [("aa", "**Ada:** Tea is hot. **Ada** likes it."), ("bb", ""), ("cc", None), ("dd", LONG)]
GOOD = ["chunk_index", "start_char", "end_char", "text", "embedding", "model"]


@pytest.fixture(scope="module")
def found(spark):
    return compute(spark.createDataFrame(CONTENTS, "content_id string, transcript string")).collect()


def test_a_short_transcript_is_one_chunk(found):
    (row,) = [row for row in found if row.content_id == "aa"]
    text = CONTENTS[0][1]
    assert (row.chunk_index, row.start_char, row.end_char, row.text) == (0, 0, len(text), text)
    assert (row.model, row.reason) == (minilm.MODEL_ID, None)


def test_vectors_are_of_the_words_without_the_speakers(found):
    (row,) = [row for row in found if row.content_id == "aa"]
    assert np.array_equal(np.float32(row.embedding), minilm.embed(["Tea is hot. Ada likes it."])[0])


def test_a_transcript_in_which_nothing_is_said_is_one_row_with_the_reason(found):
    silent = [row for row in found if row.content_id in ("bb", "cc")]
    assert [(row.content_id, row.reason) for row in silent] == [("bb", NOTHING_SAID), ("cc", NOTHING_SAID)]
    assert all(row[name] is None for row in silent for name in GOOD)


def test_chunks_of_a_long_transcript_are_numbered_in_order_and_overlap(found):
    rows = [row for row in found if row.content_id == "dd"]
    assert [row.chunk_index for row in rows] == list(range(len(rows)))
    assert len(rows) > 5
    assert [row.text for row in rows] == [LONG[row.start_char : row.end_char] for row in rows]
    assert all(one.end_char > other.start_char for one, other in pairwise(rows))
    assert (rows[0].start_char, rows[-1].end_char) == (0, len(LONG))


def test_a_transcript_of_two_episodes_and_days_is_placed_for_each(spark, found):
    driver = spark.createDataFrame(
        [
            (DAY, "one", "show", "aa", 9, "aa"),
            (DAY, "two", "show", "aa", 9, "aa"),
            (NEXT_DAY, "one", "show", "aa", 9, "aa"),
        ],
        "ds date, episode_id string, show string, sha256 string, characters int, content_id string",
    )
    made = spark.createDataFrame(
        found, compute(spark.createDataFrame(CONTENTS, "content_id string, transcript string")).schema
    )
    placed = place(driver.join(made, "content_id"))
    assert placed.columns == ["ds", "chunk_id", *EPISODE_CHUNKS_V1.values]
    assert sorted((row.ds, row.chunk_id, row.episode_id) for row in placed.collect()) == [
        (DAY, "one#0000", "one"), (DAY, "two#0000", "two"), (NEXT_DAY, "one#0000", "one"),
    ]  # fmt: skip


def test_columns_have_the_types_of_the_contract(spark, found):
    schema = compute(spark.createDataFrame(CONTENTS, "content_id string, transcript string")).schema
    types = {field.name: field.dataType.simpleString() for field in schema}
    made = {column.name: column.type for column in EPISODE_CHUNKS_V1.computed if column.name != "episode_id"}
    assert types == {"content_id": "string", **made, "reason": "string"}


def test_the_suite_lets_no_other_model_pass():
    rules = [
        rule for rule in read_suite("episode_chunks_v1")["expectations"] if rule["kwargs"].get("column") == "model"
    ]
    allowed = [(rule["kwargs"]["value_set"], rule["severity"]) for rule in rules if "value_set" in rule["kwargs"]]
    assert allowed == [([minilm.MODEL_ID], "critical")], json.dumps(rules)


def test_a_worker_holds_few_chunks_however_long_a_transcript_is(monkeypatch):
    held: list[int] = []

    def embed(texts):
        held.append(len(texts))
        return np.zeros((len(texts), minilm.WIDTH), np.float32)

    monkeypatch.setattr(minilm, "embed", embed)
    batch = pa.RecordBatch.from_pydict({"content_id": ["a"], "transcript": ["So it is said. " * 50_000]})
    batches = family._chunked([batch])
    assert next(batches).num_rows == TOGETHER
    assert held == [TOGETHER]  # the rest is not even cut yet
    assert sum(made.num_rows for made in batches) > 3 * TOGETHER
    assert max(held) == TOGETHER


@real_transcripts
def test_real_chunks_stand_in_their_transcripts_as_they_say(spark, tmp_path):
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT episode_id AS content_id, transcript FROM '{TRANSCRIPTS}' "
            f"ORDER BY length(transcript), episode_id LIMIT 8) TO '{tmp_path}/contents.parquet'"
        )
        compute(spark.read.parquet(f"{tmp_path}/contents.parquet")).write.parquet(f"{tmp_path}/made")
        db.execute(
            f"CREATE VIEW made AS FROM '{tmp_path}/made/*.parquet' "
            f"JOIN '{tmp_path}/contents.parquet' USING (content_id)"
        )
        wrong = db.execute(
            "SELECT content_id, chunk_index FROM made WHERE text IS DISTINCT FROM "
            "substring(transcript, start_char + 1, end_char - start_char) "
            "OR len(embedding) <> 384 OR abs(list_inner_product(embedding, embedding) - 1) > 1e-5"
        ).fetchall()
        assert wrong == []
        assert db.execute("SELECT count(DISTINCT content_id) FROM made").fetchall() == [(8,)]
