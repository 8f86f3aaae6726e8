"""Suites: every table has one, complete, in Great Expectations' own format."""

from __future__ import annotations

import json

import pytest

from content_signals.catalog import catalog
from content_signals.contract import RUN_ID, STAMPS, Source, Table
from content_signals.errors import UsageError
from content_signals.quality.suite import FOLDER, covered_columns, read_suite, suggest

TABLES = {table.table: table for table in catalog().tables}
ALL: dict[str, Source | Table] = {source.table: source for source in catalog().sources} | TABLES


def columns_of(table: Source | Table) -> set[str]:
    return {*table.keys, *table.values, *([RUN_ID] if isinstance(table, Source) else STAMPS)}


@pytest.mark.parametrize("name", ALL)
def test_every_column_is_covered(name):
    assert columns_of(ALL[name]) - covered_columns(read_suite(name)) == set()


@pytest.mark.parametrize("name", ALL)
def test_rules_are_about_columns_there_are(name):
    assert covered_columns(read_suite(name)) <= {*columns_of(ALL[name]), "ds"}


@pytest.mark.parametrize("name", ALL)
def test_every_rule_has_a_severity_and_says_why(name):
    suite = read_suite(name)
    assert suite["name"] == name
    for rule in suite["expectations"]:
        assert rule["severity"] in ("critical", "warning", "info"), rule
        assert rule["meta"]["notes"], rule
        assert "$PARAMETER" not in json.dumps(rule)


def test_there_is_no_suite_without_a_table():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(ALL)


@pytest.mark.parametrize("name", TABLES)
def test_a_suggested_suite_covers_its_table(name):
    table = TABLES[name]
    assert covered_columns(suggest(table)) == {*table.keys, *table.values, *STAMPS}


def test_a_missing_or_broken_suite_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing_v1 has no rules: nothing_v1\.json is missing"):
        read_suite("nothing_v1", tmp_path)
    (tmp_path / "broken_v1.json").write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        read_suite("broken_v1", tmp_path)
