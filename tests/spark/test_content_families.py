"""Every family computed by content: from landing files to what a model reads, twice, the second time for free."""

from __future__ import annotations

import json
import math
import tempfile
import wave
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.catalog import catalog
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.snapshot import Snapshot
from content_signals.orchestration.builds import content_tables
from content_signals.pipeline.context import Context
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.publish import publish
from content_signals.pipeline.validate import validate
from tests.landing import write_catalogue
from tests.llm_server import completion, says, scripted_server
from tests.online import online
from tests.settings import settings_in
from tests.stores import running_store

TABLES = content_tables(catalog())
DAY = date(2020, 3, 1)
DAYS = [DAY, DAY + timedelta(days=1)]
TALK = (
    "**Ann:** Welcome back. Today we talk about how to keep a database alive at three in the morning.\n\n"
    "**Ben:** Thanks for having me! Replication is where it begins, is it not?\n\n"
    "**Ann:** It is. We moved two hundred million rows last year, and we lost none of them.\n\n"
    "**Ben:** How did you know that none was lost? Somebody has to count them on both sides.\n\n"
)
LATER = datetime(2020, 3, 3, 12, tzinfo=UTC)


def write_sound(path: Path, hertz: float) -> None:
    """Two seconds of a tone that comes and goes twice a second."""
    at = np.arange(2 * 16_000) / 16_000
    samples = np.sin(math.tau * hertz * at) * (0.3 + 0.3 * np.sign(np.sin(math.tau * 2 * at)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32_000).astype("<i2").tobytes())


def land(landing: Path) -> None:
    write_catalogue(
        landing,
        [
            ("a", "Ich hab dich gestern Nacht im Regen gesehen", "X", "al", "3:10", DAY),
            ("b", "1999", "Y", "al", "3:10", DAY),
        ],
    )
    episodes = {"e1": TALK, "e2": TALK.replace("database", "orchestra") * 3, "empty": " "}
    (landing / "podcasts").mkdir(parents=True)
    pq.write_table(
        pa.table({"episode_id": list(episodes), "show": ["s"] * 3, "transcript": list(episodes.values())}),
        landing / "podcasts/transcripts.parquet",
    )
    write_sound(landing / "audio/a.wav", 440)
    write_sound(landing / "audio/deep/b.wav", 880)
    (landing / "audio/text.wav").write_text("this is no sound")


ROWS = "We moved two hundred million rows last year"
TAGS = {
    "topics": [{"quote": ROWS, "label": "shipit"}],
    "summary": {"quote": ROWS, "text": "How a database was moved."},
    "audience": {"quote": ROWS, "label": "practitioners"},
    "brand_safety": [],
}


async def answer(writer, call):
    """The same of every episode, in the schema that is asked for."""
    wanted = call.body["response_format"]["json_schema"]["schema"]["properties"]
    said = TAGS if "topics" in wanted else {"topic": TAGS["topics"][0]}
    await says(completion(json.dumps(said)))(writer, call)


@pytest.fixture(scope="module")
def language_model():
    """An endpoint that says the same of every episode, and the file that names it to the jobs."""
    with (
        scripted_server(answer) as server,
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        path = Path(folder) / "llm.toml"
        path.write_text(
            f'[endpoint]\nbase_url = "{server.url}"\nweights = "none"\n[budget]\ncalls = 100\n'
            f'[ledger]\npath = "{folder}/ledger.sqlite"\n'
        )
        patch.setenv("CONTENT_SIGNALS_LLM", str(path))
        yield server


@pytest.fixture(scope="module")
def platform(spark, language_model):
    with tempfile.TemporaryDirectory(prefix="cs-content-") as name:  # a socket's path must be short
        settings = settings_in(Path(name))
        said: list[str] = []
        context = Context(settings, Lake(settings.lake), catalog(), start_run(), said.append)
        land(Path(settings.landing))
        for source in sorted({t.driver.table for t in TABLES} - {t.table for t in TABLES}):
            assert ingest(context, spark, catalog().source(source), DAYS).exit_code == 0
        with running_store(settings):
            yield context


def build(context: Context, spark, table, day: date) -> dict[str, int]:
    """A day extracted, judged and promoted; what became of its contents."""
    run = replace(context, run=start_run())
    staged = extract(run, spark, table, [day])
    judged = validate(run, spark, table, [day], run.run.run_id)
    assert judged.exit_code == 0, judged.failed
    assert promote_days(run, table, [day], run.run.run_id).exit_code == 0
    return staged.details.get("contents", {})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.table)
def test_from_landing_files_to_a_model(platform, spark, table):
    first, second = (build(platform, spark, table, day) for day in DAYS)
    if table.content:
        assert first["computed"] > 0
        assert (second["computed"], second["cached"]) == (0, first["computed"])
    days = Snapshot(platform.lake.of(table)).digests(DAYS)
    assert days[DAYS[0]] == days[DAYS[1]], "the same contents say the same on another day"
    if not table.serve:
        return
    outcome = publish(replace(platform, run=start_run()), spark, table, [DAYS[1]])
    rows = DeltaTable(platform.lake.of(table).path).to_pyarrow_dataset().to_table().to_pylist()
    of_day = {row[table.keys[0]]: row for row in rows if row["ds"] == DAYS[1]}
    assert outcome.rows_in == len(of_day) > 0
    served = online(platform.settings, table.family, list(of_day), LATER)
    for key, row in of_day.items():
        assert {name.split(":")[1]: cell.value for name, cell in served[key].items()} == {
            name: row[name] for name in table.values
        }
