"""A share of some things, with how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations


@dataclass(frozen=True)
class Share:
    """`count` of `of` things.

    `low` and `high` bound the true share with 95 % confidence (E. B. Wilson, JASA 22, 1927: a score interval, good for
    few things and for shares near 0 and 1 too). Of nothing there is no share: the bounds are 0 and 1.
    """

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def low(self) -> float:
        """The lower bound."""
        return self._bounds()[0]

    @property
    def high(self) -> float:
        """The upper bound."""
        return self._bounds()[1]

    def __str__(self) -> str:
        if not self.of:
            return "- (0 of 0)"
        return f"{self.count / self.of:.3f} ({self.count} of {self.of}; {self.low:.3f} to {self.high:.3f})"

    def _bounds(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        n, p, square = self.of, self.count / self.of, _Z * _Z
        middle = (p + square / (2 * n)) / (1 + square / n)
        half = _Z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)
