"""Clips to signals: a thin adapter between Spark and `clip.describe`, which knows nothing of Spark.

The libraries and models are loaded by the workers, once a process, and not where the plan is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import DataFrame

from content_signals.content import CONTENT_ID, REASON
from content_signals.signals.audio_clip.contract import AUDIO_CLIP_V1
from content_signals.signals.audio_clip.copies import OUR_FAULTS

if TYPE_CHECKING:
    from content_signals.signals.audio_clip.clip import Analyst

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
}
_COLUMNS = {CONTENT_ID: "string", **{c.name: c.type for c in AUDIO_CLIP_V1.computed}, REASON: "string"}
_SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in _COLUMNS.items()])


def compute(contents: DataFrame) -> DataFrame:
    """The signals of each content, or the reason why there are none.

    A content whose file has gone or has other bytes by now has no row: the platform says so, and asks again.

    Args:
        contents: `content_id`, `path`, `bytes`; one row a content.
    """
    asked = contents.select(CONTENT_ID, "path", "bytes")
    return asked.mapInArrow(_rows, ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items()))


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from content_signals.signals.audio_clip.clip import analyst

    for batch in batches:
        found = [row for asset in batch.to_pylist() if (row := row_of(asset, analyst())) is not None]
        yield pa.RecordBatch.from_pylist(found, schema=_SCHEMA)


def row_of(asset: dict[str, Any], by: Analyst) -> dict[str, Any] | None:
    """The row of one asset. Whatever is wrong with it becomes its reason, so that it stops no other."""
    from content_signals.signals.audio_clip.asset import read_asset
    from content_signals.signals.audio_clip.unusable import Unusable

    named = {CONTENT_ID: asset[CONTENT_ID]}
    try:
        file = read_asset(asset["path"], asset["bytes"], asset[CONTENT_ID])
    except Unusable as error:
        return named | {REASON: str(error)}
    if file is None:
        return None
    with file:
        try:
            return named | by.describe(file)
        except Unusable as error:
            return named | {REASON: str(error)}
        except OSError as error:
            if error.errno in OUR_FAULTS:  # no fault of the clip: nothing is kept of it
                raise
            return named | {REASON: f"unexpected {type(error).__name__}: {str(error)[:200]}"}
        except Exception as error:  # a defect of ours, shown by one clip: it is told in its row, and the others go on
            return named | {REASON: f"unexpected {type(error).__name__}: {str(error)[:200]}"}
