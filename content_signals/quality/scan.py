"""Run a suite on a frame with Great Expectations.

Great Expectations takes seconds to import: only the steps that judge import this module.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import
warnings.filterwarnings("ignore", category=DeprecationWarning, module="great_expectations")

import great_expectations as gx  # noqa: E402
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult  # noqa: E402
from pyspark.sql import DataFrame  # noqa: E402

from content_signals.quality.suite import CRITICAL  # noqa: E402
from content_signals.quality.verdict import Failure  # noqa: E402


class Scanner:
    """One suite, run on as many frames as there are days: context and suite are built once."""

    def __init__(self, suite: dict[str, Any]) -> None:
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        # persist=True, the default, caches every frame and never lets go of it.
        source = self._context.data_sources.add_spark("staged", persist=False)
        batch = source.add_dataframe_asset("day").add_batch_definition_whole_dataframe("all")
        self._suite = self._context.suites.add(gx.ExpectationSuite(**suite))
        self._definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(name=suite["name"], data=batch, suite=self._suite)
        )

    @property
    def rules(self) -> int:
        """How many rules the suite has."""
        return len(self._suite.expectations)

    def run(self, frame: DataFrame) -> ExpectationSuiteValidationResult:
        """The standard validation result; when a rule failed, with counts and up to 20 samples.

        A day that passes, as nearly all do, is asked yes or no: a quarter of the Spark jobs that counting takes.
        """
        passed = self._run(frame, {"result_format": "BOOLEAN_ONLY"})
        return (
            passed if passed.success else self._run(frame, {"result_format": "SUMMARY", "partial_unexpected_count": 20})
        )

    def _run(self, frame: DataFrame, result_format: dict[str, Any]) -> ExpectationSuiteValidationResult:
        return self._definition.run(batch_parameters={"dataframe": frame}, result_format=result_format)


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
