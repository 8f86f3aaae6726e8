"""Answers as pydantic models, and their JSON schema: derived, made portable, and held to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

A = TypeVar("A", bound=BaseModel)

# Keywords that strict endpoints refuse ("Structured Outputs" of the OpenAI API takes patterns and sizes of lists, but
# no lengths of texts). What they say is checked when the answer is read.
_NOT_PORTABLE = ("minLength", "maxLength", "uniqueItems")
# What models think before they answer, where the server leaves it in: one block, at the beginning alone.
_THOUGHT = re.compile(r"\A<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\A```(?:json)?(.*)```\Z", re.DOTALL | re.IGNORECASE)
_SHOWN = 5  # faults of an answer that its error tells


class Unparsed(ValueError):
    """A text that is not JSON."""


class Invalid(ValueError):
    """JSON that is not what the schema says."""


def json_schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model as endpoints take it: without references, every object closed, every property required.

    Properties are in the order of the model's fields. Docstrings are for whoever reads the code, and left out.
    """
    whole = model.model_json_schema()
    definitions = {name: _without_docstring(one) for name, one in whole.get("$defs", {}).items()}
    made = _resolved(_without_docstring(whole), definitions)
    assert isinstance(made, dict)
    return made


def portable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without the keywords that strict endpoints refuse."""
    made = _without(schema)
    assert isinstance(made, dict)
    return made


def read_answer(text: str, model: type[A]) -> A:
    """The answer that a text is. A block of thoughts before it, and one fence of Markdown around it, are let pass.

    So is a byte order mark; a word beside the answer is not.

    Raises:
        Unparsed: the text is not JSON, or has a name twice, a number that is none, or half a character.
        Invalid: naming the first faults, without their text.
    """
    try:
        value = json.loads(_bare(text), object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise Unparsed("nested too deeply") from None
    except ValueError as error:
        raise Unparsed(str(error)[:200]) from None
    try:
        # In JSON a tuple is an array: strict about types, not about that.
        return model.model_validate_json(json.dumps(value, ensure_ascii=False), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}"[:200] for fault in faults]
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise Invalid("; ".join(told[:_SHOWN]) + more) from None


def _bare(text: str) -> str:
    """An answer without what may stand around it."""
    text = _stripped(_THOUGHT.sub("", _stripped(text)))
    fenced = _FENCED.match(text)
    return _stripped(fenced[1]) if fenced else text


def _stripped(text: str) -> str:
    return text.strip().strip("\ufeff").strip()


def _without_docstring(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "description"}


def _resolved(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        referred = definitions[node["$ref"].rpartition("/")[2]]
        return _resolved({**referred, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    made = {key: _resolved(value, definitions) for key, value in node.items() if key not in ("$defs", "default")}
    if isinstance(made.get("title"), str):
        del made["title"]
    if "properties" in node:
        made["properties"] = {name: _resolved(value, definitions) for name, value in node["properties"].items()}
        made |= {"required": list(node["properties"]), "additionalProperties": False}
    return made


def _without(node: Any) -> Any:
    if isinstance(node, list):
        return [_without(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: _without(value) for key, value in node.items() if key not in _NOT_PORTABLE}
    if "properties" in node:  # a property may bear the name of a keyword
        made["properties"] = {name: _without(value) for name, value in node["properties"].items()}
    return made


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has a name twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
