"""Rules that compare a day with the days before it, as expectations in Great Expectations' own way.

They stand in a suite like any other rule. What earlier days were like comes from the metrics kept with each promoted
day (`baseline`): in our jobs the scanner says which day it is and what is known; in plain Great Expectations, once this
module is imported, the day is that of the rows and the lake that of the settings.

A rule that finds fewer than `min_days` earlier days judges nothing and passes; its result says so.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.expectations.registry import get_metric_kwargs
from great_expectations.render.components import LegacyDiagnosticRendererType
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.renderer_configuration import RendererValueType
from great_expectations.validator.metric_configuration import MetricConfiguration

from content_signals.catalog import catalog
from content_signals.contract import DAY
from content_signals.lake.layout import Lake, LakeTable
from content_signals.quality.baseline import Baseline, KeptDay, values_of
from content_signals.quality.column_metrics import ColumnBuckets, ColumnTrueShare
from content_signals.quality.distribution import stability_index
from content_signals.quality.rendered import RenderedExpectation
from content_signals.settings import load_settings


@dataclass(frozen=True)
class Compared:
    """What a day is compared with: the days before it, oldest first, and the digest of its rows if it is known."""

    day: date
    baseline: Baseline
    digest: str | None = None


_COMPARED: ContextVar[Compared | None] = ContextVar("compared", default=None)


@contextmanager
def compared_with(compared: Compared | None) -> Iterator[None]:
    """Rules run in this block are about this day and compare with these."""
    token = _COMPARED.set(compared)
    try:
        yield
    finally:
        _COMPARED.reset(token)


class HistoryExpectation(RenderedExpectation, ABC):
    """What all of these share: whose history, how many days of it, how many at least.

    Days of fewer than `min_rows` rows are not judged: chance alone moves them.
    """

    history_of: str
    days: int = 28
    min_days: int = 7
    min_rows: int = 100

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count",)
    success_keys: ClassVar[tuple[str, ...]] = ("history_of", "days", "min_days", "min_rows")

    args_keys: ClassVar[tuple[str, ...]] = ("history_of",)
    about: ClassVar[str]
    condition: ClassVar[str]

    @abstractmethod
    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        """Name and value of the metric that is kept of the day; the value None when the day has none."""

    @abstractmethod
    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        """Whether the value will do, what was observed, and what is allowed, in words."""

    def get_validation_dependencies(self, execution_engine: Any = None, runtime_configuration: Any = None) -> Any:
        """The declared metrics, and the greatest `ds`: the day the rows are of."""
        found = super().get_validation_dependencies(execution_engine, runtime_configuration)
        kwargs = get_metric_kwargs("column.max", self.configuration, runtime_configuration)
        domain = type(kwargs["metric_domain_kwargs"])({**kwargs["metric_domain_kwargs"], "column": DAY})
        found.set_metric_configuration(
            "column.max", MetricConfiguration("column.max", domain, kwargs["metric_value_kwargs"])
        )
        return found

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        compared = _COMPARED.get() or _of_settings(self.history_of, metrics["column.max"])
        name, value = self._kept(metrics)
        earlier = values_of(compared.baseline.before(compared.day, self.days), name)
        details = {"metric": name, "value": value, "days": len(earlier)}
        if value is None:
            return _result(True, None, "nothing to compare: the day has no value", details)
        if len(earlier) < self.min_days:
            allowed = f"not judged: {len(earlier)} earlier days are known, {self.min_days} are needed"
            return _result(True, self._shown(value), allowed, details)
        rows = self._rows(metrics["table.row_count"], earlier)
        if rows < self.min_rows:
            return _result(True, self._shown(value), f"not judged: {rows} rows, {self.min_rows} are needed", details)
        good, observed, allowed = self._judge(value, earlier, compared.day)
        return _result(good, observed, allowed, details)

    def _rows(self, rows: int, earlier: Mapping[date, Any]) -> int:
        return rows

    def _shown(self, value: Any) -> Any:
        return value

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> str:
        """The observed value beside what the history allows, which the rule alone does not tell."""
        shown = cls._get_observed_value_from_evr(result=result)
        allowed = ((result.result if result else None) or {}).get("details", {}).get("allowed")
        return f"{shown}; allowed: {allowed}" if allowed else str(shown)

    @classmethod
    def _template(cls, kwargs: Mapping[str, Any], *, with_column: bool = True) -> str:
        subject = "$column: " if with_column and kwargs.get("column") else ""
        return f"{subject}{cls.about} {cls.condition} of the last $days promoted days."

    @classmethod
    def _parameters(cls, kwargs: Mapping[str, Any]) -> dict[str, RendererValueType]:
        kinds = {"column": RendererValueType.STRING, "days": RendererValueType.NUMBER}
        kinds |= dict.fromkeys(("min_ratio", "max_ratio", "max_difference", "max_psi"), RendererValueType.NUMBER)
        return {name: kind for name, kind in kinds.items() if name in kwargs}


class ExpectRowCountToBeLikeHistory(HistoryExpectation):
    """Rows of the day against the median of earlier days, at least `min_ratio` and at most `max_ratio` times it."""

    min_ratio: float = 0.5
    max_ratio: float = 2.0

    success_keys: ClassVar[tuple[str, ...]] = (*HistoryExpectation.success_keys, "min_ratio", "max_ratio")
    about: ClassVar[str] = "rows"
    condition: ClassVar[str] = "must be $min_ratio to $max_ratio times the median"

    def _rows(self, rows: int, earlier: Mapping[date, Any]) -> int:
        return max(rows, int(median(earlier.values())))

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        return "rows", metrics["table.row_count"]

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        return _by_ratio(value, list(earlier.values()), self.min_ratio, self.max_ratio)


class _OfColumn(HistoryExpectation, ABC):
    column: str

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN
    args_keys: ClassVar[tuple[str, ...]] = ("column", "history_of")


class ExpectColumnNullShareToBeLikeHistory(_OfColumn):
    """The share of nulls against the median share of earlier days: at most `max_difference` away from it."""

    max_difference: float = 0.1

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count", "column.non_null_count")
    success_keys: ClassVar[tuple[str, ...]] = (*HistoryExpectation.success_keys, "max_difference")
    about: ClassVar[str] = "share of nulls"
    condition: ClassVar[str] = "must be within $max_difference of the median"

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        rows = metrics["table.row_count"]
        share = (rows - metrics["column.non_null_count"]) / rows if rows else None
        return f"null_share({self.column})", share

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        usual = median(earlier.values())
        allowed = f"{usual:.4g} ± {self.max_difference:g} (the median of {len(earlier)} days)"
        return round(abs(value - usual), 9) <= self.max_difference, value, allowed  # 0.4 is 0.1 from 0.3


class ExpectColumnMeanToBeLikeHistory(_OfColumn):
    """The mean against the median of earlier days' means, at least `min_ratio` and at most `max_ratio` times it."""

    min_ratio: float = 0.5
    max_ratio: float = 2.0

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count", "column.mean")
    success_keys: ClassVar[tuple[str, ...]] = (*HistoryExpectation.success_keys, "min_ratio", "max_ratio")
    about: ClassVar[str] = "mean"
    condition: ClassVar[str] = "must be $min_ratio to $max_ratio times the median"

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        mean = metrics["column.mean"]
        return f"mean({self.column})", None if mean is None else float(mean)

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        return _by_ratio(value, list(earlier.values()), self.min_ratio, self.max_ratio)


class ExpectColumnTrueShareToBeLikeHistory(_OfColumn):
    """Of a boolean, the share that is true against the median of earlier days' shares, as a ratio.

    A share within `max_difference` of the median is good whatever the ratio: of rare things, chance moves many.
    """

    min_ratio: float = 0.67
    max_ratio: float = 1.5
    max_difference: float = 0.01

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count", "column.true_share")
    success_keys: ClassVar[tuple[str, ...]] = (
        *HistoryExpectation.success_keys, "min_ratio", "max_ratio", "max_difference"
    )  # fmt: skip
    about: ClassVar[str] = "share that is true"
    condition: ClassVar[str] = "must be $min_ratio to $max_ratio times, or within $max_difference of, the median"

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        return f"true_share({self.column})", metrics["column.true_share"]

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        usual = median(earlier.values())
        times = f"{self.min_ratio:g} to {self.max_ratio:g} times it (the median of {len(earlier)} days)"
        allowed = f"{usual:.4g} ± {self.max_difference:g}, or {times}"
        by_ratio = usual * self.min_ratio <= value <= usual * self.max_ratio
        return by_ratio or abs(value - usual) <= self.max_difference, value, allowed


class ExpectColumnDistributionToBeLikeHistory(_OfColumn):
    """The population stability index of the column against earlier days: at most `max_psi`."""

    max_psi: float = 0.25
    min_rows: int = 500

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count", "column.buckets")
    success_keys: ClassVar[tuple[str, ...]] = (*HistoryExpectation.success_keys, "max_psi")
    about: ClassVar[str] = "distribution (population stability index)"
    condition: ClassVar[str] = "must be at most $max_psi from that"

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        found = metrics["column.buckets"]
        return f"buckets({self.column})", found if found and found["counts"] else None

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        days = [one["counts"] for one in earlier.values()]
        index = stability_index(days, value["counts"], ordered=value["ordered"])
        return index <= self.max_psi, round(index, 6), f"at most {self.max_psi:g}, against {len(days)} days"

    def _shown(self, value: Any) -> Any:
        return None


class ExpectTableToDifferFromDayBefore(HistoryExpectation):
    """The rows, stamps aside, are not the very ones of the day before: the same file has not come twice.

    With `days` above 1 they are not those of any day so many days back.
    """

    days: int = 1
    min_days: int = 1

    about: ClassVar[str] = "rows"
    condition: ClassVar[str] = "must not all be those"

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        known = _COMPARED.get()
        digest = known.digest if known and known.digest else _digest(execution_engine)
        return super()._validate({**metrics, "digest": digest}, runtime_configuration, execution_engine)

    def _kept(self, metrics: Mapping[str, Any]) -> tuple[str, Any]:
        return "digest", metrics["digest"]

    def _judge(self, value: Any, earlier: Mapping[date, Any], day: date) -> tuple[bool, Any, str]:
        same = [d for d, digest in earlier.items() if digest == value and day - d <= timedelta(days=self.days)]
        others = "the day before's" if self.days == 1 else f"those of the {self.days} days before"
        return not same, f"{value}, as on {max(same)}" if same else value, f"another digest than {others}"


def kept_metrics(result: Any) -> dict[str, Any]:
    """What a validation result says of the day that later days are compared with, by name."""
    details = [(one.result or {}).get("details") or {} for one in result.results]
    return {d["metric"]: d["value"] for d in details if "metric" in d and _is_comparable(d.get("value"))}


def _is_comparable(value: Any) -> bool:
    """Whether days can be compared with a value: the mean of a column with a NaN or an infinity in it is none."""
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _by_ratio(value: Any, earlier: Sequence[Any], low: float, high: float) -> tuple[bool, Any, str]:
    usual = median(earlier)
    if not usual:
        return True, value, f"not judged: the median of {len(earlier)} days is 0, which has no multiple"
    least, most = sorted((usual * low, usual * high))
    allowed = f"{least:.6g} to {most:.6g} ({low:g} to {high:g} times the median of {len(earlier)} days)"
    return least <= value <= most, value, allowed


def _result(good: bool, observed: Any, allowed: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"success": good, "result": {"observed_value": observed, "details": {**details, "allowed": allowed}}}


def _of_settings(name: str, newest: Any) -> Compared:
    """Outside our jobs: the day of the rows, and the lake of the settings."""
    if newest is None:
        raise ValueError("the frame has no rows, and so no day to compare with earlier ones")
    day = date.fromisoformat(str(newest)[:10])
    root = Lake(load_settings().lake).root
    area = "sources" if any(source.table == name for source in catalog().sources) else "signals"
    return Compared(day, Baseline(LakeTable(name, f"{root}/{area}/{name}", f"{root}/_runs/{name}")))


def _digest(engine: Any) -> str:
    from content_signals.lake.stage import digests_of

    frame = engine.batch_manager.active_batch_data.dataframe
    found = digests_of(frame)
    return found[max(found)][1] if found else "0-0"


__all__ = [
    "ColumnBuckets",
    "ColumnTrueShare",
    "Compared",
    "ExpectColumnDistributionToBeLikeHistory",
    "ExpectColumnMeanToBeLikeHistory",
    "ExpectColumnNullShareToBeLikeHistory",
    "ExpectColumnTrueShareToBeLikeHistory",
    "ExpectRowCountToBeLikeHistory",
    "ExpectTableToDifferFromDayBefore",
    "KeptDay",
    "compared_with",
    "kept_metrics",
]
