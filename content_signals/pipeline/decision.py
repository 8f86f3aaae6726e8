"""What a person decides by hand, an override, a takedown, a flip, has a reason that others can read later."""

from __future__ import annotations

from content_signals.errors import UsageError

LEAST_REASON = 10


def reason_of(text: str, what: str, why: str) -> str:
    """The reason, without blanks around it.

    Args:
        what: what is decided, for the error: "an override".
        why: what the reason says, for the next step.

    Raises:
        UsageError: before any work starts, when it is too short to be one.
    """
    reason = text.strip()
    if len(reason) < LEAST_REASON:
        raise UsageError(
            f"{what} has a reason of at least {LEAST_REASON} characters, not {reason!r}", next_step=f'--reason "{why}"'
        )
    return reason
