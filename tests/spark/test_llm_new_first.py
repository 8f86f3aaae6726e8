"""An endpoint that refuses many transcripts for good: those it was never asked about are answered all the same."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from content_signals.lake.layout import start_run
from content_signals.lake.stage import read_stage
from content_signals.llm import day as llm_day
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.signals.episode_tags_llm.contract import EPISODE_TAGS_LLM_V1
from tests.llm_server import completion, fails, says, scripted_server

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TABLE = EPISODE_TAGS_LLM_V1
DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
QUOTE = "Today we talk about goroutines"
OLD = {f"old{n:02}": f"**Ana:** {QUOTE}. This may not be said: {n}." for n in range(60)}
NEW = {f"new{n}": f"**Ana:** {QUOTE}. This may be said: {n}." for n in range(5)}
ANSWER = {
    "topics": [{"quote": QUOTE, "label": "gotime"}],
    "summary": {"quote": QUOTE, "text": "Goroutines."},
    "audience": {"quote": QUOTE, "label": "practitioners"},
    "brand_safety": [],
}


async def by_transcript(writer, call):
    forbidden = "This may not be said" in call.body["messages"][-1]["content"]
    act = fails(400, "not allowed") if forbidden else says(completion(json.dumps(ANSWER)))
    await act(writer, call)


@pytest.fixture
def built(context, spark, tmp_path, monkeypatch):
    """Builds a day of some episodes in a run of its own: counts, and episodes by status."""

    def build(day, episodes, breaker=""):
        path = Path(context.settings.landing) / "podcasts/transcripts.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {"episode_id": list(episodes), "show": ["s"] * len(episodes), "transcript": list(episodes.values())}
        pq.write_table(pa.table(columns), path)
        (tmp_path / "llm.toml").write_text(
            f'[endpoint]\nbase_url = "{server.url}"\nweights = "w"\n[budget]\n[retry]\nattempts = 1\n'
            f'[limits]\nconcurrency = 1\n[ledger]\npath = "{tmp_path}/ledger.sqlite"\n{breaker}'
        )
        monkeypatch.setenv("CONTENT_SIGNALS_LLM", str(tmp_path / "llm.toml"))
        run = replace(context, run=start_run())
        monkeypatch.setattr(llm_day, "_ATTEMPT", run.run.run_id)
        assert ingest(run, spark, run.catalog.source("episode_transcripts"), [day]).exit_code == 0
        counts = extract(run, spark, TABLE, [day]).details["contents"]
        stage = read_stage(run.lake.of(TABLE), day, run.run.run_id)
        files = [f"{run.lake.of(TABLE).path}/{file.path}" for file in stage.files]
        rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
        return counts, {row["episode_id"]: row["status"] for row in rows}, len(server.calls)

    with scripted_server(by_transcript) as server:
        yield build


def test_what_is_refused_for_good_starves_nothing_that_is_new(built):
    counts, statuses, calls = built(DAY, OLD, "[breaker]\nmax_refused = 1000\n")
    assert (counts, calls) == ({"computed": 60, "cached": 0, "set_aside": 0}, 60)
    assert set(statuses.values()) == {"refused"}
    # Twenty refusals one after the other end a run: the new ones are answered before them.
    counts, statuses, calls = built(NEXT, OLD | NEW)
    assert (counts, calls) == ({"computed": 25, "cached": 0, "set_aside": 0}, 60 + 25)
    assert statuses == dict.fromkeys(OLD, "refused") | dict.fromkeys(NEW, "ok")
    again, same, calls = built(NEXT, OLD | NEW)
    assert (again, calls) == ({"computed": 20, "cached": 5, "set_aside": 0}, 60 + 25 + 20)
    assert same == statuses
    assert Counter(same.values()) == {"refused": 60, "ok": 5}
