"""What our own publisher does not know how to write goes through Feast's API: slower, and without its promises.

Feast takes no correction with an equal event time, and keys that left stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.features import encode
from content_signals.features.store import other_store
from content_signals.lake.files import filesystem
from content_signals.lake.scan import plain_schema

if TYPE_CHECKING:
    from feast import FeatureStore

BATCH_ROWS = 5_000
# Nullable types: through numpy's, an int64 beside a null would lose its last digits, and a null would become NaN.
_EXACT = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


@dataclass
class Written:
    """What became of the rows: all that were sent, and those the store shows as sent."""

    sent: int = 0
    served: int = 0
    not_taken: int = 0
    sample_not_taken: tuple[str, ...] = ()


def unsupported(store: FeatureStore, fields: Iterable[pa.Field[Any]]) -> str:
    """Why our publisher cannot write these features to this store; empty if it can."""
    import feast

    config: Any = store.config.online_store
    kinds = [f"{field.name} is {field.type}" for field in fields if not encode.encodable(field.type)]
    reasons = [
        f"Feast is {feast.__version__}, its encoding is known of {encode.FEAST}"
        if feast.__version__ != encode.FEAST
        else "",
        other_store(),
        "keys of the online store expire (key_ttl_seconds)" if getattr(config, "key_ttl_seconds", None) else "",
        "entity keys are not serialized in version 3" if store.config.entity_key_serialization_version != 3 else "",
        "views carry versions of their own" if store.config.registry.enable_online_feature_view_versioning else "",
        f"no encoding for {', '.join(kinds)}" if kinds else "",
    ]
    return "; ".join(filter(None, reasons))


def publish_files(
    store: FeatureStore, table: Table, files: Sequence[str], without: Callable[[], Collection[str]] = tuple
) -> Written:
    """Write the rows of a day's files and read every key back; those of some keys are left out.

    Args:
        without: asked before each batch for the keys to leave out; it raises where nothing may be written any more.

    `not_taken` counts keys whose served values differ although they carry the day's event time: Feast's Redis store
    ignores a row whose event time is not newer than the stored one, so a corrected day does not land.
    """
    written = Written()
    for frame in _batches(files, [*table.keys, *table.values, EVENT_TS, COMPUTED_AT]):
        frame = frame[~frame[table.keys[0]].isin(list(without()))]
        if frame.empty:  # Feast cannot read no keys at all
            continue
        store.write_to_online_store(table.table, frame)
        written.sent += len(frame)
        differing = _differing(store, table, frame)
        written.not_taken += len(differing)
        written.sample_not_taken = (*written.sample_not_taken, *differing)[:3]
    written.served = written.sent - written.not_taken
    return written


def write_rows(store: FeatureStore, table: Table, rows: pa.Table) -> None:
    """A few rows, in place of whatever is stored; features that they do not have are null."""
    online: Any = store.config.online_store
    if hasattr(online, "skip_dedup"):  # Feast's Redis store leaves out rows that are not newer than the stored ones
        online.skip_dedup = True
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_EXACT.get)
    frame = frame.assign(**{name: None for name in table.values if name not in frame})  # not NaN, which is no boolean
    view = store.get_feature_view(table.table)
    # Not `write_to_online_store`: rows with nothing but nulls it leaves out, and says so in a warning alone.
    store._get_provider().ingest_df(view, frame)


def _batches(files: Sequence[str], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The rows in bounded memory; columns that older files lack are null."""
    for file in files:
        system, inner = filesystem(file)
        with system.open_input_file(inner) as opened:  # what a purge has written again is no type of pandas
            schema = plain_schema(pq.read_schema(opened))
        data = ds.dataset(inner, schema, filesystem=system, format="parquet")
        for batch in data.to_batches(columns=[c for c in columns if c in data.schema.names], batch_size=BATCH_ROWS):
            if batch.num_rows:
                frame: pd.DataFrame = pa.Table.from_batches([batch]).to_pandas(types_mapper=_EXACT.get)
                yield frame.reindex(columns=list(columns))


def _differing(store: FeatureStore, table: Table, frame: pd.DataFrame) -> list[str]:
    """Keys of the batch whose online values are not the rows' own."""
    key = table.keys[0]
    view = [f"{table.table}:{name}" for name in table.values]
    served = store.get_online_features(features=view, entity_rows=[{key: value} for value in frame[key]]).to_dict()
    differs: list[str] = []
    columns = {name: frame[name].tolist() for name in table.values}
    for position, value in enumerate(served[key]):
        if any(not _same(served[name][position], columns[name][position]) for name in table.values):
            differs.append(str(value))
    return differs


def _same(served: Any, stored: Any) -> bool:
    if _is_nothing(served) or _is_nothing(stored):
        return _is_nothing(served) and _is_nothing(stored)
    if isinstance(stored, np.ndarray | list):
        return len(served) == len(stored) and all(map(_same, served, stored))
    return bool(served == stored)


def _is_nothing(value: Any) -> bool:
    """Null, or NaN, which Feast takes for null."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
