"""Prompts: files of front matter and text, read, refused with a reason, and hashed by what a model is shown."""

from __future__ import annotations

import json

import pytest

from content_signals.errors import UnknownName, UsageError
from content_signals.llm.prompt import FOLDER, read_prompt, versions
from content_signals.llm.task import Task
from content_signals.signals.episode_main_topic.answer import MainTopic
from content_signals.signals.episode_main_topic.contract import EPISODE_MAIN_TOPIC_V1
from content_signals.signals.episode_tags_llm.answer import EpisodeTags
from content_signals.signals.episode_tags_llm.contract import EPISODE_TAGS_LLM_V1
from tests.llm import EXAMPLES, PROMPT, Told, prompt_in, write_prompt

PROMPTS = [(path.parent.name, int(path.stem[1:])) for path in sorted(FOLDER.glob("*/v*.md"))]
TYPES = {"episode_tags": EpisodeTags, "episode_main_topic": MainTopic}
CONTRACTS = {"episode_tags": EPISODE_TAGS_LLM_V1, "episode_main_topic": EPISODE_MAIN_TOPIC_V1}


@pytest.mark.parametrize(("name", "version"), PROMPTS)
def test_every_prompt_there_is_says_what_its_answers_type_says(name, version):
    prompt = read_prompt(name, version)
    assert Task(prompt, TYPES[name]).prompt.id == f"{name}/v{version}"
    assert prompt.owner
    assert prompt.examples


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_familys_revision_names_what_its_model_is_shown(name):
    """Else another prompt would leave answers to the one before standing."""
    revision = CONTRACTS[name].content.revision.split()
    prompt = read_prompt(*(name, int(revision[0].partition("/v")[2])))
    assert revision[:3] == [prompt.id, prompt.hash[:12], prompt.schema_hash[:12]]


def test_every_example_is_of_a_prompt():
    named = {(name, one.name) for name, version in PROMPTS for one in read_prompt(name, version).examples}
    assert named == {(path.parent.parent.name, path.stem) for path in FOLDER.glob("*/examples/*.json")}


def test_a_prompt_is_read(tmp_path):
    prompt = prompt_in(tmp_path)
    assert (prompt.id, prompt.owner, prompt.model) == ("notes/v1", "somebody", "small")
    assert prompt.system == "Say what the note is about."
    assert prompt.user == "The note:\n{{transcript}}\nAnswer in JSON."
    assert [one.name for one in prompt.examples] == ["soup", "match"]
    assert prompt.decoding.max_output_tokens == 100
    assert list(prompt.schema["properties"]) == ["topics", "summary"]


def test_the_newest_version_is_meant_where_none_is_named(tmp_path):
    write_prompt(tmp_path)
    write_prompt(tmp_path, PROMPT.replace("the note is about", "it is about"), version=10)
    write_prompt(tmp_path, version=2)
    assert versions("notes", tmp_path) == (1, 2, 10)
    assert read_prompt("notes", folder=tmp_path).version == 10
    assert read_prompt("notes", 2, tmp_path).version == 2


@pytest.mark.parametrize(("name", "version"), [("nots", None), ("notes", 2), ("../notes", None), ("", None)])
def test_an_unknown_prompt_is_answered_with_those_there_are(tmp_path, name, version):
    write_prompt(tmp_path)
    with pytest.raises(UnknownName) as told:
        read_prompt(name, version, tmp_path)
    assert "notes/v1" in str(told.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("---\nabout", "about", "front matter"),
        ("owner: somebody\n", "", "owner: Field required"),
        ("owner: somebody", "owner: ''", "owner: String should have at least 1 character"),
        ("model: small", "modell: small", "modell: Extra inputs"),
        ("temperature: 0", "temperature: 3", "decoding.temperature"),
        ("{temperature: 0, max_output_tokens: 100}", "{temperature: 0}", "decoding.max_output_tokens: Field required"),
        ("# System", "# Sistem", "# System and # User"),
        ("{{transcript}}", "{transcript}", "one {{transcript}}"),
        ("The note:", "The note {{title}}:", "no other {{…}}"),
        ("Say what the note is about.", " ", "neither part is empty"),
        ("[soup, match]", "[soup, salad]", "salad.json is missing"),
        ("[soup, match]", "[../soup]", "no name of an example"),
        ("about: What", "about: [What", "is no prompt"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(tmp_path, old, new, told):
    with pytest.raises(UsageError) as refused:
        prompt_in(tmp_path, (old, new))
    assert told in str(refused.value)
    assert "prompts/notes/v1.md" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner: somebody", "owner: somebody else"),
        ("about: What a note is about.", "about: Notes."),
        ("# System\n", "# System\n\n"),
        ("model: small", "model: large"),
        ("max_output_tokens: 100", "max_output_tokens: 200"),
    ],
)
def test_what_no_model_is_shown_is_not_in_the_hash(tmp_path, old, new):
    assert prompt_in(tmp_path, (old, new)).hash == prompt_in(tmp_path).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Say what", "Tell what"),
        ("Answer in JSON.", "Answer in JSON!"),
        ("[soup, match]", "[soup]"),
        ("shuffle_seed: 3", "shuffle_seed: 4"),
        ("max_tokens: 200", "max_tokens: 201"),
        ("sport playing", "sport watching"),
    ],
)
def test_what_a_model_is_shown_is_in_the_hash(tmp_path, old, new):
    assert prompt_in(tmp_path, (old, new)).hash != prompt_in(tmp_path).hash


def test_an_examples_text_is_in_the_hash(tmp_path):
    before = prompt_in(tmp_path).hash
    changed = {**EXAMPLES, "soup": {**EXAMPLES["soup"], "transcript": "The soup was hot and the bread was old."}}
    write_prompt(tmp_path, examples=changed)
    assert read_prompt("notes", folder=tmp_path).hash != before


def test_the_schemas_hash_knows_the_order_of_properties(tmp_path):
    before = prompt_in(tmp_path)
    swapped = prompt_in(
        tmp_path,
        ("          quote: {type: string, minLength: 12, maxLength: 120}\n", ""),
        (
            "enum: [food, sport]}\n",
            "enum: [food, sport]}\n          quote: {type: string, minLength: 12, maxLength: 120}\n",
        ),
    )
    assert swapped.schema_hash != before.schema_hash
    assert swapped.hash == before.hash
    with pytest.raises(UsageError, match="order"):
        Task(swapped, Told)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("enum: [food, sport]", "enum: [food, sports]", "properties.topics.items.properties.label.enum"),
        ("maxLength: 60", "maxLength: 61", "properties.summary.maxLength"),
        ("required: [topics, summary]", "required: [topics]", "required"),
    ],
)
def test_a_schema_that_is_not_the_types_is_refused(tmp_path, old, new, place):
    with pytest.raises(UsageError, match=place.replace(".", r"\.")):
        Task(prompt_in(tmp_path, (old, new)), Told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"topics": [{"quote": "The soup was cold", "label": "food"}], "summary": "Soup."}, "topics.0 is not in"),
        ({"topics": [{"quote": "The soup was hot", "label": "drink"}], "summary": "Soup."}, "is not of its schema"),
    ],
)
def test_an_example_that_would_be_rejected_is_refused(tmp_path, answer, told):
    write_prompt(tmp_path, examples={**EXAMPLES, "soup": {**EXAMPLES["soup"], "answer": answer}})
    with pytest.raises(UsageError, match=told):
        Task(read_prompt("notes", folder=tmp_path), Told)


def test_an_example_has_two_entries(tmp_path):
    write_prompt(tmp_path)
    (tmp_path / "notes" / "examples" / "soup.json").write_text(json.dumps({"transcript": "x"}))
    with pytest.raises(UsageError, match="transcript and answer"):
        read_prompt("notes", folder=tmp_path)
