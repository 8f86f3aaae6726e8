"""Outcomes of a run in Spark: contents in, rows out, by mapInArrow.

Arrow and not pandas: a row has counts that may be null, which pandas makes floats of, and texts and lists, which it
makes objects of and Spark copies back; here nothing is converted, and no family of ours needs pandas.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from content_signals.llm.outcome import Outcome, judge
from content_signals.llm.reply import Reply
from content_signals.llm.request import Item
from content_signals.llm.run import Run
from content_signals.llm.worker import Worker

CONTENT_ID, TRANSCRIPT, KEY = "content_id", "transcript", "reply_key"

# A reply that was paid for, as it is kept in the lake; null where there is none.
_REPLY: list[tuple[str, pa.DataType]] = [
    ("raw", pa.string()),
    ("finish_reason", pa.string()),
    ("refused", pa.bool_()),
    ("prompt_tokens", pa.int64()),
    ("output_tokens", pa.int64()),
    ("estimated", pa.bool_()),
    ("cost_micros", pa.int64()),
    ("served_by", pa.string()),
    ("asked_at", pa.int64()),
    ("took_ms", pa.int64()),
    ("attempts", pa.int64()),
]
REPLY_SCHEMA = pa.schema(_REPLY)
_TEXTS = (CONTENT_ID, KEY, "status", "error", "answer", "evidence")
OUTCOME_SCHEMA = pa.schema([*((name, pa.string()) for name in _TEXTS), *_REPLY])
_SPARK_TYPES = {pa.string(): "string", pa.bool_(): "boolean", pa.int64(): "bigint"}
OUTCOME_IN_SPARK = ", ".join(f"{field.name} {_SPARK_TYPES[field.type]}" for field in OUTCOME_SCHEMA)
# Rows that are handed on together. Few: what is done is not held back for long.
_ROWS = 64


def asked(contents: DataFrame, run: Run) -> DataFrame:
    """The outcome of each content, from (content_id, transcript).

    Returns:
        The columns of `OUTCOME_SCHEMA`: answer and evidence as JSON, the reply's columns null where none was paid for.
    """
    return contents.select(CONTENT_ID, TRANSCRIPT).mapInArrow(partial(ask_batches, run=run), OUTCOME_IN_SPARK)


def judged(contents: DataFrame, run: Run) -> DataFrame:
    """The same from replies that are kept already, without a call: (content_id, transcript) and a reply's columns."""
    columns = [CONTENT_ID, TRANSCRIPT, *REPLY_SCHEMA.names]
    return contents.select(columns).mapInArrow(partial(judge_batches, run=run), OUTCOME_IN_SPARK)


def reply_key(run: Run) -> Column:
    """The name of the reply about each content, of a frame with `content_id`: what is kept under it needs no call."""
    return F.sha2(F.concat(F.lit(f"{run.identity.prefix}:"), F.col(CONTENT_ID)), 256)


def ask_batches(batches: Iterable[pa.RecordBatch], run: Run) -> Iterator[pa.RecordBatch]:
    """In a worker: asks, with one client for the whole partition."""
    with Worker(run) as worker:
        rows: list[dict[str, Any]] = []
        for item, outcome in worker.outcomes(_items(batches)):
            rows.append(row_of(item, outcome, run))
            if len(rows) >= _ROWS:
                yield pa.RecordBatch.from_pylist(rows, OUTCOME_SCHEMA)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, OUTCOME_SCHEMA)


def judge_batches(batches: Iterable[pa.RecordBatch], run: Run) -> Iterator[pa.RecordBatch]:
    """In a worker: judges replies that are kept."""
    for batch in batches:
        rows = []
        for row in batch.to_pylist():
            item = Item(row[CONTENT_ID], row[TRANSCRIPT] or "")
            reply = _kept_reply(row, run)
            rows.append(row_of(item, judge(reply, item.transcript, run.task.answer), run))
        yield pa.RecordBatch.from_pylist(rows, OUTCOME_SCHEMA)


def row_of(item: Item, outcome: Outcome, run: Run) -> dict[str, Any]:
    """An outcome as a row of `OUTCOME_SCHEMA`."""
    reply = outcome.reply
    kept: dict[str, Any] = dict.fromkeys(REPLY_SCHEMA.names)
    if reply:
        values = asdict(reply)
        kept = {name: values.get(name) for name in REPLY_SCHEMA.names} | {"raw": reply.text, "served_by": reply.model}
    return {
        CONTENT_ID: item.content_id,
        KEY: run.identity.key(item.content_id),
        "status": outcome.status.value,
        "error": outcome.error or None,
        "answer": None if outcome.answer is None else _json(outcome.answer),
        "evidence": _json([asdict(one) for one in outcome.evidence]) if outcome.evidence else None,
        **kept,
        "attempts": outcome.attempts,
    }


def _items(batches: Iterable[pa.RecordBatch]) -> Iterator[Item]:
    """One by one: a batch of long transcripts is not copied as a whole."""
    for batch in batches:
        for content_id, transcript in zip(batch.column(CONTENT_ID), batch.column(TRANSCRIPT), strict=True):
            yield Item(content_id.as_py(), transcript.as_py() or "")


def _kept_reply(row: dict[str, Any], run: Run) -> Reply:
    kept = {name: row[name] for name in REPLY_SCHEMA.names if name not in ("raw", "served_by")}
    key = run.identity.key(row[CONTENT_ID])
    return Reply(key=key, content_id=row[CONTENT_ID], text=row["raw"], model=row["served_by"], **kept)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
