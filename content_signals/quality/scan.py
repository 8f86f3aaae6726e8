"""Run a suite on a frame with Great Expectations.

Great Expectations takes seconds to import: only the steps that judge import this module.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import great_expectations as gx
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.validator.v1_validator import Validator
from pyspark.sql import DataFrame

from content_signals.quality.fused import FusedValidators
from content_signals.quality.suite import CRITICAL
from content_signals.quality.verdict import Failure

YES_OR_NO = {"result_format": "BOOLEAN_ONLY"}
# No query that finds the bad rows: SUMMARY does not show it, and making it costs an analysis for each rule.
COUNTS_AND_SAMPLES = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": 20,
    "return_unexpected_index_query": False,
}


class Scanner:
    """One suite, run on as many frames as there are days: context and suite are built once.

    `engine` says how: "native" is Great Expectations as it comes, "fused" gives the same results in fewer Spark jobs.
    """

    def __init__(self, suite: dict[str, Any], engine: Literal["fused", "native"] = "fused") -> None:
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        # persist=True, the default, caches every frame and never lets go of it.
        source = self._context.data_sources.add_spark("staged", persist=False)
        self._batch = source.add_dataframe_asset("day").add_batch_definition_whole_dataframe("all")
        self._suite = self._context.suites.add(gx.ExpectationSuite(**suite))
        self._engine = engine
        self._fused = FusedValidators(self._context, self._batch)

    @property
    def rules(self) -> int:
        """How many rules the suite has."""
        return len(self._suite.expectations)

    def run(self, frame: DataFrame) -> ExpectationSuiteValidationResult:
        """The standard validation result, with counts and up to 20 samples.

        Natively a day that passes, as nearly all do, is asked yes or no only: a quarter of the jobs of counting.
        """
        if self._engine == "native":
            passed = self.validate(frame, YES_OR_NO)
            if passed.success:
                return passed
        return self.validate(frame, COUNTS_AND_SAMPLES)

    def validate(self, frame: DataFrame, result_format: dict[str, Any]) -> ExpectationSuiteValidationResult:
        """The validation result in some result format."""
        if self._engine == "fused":
            validator = self._fused.validator(frame, dict(result_format))
        else:
            validator = Validator(self._batch, dict(result_format), {"dataframe": frame})
        result = validator.validate_expectation_suite(self._suite)
        # What a validation definition adds for whoever stores or shows the result.
        now = datetime.now(UTC)
        result.meta |= {
            "run_id": RunIdentifier(run_time=now),
            "validation_time": now,
            "validation_id": None,
            "checkpoint_id": None,
            "batch_parameters": {"dataframe": "<DATAFRAME>"},
        }
        return result


def failures(result: ExpectationSuiteValidationResult) -> tuple[Failure, ...]:
    """The failed rules of a result."""
    return tuple(_failure(one) for one in result.results if not one.success)


def _failure(one: Any) -> Failure:
    config = one.expectation_config
    kwargs = {
        k: v for k, v in config.kwargs.items() if k not in ("batch_id", "column", "column_A", "column_B", "column_list")
    }
    columns = [config.kwargs[k] for k in ("column", "column_A", "column_B") if k in config.kwargs] or config.kwargs.get(
        "column_list", []
    )
    return Failure(
        rule=config.type,
        # A rule that cannot be asked has judged nothing: whatever its severity, the day must not pass on it.
        severity=CRITICAL if _raised(one) else str(getattr(config.severity, "value", config.severity)),
        column=", ".join(columns),
        observed=_observed(one),
        allowed=", ".join(f"{k}={v}" for k, v in kwargs.items()) or "no exception",
        notes=str((config.meta or {}).get("notes", "")),
    )


def _raised(one: Any) -> str:
    """What a rule that could not be asked raised: Great Expectations keys it by metric, or not at all."""
    info = one.exception_info or {}
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return messages[0].splitlines()[0] if messages else ""


def _observed(one: Any) -> str:
    result = one.result or {}
    if raised := _raised(one):
        return f"an error: {raised}"
    if "unexpected_count" in result:
        samples = result.get("partial_unexpected_list", [])[:3]
        return f"{result['unexpected_count']} of {result.get('element_count')} rows, e.g. {samples}"
    return str(result.get("observed_value"))
