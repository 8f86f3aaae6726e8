"""A table of lengths of transcripts, its family, and how a day of it is ingested and built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from content_signals.content import Content
from content_signals.contract import Computed, Input, Table
from content_signals.lake.stage import read_stage
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.signals.entities import EPISODE

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
LENGTHS = Table(
    name="test_lengths",
    version=1,
    entity=EPISODE,
    driver=Input("episode_transcripts_v1"),
    content=Content(id="sha256", reads=("transcript",), revision="1", batch=3),
    columns=(Computed("letters", "int", about="Letters"), Computed("first", "string", about="The first word")),
    owner="tests",
    about="Lengths.",
)


def family(log: Path, *, fatal: str = "") -> SimpleNamespace:
    """A family that notes each content it is given in a file of its own, so that calls can be counted."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            texts = batch.column("transcript").to_pylist()
            for number, text in enumerate(texts):
                if fatal and fatal in text:
                    os._exit(1)
                with (log / f"{os.getpid()}.txt").open("a") as file:
                    file.write(f"{batch.column('content_id')[number]}\n")
            bad = ["no words here" if text.startswith("bad") else None for text in texts]
            yield pa.RecordBatch.from_pydict(
                {
                    "content_id": batch.column("content_id"),
                    "letters": pa.array([None if b else len(t) for t, b in zip(texts, bad, strict=True)], pa.int32()),
                    "first": pa.array([None if b else t.split()[0] for t, b in zip(texts, bad, strict=True)]),
                    "reason": pa.array(bad, pa.string()),
                }
            )

    schema = "content_id string, letters int, first string, reason string"
    return SimpleNamespace(compute=lambda contents: contents.mapInArrow(work, schema))


def land(context, episodes: dict[str, str]) -> None:
    path = Path(context.settings.landing) / "podcasts/transcripts.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = list(episodes)
    pq.write_table(
        pa.table({"episode_id": ids, "show": ["s"] * len(ids), "transcript": [episodes[i] for i in ids]}), path
    )


def ingested(context, spark, episodes: dict[str, str], day: date = DAY) -> None:
    land(context, episodes)
    outcome = ingest(context, spark, context.catalog.source("episode_transcripts"), [day])
    assert outcome.exit_code == 0, outcome.failed


def built(context, spark, *days: date, table: Table = LENGTHS) -> dict[str, tuple[int, str]]:
    """The last of the days, as it is staged: episode -> its signals."""
    extract(context, spark, table, list(days) or [DAY])
    stage = read_stage(context.lake.of(table), (days or [DAY])[-1], context.run.run_id)
    files = [f"{context.lake.of(table).path}/{file.path}" for file in stage.files]
    rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files]).to_pylist() if files else []
    return {row["episode_id"]: (row["letters"], row["first"]) for row in rows}


def computed(log: Path) -> list[str]:
    return sorted(line for file in log.glob("*.txt") for line in file.read_text().split())
