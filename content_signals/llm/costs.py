"""What a call takes: tokens, estimated before and counted after, and money as whole micro-units of a currency.

Money is never a float: a million calls at 0.15 a million tokens add up to what the bill says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from content_signals.errors import UsageError

MICROS = 1_000_000
# What a message takes beside its text: role and marks of the chat template.
MESSAGE_TOKENS = 8


@dataclass(frozen=True)
class Price:
    """Micro-units of a currency for a million tokens, of what is read and of what is written."""

    input_micros: int = 0
    output_micros: int = 0

    def of(self, prompt_tokens: int, output_tokens: int) -> int:
        """Micro-units for a call, rounded up."""
        return -(-(prompt_tokens * self.input_micros + output_tokens * self.output_micros) // MICROS)


def micros(amount: Decimal | int | str) -> int:
    """An amount of money in micro-units.

    Raises:
        UsageError: it is no amount, is negative, or has more than six decimals.
    """
    try:
        exact = Decimal(amount) * MICROS
        whole = int(exact)
    except (ArithmeticError, ValueError, TypeError):
        raise UsageError(f"{amount!r} is no amount of money", next_step="write it as in '0.15'") from None
    if whole != exact or whole < 0:
        raise UsageError(f"{amount} is no amount of whole micro-units, 0 or more", next_step="write it as in '0.15'")
    return whole


def tokens_of(text: str, bytes_per_token: float) -> int:
    """How many tokens a text has, estimated from its bytes in UTF-8, rounded up.

    Every model cuts texts in its own way. Bytes do better than characters across scripts: a Chinese character is three
    bytes and about one token.
    """
    return math.ceil(len(text.encode("utf-8")) / bytes_per_token)


def tokens_of_messages(texts: Iterable[str], bytes_per_token: float) -> int:
    """How many tokens some messages have, their roles and marks included."""
    return sum(MESSAGE_TOKENS + tokens_of(text, bytes_per_token) for text in texts)
