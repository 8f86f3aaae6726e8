"""Answers: their types as JSON schema, and texts read as answers or refused with a reason."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field

from content_signals.llm.schema import Invalid, Unparsed, json_schema_of, portable, read_answer
from content_signals.signals.episode_tags_llm.answer import EpisodeTags
from tests.llm import GOOD, Told


class Inner(BaseModel):
    """Says what it is for."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=5, description="its name")]
    kind: Literal["a", "b"]


class Outer(BaseModel):
    """A schema with what may trip: a property called like a keyword, a type used twice, a number."""

    model_config = ConfigDict(extra="forbid")

    first: Inner
    rest: list[Inner]
    maxLength: Annotated[int, Field(ge=0, le=9)]  # noqa: N815


def test_a_types_schema_is_closed_complete_and_without_references():
    inner = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 5, "description": "its name"},
            "kind": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["title", "kind"],
        "additionalProperties": False,
    }
    assert json_schema_of(Outer) == {
        "type": "object",
        "properties": {
            "first": inner,
            "rest": {"type": "array", "items": inner},
            "maxLength": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "required": ["first", "rest", "maxLength"],
        "additionalProperties": False,
    }


def test_a_portable_schema_lacks_lengths_of_texts_alone():
    made = portable(json_schema_of(Outer))
    assert list(made["properties"]) == ["first", "rest", "maxLength"]
    assert made["properties"]["first"]["properties"]["title"] == {"type": "string", "description": "its name"}
    assert made["properties"]["maxLength"] == {"type": "integer", "minimum": 0, "maximum": 9}
    assert "maxLength" not in json.dumps(portable(json_schema_of(EpisodeTags)))


def test_what_is_read_is_what_the_schema_lets_pass():
    """The type and its schema agree on answers, good and bad, by an implementation of JSON Schema that is not ours."""
    validator = jsonschema.Draft202012Validator(json_schema_of(Told))
    topic = GOOD["topics"][0]
    answers = [
        GOOD,
        {**GOOD, "summary": ""},
        {**GOOD, "summary": "x" * 60},
        {**GOOD, "summary": "x" * 61},
        {**GOOD, "summary": None},
        {**GOOD, "summary": 5},
        {**GOOD, "topics": []},
        {**GOOD, "topics": [topic] * 2},
        {**GOOD, "topics": [topic] * 3},
        {**GOOD, "topics": topic},
        {**GOOD, "topics": [{**topic, "label": "music"}]},
        {**GOOD, "topics": [{**topic, "quote": "short"}]},
        {**GOOD, "topics": [{"label": "food"}]},
        {**GOOD, "more": 1},
        {"summary": "x"},
        [GOOD],
        "food",
        None,
    ]
    for answer in answers:
        good = validator.is_valid(answer)
        try:
            read_answer(json.dumps(answer), Told)
        except Invalid:
            assert not good, answer
        else:
            assert good, answer


AROUND = [
    "{}",
    "  {}\n",
    "```json\n{}\n```",
    "```\n{}\n```\n",
    "```JSON\n{}\n```",
    "```Json\r\n{}\r\n```",
    "```json {}```",
    "``` {} ```",
    "```{}```",
    "\ufeff{}",
    "\ufeff```json\n{}\n```",
    " \ufeff\n{}",
    # what a model thought
    "<think>so it is</think>{}",
    '<think>\n{{"topics": []}}\n```json\n{{}}```\n</think>\n\n{}',
    "\n<think></think>\n```json\n{}\n```",
    "\ufeff<think>hm <think> hm</think>\n{}",
]


@pytest.mark.parametrize("around", AROUND)
def test_an_answer_is_read(around):
    read = read_answer(around.format(json.dumps(GOOD)), Told)
    assert read.model_dump(mode="json") == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "food",
        "Here it is: " + json.dumps(GOOD),
        json.dumps(GOOD) + " I hope this helps!",
        json.dumps(GOOD)[:-5],
        "{'topics': []}",
        "```python\n" + json.dumps(GOOD) + "\n```",
        "```json\n" + json.dumps(GOOD) + "\n``` I hope this helps!",
        "```json\n```json\n" + json.dumps(GOOD) + "\n```\n```",
        # thoughts that end nowhere, stand twice or after something, or are called otherwise
        "<think>so " + json.dumps(GOOD),
        "so</think>" + json.dumps(GOOD),
        "<think>so</think>",
        "<think>a</think><think>b</think>" + json.dumps(GOOD),
        "Well: <think>so</think>" + json.dumps(GOOD),
        json.dumps(GOOD) + "<think>so</think>",
        "<thought>so</thought>" + json.dumps(GOOD),
        "<think>so</think>Here it is: " + json.dumps(GOOD),
        '{"summary": "a", "summary": "b"}',
        '{"summary": NaN}',
        '{"summary": "\\ud800"}',
        "[" * 100_000,
        '{"summary": ' + "9" * 10_000 + "}",
    ],
)
def test_what_is_no_json_is_said_to_be_none(text):
    with pytest.raises(Unparsed):
        read_answer(text, Told)


def test_faults_are_named_without_the_text():
    topics = [{"quote": "my secret words", "label": "x"}] * 2
    wrong = {"topics": topics, "summary": "y" * 99, **{f"n{i}": i for i in range(9)}}
    with pytest.raises(Invalid) as told:
        read_answer(json.dumps(wrong), Told)
    assert "topics.0.label: Input should be 'food' or 'sport'" in str(told.value)
    assert "summary: String should have at most 60 characters" in str(told.value)
    assert "and 8 more" in str(told.value)
    assert "secret" not in str(told.value)
