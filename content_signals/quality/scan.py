"""Run a suite on a frame with Great Expectations.

Great Expectations takes seconds to import: only the steps that judge import this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import great_expectations as gx
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.validator.v1_validator import Validator
from pyspark.sql import DataFrame

from content_signals.errors import UsageError
from content_signals.quality import labels  # noqa: F401  # imported, its rule is registered
from content_signals.quality.footers import Footers
from content_signals.quality.fused import FusedValidators
from content_signals.quality.history import Compared, compared_with
from content_signals.quality.plan import Predicate
from content_signals.quality.predicates import predicate_of
from content_signals.quality.questions import Metrics
from content_signals.quality.verdict import CRITICAL, Failure, rule_name

# No query that finds the bad rows: SUMMARY does not show it, and making it costs an analysis for each rule.
COUNTS_AND_SAMPLES = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": 20,
    "return_unexpected_index_query": False,
}
_SPARK_SAYS = re.compile(r"\[[A-Z][A-Z0-9_.]+\] .*")  # an error's class, and the rest of its line
_COLUMNS = ("column", "column_A", "column_B")


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
        self._suite = self._context.suites.add(_suite_of(suite))
        self._engine = engine
        self._fused = FusedValidators(self._context, self._batch)
        self._numbers = _numbers([one.configuration for one in self._suite.expectations])

    @property
    def rules(self) -> int:
        """How many rules the suite has."""
        return len(self._suite.expectations)

    def run(
        self,
        frame: DataFrame,
        footers: Footers | None = None,
        compared: Compared | None = None,
        ahead: Metrics | None = None,
    ) -> ExpectationSuiteValidationResult:
        """The standard validation result, with counts and up to 20 samples of what failed.

        Args:
            footers: those of the files that the frame reads, all of them.
            compared: the day, and the days before it, for rules about history.
            ahead: what `ask_ahead` has found of the day.
        """
        with compared_with(compared):
            return self.validate(frame, COUNTS_AND_SAMPLES, footers, ahead)

    def ask_ahead(self, frame: Callable[[], DataFrame], by: str) -> dict[Any, Metrics]:
        """Value of a column -> what the suite will ask of the rows with it; nothing until a frame was run.

        Args:
            frame: makes the frame; what that raises leaves everything to be asked later.
        """
        return self._fused.ask_ahead(frame, by) if self._engine == "fused" else {}

    def validate(
        self,
        frame: DataFrame,
        result_format: dict[str, Any],
        footers: Footers | None = None,
        ahead: Metrics | None = None,
    ) -> ExpectationSuiteValidationResult:
        """The validation result in some result format."""
        if self._engine == "fused":
            validator = self._fused.validator(frame, dict(result_format), footers, ahead)
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

    def failures(self, result: ExpectationSuiteValidationResult) -> tuple[Failure, ...]:
        """The failed rules of a result."""
        return tuple(
            _failure(one, self._numbers.get(_key(one.expectation_config), 1))
            for one in result.results
            if not one.success
        )

    def predicates(self, frame: DataFrame, names: Iterable[str]) -> dict[str, Predicate]:
        """Name -> which rows break the rule, of those of the rules that are about single rows."""
        wanted = set(names)
        batch = self._batch.get_batch({"dataframe": frame})
        found = {}
        for rule in self._suite.expectations:
            config = rule.configuration
            name = rule_name(config.type, _columns(config.kwargs), self._numbers[_key(config)])
            if name in wanted:
                predicate = predicate_of(rule, batch.data.execution_engine, batch.id)
                if predicate is not None:
                    found[name] = predicate
        return found


def _suite_of(suite: dict[str, Any]) -> gx.ExpectationSuite:
    """The suite as Great Expectations has it, whole: by itself it leaves out, with a word in the log, what it refuses.

    Raises:
        UsageError: a rule that Great Expectations does not know, or whose arguments or severity it refuses.
    """
    made = gx.ExpectationSuite(**{**suite, "expectations": []})
    for number, rule in enumerate(suite.get("expectations", ()), 1):
        try:
            made.expectations.append(made._process_expectation(rule))
        except Exception as error:
            name = rule_name(str(rule.get("type")), _columns(rule.get("kwargs", {})))
            raise _refused(suite, f"rule {number}, {name}: {error}") from error
    return made


def _refused(suite: dict[str, Any], why: str) -> UsageError:
    file = f"expectations/{suite.get('name')}.json"
    return UsageError(
        f"{file}: {' '.join(why.split())}", next_step=f"mend {file}; Great Expectations says what is wrong"
    )


def _numbers(configurations: Sequence[Any]) -> dict[str, int]:
    """Which of the rules of its kind for its columns a rule is."""
    seen: dict[str, int] = {}
    numbers = {}
    for config in configurations:
        name = rule_name(config.type, _columns(config.kwargs))
        seen[name] = seen.get(name, 0) + 1
        numbers[_key(config)] = seen[name]
    return numbers


def _key(config: Any) -> str:
    kwargs = {name: value for name, value in config.kwargs.items() if name != "batch_id" and value is not None}
    return json.dumps([config.type, kwargs], sort_keys=True, default=str)


def _columns(kwargs: dict[str, Any]) -> str:
    return ", ".join([kwargs[name] for name in _COLUMNS if kwargs.get(name)] or kwargs.get("column_list", []))


def _failure(one: Any, number: int) -> Failure:
    config = one.expectation_config
    return Failure(
        rule=config.type,
        # A rule that cannot be asked has judged nothing: whatever its severity, the day must not pass on it.
        severity=CRITICAL if _raised(one) else str(getattr(config.severity, "value", config.severity)),
        column=_columns(config.kwargs),
        observed=_observed(one),
        allowed=_allowed(one),
        notes=str((config.meta or {}).get("notes", "")),
        rows=int((one.result or {}).get("unexpected_count") or 0),
        number=number,
    )


def _allowed(one: Any) -> str:
    said = ((one.result or {}).get("details") or {}).get("allowed")
    if said:
        return str(said)
    skipped = ("batch_id", *_COLUMNS, "column_list")
    kwargs = {name: value for name, value in one.expectation_config.kwargs.items() if name not in skipped}
    return ", ".join(f"{name}={value}" for name, value in kwargs.items()) or "no exception"


def _raised(one: Any) -> str:
    """What a rule that could not be asked raised: Great Expectations keys it by metric, or not at all."""
    info = one.exception_info or {}
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    if not messages:
        return ""
    # What comes through from the JVM begins with the name of a call, which tells nobody anything.
    said = _SPARK_SAYS.search(messages[0])
    return said[0].strip() if said else messages[0].splitlines()[0]


def _observed(one: Any) -> str:
    result = one.result or {}
    if raised := _raised(one):
        return f"an error: {raised}"
    if "unexpected_count" in result:
        samples = result.get("partial_unexpected_list", [])[:3]
        return f"{result['unexpected_count']} of {result.get('element_count')} rows, e.g. {samples}"
    return str(result.get("observed_value"))
