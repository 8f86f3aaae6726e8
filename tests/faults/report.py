"""The table of docs/faults.md, from what a run of the tests met: `pytest tests/faults --faults-doc docs/faults.md`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.faults.faults import FAULTS
from tests.faults.good_days import TABLES

BEGIN, END = "<!-- begin: written by make test-faults -->\n", "<!-- end -->"
Met = list  # about, where, outcome, rules

_met: list[Met] = []


def pytest_addoption(parser):
    parser.addoption("--faults-doc", metavar="FILE", help="write what each fault met into this page, between its marks")


def pytest_runtest_logreport(report):
    """With several processes this runs in the one that has started them."""
    _met.extend(value for name, value in report.user_properties if name == "met" and report.when == "call")


def pytest_sessionfinish(session):
    doc = session.config.getoption("--faults-doc")
    if doc and not hasattr(session.config, "workerinput") and _met:
        write_doc(Path(doc), _met)


def write_doc(doc: Path, met: Iterable[Met]) -> None:
    """Replace what stands between the marks of the page."""
    before, _, rest = doc.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    doc.write_text(f"{before}{BEGIN}\n{tables_of(list(met))}\n{END}{after}", "utf-8")


def tables_of(met: list[Met]) -> str:
    """A line for each fault, a column for each table; below, faults of landing files."""
    place = {fault.about: number for number, fault in enumerate(FAULTS.values())}
    met = sorted(met, key=lambda one: place.get(one[0], len(place)))  # the tests end in any order
    cells = {(about, table): _cell(outcome, rules) for about, table, outcome, rules in met}
    staged = dict.fromkeys(about for about, table, _, _ in met if table in TABLES)
    landed = [(about, source) for about, source, _, _ in met if source not in TABLES]
    lines = ["| in a staged day | " + " | ".join(f"`{table}`" for table in TABLES) + " |", "|---" * 4 + "|"]
    lines += [
        f"| {about} | " + " | ".join(cells.get((about, table), "not run") for table in TABLES) + " |"
        for about in staged
    ]
    if landed:
        lines += ["", "| in a landing file | source | met |", "|---|---|---|"]
        lines += [f"| {about} | `{source}` | {cells[about, source]} |" for about, source in landed]
    return "\n".join(lines) + "\n"


def _cell(outcome: str, rules: list[str]) -> str:
    return f"**{outcome}**" + (f": {', '.join(f'`{rule}`' for rule in rules)}" if rules else "")
