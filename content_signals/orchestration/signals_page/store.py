"""Reading what the jobs wrote, from a folder or an object store. Nothing in here starts Spark or opens a table.

<lake>/_status/<table>.json                      the last days of a table
<lake>/_status/quarantine/<table>/<day>.json     some of the rows that were set aside
<lake>/_runs/<table>/<day>/<run_id>/*.html       the day's Data Docs
"""

from __future__ import annotations

import os
import posixpath
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cached_property
from typing import Any

from airflow.sdk import ObjectStoragePath

from content_signals.errors import summary_of
from content_signals.orchestration.signals_page.status import (
    Aside,
    TableStatus,
    Unreadable,
    read_aside,
    read_status,
)

# What the jobs write is far smaller: these keep a file that is not theirs from filling the server's memory.
STATUS_BYTES, ASIDE_BYTES, DOCS_BYTES = 4 << 20, 8 << 20, 32 << 20
READERS = 8
# An object store takes a while to list: it is asked so often at most. A folder is looked at for every page.
LISTED_SECONDS = 10.0

# What tells one version of a file from the next; each store has some of them.
_STAMPS = ("size", "mtime", "ino", "ETag", "etag", "LastModified", "last_modified", "updated", "created")

Known = TableStatus | Unreadable
Stamp = tuple[Any, ...]


class LakeFiles:
    """Files of the lake, by their path below it.

    Args:
        fs: an fsspec file system.
        root: the lake's path in it.
    """

    def __init__(self, fs: Any, root: str) -> None:
        self._fs, self._root = fs, root.rstrip("/")
        self.local = "file" in _protocols(fs)

    @classmethod
    def at(cls, lake: str) -> LakeFiles:
        """The lake of a setting: credentials of an object store are those of Airflow's connection for its scheme."""
        path = ObjectStoragePath(lake)
        return cls(path.fs, path.path)

    def stamps(self, folder: str) -> dict[str, Stamp]:
        """File name -> what changes when the file does, of a folder; nothing where there is no such folder."""
        path = f"{self._root}/{folder}"
        self._fs.invalidate_cache(path)  # some stores' listings are kept for the life of the process
        try:
            entries = self._fs.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        return {
            posixpath.basename(entry["name"]): tuple(str(entry.get(name)) for name in _STAMPS)
            for entry in entries
            if entry["type"] == "file"
        }

    def read(self, name: str, limit: int) -> bytes:
        """A whole file.

        Raises:
            FileNotFoundError: when there is none.
            Unreadable: when it is larger than `limit`, or a link leads out of the lake.
        """
        path = f"{self._root}/{name}"
        if self.local and not _inside(path, self._root):
            raise Unreadable("it lies outside the lake")
        if (size := self._fs.size(path)) is not None and size > limit:
            raise Unreadable(f"it has {size:,} bytes, more than {limit:,}")
        found: bytes = self._fs.cat_file(path)
        return found


class StatusStore:
    """The status of every table: read once, then only where a file has changed.

    Args:
        open_lake: called with the first page; a lake that cannot be opened is told on the page, not at start.
    """

    def __init__(self, open_lake: Callable[[], LakeFiles], tables: Collection[str]) -> None:
        self._open, self._tables = open_lake, frozenset(tables)
        self._known: dict[str, tuple[Stamp, Known]] = {}
        self._listed, self._lock = float("-inf"), threading.Lock()

    @cached_property
    def _files(self) -> LakeFiles:
        return self._open()

    def all(self) -> dict[str, Known]:
        """Table -> its status, or why that cannot be read. A table that nothing was written of is not in it.

        Raises:
            Unreadable: when the lake itself cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._listed > (0 if self._opened().local else LISTED_SECONDS):
                self._refresh()
                self._listed = time.monotonic()
            return {table: known for table, (_, known) in self._known.items()}

    def aside(self, table: str, day: date) -> Aside | None:
        """Some of the rows set aside, None where no sample was written.

        Raises:
            Unreadable: when there is a file that says nothing of use.
        """
        text = self._read(f"_status/quarantine/{table}/{day}.json", ASIDE_BYTES)
        return None if text is None else read_aside(text, table, day)

    def docs(self, table: str, day: date, name: str) -> bytes | None:
        """The Data Docs page that a status names, None where it has gone.

        Raises:
            Unreadable: when it cannot be read, or the name is not that of a page of this table's day.
        """
        folder = f"_runs/{table}/{day}/"
        if posixpath.normpath(name) != name or not name.startswith(folder) or not name.endswith(".html"):
            raise Unreadable(f"its status names {name[:200]!r}, which is no page below {folder}")
        return self._read(name, DOCS_BYTES)

    def _opened(self) -> LakeFiles:
        try:
            return self._files
        except Exception as error:  # whatever a store's client raises: the page is to say so, not to break
            raise Unreadable(f"the lake cannot be opened: {summary_of(error)}") from error

    def _refresh(self) -> None:
        try:
            stamps = self._files.stamps("_status")
        except Exception as error:  # as above
            raise Unreadable(f"the lake cannot be read: {summary_of(error)}") from error
        there = {table: stamp for table in self._tables if (stamp := stamps.get(f"{table}.json"))}
        changed = [t for t, stamp in there.items() if t not in self._known or self._known[t][0] != stamp]
        self._known = {table: known for table, known in self._known.items() if table in there}
        if len(changed) > 1 and not self._files.local:
            with ThreadPoolExecutor(READERS) as readers:
                read = list(readers.map(self._status, changed))
        else:
            read = [self._status(table) for table in changed]
        self._known |= {t: (there[t], known) for t, known in zip(changed, read, strict=True) if known is not None}

    def _status(self, table: str) -> Known | None:
        try:
            text = self._read(f"_status/{table}.json", STATUS_BYTES)
            return None if text is None else read_status(text, table)
        except Unreadable as error:
            return error

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            return self._opened().read(name, limit)
        except FileNotFoundError:  # removed since it was listed
            return None
        except Unreadable:
            raise
        except Exception as error:  # as above
            raise Unreadable(summary_of(error)) from error


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _inside(path: str, folder: str) -> bool:
    """Whether a local file, links followed, is below a folder."""
    real = os.path.realpath(folder)
    return os.path.realpath(path).startswith(real.rstrip("/") + "/")
