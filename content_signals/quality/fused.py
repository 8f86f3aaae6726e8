"""Great Expectations on Spark in few jobs: one query answers what GX would ask in a job for each rule.

GX builds a graph of metrics for a suite and walks it level by level; on Spark every level, every domain and every
rule about pairs, several columns or uniqueness is a job of its own. Here the graph, the metrics' providers and what
makes results of metrics stay GX's own. What Parquet footers prove is known without a scan; all other counts and
aggregates of the graph are asked with one query first, and GX walks the graph with these answers in hand and computes
whatever is missing as it always does.

So nothing here has to be complete. What cannot be fused, and what raised, is left out: GX computes it, and reports an
exception in its own words. What is handed over equals what GX computes; tests/spark/test_fused_equal.py holds that.

All of this is GX's private API, used here, in `plan`, `proofs` and `predicates` alone. `quality_engine = "native"` does
without it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.metrics_calculator import MetricsCalculator
from great_expectations.validator.v1_validator import Validator
from great_expectations.validator.validation_graph import ValidationGraph
from great_expectations.validator.validator import Validator as WrappedValidator
from pyspark.sql import DataFrame

from content_signals.quality.footers import Footers
from content_signals.quality.plan import Plan, Prepared
from content_signals.quality.questions import Metrics, ask_ahead

_KEPT = 4


class FusedValidators:
    """Makes GX validators that ask one query. One of these serves one suite."""

    def __init__(self, context: AbstractDataContext, batch: BatchDefinition[Any]) -> None:
        self._context = context
        self._batch = batch
        self._prepared: dict[Hashable, Prepared] = {}

    def validator(
        self,
        frame: DataFrame,
        result_format: dict[str, Any],
        footers: Footers | None = None,
        ahead: Metrics | None = None,
    ) -> Validator:
        """A validator of one frame.

        Args:
            footers: those of the files the frame reads, all of them.
            ahead: what `ask_ahead` has found of the frame's rows.
        """
        parameters = {"dataframe": frame}
        validator = Validator(self._batch, result_format, parameters)
        loaded = self._batch.get_batch(parameters)
        validator._wrapped_validator_cache = _FusedValidator(
            loaded.data.execution_engine,
            data_context=self._context,
            batches=[loaded],
            prepared=self._prepared,
            footers=footers,
            ahead=ahead,
        )
        return validator

    def ask_ahead(self, frame: Callable[[], DataFrame], by: str) -> dict[Any, Metrics]:
        """Value of a column -> what the suite asks of the rows with it, by one query for all of them.

        Known once a frame of the same schema was validated; before that, nothing.
        """
        asked = {metric: question for one in self._prepared.values() for metric, question in one.asked.items()}
        return ask_ahead(frame, asked.values(), by)


class _FusedValidator(WrappedValidator):
    """GX's validator, with a `_FusedCalculator`, and graphs that are kept from day to day."""

    def __init__(
        self,
        *args: Any,
        prepared: dict[Hashable, Prepared],
        footers: Footers | None,
        ahead: Metrics | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._footers, self._ahead = footers, ahead
        self._all_prepared = prepared
        self._prepared = Prepared()

    def graph_validate(self, configurations: Any, runtime_configuration: dict[str, Any] | None = None) -> Any:
        engine: Any = self._execution_engine
        schema = engine.batch_manager.active_batch_data.dataframe.schema
        rules = tuple((rule.type, repr(rule.kwargs)) for rule in configurations)
        key = (schema, repr(runtime_configuration), rules)
        if key not in self._all_prepared and len(self._all_prepared) >= _KEPT:
            self._all_prepared.clear()  # rules with a parameter of the day are others every day
        self._prepared = self._all_prepared.setdefault(key, Prepared())
        self._metrics_calculator = _FusedCalculator(engine, self._prepared, self._footers, self._ahead)
        with _configurations_kept():
            return super().graph_validate(configurations, runtime_configuration)

    def _generate_metric_dependency_subgraphs_for_each_expectation_configuration(
        self, *args: Any, **kwargs: Any
    ) -> Any:
        if self._prepared.graphs is None:
            self._prepared.graphs = super()._generate_metric_dependency_subgraphs_for_each_expectation_configuration(
                *args, **kwargs
            )
        return tuple(list(each) for each in self._prepared.graphs)  # GX takes rules out of these lists, and adds some


class _FusedCalculator(MetricsCalculator):
    """GX's calculator, which starts from the answers of one query instead of from nothing."""

    def __init__(self, engine: Any, prepared: Prepared, footers: Footers | None, ahead: Metrics | None) -> None:
        super().__init__(engine, show_progress_bars=False)
        self._prepared = prepared
        self._footers, self._ahead = footers, ahead

    def resolve_validation_graph(
        self,
        graph: ValidationGraph,
        runtime_configuration: dict[str, Any] | None = None,
        min_graph_edges_pbar_enable: int = 0,
    ) -> Any:
        """The values of all metrics of the graph, and what went wrong with those that have none."""
        plan = Plan(self._execution_engine, graph, runtime_configuration, self._prepared, self._footers, self._ahead)
        known = plan.answers()
        aborted = graph._resolve(known, runtime_configuration, show_progress_bars=False)
        return known, aborted


@contextmanager
def _configurations_kept() -> Iterator[None]:
    """While this lasts GX works out the configuration of an expectation once.

    By itself it does so whenever it looks at one of the arguments, some 60 times for each rule and day: most of the
    time a suite takes outside of Spark.
    """
    worked_out: Any = Expectation.configuration
    known: dict[int, tuple[Expectation, ExpectationConfiguration]] = {}

    def kept(self: Expectation) -> ExpectationConfiguration:
        if id(self) not in known:
            known[id(self)] = (self, worked_out.fget(self))  # kept too, so that no other object gets its id
        return known[id(self)][1]

    Expectation.configuration = property(kept)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Expectation.configuration = worked_out  # type: ignore[method-assign]
