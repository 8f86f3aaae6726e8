"""A fresh installation has no language model: what needs one is skipped, and says so, until there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowSkipException

from content_signals.catalog import Catalog, catalog
from content_signals.contract import Computed, Input, Table
from content_signals.orchestration.builds import content_tables
from content_signals.orchestration.signals_page.app import SignalsPage
from content_signals.orchestration.signals_page.store import LakeFiles, StatusStore
from content_signals.settings import PROJECT

TAGS, MAIN, TEXT = "episode_tags_llm_v1", "episode_main_topic_v1", "episode_text_v1"
NAMES = [table.table for table in content_tables(catalog())]


@dataclass(frozen=True)
class Announced:
    """An asset that started a run."""

    name: str


@pytest.fixture(params=["", "/somewhere/llm.toml"], ids=["no model", "a model"])
def model(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CONTENT_SIGNALS_LLM", request.param)
    return str(request.param)


@pytest.fixture
def dag(model: str) -> Any:
    bag = DagBag(dag_folder=str(PROJECT / "dags" / "build_content_signals.py"))
    assert bag.import_errors == {}
    return bag.dags["build_content_signals"]


def test_the_form_offers_every_table_and_chooses_those_that_can_be_made(dag: Any, model: str) -> None:
    field = dag.params.get_param("tables")
    assert field.schema["items"]["enum"] == NAMES
    assert field.value == (NAMES if model else [name for name in NAMES if name not in (TAGS, MAIN)])
    told = f"{TAGS} is not chosen: CONTENT_SIGNALS_LLM is not set"
    assert (told in field.description) is not bool(model)


def test_a_run_that_a_source_starts_skips_it_with_the_reason(dag: Any, model: str) -> None:
    choose = dag.get_task(f"{TAGS}.choose").python_callable
    events = {Announced("episode_transcripts_v1"): []}
    if model:
        choose(TAGS, params={}, triggering_asset_events=events)
    else:
        with pytest.raises(AirflowSkipException, match="CONTENT_SIGNALS_LLM is not set, which names the file"):
            choose(TAGS, params={}, triggering_asset_events=events)
    choose(TEXT, params={}, triggering_asset_events=events)
    with pytest.raises(AirflowSkipException, match="made of none of audio_clips_v1"):
        choose(TAGS, params={}, triggering_asset_events={Announced("audio_clips_v1"): []})


def test_whoever_chooses_it_is_told_by_the_job(dag: Any) -> None:
    dag.get_task(f"{TAGS}.choose").python_callable(TAGS, params={"tables": [TAGS]})
    with pytest.raises(AirflowSkipException, match="not chosen"):
        dag.get_task(f"{TAGS}.choose").python_callable(TAGS, params={"tables": [TEXT]})


def test_the_page_says_what_is_missing(model: str) -> None:
    page = SignalsPage(catalog(), StatusStore(lambda: LakeFiles.at("/nowhere"), NAMES))
    tags = page.overview(catalog().table(TAGS), None)
    assert tags.state == "nothing yet"
    assert ("CONTENT_SIGNALS_LLM is not set" in tags.lacking) is not bool(model)
    assert page.overview(catalog().table(TEXT), None).lacking == ""
    assert page.overview(catalog().source("episode_transcripts_v1"), None).lacking == ""


def test_the_page_says_what_is_missing_to_make_its_inputs(model: str) -> None:
    above = catalog().table(TAGS)
    below = Table(
        "tags_seen", 1, Input(TAGS), (Computed("seen", "int", "How many tags"),), "o", "Tags", entity=above.entity
    )
    known = Catalog([*catalog().sources, *catalog().tables, below])
    page = SignalsPage(known, StatusStore(lambda: LakeFiles.at("/nowhere"), NAMES))
    assert page.overview(below, None).lacking == page.overview(above, None).lacking
    assert ("CONTENT_SIGNALS_LLM is not set" in page.overview(below, None).lacking) is not bool(model)
