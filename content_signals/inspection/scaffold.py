"""A new family of signals: files that work as they are, to be changed into what the author means."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from content_signals.contract import Computed, Input, Table
from content_signals.errors import UsageError
from content_signals.quality.suite import suggest, suite_file
from content_signals.settings import PROJECT
from content_signals.signals.entities import TRACK

_CONTRACT = '''"""{title}: say in one line what these signals tell about a track."""

from content_signals.contract import Computed, Input, Table
from content_signals.signals.entities import TRACK

{upper}_V1 = Table(
    name="{family}",
    version=1,
    entity=TRACK,
    driver=Input("catalogue_tracks_v1"),
    columns=(Computed("title_words_count", "int", unit="words", about="Words of the title, split at blanks"),),
    owner="your-team",
    about="{title} of every track in the catalogue on the day.",
)
'''

_COMPUTE = '''"""{title}: the columns that are computed. Windowed columns are declared and need no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def compute(inputs: Mapping[str, DataFrame], days: Sequence[date]) -> DataFrame:
    """`ds`, the key and every Computed column; one row per key and day.

    `inputs` holds a frame per input of the contract, by table name, with the rows of `days`.
    """
    tracks = inputs["catalogue_tracks_v1"].where(F.col("ds").isin(*days))
    words = F.size(F.array_remove(F.split(F.trim("title"), r"\\s+"), ""))
    return tracks.select("ds", "track_id", words.alias("title_words_count"))
'''

_TEST = '''"""Golden rows of {family}: what goes in, what must come out, written by hand."""

from datetime import date

from content_signals.signals.{family}.compute import compute

DAY = date(2020, 3, 1)
GOLDEN = [
    # track_id, title, title_words_count
    ("a", "Blue", 1),
    ("b", "  Two  Words ", 2),
    ("c", "", 0),
]


def test_golden_rows(spark):
    rows_in = [(DAY, key, title) for key, title, _ in GOLDEN]
    tracks = spark.createDataFrame(rows_in, "ds date, track_id string, title string")
    rows = compute({{"catalogue_tracks_v1": tracks}}, [DAY]).collect()
    assert {{(row.track_id, row.title_words_count) for row in rows}} == {{(key, words) for key, _, words in GOLDEN}}
'''


def write_family(family: str, *, force: bool = False, root: Path = PROJECT) -> list[Path]:
    """Write contract, compute, suite and golden test of a family. Returns the paths, relative to `root`.

    Raises:
        UsageError: for a name that is no Python package name, or when a file is there and `force` is not given.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", family) or keyword.iskeyword(family) or re.search(r"_v\d+$", family):
        raise UsageError(
            f"{family!r} is not a family name",
            next_step="lower-case letters, digits and _, without a version: track_mood",
        )
    files = _files(family)
    _write(files, force, root, "choose another name, or --force to write over it")
    return list(files)


def write_suite(table: Table, *, force: bool = False, root: Path = PROJECT) -> Path:
    """Write the suite of a table alone, from its contract as it is. Returns the path, relative to `root`.

    Raises:
        UsageError: when there is one and `force` is not given.
    """
    files = _suite(table)
    _write(files, force, root, "--force to write over it; rules that were sharpened are lost")
    return next(iter(files))


def _write(files: Mapping[Path, str], force: bool, root: Path, next_step: str) -> None:
    there = [str(path) for path in files if (root / path).exists()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} is there already", next_step=next_step)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")


def _suite(table: Table) -> dict[Path, str]:
    return {suite_file(table.table, Path("expectations")): json.dumps(suggest(table), indent=2) + "\n"}


def _files(family: str) -> dict[Path, str]:
    names = {"family": family, "upper": family.upper(), "title": family.replace("_", " ").capitalize()}
    declared = Table(
        name=family,
        version=1,
        entity=TRACK,
        driver=Input("catalogue_tracks_v1"),
        columns=(Computed("title_words_count", "int", about="Words of the title"),),
        owner="your-team",
        about=names["title"],
    )
    package = Path("content_signals/signals") / family
    return {
        package / "__init__.py": "",
        package / "contract.py": _CONTRACT.format(**names),
        package / "compute.py": _COMPUTE.format(**names),
        **_suite(declared),
        Path("tests/spark") / f"test_{family}.py": _TEST.format(**names),
    }
