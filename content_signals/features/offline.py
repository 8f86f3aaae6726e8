"""Features of some keys from the tables, through Feast's own offline store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from content_signals.features.decode import ARROW, exactly
from content_signals.features.keys import Keys, by_column
from content_signals.features.on_demand import computed
from content_signals.features.service_plan import ServicePlan, service_plan

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore

_ROW = "_row"


def offline(store: FeatureStore, service: str, keys: Sequence[str], as_of: datetime) -> dict[str, dict[str, Any]]:
    """`offline_rows` of a service with one key column: key -> full name of the feature -> value."""
    own = list(dict.fromkeys(keys))
    return dict(zip(own, offline_rows(store, service, own, as_of), strict=True))


def offline_rows(store: FeatureStore, service: str, keys: Keys, as_of: datetime) -> list[dict[str, Any]]:
    """Values of a service from the tables, as of a moment, through Feast's offline store, row by row.

    Args:
        keys: of a service with one column a list; otherwise column -> list, all of one length, what views on demand ask
            for among them.

    Raises:
        UnknownName: no such service, or a key column that it has not.
        UsageError: keys that do not fit the service.
    """
    import pandas as pd

    plan = service_plan(store, service)
    wanted = by_column(service, plan.key_kinds, keys, plan.request)
    length = len(next(iter(wanted.values())))
    asked = pd.DataFrame(
        {name: list(wanted[name]) for name in plan.columns}
        | {_ROW: range(length), "event_timestamp": [pd.Timestamp(as_of)] * length}
    )
    if not plan.on_demand:
        rows = _asked(store, asked, store.get_feature_service(service))
    else:
        rows = _stored(store, plan, asked)
        for name, kind in plan.request.items():
            rows = rows.append_column(name, exactly(wanted[name], kind))
        rows = computed(plan.on_demand, plan.hidden, plan.columns, rows.combine_chunks().to_reader()).read_all()
    return [{name: row[name.replace(":", "__")] for name in plan.names} for row in rows.to_pylist()]


def _asked(store: FeatureStore, rows: pd.DataFrame, features: FeatureService | list[str]) -> pa.Table:
    """Feast's answer, in the order of the rows."""
    with _regex_names_undone():
        job: Any = store.get_historical_features(entity_df=rows, features=features, full_feature_names=True)
        found: pa.Table = job.to_spark_df().toArrow()  # to_df makes floats of the whole numbers in a column with a null
    return found.sort_by(_ROW)


def _stored(store: FeatureStore, plan: ServicePlan, asked: pd.DataFrame) -> pa.Table:
    """What a service with views on demand reads of tables, view by view: Feast calls their inputs by other names."""
    found = pa.table({name: pa.array(asked[name].tolist(), ARROW[kind]) for name, kind in plan.key_kinds.items()})
    if not plan.columns:
        found = pa.table({_ROW: range(len(asked))})
    for view in plan.views:
        keys = dict(zip(view.key.columns, view.key.join_keys, strict=True))
        rows = asked[[*keys, _ROW, "event_timestamp"]].rename(columns=keys)
        answer = _asked(store, rows, [f"{view.view}:{feature}" for feature in view.features])
        for feature in view.features:
            found = found.append_column(f"{view.name}__{feature}", answer.column(f"{view.view}__{feature}"))
    return found


@contextmanager
def _regex_names_undone() -> Iterator[None]:
    """Feast reads quoted column names as patterns, and leaves the session that way for whoever uses it next."""
    from pyspark.sql import SparkSession

    name = "spark.sql.parser.quotedRegexColumnNames"
    session = SparkSession.getActiveSession()
    before = session.conf.get(name, "false") if session else "false"
    try:
        yield
    finally:
        if session:
            session.conf.set(name, before or "false")
