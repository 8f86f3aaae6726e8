"""What is asked of the rates at which the generators plant their faults."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from content_signals.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_MALFORMED_RATIO = 0.01  # the sources stop a day above it


def check_rates(rates: DataclassInstance) -> None:
    """Each rate is a share, and `malformed` leaves days that load.

    Raises:
        UsageError: naming the rate.
    """
    for rate in fields(rates):
        value = getattr(rates, rate.name)
        if not 0 <= value <= 1:
            raise UsageError(f"rate {rate.name} is a share between 0 and 1, not {value}")
        if rate.name == "malformed" and value >= MAX_MALFORMED_RATIO:
            raise UsageError(
                f"rate malformed is below {MAX_MALFORMED_RATIO}, not {value}: at that share no day would load"
            )
