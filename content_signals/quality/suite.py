"""A table's rules: a Great Expectations suite in its own JSON, `expectations/<table>.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from content_signals.contract import STAMPS, Computed, Table, Windowed
from content_signals.errors import UsageError

FOLDER = Path(__file__).resolve().parents[2] / "expectations"
CRITICAL, WARNING = "critical", "warning"


def suite_file(table: str, folder: Path = FOLDER) -> Path:
    """Where the suite of a table is kept."""
    return folder / f"{table}.json"


def read_suite(table: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The suite as a JSON object.

    Raises:
        UsageError: when the table has none, or it is not JSON.
    """
    path = suite_file(table, folder)
    try:
        suite: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{table} has no rules: {path.name} is missing in expectations/",
            next_step=f"write {path.name}; `content-signals new` shows a start",
        ) from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"expectations/{path.name} is not JSON: {error}", next_step=f"mend expectations/{path.name}"
        ) from error
    return suite


def covered_columns(suite: dict[str, Any]) -> set[str]:
    """The columns that at least one rule is about."""
    names: set[str] = set()
    for rule in suite["expectations"]:
        for argument, value in rule["kwargs"].items():
            if argument in ("column", "column_A", "column_B"):
                names.add(value)
            elif argument == "column_list":
                names.update(value)
    return names


def suggest(table: Table) -> dict[str, Any]:
    """A suite to start from: keys present and unique, every column covered by what its declaration implies."""
    rules = [_rule("expect_table_row_count_to_be_between", CRITICAL, "a day without rows is a broken run", min_value=1)]
    rules += [
        _rule("expect_column_values_to_not_be_null", CRITICAL, "the key names the row", column=key)
        for key in table.keys
    ]
    if len(table.keys) == 1:
        rules.append(
            _rule("expect_column_values_to_be_unique", CRITICAL, "one row a key and day", column=table.keys[0])
        )
    else:
        rules.append(
            _rule(
                "expect_compound_columns_to_be_unique", CRITICAL, "one row a key and day", column_list=list(table.keys)
            )
        )
    for column in table.columns:
        rules += _of_windowed(column) if isinstance(column, Windowed) else _of_computed(column)
    rules += [
        _rule("expect_column_values_to_not_be_null", CRITICAL, "the platform writes it", column=n) for n in STAMPS
    ]
    return {
        "name": table.table,
        "meta": {"notes": f"Rules of {table.table}. A start; sharpen them."},
        "expectations": rules,
    }


def _of_windowed(column: Windowed) -> list[dict[str, Any]]:
    rules = []
    if column.default is not None:
        rules.append(_rule("expect_column_values_to_not_be_null", CRITICAL, "an empty window is 0", column=column.name))
    if column.op in ("count", "distinct", "approx_distinct"):
        rules.append(
            _rule(
                "expect_column_values_to_be_between",
                CRITICAL,
                "counts are not negative",
                column=column.name,
                min_value=0,
            )
        )
    elif column.op == "days_since":
        rules.append(
            _rule(
                "expect_column_values_to_be_between",
                CRITICAL,
                "inside the window",
                column=column.name,
                min_value=0,
                max_value=column.days - 1,
            )
        )
    elif column.default is None:
        rules.append(
            _rule("expect_column_values_to_not_be_null", WARNING, "mostly filled", column=column.name, mostly=0.5)
        )
    return rules


def _of_computed(column: Computed) -> list[dict[str, Any]]:
    return [
        _rule(
            "expect_column_values_to_not_be_null",
            WARNING,
            "mostly filled; say what is normal",
            column=column.name,
            mostly=0.5,
        )
    ]


def _rule(kind: str, severity: str, notes: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"notes": notes}, "severity": severity}
