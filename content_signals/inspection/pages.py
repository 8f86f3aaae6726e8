"""A page of documentation for each signal table, made of its contract, its rules and what was measured of it.

    python -m content_signals.inspection.pages [--check]

writes `docs/signals/<table>.md` for every table; with --check it writes nothing, and fails when a page is not what it
would write. Nothing on these pages is written by hand: mend the contract, the suite or the measurement, and run it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from content_signals import signals
from content_signals.catalog import Catalog, catalog
from content_signals.contract import Table
from content_signals.inspection.tables import how_made, made_from
from content_signals.quality.suite import read_suite

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "signals"
# What benchmarks have found: content_signals/signals/<family>/measured.json, version by version of what computes.
MEASURED = "measured.json"
_MOST_VALUES = 12


def pages(known: Catalog) -> dict[str, str]:
    """Name of the file -> its text."""
    made = {
        f"{table.table}.md": page(known, table, read_suite(table.table), _measured(table)) for table in known.tables
    }
    lines = ["# Signals", "", "One page a table, made from the contracts: do not edit.", ""]
    lines += [f"* [{t.table}]({t.table}.md): {t.about}" for t in known.tables]
    return made | {"README.md": "\n".join(lines) + "\n"}


def page(known: Catalog, table: Table, suite: Mapping[str, Any], measured: Mapping[str, Any] | None) -> str:
    """One table's page, in Markdown."""
    lines = [f"# {table.table}", "", table.about, ""]
    lines += _facts(table)
    lines += ["", "## Columns", "", "| column | type | unit | range | made | meaning |", "|---|---|---|---|---|---|"]
    types = known.types(table)
    filters = {read.table: read.where for read in table.all_inputs}
    for column in table.columns:
        cells = (f"`{column.name}`", f"`{types[column.name]}`", column.unit, allowed(suite, column.name))
        lines.append(_row(*cells, how_made(column, filters), column.about))
    lines += ["", "Range is what the rules let through; a rule in brackets only warns.", ""]
    lines += _quality(measured) + _cost(measured)
    lines += ["## Rules", "", "| rule | about | severity | why |", "|---|---|---|---|"]
    for rule in suite["expectations"]:
        lines.append(_row(f"`{rule['type']}`", _about(rule["kwargs"]), rule["severity"], rule["meta"]["notes"]))
    return "\n".join(lines) + "\n"


def allowed(suite: Mapping[str, Any], column: str) -> str:
    """What the rules of a suite allow in a column."""
    found = []
    for rule in suite["expectations"]:
        told = _range(rule["type"], rule["kwargs"]) if rule["kwargs"].get("column") == column else ""
        if told and "row_condition" not in rule["kwargs"]:
            mostly = rule["kwargs"].get("mostly", 1)
            told += f" in {mostly:.4g} of the rows" if mostly < 1 else ""
            found.append(told if rule["severity"] == "critical" else f"[{told}]")
    return "; ".join(dict.fromkeys(found))


def _range(kind: str, kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    bounds = " to ".join(f"{end:,}" if isinstance(end, int) else f"{end}" for end in (low, high) if end is not None)
    bounds = f"{bounds} and more" if high is None else f"up to {bounds}" if low is None else bounds
    if kind == "expect_column_values_to_be_between":
        return bounds
    if kind == "expect_column_value_lengths_to_be_between":
        return f"{bounds} characters"
    if kind == "expect_column_values_to_be_in_set":
        values = [str(value) for value in kwargs["value_set"]]
        more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
        return ", ".join(values[:_MOST_VALUES]) + more
    return "not null" if kind == "expect_column_values_to_not_be_null" else ""


def _facts(table: Table) -> list[str]:
    key = ", ".join(f"`{name}`" for name in table.keys)
    lines = [f"* **Key**: {key}, one row a day" + (f"; {table.entity.about.lower()}" if table.entity else "")]
    if table.part_of:
        lines.append(f"* **Part of** {table.part_of.about.lower()}, `{table.part_of.join_key}`: taken down with it")
    lines += [f"* **Made from**: {made_from(table, read)}" for read in table.all_inputs]
    if table.content:
        of = ", ".join(f"`{name}`" for name in table.content.reads)
        lines.append(f"* **Computed once for each content** of {of}; revision: {table.content.revision}")
    lines.append(
        f"* **Late** when a day is not there {table.fresh_within.total_seconds() / 3600:g} hours after its end"
    )
    lines.append("* **Read by models** as view and service" if table.serve else "* **Feeds other tables** only")
    lines.append(f"* **Owner**: {table.owner}")
    return lines


def _quality(measured: Mapping[str, Any] | None) -> list[str]:
    if not measured or not measured.get("quality"):
        return ["## Measured quality", "", "Nothing is measured of it yet.", ""]
    lines = ["## Measured quality", "", f"By `{measured['command']}`.", "", "| what | value | on |", "|---|---|---|"]
    return [*lines, *(_row(one["what"], one["value"], one["on"]) for one in measured["quality"]), ""]


def _cost(measured: Mapping[str, Any] | None) -> list[str]:
    if not measured or not measured.get("cost"):
        return []
    cost = measured["cost"]
    rate = f"{cost['rows_per_cpu_second']:,.4g} rows a CPU second"
    hours = f"{cost['core_hours_per_100_million']:,.4g} core-hours for 100 million"
    return ["## Cost", "", f"{rate}, {hours}, by `{measured['command']}` ({_machine(measured['machine'])}).", ""]


def _machine(found: str | Mapping[str, Any]) -> str:
    return found if isinstance(found, str) else "{processor}, {cores} cores, Python {python}".format(**found)


def _about(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in kwargs.items())


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _measured(table: Table) -> dict[str, Any] | None:
    path = Path(signals.__path__[0]) / table.family / MEASURED
    found: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.exists() else None
    return found


def main() -> int:
    """Write the pages, or check them."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    check = given.parse_args().check
    wanted = pages(catalog())
    there = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if check:
        for name in stale:
            sys.stderr.write(f"docs/signals/{name} is stale: python -m {__spec__.name}\n")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        path = FOLDER / name
        if name in wanted:
            path.write_text(wanted[name], "utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
