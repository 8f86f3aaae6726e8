"""What an engine says of every case, as text that can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pyspark.sql import DataFrame, SparkSession

from content_signals.quality.footers import Footers
from content_signals.quality.questions import Metrics
from content_signals.quality.scan import Scanner
from tests.quality_rules import Cases, suite_of

# Hundreds of different queries on few rows take half the time when they are not compiled.
COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
UNCOMPILED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
SUMMARY = {"result_format": "SUMMARY", "partial_unexpected_count": 5}

# An engine of ours: one query; or footers first, and one query for what they do not prove.
Engine = Literal["fused", "footers"]
ENGINES: tuple[Engine, ...] = ("fused", "footers")


class Staged(NamedTuple):
    """A frame, and the files its rows are in."""

    frame: DataFrame
    files: list[str]


def staged(spark: SparkSession, home: Path, schema: str, parts: Sequence[Sequence[Any]]) -> Staged:
    """Rows in a file a part, and a frame that reads the files."""
    for number, rows in enumerate(parts):
        spark.createDataFrame(rows, schema).coalesce(1).write.parquet(f"{home}/{number}")
    files = sorted(str(path) for path in home.glob("*/*.parquet"))
    return Staged(spark.read.schema(schema).parquet(*files), files)


def in_memory(rows: Staged) -> Staged:
    """The same rows from memory: hundreds of queries take half the time."""
    frame = rows.frame.sparkSession.createDataFrame(rows.frame.toArrow(), rows.frame.schema)
    return Staged(frame, rows.files)


def scanned(
    cases: Cases,
    engine: str,
    frame: DataFrame,
    files: Sequence[str] = (),
    result_format: dict[str, Any] = SUMMARY,
    scanner: Scanner | None = None,
    ahead: Metrics | None = None,
) -> dict[str, str]:
    """Case -> its result as text, by an engine; `files` are those of the frame. A scanner given is used again."""
    scanner = scanner or scanner_of(cases, engine)
    footers = Footers.of(files) if engine == "footers" else None
    result = scanner.validate(frame, result_format, footers, ahead)
    return {one["expectation_config"]["meta"]["case"]: stable(one) for one in result.to_json_dict()["results"]}


def scanner_of(cases: Cases, engine: str) -> Scanner:
    """The scanner of a suite of some cases."""
    return Scanner(suite_of(cases), "native" if engine == "native" else "fused")


def attempt(case: str, cases: Cases, engine: str, frame: DataFrame, files: Sequence[str] = ()) -> str:
    """The result of one case judged alone, or what validating it raised."""
    try:
        return scanned({case: cases[case]}, engine, frame, files)[case]
    except Exception as error:
        return without_numbers(f"raised {error!r}")


def stable(result: dict[str, Any]) -> str:
    """A result as text, without what differs between two runs of one engine too."""
    result["expectation_config"].pop("id", None)
    info = result.get("exception_info") or {}
    for entry in [info, *(each for each in info.values() if isinstance(each, dict))]:
        entry.pop("exception_traceback", None)
    # GX leaves a numpy.bool in the result of quantiles.
    return without_numbers(
        json.dumps(result, sort_keys=True, ensure_ascii=False, indent=1, default=lambda value: value.item())
    )


def without_numbers(text: str) -> str:
    """Without Java's stack (how reflection calls changes while the JVM runs) and the numbers that Spark counts on."""
    text = re.sub(r"(\\n)+\\tat [^\\]*", "", text)
    return re.sub(r"#\d+L?|\bo\d+\b|(?<=TID )\d+|(?<=stage )\d+\.\d+|0x[0-9a-f]{6,}", "#", text)


@contextmanager
def conf(spark: SparkSession, changes: dict[str, str]) -> Iterator[None]:
    """Some settings of the session, for as long as the block lasts."""
    before = {key: spark.conf.get(key) for key in changes}
    for key, value in changes.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, value or "")
