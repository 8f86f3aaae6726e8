"""Rows that rules are judged on in the tests of equality: of every type, with everything odd that a column can hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

SCHEMA = (
    "id long, key string, n int, m int, d double, f float, price decimal(10,2), day date, at timestamp, flag boolean,"
    " text string, `a.b` long, pair struct<x:int,y:string>, tags array<string>, nothing int,"
    " big long, wide decimal(38,10), x double, small smallint, words string, local timestamp_ntz, raw binary,"
    " counts map<string,int>, same int, `größe` int"
)
NAN, INFINITY = float("nan"), float("inf")
TEXTS = ["plain", "", "naïve", "日本語", "🎵 music", "two\nlines", None, "UPPER", "a,b", "plain"]
# Right to left, a letter of two code points, a picture of five, and what SQL and JSON quote.
WORDS = ["שלום עולם", "مرحبا", "e\u0301", "👩‍👩‍👧", "it's", 'say "hi"', "back\\slash", "\u200f", None, '{"a": 1}']
BIGS = [2**53, 2**53 + 1, -(2**63), 2**63 - 1, None, 0]
XS = [INFINITY, -INFINITY, 0.0, NAN, None, 1e-300]


def row(i: int) -> tuple[Any, ...]:
    """The i-th row."""
    at = datetime(2020, 3, 1 + i % 20, i % 24, 30, tzinfo=UTC)
    return (
        i,
        None if i % 11 == 5 else f"k{i % 7}",
        None if i % 6 == 0 else i - 10,
        None if i % 9 == 4 else 2 * i - 15,
        [0.0, -0.0, NAN, None, 1.5, 2.25, -3.5, 1e300][i % 8],
        [0.5, None, NAN, 3.0][i % 4],
        None if i % 5 == 3 else Decimal(i * 7) / 4,
        None if i % 10 == 9 else date(2020, 3, 1 + i % 20),
        at,
        [True, False, None][i % 3],
        TEXTS[i % 10],
        i % 4,
        (i % 3, "y" if i % 2 else None),
        None if i % 8 == 1 else ["a", "b"][: i % 3],
        None,
        BIGS[i % 6],
        None if i % 7 == 2 else Decimal(10**20) + Decimal(i) / 10**10,
        XS[i % 6],
        None if i % 13 == 7 else i - 20,
        WORDS[i % 10],
        None if i % 12 == 11 else at.replace(tzinfo=None) - timedelta(days=400 * (i % 3), microseconds=i),
        None if i % 6 == 1 else bytes([i, 255 - i]),
        {"a": i} if i % 2 else None,
        7,
        i % 5,
    )


ROWS = [row(i) for i in range(40)]
# Three files: the last without a row. Whoever answers from files has to add them up.
FILES = [ROWS[:15], ROWS[15:], []]
# A value of a column, a null in every other row; and a frame of which nothing but the key is known.
NOTHING_KNOWN = [(i, *[None] * (len(ROWS[0]) - 1)) for i in range(3)]
