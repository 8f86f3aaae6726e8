"""Conditions on the signals of episodes: `language=en`, `explicit_ratio<0.01`, `topic=gotime,jsparty`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from content_signals.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from feast.filter_models import ComparisonFilter, CompoundFilter

_CONDITION = re.compile(r"\s*(\w+)\s*(!=|<=|>=|==?|<|>)\s*(.*?)\s*", re.DOTALL)
_PARTS = re.compile(r"""(\s*(?:"[^"]*"|'[^']*')\s*|[^,]*)(,)""")  # a comma between quotes parts nothing
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_BY_SIGN = {
    "=": ("eq", pc.equal), "!=": ("ne", pc.not_equal), "<": ("lt", pc.less), "<=": ("lte", pc.less_equal),
    ">": ("gt", pc.greater), ">=": ("gte", pc.greater_equal),
}  # fmt: skip
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Condition:
    """What a signal has to be, or, of a list, to have among others. Several values: one of them, or none of them."""

    signal: str
    sign: str
    values: tuple[Any, ...]


def conditions(texts: Sequence[str], signals: pa.Schema) -> list[Condition]:
    """Conditions of their texts.

    Args:
        signals: those of the index, with their types.

    Raises:
        UsageError: one is no condition, names no signal of the index, or a value of another type.
    """
    return [_condition(text, signals) for text in texts]


def _condition(text: str, signals: pa.Schema) -> Condition:
    read = _CONDITION.fullmatch(text)
    if not read:
        raise UsageError(f"{text!r} is no condition", next_step="NAME=VALUE, with = != < <= > or >=; VALUE,VALUE: any")
    name, sign, told = read.groups()
    sign = "=" if sign == "==" else sign
    if name not in signals.names:
        raise UnknownName("signal of the index", name, signals.names)
    kind = signals.field(name).type
    if sign not in ("=", "!=") and not is_number(kind):
        raise UsageError(f"{text!r}: {name} is no number, and has no order", next_step=f"{name}=… or {name}!=…")
    parts = [part for part, _ in _PARTS.findall(told + ",")] if sign in ("=", "!=") else [told]
    return Condition(name, sign, tuple(_value(text, _bare(part), kind) for part in parts))


def _bare(part: str) -> str:
    """A value without the blanks and the pair of quotes around it."""
    quoted = _QUOTED.fullmatch(part.strip())
    return quoted[2] if quoted else part.strip()


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type have an order."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _value(text: str, part: str, kind: pa.DataType) -> Any:
    try:
        if pa.types.is_boolean(kind):
            return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}[part.lower()]
        if pa.types.is_integer(kind):
            return pa.scalar(int(part), kind).as_py()
        if pa.types.is_floating(kind):
            return _finite(float(part))
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{text!r}: {part!r} is not of type {kind}", next_step="mend the condition") from None
    return part


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("no number")
    return value


def allowed(rows: pa.Table, wanted: Sequence[Condition]) -> NDArray[np.bool_]:
    """Which rows meet all conditions [rows]. A null meets none, `!=` included: nothing is known of it."""
    masks = [_meets(rows.column(one.signal), one) for one in wanted]
    return reduce(np.logical_and, masks, np.ones(rows.num_rows, np.bool_))


def _meets(column: Any, wanted: Condition) -> NDArray[np.bool_]:
    if wanted.sign in ("=", "!="):
        is_list = pa.types.is_list(column.type)
        among = _has(column, wanted.values) if is_list else pc.is_in(column, _set(wanted.values, column.type))
        met: Any = among if wanted.sign == "=" else pc.and_(pc.invert(among), column.is_valid())
    else:
        met = _BY_SIGN[wanted.sign][1](column, pa.scalar(wanted.values[0], column.type))
    flags: NDArray[np.bool_] = pc.fill_null(met, False).to_numpy()
    return flags


def _set(values: Sequence[Any], kind: pa.DataType) -> Any:
    return pa.array(values, kind)


def _has(column: Any, values: Sequence[Any]) -> Any:
    """Which lists of a column have one of the values among theirs; a null has none."""
    lists = column.combine_chunks()
    found = pc.is_in(pc.list_flatten(lists), _set(values, lists.type.value_type))
    having = pc.list_parent_indices(lists).filter(found)
    return pa.chunked_array([pa.array(np.isin(np.arange(len(lists)), having.to_numpy()))])


def of_episodes(episode_ids: Sequence[str]) -> ComparisonFilter:
    """For Feast's document store: chunks of some episodes."""
    from feast.filter_models import ComparisonFilter

    return ComparisonFilter(type="in", key="episode_id", value=list(episode_ids))


def as_feast(wanted: Sequence[Condition], signals: pa.Schema) -> ComparisonFilter | CompoundFilter | None:
    """The same for Feast's document store, but for lists: it has none.

    A null reads as zero, false or nothing there: too many may pass.
    """
    from feast.filter_models import CompoundFilter

    parts = [_as_feast(one) for one in wanted if not pa.types.is_list(signals.field(one.signal).type)]
    if len(parts) < 2:
        return parts[0] if parts else None
    return CompoundFilter(type="and", filters=parts)


def _as_feast(one: Condition) -> ComparisonFilter:
    from feast.filter_models import ComparisonFilter

    if len(one.values) > 1:
        return ComparisonFilter(type="in" if one.sign == "=" else "nin", key=one.signal, value=list(one.values))
    return ComparisonFilter(type=_BY_SIGN[one.sign][0], key=one.signal, value=one.values[0])
