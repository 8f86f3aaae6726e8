"""What every part of a contract has in common: it is checked when it is declared, and refused with a reason."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import fields
from datetime import timedelta
from typing import Any, Self

from pydantic import ConfigDict, ModelWrapValidatorHandler, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from content_signals.errors import ContractError

STRICT = ConfigDict(extra="forbid")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, config=STRICT)
class Declaration:
    """What every part of a contract is: a field that is unknown, missing or of the wrong kind is a ContractError."""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, given: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return build(given)
        except ValidationError as error:
            if not isinstance(given, ArgsKwargs):  # no call of ours: pydantic tries the members of a union
                raise
            name = given.args[0] if given.args else (given.kwargs or {}).get("name", "")
            names = dict[int | str, str](enumerate(f.name for f in fields(cls)))  # of arguments given by position
            found = [(names.get(e["loc"][0], e["loc"][0]), *e["loc"][1:], e["msg"]) for e in error.errors()]
            wrong = "; ".join(f"{'.'.join(map(str, where))}: {told}" for *where, told in found)
            raise ContractError(f"{cls.__name__} {name!r}: {wrong}", next_step="mend the contract") from None


def fingerprint(declared: Declaration) -> str:
    """Of all that is declared: two declarations that differ anywhere differ in it."""
    return hashlib.sha256(TypeAdapter(type(declared)).dump_json(declared)).hexdigest()[:16]


def require(condition: bool, message: str, next_step: str = "mend the contract") -> None:
    """Refuse a declaration.

    Raises:
        ContractError: when the condition does not hold.
    """
    if not condition:
        raise ContractError(message, next_step=next_step)


def check_name(kind: str, name: str, owner: str = "") -> None:
    """Refuse what is no lower-case identifier."""
    article = "an" if kind[0] in "aeiou" else "a"
    require(_NAME.fullmatch(name) is not None, f"{owner}{name!r} is not {article} {kind} name (a-z, 0-9, _)")


def check_names(owner: str, kind: str, names: Iterable[str], reserved: Collection[str]) -> None:
    """Refuse column names that are not legal, the platform's own, or not unique."""
    found = list(names)
    for name in found:
        check_name(kind, name, f"{owner}: ")
        require(name not in reserved, f"{owner}: {kind} {name} is written by the platform")
    twice = sorted({n for n in found if found.count(n) > 1})
    require(not twice, f"{owner}: {kind}s declared twice: {', '.join(twice)}")


def check_columns(table: str, columns: Iterable[str], keys: Iterable[str], reserved: Collection[str]) -> None:
    """Refuse a table's name, or names of its columns."""
    check_name("table", table)
    require(bool(tuple(columns)), f"{table}: declares no column")
    check_names(table, "column", columns, reserved)
    check_names(table, "key column", keys, reserved)


def check_limits(table: str, version: int, fresh_within: timedelta, **ratios: float) -> None:
    """Refuse a version, a lateness or shares that make no sense."""
    require(version >= 1, f"{table}: versions start at 1")
    require(fresh_within > timedelta(0), f"{table}: fresh_within is positive, not {fresh_within}")
    for name, ratio in ratios.items():
        require(0 <= ratio <= 1, f"{table}: {name} is a share between 0 and 1, not {ratio}")
