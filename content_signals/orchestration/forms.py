"""The fields of the trigger forms."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param


def day_field() -> Param:
    """The day of a run, with a date picker."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day",
        description="The day to run, in UTC. Empty: the partition key, and without one the day before the run.",
    )


def date_field(title: str, description: str) -> Param:
    """A date that has to be given."""
    return Param(type="string", format="date", title=title, description=description)


def choice_field(names: Sequence[str], title: str, description: str, *, chosen: Sequence[str] = ()) -> Param:
    """One or more of some names; has to be given where none is chosen beforehand."""
    schema = {
        "type": "array",
        "items": {"type": "string", "enum": list(names)},
        "examples": list(names),  # what the form offers; without it the field is free text
        "minItems": 1,
        "uniqueItems": True,
        "title": title,
        "description": description,
    }
    return Param(list(chosen), **schema) if chosen else Param(**schema)
