"""Features of some keys from the tables, through Feast's own offline store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from content_signals.errors import UnknownName

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore


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


def _service(store: FeatureStore, name: str) -> FeatureService:
    services = {service.name: service for service in store.list_feature_services()}
    if name not in services:
        raise UnknownName("feature service", name, services)
    return services[name]


def _join_key(store: FeatureStore, service: FeatureService) -> str:
    views = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
    return str(views[0].entity_columns[0].name)
