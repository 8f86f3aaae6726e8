"""`content-signals llm evaluate` against a server that answers by a script, and against a real, small model."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet
import pytest

from content_signals import cli
from content_signals.inspection.evaluation import KINDS
from content_signals.llm.prompt import read_prompt
from content_signals.llm.task import Task
from content_signals.signals.episode_tags_llm.answer import EpisodeTags
from tests.llm_server import completion, fails, model_server, says, scripted_server

SAYS = "we talked about it for an hour"
# id -> labels of people, labels of the model: b is half right, c is wrong, d has no answer.
ITEMS = {
    "a": (["gotime"], ["gotime"]),
    "b": (["shipit", "gotime"], ["shipit"]),
    "c": (["jsparty"], ["gotime"]),
    "d": (["gotime"], None),
}
COLUMNS = ("id", "transcript", "labels")


def transcript(name):
    return f"Episode {name}:\n{SAYS}, and then some."


def answer(labels, flags=()):
    return json.dumps(
        {
            "topics": [{"quote": SAYS, "label": label} for label in labels],
            "summary": {"quote": SAYS, "text": "Talk."},
            "audience": {"quote": SAYS, "label": "everyone"},
            "brand_safety": [{"quote": SAYS, "flag": flag} for flag in flags],
        }
    )


async def by_item(writer, call):
    shown = call.body["messages"][-1]["content"]
    (name,) = (name for name in ITEMS if f"Episode {name}:" in shown)
    labels = ITEMS[name][1]
    await says(completion(answer(labels) if labels else "I'd rather not."))(writer, call)


@pytest.fixture
def labelled(tmp_path):
    def write(rows=None, columns=COLUMNS):
        if rows is None:
            rows = [(name, transcript(name), "|".join(labels)) for name, (labels, _) in ITEMS.items()]
        path = tmp_path / "labelled.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        return path

    return write


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Run the command; exit code, what it prints, and what it complains of."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["content-signals", "llm", "evaluate", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def endpoint(tmp_path, monkeypatch):
    """Name a server to the command."""

    def name(url, budget="calls = 100", more=""):
        (tmp_path / "llm.toml").write_text(
            f'[endpoint]\nbase_url = "{url}"\nweights = "w"\ninput_per_million = 2\noutput_per_million = 10\n{more}\n'
            f'[budget]\n{budget}\n[retry]\nattempts = 1\n[ledger]\npath = "{tmp_path}/ledger.sqlite"\n'
        )
        monkeypatch.setenv("CONTENT_SIGNALS_LLM", str(tmp_path / "llm.toml"))

    return name


def test_answers_are_compared_with_the_labels(evaluate, endpoint, labelled, tmp_path):
    output = tmp_path / "found.json"
    with scripted_server(by_item) as server:
        endpoint(server.url)
        code, out, _ = evaluate(labelled(), "--json", "--output", output)
        assert (code, len(server.calls)) == (0, 4)
        found = json.loads(out)
        code, out, _ = evaluate(labelled(), "--json")
        assert (code, len(server.calls)) == (0, 4), "what was answered is not paid for twice"
    assert found["items"] == 4
    assert found["main_label_right"].startswith("0.500 (2 of 4;")
    assert found["all_labels_right"].startswith("0.250 (1 of 4;")
    assert found["used"] == {"calls": 4, "tokens": 440, "cost_micros": 4 * 300}
    labels = {one["label"]: one for one in found["labels"]}
    # gotime: given to a and c, of which a is right; people gave it to a, b and d. F1 = 2 * 1 / (2 + 3).
    gotime = {name: labels["gotime"][name] for name in ("precision_of", "recall_of", "f1")}
    assert gotime == {"precision_of": "1 of 2", "recall_of": "1 of 3", "f1": 0.4}
    assert (labels["shipit"]["f1"], labels["jsparty"]["f1"]) == (1.0, 0.0)
    assert found["micro_f1"] == round(2 * 2 / (3 + 5), 4)
    assert {one["status"]: one["share_of"] for one in found["statuses"]} == {"ok": "3 of 4", "unparsed": "1 of 4"}
    second = json.loads(out)
    assert second["used"] == {"calls": 0, "tokens": 0, "cost_micros": 0}
    assert second["answered_without_a_call"].startswith("0.750 (3 of 4;"), "a bad answer is none"
    assert second["labels"] == found["labels"]
    rows = {row["id"]: row for row in json.loads(output.read_text())["rows"]}
    assert (rows["b"]["labels"], rows["b"]["answered"]) == (["shipit", "gotime"], ["shipit"])
    (start,) = {one["start"] for one in rows["b"]["evidence"]}
    assert transcript("b")[start:].startswith(SAYS)
    assert (rows["d"]["status"], rows["d"]["answered"], rows["d"]["called"]) == ("unparsed", [], True)


def test_a_person_reads_a_table_of_parquet_labels(evaluate, endpoint, tmp_path):
    path = tmp_path / "flags.parquet"
    rows = {"id": ["a", "b"], "transcript": [transcript("a"), transcript("b")], "labels": [["arms"], []]}
    pa.parquet.write_table(pa.table(rows), path)
    with scripted_server(says(completion(answer(["gotime"], ["arms"])))) as server:
        endpoint(server.url)
        code, out, err = evaluate(path, "--kind", "brand_safety")
    assert code == 0
    assert "all labels right: 0.500 (1 of 2;" in out
    (line,) = (line for line in out.splitlines() if "arms" in line and "1 of 2" in line)
    assert "1 of 1" in line
    assert "2 of 2 transcripts" in err


def test_a_budget_that_is_spent_is_told_and_what_is_missing_is_asked_next(evaluate, endpoint, labelled):
    with scripted_server(by_item) as server:
        endpoint(server.url, budget="calls = 3")
        code, out, err = evaluate(labelled(), "--json")
        assert (code, len(server.calls)) == (75, 3)
        assert {one["status"]: one["share_of"] for one in json.loads(out)["statuses"]}["not_asked"] == "1 of 4"
        assert "1 of 4 items have no answer yet" in err
        assert "the budget of run evaluate" in err
        code, _, _ = evaluate(labelled(), "--json")
        assert (code, len(server.calls)) == (0, 4)


def test_an_endpoint_that_is_down_is_told(evaluate, endpoint, labelled):
    with scripted_server(fails(503, "gone fishing")) as server:
        endpoint(server.url)
        code, _, err = evaluate(labelled())
    assert code == 75
    assert "gone fishing" in err


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        ([("a", "x", "gotime")], ("id", "text", "labels"), "it has no column transcript; there are: id, text, labels"),
        ([], COLUMNS, "it has no rows"),
        ([("a", "x", "gotime|music")], COLUMNS, "a: 'music' is not on the list"),
        ([("a", "x", "")], COLUMNS, "a has 0 labels, not 1 to 6"),
        ([("a", "x", "gotime|gotime")], COLUMNS, "a has a label twice"),
        ([("a", "x", "gotime"), ("a", "y", "gotime")], COLUMNS, "a stands twice"),
        ([("", "x", "gotime")], COLUMNS, "row 1 has no id"),
        ([("a", " ", "gotime")], COLUMNS, "a has no transcript"),
    ],
)
def test_a_wrong_set_is_refused_before_any_call(evaluate, endpoint, labelled, rows, columns, told):
    with scripted_server(by_item) as server:
        endpoint(server.url)
        code, out, err = evaluate(labelled(rows, columns))
    assert (code, out, server.calls) == (64, "", [])
    assert told in err


def test_what_is_missing_around_it_is_refused_before_any_call(evaluate, endpoint, labelled, tmp_path, monkeypatch):
    for name in ("CONTENT_SIGNALS_LLM", "NO_SUCH_KEY"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = evaluate(labelled())
    assert (code, "names a file" in err, "conf/llm.toml" in err) == (64, True, True)
    code, _, err = evaluate(labelled(), "--endpoint", tmp_path / "nowhere.toml")
    assert (code, "cannot be read" in err) == (64, True)
    code, _, err = evaluate(tmp_path / "nowhere.csv")
    assert (code, "cannot be read" in err) == (64, True)
    with scripted_server(by_item) as server:
        endpoint(server.url, more='key_name = "NO_SUCH_KEY"')
        code, _, err = evaluate(labelled())
        assert (code, "the environment has no NO_SUCH_KEY" in err) == (64, True)
        code, _, err = evaluate(labelled(), "--output", tmp_path / "no" / "such.json")
        assert (code, "there is no such folder" in err) == (64, True)
        assert server.calls == []


@pytest.mark.slow
def test_a_real_model_is_evaluated(evaluate, endpoint, labelled, monkeypatch):
    prompt = read_prompt("episode_tags")
    decoding = prompt.decoding.model_copy(update={"max_output_tokens": 150})
    short = Task(replace(prompt, examples=(), decoding=decoding), EpisodeTags)  # minutes less
    topics = replace(KINDS["topics"], task=lambda: short)
    monkeypatch.setitem(KINDS, "topics", topics)
    rows = [("a", "**Ana:** Today we talk about goroutines, and why the Go scheduler is what it is.", "gotime")]
    with model_server() as url:
        endpoint(url, more="call_seconds = 300\nstall_seconds = 300")
        code, out, err = evaluate(labelled(rows), "--json")
    assert code == 0, err
    found = json.loads(out)
    assert {one["status"] for one in found["statuses"]} <= {"ok", "ungrounded", "cut_off"}
    assert found["used"]["calls"] == 1
    assert 0 < found["used"]["tokens"] < 8192
