"""A table that needs what this installation does not have: refused by name, else left out, and never silently."""

from __future__ import annotations

import json

import pytest

from content_signals.catalog import Catalog, catalog
from content_signals.content import Content, Need
from content_signals.contract import Column, Computed, Entity, Input, Source, Table
from content_signals.errors import ContractError, UsageError
from content_signals.lake.layout import Lake, start_run
from content_signals.pipeline.context import Context
from content_signals.pipeline.job import parser, run
from content_signals.pipeline.needs import check_needs, without_lacking
from jobs import extract_signals, rebuild_signals
from tests.settings import settings_in

MODEL = Need("A_MODEL", "a model's address")
BOOK = Entity("book", "book_id", "A book")
BOOKS = Source(
    "books", 1, "parquet", ("books.parquet",), (Column("book_id", "string", "id"),), ("book_id",), "o", "Books"
)
SAID = Table(
    "said", 1, Input("books_v1"), (Computed("tag", "string", "A tag"),), "o", "Tags", entity=BOOK,
    content=Content(reads=("book_id",), revision="1", needs=(MODEL,)),
)  # fmt: skip
MADE_OF_IT = Table("made", 1, Input("said_v1"), (Computed("x", "int", "X"),), "o", "X", entity=BOOK)
APART = Table("apart", 1, Input("books_v1"), (Computed("y", "int", "Y"),), "o", "Y", entity=BOOK)
KNOWN = Catalog([BOOKS, SAID, MADE_OF_IT, APART])
REBUILD = rebuild_signals.arguments()
TAGS = "episode_tags_llm_v1"


@pytest.fixture
def context(tmp_path):
    settings = settings_in(tmp_path)
    lines: list[str] = []
    found = Context(settings, Lake(settings.lake), KNOWN, start_run(), lines.append)
    return found, lines


@pytest.mark.parametrize(("variable", "about"), [("", "x"), ("a_model", "x"), ("A-MODEL", "x"), ("A_MODEL", "")])
def test_a_need_has_a_name_and_says_what_it_is(variable, about):
    with pytest.raises(ContractError):
        Need(variable, about)


@pytest.mark.parametrize(("environment", "lacking"), [({}, True), ({"A_MODEL": " "}, True), ({"A_MODEL": "x"}, False)])
def test_a_table_lacks_what_it_or_what_it_is_made_of_needs(environment, lacking):
    expected = (MODEL,) if lacking else ()
    assert KNOWN.lacking(SAID, environment) == expected
    assert KNOWN.lacking(MADE_OF_IT, environment) == expected
    assert KNOWN.lacking(APART, environment) == ()


def test_by_name_it_is_refused_with_what_to_do():
    check_needs(KNOWN, SAID, {"A_MODEL": "x"})
    with pytest.raises(UsageError, match="said_v1 cannot be made here: the environment has no A_MODEL") as refused:
        check_needs(KNOWN, SAID, {})
    assert "a model's address" in str(refused.value)


def test_a_plan_leaves_it_out_and_says_why(context):
    found, lines = context
    plan = {"said_v1": [1], "made_v1": [1], "apart_v1": [1]}
    assert without_lacking(found, plan, ["apart_v1"], {}) == {"apart_v1": [1]}
    assert lines == [f"{name}: left out, the environment has no A_MODEL" for name in ("said_v1", "made_v1")]
    assert without_lacking(found, plan, ["said_v1"], {"A_MODEL": "x"}) == plan
    with pytest.raises(UsageError, match="A_MODEL"):
        without_lacking(found, plan, ["said_v1"], {})


@pytest.mark.parametrize(
    ("module", "arguments", "asked"),
    [
        (extract_signals, parser(None), ["--table", TAGS, "--day", "2020-03-01"]),
        (
            rebuild_signals,
            rebuild_signals.arguments(),
            ["--tables", TAGS, "--from", "2020-03-01", "--to", "2020-03-02"],
        ),
    ],
)
def test_the_job_refuses_before_any_work(module, arguments, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CONTENT_SIGNALS_LLM", raising=False)
    monkeypatch.setattr(module, "spark_session", lambda name: pytest.fail("Spark was started"))
    for name, value in settings_in(tmp_path).environment().items():
        monkeypatch.setenv(name, value)
    assert run("a_job", arguments, module.work, asked) == 64
    out, err = capsys.readouterr()
    assert "the environment has no CONTENT_SIGNALS_LLM" in json.loads(out)["error"]
    assert "conf/llm.toml" in err


def test_only_what_asks_a_model_needs_one():
    assert [table.table for table in catalog().tables if catalog().lacking(table, {})] == [
        TAGS,
        "episode_main_topic_v1",
    ]
