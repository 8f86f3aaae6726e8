"""A rule about labels of a closed list, as an expectation in Great Expectations' own way: none is nearly everywhere.

A language model that collapses gives all contents one label, in good JSON and with quotes that stand. No row of it is
wrong by itself; the day is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_partial,
)
from great_expectations.render.renderer_configuration import RendererValueType
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from content_signals.quality.rendered import RenderedExpectation


class ColumnLabelCounts(ColumnAggregateMetricProvider):
    """The metric `column.label_counts`: rows that have a value, then rows that have each of some labels, in order.

    A column of texts has one label a row, a column of arrays any number.
    """

    metric_name = "column.label_counts"
    value_keys = ("labels",)

    @column_aggregate_partial(engine=SparkDFExecutionEngine)
    def _spark(
        cls: Any,  # noqa: N805  # Great Expectations makes a class method of it
        column: Column,
        labels: Sequence[str],
        _table: DataFrame,
        _column_name: str,
        **_: Any,
    ) -> Column:
        many = isinstance(_table.schema[_column_name].dataType, ArrayType)
        has = [F.array_contains(column, label) if many else column == label for label in labels]
        return F.array(F.count(column), *[F.count_if(one) for one in has])


class ExpectColumnLabelsNotToCollapse(RenderedExpectation):
    """Of the rows that have labels at most the share `max_share` has any one of them.

    Days of fewer than `min_rows` such rows are not judged: chance alone makes few rows alike.
    """

    column: str
    labels: list[str]
    max_share: float
    min_rows: int = 50

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.label_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("labels", "max_share", "min_rows")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "labels")

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        rows, *counts = metrics["column.label_counts"]
        shares = {label: count / rows for label, count in zip(self.labels, counts, strict=True)} if rows else {}
        top = max(shares, key=lambda label: shares[label], default=None)
        details: dict[str, Any] = {"rows": rows, "shares": shares, "allowed": f"at most {self.max_share:g} of the rows"}
        observed = f"{top}: {shares[top]:.4g}" if top else None
        if rows < self.min_rows:
            details["allowed"] = f"not judged: {rows} rows with labels, {self.min_rows} are needed"
            return {"success": True, "result": {"observed_value": observed, "details": details}}
        good = top is None or shares[top] <= self.max_share
        return {"success": good, "result": {"observed_value": observed, "details": details}}

    @classmethod
    def _template(cls, kwargs: Mapping[str, Any], *, with_column: bool = True) -> str:
        subject = "$column: no label" if with_column else "no label"
        return f"{subject} may be given to more than $max_share of the rows, on a day of at least $min_rows."

    @classmethod
    def _parameters(cls, kwargs: Mapping[str, Any]) -> dict[str, RendererValueType]:
        number = RendererValueType.NUMBER
        return {"column": RendererValueType.STRING, "max_share": number, "min_rows": number}
