"""What was written, read back as a model would: through plain Feast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from content_signals.contract import COMPUTED_AT, EVENT_TS, Table
from content_signals.features import encode
from content_signals.features.online import View, stored_version, versions
from content_signals.features.row_version import TAKEN_DOWN

if TYPE_CHECKING:
    from feast import FeatureStore


def not_as_written(store: FeatureStore, client: Any, view: View, table: Table, rows: pa.Table) -> list[str]:
    """Keys of some written rows that Feast serves otherwise, those left out that somebody has replaced since.

    Args:
        rows: key, features, `event_ts` and `computed_at`, few of them.
    """
    if not rows.num_rows:
        return []
    keys = [str(key) for key in rows.column(view.join_key).to_pylist()]
    asked = [f"{view.name}:{feature}" for feature in view.features]
    answer = store.get_online_features(features=asked, entity_rows=[{view.join_key: key} for key in keys]).proto
    served = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    expected = {name: encode.values(rows.column(name).combine_chunks()).to_pylist() for name in table.values}
    differing = [
        place
        for place in range(len(keys))
        if any(served[name].values[place].SerializeToString() != expected[name][place] for name in table.values)
    ]
    replaced = _replaced(client, view, rows) if differing else []
    return [keys[place] for place in differing if not replaced[place]]


def _replaced(client: Any, view: View, rows: pa.Table) -> list[bool]:
    """Whether the store holds a newer row in place of each, whoever wrote it, or the mark of what is taken down."""
    whole = rows.combine_chunks().to_batches()[0]
    names = encode.entity_keys(whole.column(view.join_key), view.join_key, view.project).to_pylist()
    expected = versions(whole.column(EVENT_TS), whole.column(COMPUTED_AT), "put").to_pylist()
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hmget(name, view.time_field, view.version_field)
    found = [stored_version(stamp, version) if stamp else None for stamp, version in pipe.execute()]
    return [
        stored is not None and (stored[:1] == TAKEN_DOWN or stored[1:] > version[1:])
        for stored, version in zip(found, expected, strict=True)
    ]
