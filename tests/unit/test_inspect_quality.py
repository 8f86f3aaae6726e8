"""`verdicts`, `quarantine` and `promote --override` on a lake whose rows were written by hand. No JVM is needed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from content_signals import cli
from content_signals.catalog import catalog
from content_signals.errors import NotLanded, Refused, SignalsError, UnknownName, UsageError
from content_signals.lake.files import read_json
from content_signals.lake.layout import Lake
from content_signals.lake.snapshot import Snapshot
from content_signals.quality.quarantine_columns import FILE, JUDGED_AT, JUDGED_BY, RULES
from content_signals.quality.verdict import CRITICAL, WARNING, Failure
from jobs import promote_signals
from tests import lake as by_hand
from tests.lake import judged, promoted, stage_of
from tests.settings import settings_in

FIRST, SECOND = date(2020, 3, 1), date(2020, 3, 2)
CHANGES, POSITIONS = "playlist_changes_v1", "playlist_positions_v1"
NO_NULL = "expect_column_values_to_not_be_null(track_id)"
IN_SET = "expect_column_values_to_be_in_set(change)"
BROKEN = Failure("expect_table_row_count_to_be_between", CRITICAL, "", "1", "min_value=2", "n")
ODD = Failure("expect_column_values_to_be_in_set", WARNING, "change", "1 of 2 rows, e.g. ['x [b]']", "a, b", "n", 1)


def rows(*keys):
    return {"playlist": ["P"] * len(keys), "track_id": list(keys), "change": ["added"] * len(keys)}


@pytest.fixture
def settings(tmp_path):
    """A first day that was stopped, then promoted with a row in quarantine; a second that is stopped."""
    settings = settings_in(tmp_path)
    table = Lake(settings.lake).of(catalog().any(CHANGES))
    judged(stage_of(table, FIRST, rows("a"), run_id="run-stopped"), 9, (BROKEN,)).write(table)
    stage = promoted(table, FIRST, rows("a", "b"), run_id="run-served")
    replace(judged(stage, 9, (ODD,)), quarantined=3).write(table)
    judged(stage_of(table, SECOND, rows("c"), run_id="run-second"), 9, (BROKEN,)).write(table)
    return settings


@pytest.fixture
def aside(settings, monkeypatch):
    """Three rows in quarantine, one of which breaks two rules; and a line of a source."""
    texts = {"type": "array", "elementType": "string", "containsNull": True}
    monkeypatch.setattr(by_hand, "TYPES", {**by_hand.TYPES, str(pa.list_(pa.string())): texts})
    lake, moment = Lake(settings.lake), datetime(2020, 3, 2, 4, tzinfo=UTC)
    found = {
        "playlist": ["P", "P", "Ж"],
        "track_id": ["a", None, "🎵"],
        "change": ["lost", "added", "[b]x"],
        "event_ts": pa.array([moment] * 3, pa.timestamp("us", "UTC")),
        RULES: [[IN_SET], [NO_NULL, IN_SET], [IN_SET]],
        JUDGED_BY: ["run-served"] * 3,
        JUDGED_AT: pa.array([moment] * 3, pa.timestamp("us", "UTC")),
        FILE: ["part-0.parquet"] * 3,
    }
    promoted(lake.quarantine(catalog().any(CHANGES)), FIRST, found)
    lines = {"line": ["x;y", "", "z"], "reason": ["fields", "empty", "fields"]}
    promoted(lake.malformed(catalog().source(POSITIONS)), FIRST, lines)


@pytest.fixture
def command(settings, tmp_path):
    """Run the command on that lake; what it prints."""
    file = tmp_path / "lake.toml"
    values = {name: str(getattr(settings, name)) for name in ("landing", "lake", "var")}
    values |= {name: getattr(settings, name).get_secret_value() for name in ("online_store", "registry")}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.app, [*words, "--settings", str(file)])
        if done.exception:
            raise done.exception
        return done.stdout

    return run


@pytest.fixture
def as_json(command):
    return lambda *words: json.loads(command(*words, "--json"))


def test_verdicts_of_the_last_days(command, as_json):
    found = as_json("verdicts", "playlist_changes")
    assert [(one["day"], one["run_id"], one["verdict"], one["served"]) for one in found] == [
        ("2020-03-02", "run-second", "stopped", False),
        ("2020-03-01", "run-served", "warned", True),
        ("2020-03-01", "run-stopped", "stopped", False),
    ]
    assert found[1]["quarantined"] == 3
    assert found[1]["failed"] == [
        "expect_column_values_to_be_in_set(change) (warning): observed 1 of 2 rows, e.g. ['x [b]'], allowed a, b"
    ]
    assert [one["day"] for one in as_json("verdicts", CHANGES, "--last", "1")] == ["2020-03-02"]
    assert "x [b]" in "".join(command("verdicts", CHANGES).split("\n")), "brackets are shown as they are"


def test_verdicts_of_a_day_and_of_none(command, as_json):
    assert {one["run_id"] for one in as_json("verdicts", CHANGES, "--day", "2020-03-01")} == {
        "run-served",
        "run-stopped",
    }
    assert as_json("verdicts", CHANGES, "--day", "2020-03-09") == []
    assert as_json("verdicts", "track_popularity") == []
    assert command("verdicts", "track_popularity").strip() == "nothing was judged"


def test_quarantine_by_rule(command, as_json, aside):
    found = as_json("quarantine", "show", "playlist_changes", "--day", "2020-03-01")
    assert [(one["rule"], one["rows"]) for one in found] == [(IN_SET, 3), (NO_NULL, 1)]
    assert found[1]["examples"] == [
        {"playlist": "P", "track_id": None, "change": "added", "event_ts": "2020-03-02 04:00:00+00:00"}
    ]
    said = command("quarantine", CHANGES, "--day", "2020-03-01")
    for word in (NO_NULL, "🎵", "[b]x"):
        assert word in said
    assert JUDGED_BY not in said


def test_quarantine_of_a_source_by_reason(as_json, aside):
    found = as_json("quarantine", POSITIONS, "--day", "2020-03-01")
    assert [(one["rule"], one["rows"]) for one in found] == [("fields", 2), ("empty", 1)]
    assert found[1]["examples"] == [{"line": ""}]


def test_nothing_in_quarantine(command, as_json):
    assert as_json("quarantine", CHANGES, "--day", "2020-03-01") == []
    assert command("quarantine", CHANGES, "--day", "2020-03-01").strip() == "nothing is in quarantine"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("verdicts", "playlist_chang"), UnknownName),
        (("verdicts", CHANGES, "--day", "yesterday"), UsageError),
        (("quarantine", "playlist_chang", "--day", "2020-03-01"), UnknownName),
        (("quarantine", CHANGES, "--day", "2020-13-01"), UsageError),
        (("quarantine", "release", "playlist_chang", "--day", "2020-03-01"), UnknownName),
        (("quarantine", "release", CHANGES, "--day", "tomorrow"), UsageError),
        (("promote", CHANGES, "--day", "2020-03-01", "--override"), UsageError),
        (("promote", CHANGES, "--day", "2020-03-01", "--override", "--reason", "short"), UsageError),
        (("promote", CHANGES, "--day", "2020-03-01", "--reason", "a reason without the word"), UsageError),
        (("promote", CHANGES, "--day", "2020-03-01", "--by", "kim"), UsageError),
        (("promote", CHANGES, "--day", "2020-03-09"), NotLanded),
        (("promote", CHANGES, "--day", "2020-03-02"), Refused),
        (("promote", CHANGES, "--day", "2020-03-01", "--run-id", "run-nobody-knows"), NotLanded),
    ],
)
def test_errors_say_what_to_do(command, words, error):
    with pytest.raises(error) as told:
        command(*words)
    assert isinstance(told.value, SignalsError)
    assert told.value.next_step


def test_somebody_lets_a_stopped_day_through(command, as_json, settings):
    command("promote", CHANGES, "--day", "2020-03-02", "--override", "--reason", "the label told us", "--by", "kim")
    [told] = as_json("verdicts", CHANGES, "--day", "2020-03-02")
    assert (told["verdict"], told["served"]) == ("stopped", True)
    assert told["override"].startswith("kim, 20")
    assert told["override"].endswith(": the label told us")
    table = Lake(settings.lake).of(catalog().any(CHANGES))
    assert Snapshot(table).delta.history(1)[0]["override_reason"] == "the label told us"
    day = next(
        one for one in read_json(f"{settings.lake}/_status/{CHANGES}.json")["days"] if one["day"] == "2020-03-02"
    )
    assert (day["promoted"], day["override"]["by"]) == (True, "kim")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2020-03-01", "--to", "2020-03-02", "--override", "--reason", "long enough"), "about one day"),
        (("--day", "2020-03-02", "--reason", "long enough"), "belong to --override"),
        (("--day", "2020-03-02", "--override"), "a reason of at least 10 characters"),
        (("--day", "2020-03-02", "--override", "--reason", "long enough", "--by", " "), "names who decided it"),
    ],
)
def test_the_job_refuses_an_override_without_its_words(words, said, command, tmp_path, capsys):
    from content_signals.pipeline.job import run

    words = ["--table", CHANGES, *words, "--settings", str(tmp_path / "lake.toml")]
    assert run("promote_signals", promote_signals.arguments(), promote_signals.work, words) == 64
    assert said in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
