"""The main topic of episodes: the classifier's where it is sure, a language model's where it is not, each once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from content_signals.catalog import Catalog, catalog
from content_signals.contract import STAMPS
from content_signals.errors import ContractError, Temporary
from content_signals.lake.layout import Lake, start_run
from content_signals.lake.takedowns import TAKEN_DOWN, Takedown, add_takedown
from content_signals.llm.ledger.store import LedgerAt
from content_signals.llm.router import By, Sure, route
from content_signals.pipeline.context import Context
from content_signals.pipeline.extract import extract
from content_signals.pipeline.ingest import ingest
from content_signals.pipeline.promotion import promote_days
from content_signals.pipeline.purge import purge_removed
from content_signals.pipeline.stale import stale_days
from content_signals.pipeline.validate import validate
from content_signals.quality.scan import Scanner
from content_signals.quality.suite import read_suite
from content_signals.signals.episode_main_topic import compute as family
from content_signals.signals.episode_main_topic.compute import is_sure
from content_signals.signals.episode_main_topic.contract import EPISODE_MAIN_TOPIC_V1, SURE_FROM
from content_signals.signals.episode_tags_llm.answer import TOPICS
from tests.lake import promoted
from tests.llm_server import completion, fails, says, scripted_server
from tests.settings import settings_in

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

DAY = date(2020, 3, 1)
NEXT = DAY + timedelta(days=1)
TABLE = EPISODE_MAIN_TOPIC_V1
QUOTE = "why goroutines are cheap"
TALK = f"**Ana:** Today we talk about the scheduler, and {QUOTE}.\n\n**Bo:** I like that they are."
NAN = float("nan")


# --- who answers


@pytest.mark.parametrize("sure", [Sure(0.9), Sure(0.5, 0.2), Sure(0.0), Sure(0.5, 1.0)], ids=str)
def test_spark_decides_as_the_router_does(spark, sure):
    asked = [
        [0.9, 0.1],
        [0.8999999999999999, 0.1],
        [0.95, 0.05, 0.0],
        [0.6, 0.4],
        [0.6, 0.39],
        [1.0],
        [0.5],
        [NAN, 0.1],
        [0.0, 0.0],
        [],
        None,
    ]
    rows = spark.createDataFrame([(one,) for one in asked], "probabilities array<double>")
    found = [row.sure for row in rows.select(is_sure(rows.probabilities, sure).alias("sure")).collect()]
    assert found == [route(one, sure) is By.CLASSIFIER for one in asked]


def classified(lake: Lake, day: date, opinions: dict[str, list[float]]) -> None:
    """Promote a day of episode_topics_v1 with these probabilities of the first topics."""
    topics = [list(TOPICS[: len(values)]) for values in opinions.values()]
    columns = {
        "episode_id": list(opinions),
        "topic": [names[0] for names in topics],
        "topic_probability": [values[0] for values in opinions.values()],
        "topics": topics,
        "probabilities": list(opinions.values()),
        "top_terms": [["word"]] * len(opinions),
        "model": ["topics-test"] * len(opinions),
        "event_ts": [datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)] * len(opinions),
        "computed_at": [datetime(2020, 3, 9, tzinfo=UTC)] * len(opinions),
        "run_id": ["run-00001"] * len(opinions),
    }
    promoted(lake.of(catalog().table("episode_topics_v1")), day, columns)


@pytest.fixture
def context(tmp_path, spark):
    settings = settings_in(tmp_path)
    made = Context(settings, Lake(settings.lake), catalog(), start_run(), lambda _: None)
    episodes = {name: f"{TALK}\n\n**Ana:** That was {name}." for name in ("sure", "unsure", "close")}
    folder = Path(settings.landing) / "podcasts"
    folder.mkdir(parents=True)
    shows, texts = ["s"] * 3, list(episodes.values())
    pq.write_table(
        pa.table({"episode_id": list(episodes), "show": shows, "transcript": texts}), folder / "transcripts.parquet"
    )
    assert ingest(made, spark, catalog().source("episode_transcripts_v1"), [DAY, NEXT]).exit_code == 0
    for day in (DAY, NEXT):
        classified(made.lake, day, {"sure": [SURE_FROM, 0.1], "unsure": [0.5, 0.4]})  # of "close" there is no chunk
    return made


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A language model, in place of which another act may stand, and the file that names it."""

    def start(act=says(completion(json.dumps({"topic": {"quote": QUOTE, "label": "gotime"}})))):  # noqa: B008
        server = scripted_server(act)
        running = server.__enter__()
        started.append(server)
        (tmp_path / "llm.toml").write_text(
            f'[endpoint]\nbase_url = "{running.url}"\nweights = "w"\n[budget]\n[retry]\nattempts = 1\n'
            f'[ledger]\npath = "{tmp_path}/ledger.sqlite"\n'
        )
        monkeypatch.setenv("CONTENT_SIGNALS_LLM", str(tmp_path / "llm.toml"))
        return running

    started: list = []
    yield start
    for server in started:
        server.__exit__(None, None, None)


def build(context, spark, day):
    run = replace(context, run=start_run())
    staged = extract(run, spark, TABLE, [day])
    judged = validate(run, spark, TABLE, [day], run.run.run_id)
    assert judged.exit_code == 0, judged.failed
    assert promote_days(run, TABLE, [day], run.run.run_id).exit_code == 0
    return staged


def rows_of(context, day):
    found = DeltaTable(context.lake.of(TABLE).path).to_pyarrow_dataset().to_table().to_pylist()
    return {row["episode_id"]: row for row in found if row["ds"] == day}


def test_the_model_is_asked_only_where_the_classifier_is_not_sure(context, spark, model):
    server = model()
    staged = build(context, spark, DAY)
    assert staged.details["contents"] == {"computed": 2, "cached": 0, "set_aside": 0}
    rows = rows_of(context, DAY)
    assert {key: (row["answered_by"], row["model_status"], row["routed_topic"]) for key, row in rows.items()} == {
        "sure": ("classifier", None, TOPICS[0]),
        "unsure": ("model", "ok", "gotime"),
        "close": ("model", "ok", "gotime"),
    }
    assert {key: row["classifier_probability"] for key, row in rows.items()} == {
        "sure": SURE_FROM,
        "unsure": 0.5,
        "close": None,
    }
    assert {key: row["model_quote"] for key, row in rows.items()} == {"sure": None, "unsure": QUOTE, "close": QUOTE}
    assert {key: row["model_prompt_tokens"] for key, row in rows.items()} == {"sure": None, "unsure": 100, "close": 100}
    assert len(server.calls) == 2
    assert not any("That was sure" in call.body["messages"][-1]["content"] for call in server.calls)
    again = build(context, spark, NEXT)
    assert again.details["contents"] == {"computed": 0, "cached": 2, "set_aside": 0}
    assert len(server.calls) == 2, "nothing is asked twice"
    assert [row["routed_topic"] for row in rows_of(context, NEXT).values()] == [
        row["routed_topic"] for row in rows.values()
    ]


def test_a_day_that_the_classifier_changed_its_mind_about_is_made_anew(context, spark, model):
    server = model()
    build(context, spark, DAY)
    classified(context.lake, DAY, {"sure": [0.6, 0.3], "unsure": [0.97, 0.01], "close": [0.99]})
    assert build(context, spark, DAY).details["contents"] == {"computed": 1, "cached": 0, "set_aside": 0}
    found = {key: row["answered_by"] for key, row in rows_of(context, DAY).items()}
    assert found == {"sure": "model", "unsure": "classifier", "close": "classifier"}
    assert len(server.calls) == 3


def test_where_the_model_is_down_the_day_waits_and_the_reason_is_told(context, spark, model):
    model(fails(503))
    with pytest.raises(Temporary, match="2 of 2 contents have no result yet"):
        extract(context, spark, TABLE, [DAY])
    model()
    assert build(context, spark, DAY).rows_out == 3


def test_where_the_classifier_is_sure_of_all_nobody_is_asked(context, spark, model):
    server = model(fails(503))
    classified(context.lake, DAY, {key: [0.95, 0.05] for key in ("sure", "unsure", "close")})
    assert build(context, spark, DAY).rows_out == 3
    assert server.calls == []


def test_made_up_quotes_are_no_answers(context, spark, model):
    model(says(completion(json.dumps({"topic": {"quote": "goroutines are a gift", "label": "gotime"}}))))
    extract(context, spark, TABLE, [DAY])
    kept = DeltaTable(context.lake.contents(TABLE).path).to_pyarrow_dataset().to_table().to_pylist()
    assert [(row["model_status"], row["model_topic"], row["model_quote"], row["model_error"]) for row in kept] == [
        ("ungrounded", None, None, "not in the transcript: the quote of topic")
    ] * 2


def test_of_few_that_were_asked_about_few_may_be_missing(context, spark, model):
    """What is missing is counted among those that the model was asked about, not among all."""
    episodes = [f"e{n}" for n in range(300)]
    folder = Path(context.settings.landing) / "podcasts"
    texts = [f"{TALK}\n\n**Ana:** That was {name}." for name in episodes]
    pq.write_table(
        pa.table({"episode_id": episodes, "show": ["s"] * 300, "transcript": texts}), folder / "transcripts.parquet"
    )
    later = replace(context, run=start_run())
    assert ingest(later, spark, catalog().source("episode_transcripts_v1"), [DAY]).exit_code == 0
    classified(context.lake, DAY, {name: [0.95] for name in episodes[2:]})
    model(fails(503))
    with pytest.raises(Temporary, match="2 of 2 contents have no result yet"):
        extract(later, spark, TABLE, [DAY])


def test_another_threshold_makes_the_day_anew_and_asks_nothing_twice(context, spark, model, monkeypatch):
    server = model()
    build(context, spark, DAY)
    other = replace(TABLE, content=replace(TABLE.content, routing="sure from 0.4"))
    changed = Catalog([*catalog().sources, *(other if table == TABLE else table for table in catalog().tables)])
    for known, moved in ((catalog(), False), (changed, True)):  # topics that no chunks are behind are stale anyway
        (why,) = [one.because for one in stale_days(replace(context, catalog=known), [TABLE]) if one.day == DAY]
        assert ("what computes it is" in why and "sure from 0.4 now" in why) is moved
    for threshold, asked in ((0.4, 1), (SURE_FROM, 2)):
        monkeypatch.setattr(family, "SURE_FROM", threshold)
        staged = extract(replace(context, run=start_run()), spark, TABLE, [DAY])
        assert staged.details["contents"] == {"computed": 0, "cached": asked, "set_aside": 0}
    assert len(server.calls) == 2


def test_a_purge_erases_replies_too_and_keeps_what_it_cannot_follow(context, spark, model, tmp_path, monkeypatch):
    """What the ledger has is known by what the lake has: where the ledger is not named, that stays."""
    model()
    build(context, spark, DAY)
    at = context.run.now - timedelta(days=8)
    add_takedown(context.lake, "episode", Takedown("unsure", TAKEN_DOWN, "the author asked", "legal", at))
    keys = {row["reply_key"] for row in kept_rows(context)}
    purging, ledger = replace(context, run=start_run()), LedgerAt(path=str(tmp_path / "ledger.sqlite"))
    with monkeypatch.context() as patch:
        patch.delenv("CONTENT_SIGNALS_LLM")
        with pytest.raises(Temporary, match="episode_main_topic_v1: no endpoint") as error:
            purge_removed(purging, 7)
    assert "all else is erased" in error.value.state
    assert len(kept_rows(context)) == 2
    assert set(rows_of(context, DAY)) == {"sure", "close"}
    found = ledger.open()
    assert all(found.look(key) for key in keys)
    purge_removed(purging, 7)
    (left,) = kept_rows(context)
    assert [key for key in keys if found.look(key)] == [left["reply_key"]]
    found.close()


def kept_rows(context) -> list[dict]:
    return DeltaTable(context.lake.contents(TABLE).path).to_pyarrow_table().to_pylist()


def test_inputs_that_nothing_reads_are_refused(context, spark, model, monkeypatch):
    model()
    monkeypatch.delattr(family, "routed")
    with pytest.raises(ContractError, match="nothing that reads them"):
        extract(context, spark, TABLE, [DAY])


# --- the rules


def a_row(n, **changes):
    """Of five episodes the classifier answers four."""
    topic, asked = TOPICS[n % 6], n % 5 == 0
    row = {
        "episode_id": f"e{n}",
        "routed_topic": topic,
        "answered_by": "model" if asked else "classifier",
        "classifier_topic": topic,
        "classifier_probability": 0.5 if asked else 0.95,
        "model_topic": topic if asked else None,
        "model_status": "ok" if asked else None,
        "model_error": None,
        "model_quote": "twelve characters and more" if asked else None,
        "model_prompt_tokens": 1000 if asked else None,
        "model_output_tokens": 50 if asked else None,
        "model_cost_micros": 5 if asked else None,
        "model_served_by": "m" if asked else None,
        "event_ts": datetime(2020, 3, 2, tzinfo=UTC),
        "computed_at": datetime(2020, 3, 2, tzinfo=UTC),
        "run_id": "run-00001",
        "ds": DAY,
    }
    return row | changes


def rejected(status):
    return {
        "routed_topic": None,
        "model_topic": None,
        "model_quote": None,
        "model_error": "why",
        "model_status": status,
    }


@pytest.fixture(scope="module")
def scanner():
    suite = read_suite(TABLE.table)
    # What days before were like is another test's: here is no lake.
    suite["expectations"] = [one for one in suite["expectations"] if "history" not in one["type"]]
    return Scanner(suite, "fused")


@pytest.fixture
def broken(spark, scanner):
    types = {"episode_id": "string", **{c.name: c.type for c in TABLE.computed}, **STAMPS, "ds": "date"}

    def rules(rows):
        frame = spark.createDataFrame(
            [tuple(row[name] for name in types) for row in rows],
            ", ".join(f"{name} {kind}" for name, kind in types.items()),
        )
        return {(one.column, one.severity) for one in scanner.failures(scanner.run(frame))}

    return rules


GOOD = [a_row(n) for n in range(60)]


def test_the_suite_holds_the_threshold_of_the_contract():
    assert f"classifier_probability < {SURE_FROM}" in json.dumps(read_suite(TABLE.table))


def test_good_days_break_no_rule(broken):
    assert broken(GOOD) == set()
    assert broken([*GOOD, a_row(60, **rejected("unparsed")), a_row(65, **rejected("ungrounded"))]) == set()
    one_show = [a_row(n, **dict.fromkeys(("routed_topic", "classifier_topic"), "gotime")) for n in range(70) if n % 5]
    assert broken(one_show) == {("routed_topic", "warning")}, "a landing of one show is told, and passes"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (lambda n: rejected("unparsed") if n in (0, 5) else {}, "model_status"),
        (lambda n: rejected("cut_off") if n in (0, 5) else {}, "model_status"),
        (lambda n: rejected("ungrounded") if n in (0, 5, 10) else {}, "model_status"),
        (lambda n: {"routed_topic": "gotime", "model_topic": "gotime"}, "model_topic"),
    ],
)
def test_a_model_that_breaks_or_collapses_fails_the_day_however_few_it_is_asked_about(broken, changes, found):
    """Of 12 it was asked about among 60; to be judged for collapse it needs 50 answers."""
    count = 300 if found == "model_topic" else 60
    rows = [a_row(n, **(changes(n) if n % 5 == 0 else {})) for n in range(count)]
    assert broken(rows) == {(found, "critical")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"episode_id": None},
        {"routed_topic": None},
        {"routed_topic": "music", "classifier_topic": "music"},
        {"routed_topic": TOPICS[2]},
        {"answered_by": None},
        {"answered_by": "nobody"},
        {"answered_by": "model"},
        {"model_status": "ok"},
        {"model_error": "none"},
        {"model_topic": TOPICS[1]},
        {"model_quote": "twelve characters and more"},
        {"classifier_probability": 0.89},
        {"classifier_probability": 1.5},
        {"classifier_probability": None},
        {"model_prompt_tokens": 3},
        {"run_id": None},
    ],
    ids=str,
)
def test_a_row_of_the_classifier_that_breaks_the_contract_is_critical(broken, wrong):
    assert "critical" in {severity for _, severity in broken([*GOOD, a_row(61, **wrong)])}


@pytest.mark.parametrize(
    "wrong",
    [
        {"answered_by": "classifier"},
        {"model_status": None},
        {"model_status": "unparsed"},
        {"model_status": "not_asked"},
        {"model_topic": TOPICS[1]},
        {"model_topic": None},
        {"model_quote": None},
        {"model_quote": "short"},
        {"model_quote": "x" * 301},
        {"model_prompt_tokens": None},
        {"model_output_tokens": -1},
        {"model_cost_micros": None},
    ],
    ids=str,
)
def test_a_row_of_the_model_that_breaks_the_contract_is_critical(broken, wrong):
    assert "critical" in {severity for _, severity in broken([*GOOD, a_row(60, **wrong)])}
