"""Rows and records on a terminal: a rich table, or JSON for a program."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]


def rows(title: str, found: Sequence[Row], json: bool, *, empty: str = "nothing") -> None:
    """Rows with the same columns."""
    if json:
        print(json_module.dumps(list(found), default=str))
        return
    console = _console()
    if not found:
        console.print(empty)
        return
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for position, name in enumerate(found[0]):
        table.add_column(escape(name.replace("_", " ")), overflow="fold", no_wrap=position == 0)
    for row in found:
        # As Text, because rich takes brackets in a string for its markup: "Blue [live]" would lose a word.
        table.add_row(*[Text(_text(value)) for value in row.values()])
    console.print(table)


def record(found: Row, json: bool) -> None:
    """One thing: its plain entries first, then each list of rows as a table of its own."""
    if json:
        print(json_module.dumps(found, default=str))
        return
    console = _console()
    for name, value in found.items():
        if not _is_rows(value):
            console.print(Text.assemble((name.replace("_", " "), "bold"), ": ", _text(value)))
    for name, value in found.items():
        if _is_rows(value):
            rows(name.replace("_", " "), value, json=False)


def written(paths: Sequence[Path], next_step: str, json: bool) -> None:
    """Files that were written, and what to do with them."""
    if json:
        print(json_module.dumps({"written": list(map(str, paths)), "next": next_step}))
        return
    for path in paths:
        print(f"wrote {path}")
    print(f"next: {next_step}")


def _console() -> Console:
    """The terminal; into a file or a pipe, wide enough not to fold."""
    return Console(width=None if sys.stdout.isatty() else 160)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {v}" for k, v in value.items()) or "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
