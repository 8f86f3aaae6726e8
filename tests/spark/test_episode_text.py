"""Signals of transcripts in Spark: one row each, and of real ones the counts that SQL finds in them."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from content_signals.signals.episode_text import compute as family
from content_signals.signals.episode_text.compute import NOTHING_SAID, TOGETHER, compute
from content_signals.signals.episode_text.contract import EPISODE_TEXT_V1
from tests.transcripts import TRANSCRIPTS, real_transcripts

pytestmark = pytest.mark.spark

ENGLISH = "**Ada:** I have a question for you about this. What do you think of the weather?\n\n**Bob:** It is fine."
GERMAN = "**Ada:** Ich habe eine Frage an dich. Was hältst du von dem Wetter?\n\n**Bob:** Es ist sehr schön heute."
CONTENTS = [("aa", ENGLISH), ("bb", ""), ("cc", None), ("dd", GERMAN)]
SCHEMA = "content_id string, transcript string"

# The same counts in SQL, by another engine of regular expressions (RE2).
COUNTS = r"""
    WITH decoded AS (
        SELECT episode_id AS content_id, replace(replace(replace(replace(replace(
            transcript, '&#39;', ''''), '&quot;', '"'), '&lt;', '<'), '&gt;', '>'), '&amp;', '&') AS text
        FROM chosen),
    labelled AS (
        SELECT *, list_filter(list_transform(
            regexp_extract_all(text, '(?m)^\*\*([^*\n]{1,80}?)\s*(?::\s*\*\*|\*\*\s*:)', 1),
            lambda name: lower(regexp_replace(trim(name), '\s+', ' ', 'g'))),
            lambda name: name NOT IN ('break', 'jingle', 'intro', 'outro', 'song', 'extract', 'promo')) AS names
        FROM decoded),
    spoken AS (
        SELECT *, regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
            regexp_replace(text,
            '(?m)^\*\*[^*\n]{1,80}?(:\s*\*\*|\*\*\s*:)|^(Break|Outro|Jingle):', ' ', 'g'),
            '\[([^\[\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))+\)', ' \1 ', 'g'),
            '(\[[\d:.\\]+\]) to \\?\[[\d:.\\]+\]', '\1', 'g'),
            '\[[^\[\]\n]{0,120}\]|https?://|\bwww\.', ' ', 'g'),
            '(\d),(\d)', '\1\2', 'g'),
            '(\p{L})(?:\\?\*)+(\p{L})', '\1\2', 'g'),
            '_', ' ', 'g') AS said
        FROM labelled)
    SELECT content_id,
           len(regexp_extract_all(said, '[\p{L}\p{M}\p{N}]+(?:[''’.][\p{L}\p{M}\p{N}]+)*')) AS word_count,
           len(list_distinct(names)) AS speakers_count,
           len(regexp_extract_all(text, '\[[^\[\]\n]*\]\((?:[^()\s]|\([^()\s]*\))+\)|\bhttps?://\w|\bwww\.\w'))
             AS links_count
    FROM spoken
"""


@pytest.fixture(scope="module")
def found(spark):
    return {row.content_id: row for row in compute(spark.createDataFrame(CONTENTS, SCHEMA)).collect()}


def test_every_transcript_is_one_row(found):
    assert sorted(found) == ["aa", "bb", "cc", "dd"]
    assert {name: row.reason for name, row in found.items()} == {
        "aa": None, "bb": NOTHING_SAID, "cc": NOTHING_SAID, "dd": None,
    }  # fmt: skip
    assert all(found[name][column] is None for name in ("bb", "cc") for column in EPISODE_TEXT_V1.values)


def test_english_has_every_signal(found):
    row = found["aa"]
    assert (row.language, row.word_count, row.speakers_count, row.questions_ratio) == ("en", 18, 2, 1 / 3)
    assert (row.largest_speaker_share, row.words_per_turn, row.links_count) == (15 / 18, 18 / 2, 0)
    assert None not in [row[column] for column in EPISODE_TEXT_V1.values]


def test_german_is_told_as_german_and_has_no_readability(found):
    row = found["dd"]
    assert (row.language, row.word_count, row.speakers_count) == ("de", 17, 2)
    assert [row[c] for c in ("readability", "reading_level", "sponsor_share", "explicit_ratio")] == [None] * 4


def test_columns_have_the_types_of_the_contract(spark):
    schema = compute(spark.createDataFrame(CONTENTS, SCHEMA)).schema
    types = {field.name: field.dataType.simpleString() for field in schema}
    made = {column.name: column.type for column in EPISODE_TEXT_V1.computed}
    assert list(types.items()) == list({"content_id": "string", **made, "reason": "string"}.items())


def test_a_worker_reads_few_transcripts_at_a_time(monkeypatch):
    read: list[int] = []

    def signals(transcripts, detect):
        read.append(len(transcripts))
        return [{"reason": "not read"} for _ in transcripts]

    monkeypatch.setattr(family, "signals", signals)
    count = 2 * TOGETHER + 1
    batch = pa.RecordBatch.from_pydict({"content_id": [str(n) for n in range(count)], "transcript": ["a"] * count})
    batches = family._measured([batch])
    assert next(batches).num_rows == TOGETHER
    assert read == [TOGETHER]  # the rest is not even looked at yet
    assert sum(made.num_rows for made in batches) == count - TOGETHER


@real_transcripts
def test_real_counts_are_those_of_sql(spark, tmp_path):
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE chosen AS FROM '{TRANSCRIPTS}' ORDER BY sha256(episode_id) LIMIT 40")
        db.execute(f"COPY (SELECT episode_id AS content_id, transcript FROM chosen) TO '{tmp_path}/contents.parquet'")
        compute(spark.read.parquet(f"{tmp_path}/contents.parquet")).write.parquet(f"{tmp_path}/made")
        db.execute(f"CREATE VIEW made AS FROM '{tmp_path}/made/*.parquet'")
        columns = "content_id, word_count, speakers_count, links_count"
        made = db.execute(f"SELECT {columns} FROM made ORDER BY ALL").fetchall()
        assert made == db.execute(f"SELECT {columns} FROM ({COUNTS}) ORDER BY ALL").fetchall()
        odd = db.execute(
            "SELECT * FROM made WHERE reason IS NOT NULL OR language <> 'en' OR readability NOT BETWEEN 30 AND 110"
            " OR distinct_word_ratio NOT BETWEEN 0.2 AND 0.75 OR sponsor_share > 0.33 OR speakers_count > 30"
        ).fetchall()
        assert odd == []
