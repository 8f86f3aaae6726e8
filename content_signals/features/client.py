"""Features of some keys, as a model reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from content_signals.catalog import Catalog
from content_signals.errors import UnknownName

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

FRESH, STALE, MISSING = "fresh", "stale", "missing"


@dataclass(frozen=True)
class Value:
    """One feature of one key. A stale or missing value is None: Feast itself hands out values of any age.

    Attributes:
        valid_from: event time of the row it comes from, None when there is none.
    """

    feature: str
    value: Any
    status: str
    valid_from: datetime | None


def online(
    store: FeatureStore, catalog: Catalog, service: str, keys: Sequence[str], as_of: datetime
) -> dict[str, list[Value]]:
    """Values of a service online, judged for freshness at `as_of`: key -> values in the service's order.

    Raises:
        UnknownName: for a service that is not registered.
    """
    from content_signals.features.views import time_to_live  # Feast takes seconds to import

    found = _service(store, service)
    join_key = _join_key(store, found)
    response = store.get_online_features(
        features=found, entity_rows=[{join_key: key} for key in keys], full_feature_names=True
    )
    values: dict[str, list[Value]] = {key: [] for key in keys}
    proto = response.proto
    columns = response.to_dict()
    for position, name in enumerate(proto.metadata.feature_names.val):
        if name == join_key:
            continue
        view, _, feature = name.partition("__")
        alive = time_to_live(catalog.table(view))
        for row, key in enumerate(keys):
            seconds = proto.results[position].event_timestamps[row].ToDatetime(tzinfo=UTC)
            values[key].append(_value(f"{view}:{feature}", columns[name][row], seconds, alive, as_of))
    order = {
        f"{p.name}:{f.name}": n
        for n, (p, f) in enumerate((p, f) for p in found.feature_view_projections for f in p.features)
    }
    return {key: sorted(found_values, key=lambda v: order[v.feature]) for key, found_values in values.items()}


def offline(store: FeatureStore, service: str, keys: Sequence[str], as_of: datetime) -> dict[str, dict[str, Any]]:
    """Values of a service from the tables, as of a moment, through Feast's offline store: key -> feature -> value."""
    import pandas as pd

    found = _service(store, service)
    join_key = _join_key(store, found)
    asked = pd.DataFrame({join_key: list(keys), "event_timestamp": pd.Timestamp(as_of)})
    with _regex_names_undone():
        job: Any = store.get_historical_features(entity_df=asked, features=found, full_feature_names=True)
        rows = job.to_spark_df().toArrow()  # to_df makes floats of the whole numbers in a column with a null
    wanted = [name for name in rows.column_names if name not in (join_key, "event_timestamp")]
    records = rows.to_pylist()
    return {str(row[join_key]): {name.replace("__", ":", 1): row[name] for name in wanted} for row in records}


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


def _value(feature: str, value: Any, valid_from: datetime, alive: Any, as_of: datetime) -> Value:
    if valid_from.timestamp() == 0:
        return Value(feature, None, MISSING, None)
    if not valid_from <= as_of <= valid_from + alive:
        return Value(feature, None, STALE, valid_from)
    return Value(feature, value, FRESH, valid_from)


def _service(store: FeatureStore, name: str) -> FeatureService:
    services = {service.name: service for service in store.list_feature_services()}
    if name not in services:
        raise UnknownName("feature service", name, services)
    return services[name]


def _join_key(store: FeatureStore, service: FeatureService) -> str:
    views = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
    return str(views[0].entity_columns[0].name)
