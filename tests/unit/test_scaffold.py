"""`content-signals new`: the suite alone, and what the command says next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from content_signals import cli
from content_signals.catalog import catalog
from content_signals.errors import UnknownName, UsageError
from content_signals.inspection import scaffold
from content_signals.quality.suite import covered_columns, suggest

POPULARITY = catalog().table("track_popularity")


def new(*words: str):
    return CliRunner().invoke(cli.app, ["new", *words])


def test_a_suite_is_written_from_the_contract_alone(tmp_path):
    path = scaffold.write_suite(POPULARITY, root=tmp_path)
    assert path == Path("expectations/track_popularity_v1.json")
    assert [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()] == [path]
    suite = json.loads((tmp_path / path).read_text())
    assert suite == suggest(POPULARITY)
    assert set(POPULARITY.values) <= covered_columns(suite)


def test_a_suite_that_is_there_is_written_over_only_when_asked(tmp_path):
    path = tmp_path / scaffold.write_suite(POPULARITY, root=tmp_path)
    path.write_text("sharpened")
    with pytest.raises(UsageError, match=r"expectations/track_popularity_v1\.json is there already"):
        scaffold.write_suite(POPULARITY, root=tmp_path)
    assert path.read_text() == "sharpened"
    scaffold.write_suite(POPULARITY, root=tmp_path, force=True)
    assert json.loads(path.read_text()) == suggest(POPULARITY)


@pytest.mark.parametrize(("force", "given"), [([], False), (["--force"], True)])
def test_the_command_writes_the_suite_of_a_table(monkeypatch, force, given):
    asked = []
    monkeypatch.setattr(
        scaffold, "write_suite", lambda table, force: asked.append((table.table, force)) or Path("expectations/x.json")
    )
    said = new("track_title", "--suite-only", *force)
    assert (said.exit_code, asked) == (0, [("track_title_v1", given)])
    assert said.output.splitlines() == [
        "wrote expectations/x.json",
        "next: sharpen the rules, then: content-signals try track_title_v1 --day D",
    ]


def test_the_command_refuses_what_is_there_or_unknown():
    assert "is there already" in str(new("track_popularity", "--suite-only").exception)
    assert isinstance(new("track_popularty", "--suite-only").exception, UnknownName)


def test_the_command_says_which_file_comes_next(monkeypatch):
    monkeypatch.setattr(scaffold, "write_family", lambda family, force: list(scaffold._files(family)))
    said = new("track_mood")
    next_line = (
        "next: declare the signals in content_signals/signals/track_mood/contract.py, then: "
        "content-signals try track_mood_v1 --day D"
    )
    assert said.output.splitlines()[-1] == next_line
    assert len(said.output.splitlines()) == 6


def test_the_command_says_the_same_to_a_program(monkeypatch):
    monkeypatch.setattr(scaffold, "write_family", lambda family, force: list(scaffold._files(family)))
    monkeypatch.setattr(scaffold, "write_suite", lambda table, force: Path("expectations/x.json"))
    assert json.loads(new("track_mood", "--json").stdout) == {
        "written": [
            "content_signals/signals/track_mood/__init__.py",
            "content_signals/signals/track_mood/contract.py",
            "content_signals/signals/track_mood/compute.py",
            "expectations/track_mood_v1.json",
            "tests/spark/test_track_mood.py",
        ],
        "next": "declare the signals in content_signals/signals/track_mood/contract.py, then: "
        "content-signals try track_mood_v1 --day D",
    }
    assert json.loads(new("track_title", "--suite-only", "--json").stdout) == {
        "written": ["expectations/x.json"],
        "next": "sharpen the rules, then: content-signals try track_title_v1 --day D",
    }
