"""Rules of Great Expectations in few words, and the suite that some of them make."""

from __future__ import annotations

from typing import Any

Rule = tuple[str, dict[str, Any]]
Cases = dict[str, Rule]


def values(kind: str, column: str, **kwargs: Any) -> Rule:
    """About the values of a column."""
    return f"expect_column_values_{kind}", {"column": column, **kwargs}


def column(kind: str, name: str, **kwargs: Any) -> Rule:
    """About a column as a whole."""
    return f"expect_column_{kind}", {"column": name, **kwargs}


def pair(kind: str, one: str, other: str, **kwargs: Any) -> Rule:
    """About two values of a row."""
    return f"expect_column_pair_values_{kind}", {"column_A": one, "column_B": other, **kwargs}


def columns(kind: str, *names: str, **kwargs: Any) -> Rule:
    """About several values of a row."""
    return f"expect_{kind}", {"column_list": list(names), **kwargs}


def table(kind: str, **kwargs: Any) -> Rule:
    """About the table."""
    return f"expect_table_{kind}", kwargs


def where(text: str) -> dict[str, str]:
    """Rows by a condition in SQL."""
    return {"row_condition": text, "condition_parser": "spark"}


def where_gx(text: str) -> dict[str, str]:
    """Rows by a condition in GX's own small language."""
    return {"row_condition": text, "condition_parser": "great_expectations"}


def compare(name: str, operator: str, value: Any) -> dict[str, Any]:
    """A condition as an object: a column compared with a value."""
    return {"type": "comparison", "column": {"name": name}, "operator": operator, "parameter": value}


def is_null(name: str, null: bool = True) -> dict[str, Any]:
    """A condition as an object: a column is, or is not, null."""
    return {"type": "nullity", "column": {"name": name}, "is_null": null}


def both(*conditions: dict[str, Any]) -> dict[str, Any]:
    """A condition as an object: all of some."""
    return {"type": "and", "conditions": list(conditions)}


def either(*conditions: dict[str, Any]) -> dict[str, Any]:
    """A condition as an object: at least one of some."""
    return {"type": "or", "conditions": list(conditions)}


def suite_of(cases: Cases) -> dict[str, Any]:
    """The suite of some cases; each result tells whose it is."""
    rules = [{"type": kind, "kwargs": kwargs, "meta": {"case": name}} for name, (kind, kwargs) in cases.items()]
    return {"name": "cases", "expectations": rules}
