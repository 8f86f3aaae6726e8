"""A prompt: front matter and text of `prompts/<name>/v<N>.md`, read, checked and hashed.

The text has two parts under the headings `# System` and `# User`. The user's part has one place, `{{transcript}}`, for
the fenced transcript. Examples are kept by name in `prompts/<name>/examples/`, and shared by a prompt's versions.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from content_signals.errors import UnknownName, UsageError
from content_signals.llm.digests import canonical, digest

FOLDER = Path(__file__).parent / "prompts"
PLACE = "{{transcript}}"

_STRICT = ConfigDict(extra="forbid", frozen=True)
_FILE = re.compile(r"\A---\n(?P<matter>.*?)\n---\n(?P<text>.*)\Z", re.DOTALL)
_PARTS = re.compile(r"\A\s*# System\n(?P<system>.*?)\n# User\n(?P<user>.*)\Z", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Decoding(BaseModel):
    """How the model picks its words. What is None is not sent: some models refuse what they do not know.

    Attributes:
        max_output_tokens: an answer is cut off there.
    """

    model_config = _STRICT

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    max_output_tokens: int = Field(ge=1)


class Excerpts(BaseModel):
    """Which parts of a transcript that is too long are shown.

    Attributes:
        max_tokens: the budget of what is shown of one transcript, marks between parts included.
        chunk_tokens: a part has so many at most.
        lead_chunks: so many parts from the beginning are shown whatever they say.
        queries: what the other parts are looked for with.
    """

    model_config = _STRICT

    max_tokens: int = Field(ge=1)
    chunk_tokens: int = Field(ge=1)
    lead_chunks: int = Field(default=1, ge=0)
    queries: tuple[str, ...] = Field(min_length=1)


class _Matter(BaseModel):
    """The front matter, as it stands in the file."""

    model_config = _STRICT

    about: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    model: str = Field(min_length=1)
    decoding: Decoding
    excerpts: Excerpts
    examples: tuple[str, ...] = ()
    shuffle_seed: int = 0
    answer: dict[str, Any] = Field(alias="schema")


@dataclass(frozen=True)
class Example:
    """A transcript and the answer it should get. The name refers to `examples/<name>.json`."""

    name: str
    transcript: str
    answer: dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """A version of a prompt.

    Attributes:
        model: the model it was written for; an endpoint may name another.
        schema: JSON schema of an answer, its properties in the order in which they are to be written.
        shuffle_seed: decides, with the item, in which order the examples stand.
        system, user: the two parts of the text.
    """

    name: str
    version: int
    about: str
    owner: str
    model: str
    decoding: Decoding
    excerpts: Excerpts
    schema: dict[str, Any]
    examples: tuple[Example, ...]
    shuffle_seed: int
    system: str
    user: str

    @property
    def id(self) -> str:
        """Name and version, as in `episode_tags/v1`."""
        return f"{self.name}/v{self.version}"

    @property
    def hash(self) -> str:
        """Of all that decides what a model is shown; owner, about and the version's number do not.

        Model, decoding and schema are left out too: they are parts of a call's identity by themselves.
        """
        return digest(
            canonical(
                {
                    "system": self.system,
                    "user": self.user,
                    "examples": [[e.name, e.transcript, e.answer] for e in self.examples],
                    "shuffle_seed": self.shuffle_seed,
                    "excerpts": self.excerpts.model_dump(),
                }
            )
        )

    @property
    def schema_hash(self) -> str:
        """Of the schema, the order of its properties included: a model writes them in that order."""
        return digest(json.dumps(self.schema, ensure_ascii=False, separators=(",", ":")))


def versions(name: str, folder: Path = FOLDER) -> tuple[int, ...]:
    """The versions of a prompt there are, the oldest first."""
    found = [path.stem for path in (folder / name).glob("v*.md")]
    return tuple(sorted(int(stem[1:]) for stem in found if stem[1:].isdigit()))


def read_prompt(name: str, version: int | None = None, folder: Path = FOLDER) -> Prompt:
    """A prompt; its newest version if none is named.

    Raises:
        UnknownName: there is no such prompt or version.
        UsageError: naming the file and what is wrong with it.
    """
    known = versions(name, folder) if _NAME.fullmatch(name) else ()
    if not known or version not in (None, *known):
        there = [f"{one.parent.name}/{one.stem}" for one in folder.glob("*/v*.md")]
        raise UnknownName("prompt", name if version is None else f"{name}/v{version}", there)
    chosen = known[-1] if version is None else version
    path = folder / name / f"v{chosen}.md"
    try:
        return _parsed(path, name, chosen)
    except (ValueError, yaml.YAMLError, OSError) as error:
        raise _wrong(path, error) from None


def _parsed(path: Path, name: str, version: int) -> Prompt:
    whole = _FILE.match(path.read_text("utf-8"))
    if not whole:
        raise ValueError("it does not begin with front matter between two lines of ---")
    matter = _Matter.model_validate(yaml.safe_load(whole["matter"]))
    system, user = _text_parts(whole["text"])
    return Prompt(
        name=name,
        version=version,
        about=matter.about,
        owner=matter.owner,
        model=matter.model,
        decoding=matter.decoding,
        excerpts=matter.excerpts,
        schema=matter.answer,
        examples=tuple(_example(path.parent / "examples", one) for one in matter.examples),
        shuffle_seed=matter.shuffle_seed,
        system=system,
        user=user,
    )


def _text_parts(text: str) -> tuple[str, str]:
    parts = _PARTS.match(text)
    if not parts:
        raise ValueError("its text is not of two parts, # System and # User")
    system, user = parts["system"].strip(), parts["user"].strip()
    if not system or user.count(PLACE) != 1 or "{{" in system or "{{" in user.replace(PLACE, ""):
        raise ValueError(
            f"one {PLACE} stands in the user's part, and no other {{{{…}}}} anywhere; neither part is empty"
        )
    return system, user


def _example(folder: Path, name: str) -> Example:
    if not _NAME.fullmatch(name):
        raise ValueError(f"examples: {name!r} is no name of an example (a-z, 0-9, _)")
    kept = json.loads((folder / f"{name}.json").read_text("utf-8"))
    if set(kept) != {"transcript", "answer"}:
        raise ValueError(f"examples/{name}.json has the entries transcript and answer, not {', '.join(sorted(kept))}")
    return Example(name, kept["transcript"], kept["answer"])


def _wrong(path: Path, error: Exception) -> UsageError:
    if isinstance(error, ValidationError):
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    elif isinstance(error, FileNotFoundError):
        told = f"{error.filename} is missing"
    else:
        told = str(error)
    file = f"prompts/{path.parent.name}/{path.name}"
    return UsageError(f"{file} is no prompt: {told}", next_step=f"mend content_signals/llm/{file}")
