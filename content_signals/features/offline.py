"""Features of some keys from the tables, through Feast's own offline store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from content_signals.features.keys import Keys, by_column
from content_signals.features.on_demand import computed
from content_signals.features.service_plan import service_plan

if TYPE_CHECKING:
    from feast import FeatureStore

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
    found = store.get_feature_service(service)
    length = len(next(iter(wanted.values())))
    asked = pd.DataFrame(
        {name: list(some) for name, some in wanted.items()}
        | {_ROW: range(length), "event_timestamp": [pd.Timestamp(as_of)] * length}
    )
    with _regex_names_undone():
        job: Any = store.get_historical_features(entity_df=asked, features=found, full_feature_names=True)
        rows = job.to_spark_df().toArrow()  # to_df makes floats of the whole numbers in a column with a null
    rows = computed(plan.on_demand, plan.hidden, plan.columns, rows.to_reader()).read_all()
    records = sorted(rows.to_pylist(), key=lambda row: row[_ROW])
    return [{name: row[name.replace(":", "__")] for name in plan.names} for row in records]


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
