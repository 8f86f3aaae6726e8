"""Metrics of columns that rules about history keep, as Great Expectations' own: imported, they are registered."""

from __future__ import annotations

from typing import Any

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from content_signals.quality.distribution import bucket_of


class ColumnBuckets(ColumnAggregateMetricProvider):
    """The metric `column.buckets`: bucket -> rows, and whether buckets are in order. See `distribution`."""

    metric_name = "column.buckets"

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls: Any,  # noqa: N805  # Great Expectations makes a class method of it
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> dict[str, Any]:
        frame, _, accessor = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.COLUMN
        )
        name = accessor["column"]
        kind = frame.schema[name].dataType
        bucket = bucket_of(F.col(f"`{name}`"), kind).alias("bucket")
        # At most some thousand buckets, whatever the rows.
        rows = frame.where(F.col(f"`{name}`").isNotNull()).select(bucket).groupBy("bucket").count().collect()
        return spread(kind, {str(row["bucket"]): row["count"] for row in rows})


def spread(kind: DataType, counts: dict[str, int]) -> dict[str, Any]:
    """The metric's value, of the rows in each bucket."""
    return {"ordered": not isinstance(kind, StringType), "counts": counts}


class ColumnTrueShare(ColumnAggregateMetricProvider):
    """The metric `column.true_share`: how many of a boolean's values are true, nulls left out."""

    metric_name = "column.true_share"

    @column_aggregate_partial(engine=SparkDFExecutionEngine)
    def _spark(cls: Any, column: Column, **_: Any) -> Column:  # noqa: N805  # Great Expectations makes a class method of it
        return F.avg(column.cast("double"))
