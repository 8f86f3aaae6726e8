"""How a column's values are spread, as counts in fixed buckets, and how far one day's spread is from that of others.

The buckets are the same for every day and every table, so that days can be added up: eight to the doubling of a number
(as in an HDR histogram, a value is known to 9 %), a day of a date, one of 64 hashes of a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DateType, NumericType, StringType, TimestampType

PER_DOUBLING, TEXT_BUCKETS = 8, 64
_OFFSET = 1 << 14  # keeps exponents of the smallest double positive
_NAN = 1 << 20
_BINS = 10
# Shares below it count as this much, or one new value would make the index infinite.
_LEAST_SHARE = 1e-4


def bucket_of(column: Column, kind: DataType) -> Column:
    """The bucket of a value, a long; buckets of numbers and dates are in the order of the values.

    Raises:
        TypeError: for a type whose values have no spread, such as an array.
    """
    if isinstance(kind, StringType):
        return F.pmod(F.xxhash64(column), F.lit(TEXT_BUCKETS))
    if isinstance(kind, BooleanType):
        return column.cast("long")
    if isinstance(kind, DateType | TimestampType):
        return F.datediff(column, F.lit("1970-01-01")).cast("long")
    if not isinstance(kind, NumericType):
        raise TypeError(f"values of type {kind.simpleString()} have no buckets")
    number = column.cast("double")
    magnitude = F.floor(F.log2(F.abs(number)) * PER_DOUBLING) + _OFFSET
    signed = F.when(number < 0, -magnitude).when(number == 0, F.lit(0)).otherwise(magnitude)
    infinite = F.when(number > 0, F.lit(_NAN - 1)).otherwise(F.lit(1 - _NAN))
    found = F.when(F.isnan(number), F.lit(_NAN)).when(F.abs(number) == F.lit(math.inf), infinite).otherwise(signed)
    return found.cast("long")


def stability_index(earlier: Iterable[Mapping[str, int]], today: Mapping[str, int], *, ordered: bool) -> float:
    """The population stability index of a day against earlier ones: sum of (p - q) * ln(p / q) over the bins.

    Each earlier day counts alike, whatever its rows. Of ordered buckets, neighbours are put together into some ten bins
    of like share. Below 0.1 is read as no change, above 0.25 as a large one (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        earlier: counts by bucket of some days, none of them empty.
        today: the same of the day.
        ordered: whether buckets lie in the order of the values.
    """
    expected: dict[int, float] = {}
    for counts in earlier:
        total = sum(counts.values())
        for bucket, count in counts.items():
            expected[int(bucket)] = expected.get(int(bucket), 0.0) + count / total
    observed = {int(bucket): count for bucket, count in today.items()}
    upper = _upper_ends(expected) if ordered else sorted({*expected, *observed})
    before, now = _shares(expected, upper), _shares(observed, upper)
    return sum((p - q) * math.log(p / q) for p, q in zip(now, before, strict=True))


def _upper_ends(expected: Mapping[int, float]) -> list[int]:
    """The last bucket of each bin; the last bin has whatever is greater too."""
    total, inside, ends = sum(expected.values()), 0.0, []
    for bucket in sorted(expected):
        inside += expected[bucket]
        if inside >= total / _BINS:
            ends.append(bucket)
            inside = 0.0
    if inside or not ends:
        ends.append(max(expected))
    # A value never seen before, greater than all, has a bin of its own.
    return [*ends, _NAN + 1] if ends[-1] < _NAN else ends


def _shares(counts: Mapping[int, float], upper: list[int]) -> list[float]:
    total = sum(counts.values()) or 1
    bins = [0.0] * len(upper)
    for bucket, count in counts.items():
        place = next((n for n, end in enumerate(upper) if bucket <= end), len(upper) - 1)
        bins[place] += count
    return [max(count / total, _LEAST_SHARE) for count in bins]
