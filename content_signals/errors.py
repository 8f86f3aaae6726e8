"""The error tree. Each error carries the exit code of the job that raises it and the next step to take.

Exit codes: 0 ok, 64 usage, 65 broken data (never retried), 66 nothing landed, 75 temporary (retried), 1 unknown.
A run over a range exits with its worst day's code.
"""

from __future__ import annotations

import copyreg
import difflib
from collections.abc import Iterable
from typing import Any

OK, UNKNOWN, USAGE, BROKEN_DATA, NOT_LANDED, TEMPORARY = 0, 1, 64, 65, 66, 75

# From harmless to grave. A temporary failure ranks above broken data because the days it hid are not judged yet,
# and above "not landed" because a retry may still land them.
SEVERITY = (OK, NOT_LANDED, BROKEN_DATA, TEMPORARY, USAGE, UNKNOWN)


class SignalsError(Exception):
    """Base of every error of ours.

    Args:
        what: what happened: table, day, column; what was seen and what is allowed.
        state: what readers see meanwhile, and what is where.
        next_step: the command to run or the file to mend.
    """

    exit_code = UNKNOWN

    def __init__(self, what: str, *, state: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what, self.state, self.next_step = what, state, next_step

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is, whatever the subclass's own arguments are: errors cross from process to process."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        parts = [self.what]
        if self.state:
            parts.append(f"State: {self.state}")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return "\n".join(parts)


class UsageError(SignalsError):
    """The call itself is wrong; no work was started."""

    exit_code = USAGE


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names most like `name`, the nearest first; some of all there are, when none is like it."""
    names = sorted(known)
    return tuple(difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:10])


class UnknownName(UsageError):
    """A name that is not in the catalogue."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        near = nearest(name, known)
        super().__init__(
            f"unknown {kind} {name!r}",
            next_step=f"did you mean {' or '.join(near)}?" if near else f"there is no {kind} yet",
        )
        self.nearest = near


class ContractError(UsageError):
    """A declaration that contradicts itself, found before any work starts."""


class BrokenData(SignalsError):
    """The data breaks its contract: running again cannot help."""

    exit_code = BROKEN_DATA


class Refused(BrokenData):
    """A promotion that would break the table was refused; nothing was changed."""


class Superseded(Refused):
    """A newer run has taken this day over: a late or zombie run stands down."""


class NotLanded(SignalsError):
    """The day has no input yet."""

    exit_code = NOT_LANDED


class Temporary(SignalsError):
    """Something a retry may cure: an input not promoted yet, a store that does not answer."""

    exit_code = TEMPORARY


def worst(codes: Iterable[int]) -> int:
    """The gravest of some exit codes, by `SEVERITY`; 0 for none. One not ours (137: killed) counts as unknown."""
    return max((code if code in SEVERITY else UNKNOWN for code in codes), key=SEVERITY.index, default=OK)


def summary_of(error: BaseException) -> str:
    """Type and first line of an error nobody foresaw; all of it is in the log."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
