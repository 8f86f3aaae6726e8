"""A job's last line: what it says of the table and of the run."""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from content_signals.errors import NotLanded
from content_signals.pipeline.context import Context, Outcome
from content_signals.pipeline.job import parser, run

DAY = "2020-03-01"


@pytest.fixture
def report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run a job on settings of its own; its exit code and its last line."""
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'landing = "landing"\nlake = "lake"\nonline_store = "unix://store.sock"\nregistry = "sqlite:///registry.db"\n'
    )

    def of(arguments: argparse.ArgumentParser, ends: Outcome | Exception, *words: str) -> tuple[int, dict[str, Any]]:
        def work(context: Context, given: argparse.Namespace, days: list[date]) -> Outcome:
            if isinstance(ends, Exception):
                raise ends
            return ends

        code = run("some_job", arguments, work, [*words, "--settings", str(settings)])
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])

    return of


def about_all() -> argparse.ArgumentParser:
    made = parser(None, subject=None, days=False)
    made.add_argument("--table")
    return made


@pytest.mark.parametrize(
    ("arguments", "words", "table"),
    [
        (parser(None), ["--table", "track_popularity", "--day", DAY], "track_popularity_v1"),
        (parser(None), ["--table", "track_popularity_v1", "--day", DAY], "track_popularity_v1"),
        (parser(None, subject="source"), ["--source", "playlist_positions", "--day", DAY], "playlist_positions_v1"),
        (about_all(), ["--table", "playlist_positions"], "playlist_positions_v1"),
        (about_all(), [], None),
    ],
)
def test_the_table_is_named_with_its_version(report, arguments, words, table) -> None:
    code, said = report(arguments, Outcome(), *words)
    assert (code, said["table"]) == (0, table)


@pytest.mark.parametrize("name", ["track_popularty", "playlist_positions"])
def test_a_name_that_is_no_table_is_answered_as_it_was_typed(report, name) -> None:
    code, said = report(parser(None), Outcome(), "--table", name, "--day", DAY)
    assert (code, said["table"]) == (64, name)
    assert said["error"] == f"unknown table {name!r}"


@pytest.mark.parametrize(
    ("stages", "run_id"),
    [({"nightly-01"}, "nightly-01"), (set(), "this-run-1"), ({"nightly-01", "nightly-02"}, "this-run-1")],
)
def test_the_run_is_that_of_the_one_stage_that_was_taken(report, stages, run_id) -> None:
    words = ["--table", "track_popularity", "--day", DAY, "--run-id", "this-run-1"]
    _, said = report(parser(None), Outcome(stages=stages), *words)
    assert said["run_id"] == run_id


def test_of_a_day_that_failed_too(report) -> None:
    failed = Outcome(stages={"nightly-01"}, failed={date(2020, 3, 1): NotLanded("nothing there")})
    code, said = report(parser(None), failed, "--table", "track_popularity", "--day", DAY)
    assert (code, said["run_id"], said["error"]) == (66, "nightly-01", "nothing there")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [(NotLanded("nothing there"), 66, "nothing there"), (OSError("disk full"), 1, "OSError: disk full")],
)
def test_a_job_that_raises_has_done_no_day(report, error, code, text) -> None:
    words = ["--table", "track_popularity", "--from", DAY, "--to", "2020-03-03", "--run-id", "nightly-01"]
    found, said = report(parser(None), error, *words)
    assert (found, said["exit_code"], said["error"]) == (code, code, text)
    assert (said["job"], said["table"], said["run_id"]) == ("some_job", "track_popularity_v1", "nightly-01")
    assert {name: said[name] for name in ("days", "rows_in", "rows_out", "quarantined", "verdict", "paths")} == {
        "days": [],
        "rows_in": 0,
        "rows_out": 0,
        "quarantined": 0,
        "verdict": None,
        "paths": [],
    }


def test_a_call_that_is_wrong_has_a_whole_last_line_too(report) -> None:
    code, said = report(parser(None), Outcome(), "--table", "track_popularity", "--day", "None")
    assert (code, said["days"], said["run_id"]) == (64, [], None)
