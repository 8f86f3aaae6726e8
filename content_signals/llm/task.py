"""What is asked: a prompt, and the type its answers are read as. The two must say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from content_signals.errors import UsageError
from content_signals.llm.digests import canonical
from content_signals.llm.grounding import Transcript
from content_signals.llm.prompt import Prompt, read_prompt
from content_signals.llm.schema import Invalid, json_schema_of, read_answer


@dataclass(frozen=True)
class Task:
    """A prompt and the model of its answers.

    Raises:
        UsageError: the prompt's schema is not the model's, or an example's answer would be rejected.
    """

    prompt: Prompt
    answer: type[BaseModel]

    def __post_init__(self) -> None:
        derived = json_schema_of(self.answer)
        places = list(_differences(self.prompt.schema, derived, ""))
        if places:
            raise UsageError(
                f"the schema of prompt {self.prompt.id} and {self.answer.__name__} differ at {', '.join(places[:5])}",
                next_step=f"make them say the same: the schema of {self.answer.__name__} is {derived}",
            )
        for example in self.prompt.examples:
            self._check_example(example.name, example.transcript, example.answer)

    def _check_example(self, name: str, transcript: str, answer: dict[str, Any]) -> None:
        try:
            read_answer(canonical(answer), self.answer)
        except Invalid as error:
            raise UsageError(
                f"example {name} of {self.prompt.id} is not of its schema: {error}", next_step="mend the example"
            ) from None
        _, missing = Transcript(transcript).evidence(answer)
        if missing:
            raise UsageError(
                f"example {name} of {self.prompt.id}: the quote of {', '.join(missing)} is not in its transcript",
                next_step="mend the example",
            )


def task_of(prompt: str, answer: type[BaseModel]) -> Task:
    """The task of a prompt that is named with its version, `name/vN`."""
    name, _, version = prompt.partition("/v")
    return Task(read_prompt(name, int(version)), answer)


def _differences(one: Any, other: Any, place: str) -> list[str]:
    """Where two schemas differ. The order of properties counts: a model writes them in it."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = list(dict.fromkeys([*one, *other]))
        found = [spot for name in names for spot in _differences(one.get(name), other.get(name), f"{place}.{name}")]
        if not found and place.endswith("properties") and list(one) != list(other):
            found = [f"{place.removeprefix('.')} (their order)"]
        return found
    return [] if one == other else [place.removeprefix(".") or "the whole"]
