"""Where workers meet: what an endpoint's calls have taken, who is asking for what, and every reply that was paid for.

A reply is kept here before anybody sees it. Spark may run a task again, or twice at once: the key is claimed by one
worker, and the others wait for its reply. What this cannot know is a call under way when its process died; it may be
paid for again, when the claim has run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from content_signals.errors import Temporary, UsageError
from content_signals.llm.ledger.state import State
from content_signals.llm.reply import Reply

T = TypeVar("T")


class LedgerError(Temporary):
    """The ledger does not answer. Without it no call is sent."""


@dataclass(frozen=True)
class Mine:
    """The claim was given: ask."""


@dataclass(frozen=True)
class Taken:
    """Somebody else is asking: wait for the reply."""


Claim = Mine | Taken | Reply


class Ledger(Protocol):
    """One of these serves one process. Every method is atomic among all that share the ledger."""

    def update(self, endpoint: str, change: Callable[[State, float], T]) -> T:
        """What `change` says of an endpoint's state and the time; it changes the state in place, once."""

    def look(self, key: str) -> Reply | Taken | None:
        """The reply, or that somebody is asking for it; None: neither."""

    def claim(self, key: str, owner: str, seconds: float) -> Claim:
        """The reply if it is there; else the right to ask for it, for some seconds, unless somebody has it."""

    def keep(self, reply: Reply, owner: str) -> Reply:
        """Keep a reply and give up the claim. The reply that is kept now: the first there was."""

    def release(self, key: str, owner: str) -> None:
        """Give up a claim, if it is still the owner's."""

    def forget(self, keys: Iterable[str]) -> None:
        """Erase replies: of what is taken down, say."""

    def close(self) -> None:
        """Let go of the connection."""


@dataclass(frozen=True)
class LedgerAt:
    """Where a ledger is: a file, for workers of one machine, or a Redis or Valkey, for a cluster.

    Attributes:
        path: an SQLite file, which is made. On a local disk: no network file system keeps its locks.
        url_name: the environment variable that holds a redis://, rediss:// or unix:// URL. The URL is a secret.
    """

    path: str = ""
    url_name: str = ""

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.url_name):
            raise UsageError("a ledger is a file or a Redis: give path or url_name", next_step="mend [ledger]")

    def open(self) -> Ledger:
        """The ledger, for this process.

        Raises:
            UsageError: the environment does not name it.
            LedgerError: it does not answer.
        """
        if self.path:
            from content_signals.llm.ledger.file import FileLedger

            return FileLedger(self.path)
        from content_signals.llm.ledger.server import server_ledger

        return server_ledger(self.url_name)
