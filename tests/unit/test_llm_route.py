"""`content-signals llm route`: calls saved against agreement, counted again by hand."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest

from content_signals import cli
from content_signals.llm.shares import Share

OTHERS = ["jsparty", "shipit"]


def rows():
    """300 episodes: sure and right, 100 at 0.9 of which ten differ, 100 at 0.45; and five without an answer."""
    made = [(0.995, "gotime")] * 100 + [(0.9, "gotime")] * 90 + [(0.9, "shipit")] * 10 + [(0.45, "shipit")] * 100
    found = [{"topics": ["gotime", *OTHERS], "probabilities": [p, (1 - p) / 2, (1 - p) / 2], "main_topic": said}
             for p, said in made]  # fmt: skip
    return [*found, *[{**found[0], "main_topic": None}] * 5]


@pytest.fixture
def route(tmp_path, monkeypatch, capsys):
    def run(table, *words):
        path = tmp_path / "both.parquet"
        pa.parquet.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pylist(table), path)
        monkeypatch.setattr(sys, "argv", ["content-signals", "llm", "route", str(path), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


def test_calls_saved_and_agreement_at_each_threshold(route):
    code, out, _ = route(rows(), "--json", "--agreement", "0.9")
    assert code == 0
    found = json.loads(out)
    assert (found["episodes"], found["without_an_answer"]) == (300, 5)
    at = {row["sure_from"]: row for row in found["thresholds"]}
    assert (at[0.4]["saved_of"], at[0.4]["agreement"]) == ("300 of 300", round(190 / 300, 4))
    assert (at[0.9]["saved_of"], at[0.9]["agreement"]) == ("200 of 300", 0.95)
    assert (at[0.99]["saved_of"], at[0.99]["agreement"]) == ("100 of 300", 1.0)
    # 190 of 200 agree with a lower bound of 0.910: enough for 0.9, and no threshold that saves more has so much.
    assert Share(190, 200).low == pytest.approx(0.9104, abs=1e-4)
    assert found["calls_saved"].startswith("0.667 (200 of 300;")
    assert 0.45 < found["threshold"] <= 0.9


@pytest.mark.parametrize(("agreement", "saved"), [("0.95", "0.333 (100 of 300;"), ("0.99", "none: the two agree")])
def test_more_agreement_saves_less(route, agreement, saved):
    code, out, _ = route(rows(), "--agreement", agreement)
    assert (code, f"calls saved: {saved}" in out) == (0, True)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"main_topic": "music"}, "music is no topic"),
        ({"topics": ["gotime", "music", "shipit"]}, "music is no topic"),
        ({"probabilities": [0.1, 0.9, 0.0]}, "the likeliest first"),
        ({"probabilities": [0.9]}, "the likeliest first"),
        ({"main_topic": None}, "no row has an answer"),
        ({"main_topic": 5}, "5 is no topic"),
        ({"topics": ["gotime", None, "shipit"]}, "None is no topic"),
        ({"topics": None}, "are not lists of topics and of their probabilities"),
        ({"topics": "gotime"}, "are not lists of topics and of their probabilities"),
        ({"probabilities": None}, "are not lists of topics and of their probabilities"),
        ({"probabilities": 0.9}, "are not lists of topics and of their probabilities"),
        ({"probabilities": [0.9, None, 0.01]}, "a probability is a number from 0 to 1"),
        ({"probabilities": [None, None, None]}, "a probability is a number from 0 to 1"),
        ({"probabilities": ["0.9", "0.05", "0.05"]}, "a probability is a number from 0 to 1"),
        ({"probabilities": [1.1, 0.1, 0.0]}, "a probability is a number from 0 to 1"),
        ({"probabilities": [0.9, 0.1, -0.1]}, "a probability is a number from 0 to 1"),
        ({"probabilities": [float("nan"), 0.1, 0.1]}, "a probability is a number from 0 to 1"),
    ],
)
def test_a_wrong_file_is_refused(route, wrong, told):
    code, out, err = route([{**rows()[0], **wrong}])
    assert (code, out) == (64, "")
    assert told in err


def test_a_file_without_the_columns_is_refused(route):
    code, _, err = route([{"topics": ["gotime"]}])
    assert (code, "it has no column probabilities, main_topic" in err) == (64, True)


def test_a_column_that_stands_twice_is_refused(route):
    once = pa.Table.from_pylist(rows())
    code, _, err = route(once.append_column("topics", once["topics"]))
    assert (code, "more than one column topics" in err) == (64, True)
