"""Random rows of random columns, and rules that fit them, for Hypothesis to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tests.quality_frames import INFINITY, TEXTS, WORDS
from tests.quality_rules import Rule, column, columns, pair, table, values, where


@dataclass(frozen=True)
class Kind:
    """A type of column: what its values are like, and how a rule in JSON names one."""

    name: str
    type: pa.DataType
    values: st.SearchStrategy[Any]
    in_rule: Callable[[Any], Any] = lambda value: value


WHOLE = st.one_of(st.integers(-5, 5), st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]))
DOUBLES = st.one_of(st.sampled_from([0.0, -0.0, 1.5, INFINITY, -INFINITY, float("nan")]), st.floats())
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
LETTERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
KINDS = [
    Kind("long", pa.int64(), WHOLE),
    Kind("int", pa.int32(), st.integers(-5, 5)),
    Kind("double", pa.float64(), DOUBLES),
    Kind("decimal", pa.decimal128(12, 3), st.decimals(-50, 50, places=3), float),
    Kind("text", pa.string(), st.one_of(st.sampled_from([one for one in TEXTS + WORDS if one is not None]), LETTERS)),
    Kind("date", pa.date32(), st.dates(date(1900, 1, 1), date(2100, 1, 1)), str),
    Kind("time", pa.timestamp("us", "UTC"), MOMENTS.map(lambda at: at.replace(tzinfo=UTC)), lambda at: at.isoformat()),
    Kind("bool", pa.bool_(), st.booleans()),
    Kind("texts", pa.list_(pa.string()), st.lists(st.sampled_from(["a", "é", ""]), max_size=2)),
]
NUMBERS = {"long", "int", "double", "decimal"}
BOUNDED = {*NUMBERS, "date", "time"}  # GX takes no text for a bound
ORDERED = {*BOUNDED, "text"}
NAMES = ["größe", "曲", "with space", "UPPER", "a-b", "🎵", "x1", "x2"]


@dataclass
class Example:
    """Rows, as columns beside a counting `id`, and rules about them."""

    rows: int
    kinds: dict[str, Kind]
    columns: dict[str, list[Any]]
    rules: list[Rule] = field(default_factory=list)

    def table(self) -> pa.Table:
        """The rows."""
        arrays = {"id": pa.array(range(self.rows), pa.int64())}
        arrays |= {name: pa.array(found, self.kinds[name].type) for name, found in self.columns.items()}
        return pa.table(arrays)


@st.composite
def examples(draw: st.DrawFn, rules: int = 12) -> Example:
    """Up to 12 rows of 3 to 5 columns, and some rules."""
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=3, max_size=5, unique_by=str.lower))
    kinds = {name: draw(st.sampled_from(KINDS)) for name in names}
    found = Example(rows, kinds, {name: draw(_cells(kind, rows)) for name, kind in kinds.items()})
    found.rules = [draw(_rule(found)) for _ in range(rules)]
    return found


@st.composite
def _cells(draw: st.DrawFn, kind: Kind, rows: int) -> list[Any]:
    """Values and nulls; at times of few different values, at times nulls alone."""
    some = draw(st.lists(kind.values, min_size=1, max_size=4))
    value = draw(st.sampled_from([kind.values, st.sampled_from(some), st.none()]))
    return draw(st.lists(st.one_of(st.none(), value, value), min_size=rows, max_size=rows))


@st.composite
def _rule(draw: st.DrawFn, example: Example) -> Rule:
    makers = [maker for fits, maker in MAKERS if any(fits(kind) for kind in example.kinds.values())]
    maker = draw(st.sampled_from(makers))
    fits = next(fits for fits, one in MAKERS if one is maker)
    name = draw(st.sampled_from([name for name, kind in example.kinds.items() if fits(kind)]))
    kind, kwargs = maker(draw, example, name)
    return kind, {**kwargs, **draw(st.sampled_from(CONDITIONS))}


CONDITIONS: list[dict[str, str]] = [
    *[{}] * 4,
    where("id % 2 = 0"),
    where("id > 3"),
    where("false"),
    where("if(id = 1, null, id > 0)"),
]


def _bounds(draw: st.DrawFn, kind: Kind) -> dict[str, Any]:
    """A lower bound, an upper one or both, strict or not."""
    finite = kind.values.filter(lambda value: value == value)
    low, high = sorted([draw(finite), draw(finite)])
    found: dict[str, Any] = {"min_value": kind.in_rule(low), "max_value": kind.in_rule(high)}
    left_out = draw(st.sampled_from(["min_value", "max_value", ""]))
    found.pop(left_out, None)
    return found | {strict: True for strict in ("strict_min", "strict_max") if draw(st.booleans())}


def _mostly(draw: st.DrawFn) -> dict[str, float]:
    share = draw(st.sampled_from([None, None, 0.0, 0.5, 0.9, 1.0]))
    return {} if share is None else {"mostly": share}


def _set(draw: st.DrawFn, example: Example, name: str) -> list[Any]:
    kind = example.kinds[name]
    there = [value for value in example.columns[name] if value is not None]
    value = st.one_of(st.sampled_from(there), kind.values) if there else kind.values
    return [kind.in_rule(one) for one in draw(st.lists(value, max_size=3))]


def _other(draw: st.DrawFn, example: Example, name: str) -> str:
    """A column of the same type; the same one when there is no other."""
    same = [one for one, kind in example.kinds.items() if kind == example.kinds[name]]
    return draw(st.sampled_from([one for one in same if one != name] or same))


def _of_values(*kinds: str) -> Callable[..., Rule]:
    return lambda draw, example, name: values(draw(st.sampled_from(kinds)), name, **_mostly(draw))


def _between(draw: st.DrawFn, example: Example, name: str) -> Rule:
    return values("to_be_between", name, **_bounds(draw, example.kinds[name]), **_mostly(draw))


def _in_set(draw: st.DrawFn, example: Example, name: str) -> Rule:
    kind = draw(st.sampled_from(["to_be_in_set", "to_not_be_in_set"]))
    return values(kind, name, value_set=_set(draw, example, name), **_mostly(draw))


def _extreme(draw: st.DrawFn, example: Example, name: str) -> Rule:
    kind = draw(st.sampled_from(["max_to_be_between", "min_to_be_between"]))
    return column(kind, name, **_bounds(draw, example.kinds[name]))


def _average(draw: st.DrawFn, example: Example, name: str) -> Rule:
    kind = draw(st.sampled_from(["mean_to_be_between", "sum_to_be_between", "stdev_to_be_between"]))
    return column(kind, name, min_value=draw(st.integers(-3, 3)))


def _text(draw: st.DrawFn, example: Example, name: str) -> Rule:
    regex = draw(st.sampled_from(["^[a-z]*$", r"\p{L}", "^.$", "🎵|l", "'"]))
    kind = draw(st.sampled_from(["to_match_regex", "to_not_match_regex"]))
    return values(kind, name, regex=regex, **_mostly(draw))


def _lengths(draw: st.DrawFn, example: Example, name: str) -> Rule:
    return column("value_lengths_to_be_between", name, min_value=draw(st.integers(0, 2)), max_value=5, **_mostly(draw))


def _z_scores(draw: st.DrawFn, example: Example, name: str) -> Rule:
    return column("value_z_scores_to_be_less_than", name, threshold=1.0, double_sided=draw(st.booleans()))


def _pair(draw: st.DrawFn, example: Example, name: str) -> Rule:
    ignored = draw(st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"]))
    kind = draw(st.sampled_from(["a_to_be_greater_than_b", "to_be_equal"]))
    return pair(kind, name, _other(draw, example, name), ignore_row_if=ignored, **_mostly(draw))


def _compound(draw: st.DrawFn, example: Example, name: str) -> Rule:
    ignored = draw(st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"]))
    other = draw(st.sampled_from([one for one in example.kinds if one != name]))
    return columns("compound_columns_to_be_unique", name, other, ignore_row_if=ignored, **_mostly(draw))


def _rows(draw: st.DrawFn, example: Example, name: str) -> Rule:
    return table("row_count_to_be_between", min_value=draw(st.integers(0, 4)), max_value=8)


def _one_of(*names: str) -> Callable[[Kind], bool]:
    return lambda kind: kind.name in names


# Which columns a rule fits, and the rule about one of them.
MAKERS: list[tuple[Callable[[Kind], bool], Callable[..., Rule]]] = [
    (lambda kind: True, _of_values("to_not_be_null", "to_be_null", "to_be_unique")),
    (_one_of(*BOUNDED), _between),
    (_one_of(*ORDERED - {"time"}, "bool"), _in_set),
    (_one_of(*BOUNDED), _extreme),
    (_one_of(*NUMBERS), _average),
    (_one_of("text"), _text),
    (_one_of("text"), _lengths),
    (_one_of("double", "int"), _z_scores),
    (_one_of(*ORDERED), _pair),
    (lambda kind: True, _compound),
    (lambda kind: True, _rows),
]
