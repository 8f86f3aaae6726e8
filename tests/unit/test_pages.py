"""The page of a table says what its contract, its rules and its measurements say."""

from __future__ import annotations

from content_signals.catalog import Catalog, catalog
from content_signals.content import Content
from content_signals.contract import Column, Computed, Entity, Input, Source, Table
from content_signals.inspection.pages import FOLDER, allowed, page, pages

SOURCE = Source(
    name="texts", version=1, format="parquet", landing=("t.parquet",), key=("text_id",), owner="o", about="Texts.",
    columns=(Column("text_id", "string", "The text"), Column("sha256", "string", "Its digest")),
    contents=(Column("body", "string", "The words"),),
)  # fmt: skip
TABLE = Table(
    name="lengths", version=1, entity=Entity("text", "text_id", "A text"), driver=Input("texts_v1"), owner="us",
    content=Content(id="sha256", reads=("body",), revision="7"),
    columns=(Computed("words", "int", unit="words", about="How many | there are"),
             Computed("kind", "string", about="K")),
    about="How long texts are.",
)  # fmt: skip


def rule(kind: str, severity: str = "critical", **kwargs: object) -> dict:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"notes": "because"}}


def suite(*rules: dict) -> dict:
    return {"name": "lengths_v1", "expectations": list(rules)}


def test_a_range_is_what_the_rules_let_through_those_that_warn_in_brackets():
    between = "expect_column_values_to_be_between"
    rules = suite(
        rule("expect_column_values_to_not_be_null", column="words"),
        rule(between, column="words", min_value=0),
        rule(between, "warning", column="words", min_value=5, max_value=20_000, mostly=0.99),
        rule(between, column="words", max_value=9, row_condition="kind = 'x'"),
        rule("expect_column_values_to_be_in_set", column="kind", value_set=[f"k{n}" for n in range(14)]),
    )
    assert allowed(rules, "words") == "not null; 0 and more; [5 to 20,000 in 0.99 of the rows]"
    assert allowed(rules, "kind") == ", ".join(f"k{n}" for n in range(12)) + " and 2 more"
    assert allowed(rules, "other") == ""


def test_a_page_has_contract_measurements_and_rules():
    measured = {
        "command": "python -m benchmarks.lengths",
        "machine": "2 cores",
        "quality": [{"what": "accuracy", "value": "0.97", "on": "500 texts"}],
        "cost": {"rows_per_cpu_second": 1250.4, "core_hours_per_100_million": 22.2},
    }
    known = Catalog([SOURCE, TABLE])
    text = page(known, TABLE, suite(rule("expect_table_row_count_to_be_between", min_value=1)), measured)
    assert text.startswith("# lengths_v1\n\nHow long texts are.\n")
    assert "* **Computed once for each content** of `body`; revision: 7" in text
    assert "| `words` | `int` | words |  | computed | How many \\| there are |" in text
    assert "| accuracy | 0.97 | 500 texts |" in text
    assert "1,250 rows a CPU second, 22.2 core-hours for 100 million" in text
    assert "| `expect_table_row_count_to_be_between` | min_value 1 | critical | because |" in text
    assert "Nothing is measured of it yet." in page(known, TABLE, suite(), None)


def test_the_pages_in_the_repository_are_those_of_the_contracts():
    there = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    assert there == pages(catalog())
