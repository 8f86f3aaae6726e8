"""The ledger of one machine: an SQLite file that all workers open."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from content_signals.llm.ledger.state import State
from content_signals.llm.ledger.store import Claim, LedgerError, Mine, Taken
from content_signals.llm.reply import Reply

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS state (endpoint TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS claim (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""
_BUSY_SECONDS = 30.0
_PAUSE_SECONDS = 0.01


class FileLedger:
    """See `Ledger`. To be used from one thread at a time.

    Args:
        clock: seconds since 1970, the same for all who open the file.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = Path(path), clock
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._write_ahead()
            # A reply was paid for: it is on the disk before it is believed.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error

    def _write_ahead(self) -> None:
        """Several that open a new file at once would all change its mode: SQLite lets one, and has others not wait."""
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def update(self, endpoint: str, change: Callable[[State, float], T]) -> T:
        """See `Ledger`."""
        with self._transaction() as db:
            row = db.execute("SELECT value FROM state WHERE endpoint = ?", [endpoint]).fetchone()
            before = row[0] if row else ""
            state = State.from_json(before) if row else State()
            found = change(state, self._clock())
            after = state.to_json()
            if after != before:
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", [endpoint, after])
        return found

    def look(self, key: str) -> Reply | Taken | None:
        """See `Ledger`."""
        with self._transaction("BEGIN") as db:
            row = db.execute("SELECT value FROM reply WHERE key = ?", [key]).fetchone()
            held = db.execute("SELECT 1 FROM claim WHERE key = ? AND until > ?", [key, self._clock()]).fetchone()
        if row:
            return Reply.from_json(row[0])
        return Taken() if held else None

    def claim(self, key: str, owner: str, seconds: float) -> Claim:
        """See `Ledger`."""
        with self._transaction() as db:
            row = db.execute("SELECT value FROM reply WHERE key = ?", [key]).fetchone()
            if row:
                return Reply.from_json(row[0])
            now = self._clock()
            held = db.execute("SELECT owner FROM claim WHERE key = ? AND until > ?", [key, now]).fetchone()
            if held and held[0] != owner:
                return Taken()
            db.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?)", [key, owner, now + seconds])
        return Mine()

    def keep(self, reply: Reply, owner: str) -> Reply:
        """See `Ledger`."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO reply VALUES (?, ?)", [reply.key, reply.to_json()])
            db.execute("DELETE FROM claim WHERE key = ? AND owner = ?", [reply.key, owner])
            row = db.execute("SELECT value FROM reply WHERE key = ?", [reply.key]).fetchone()
        return Reply.from_json(row[0])

    def release(self, key: str, owner: str) -> None:
        """See `Ledger`."""
        with self._transaction() as db:
            db.execute("DELETE FROM claim WHERE key = ? AND owner = ?", [key, owner])

    def forget(self, keys: Iterable[str]) -> None:
        """See `Ledger`."""
        self._db.execute("PRAGMA secure_delete = ON")  # nothing of them is left in the file, nor in what is beside it
        with self._transaction() as db:
            db.executemany("DELETE FROM reply WHERE key = ?", ([key] for key in keys))
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See `Ledger`."""
        self._db.close()

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Until its end nobody else writes. What raises inside changes nothing."""
        try:
            self._db.execute(begin)
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"the ledger {self._path} does not take a write: {error}",
            state="no call is sent; replies that were kept are kept",
            next_step=f"see whether {self._path} is on a local disk that has room; then run again",
        )
