"""The version of a row in the online store: its state, and the times by which the newest wins.

Seventeen bytes (the state, then event time and computed_at in microseconds, most significant byte first), then the
event time as Feast has it beside: where that differs from the row's, plain Feast has written the row since.
"""

from __future__ import annotations

LIVING, GONE, TAKEN_DOWN = b"v", b"g", b"t"
SIZE = 17  # bytes of state and times


def is_ours(time: bytes | None, version: bytes | None) -> bool:
    """Whether a row is as it was written with its version."""
    return version is not None and version[SIZE:] == time


def state_of(time: bytes | None, version: bytes | None) -> bytes:
    """State of a row. What was taken down stays so whoever writes it; what was gone may have values of plain Feast."""
    state = version[:1] if version else LIVING
    return LIVING if state == GONE and not is_ours(time, version) else state
