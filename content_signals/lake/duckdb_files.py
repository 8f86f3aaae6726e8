"""Files that lie where DuckDB cannot read itself, through pyarrow."""

from __future__ import annotations

import threading
from typing import Any

from fsspec.implementations.arrow import ArrowFSWrapper  # type: ignore[import-untyped]

PROTOCOL = "lake"  # none of DuckDB's own


class DuckDbFiles(ArrowFSWrapper):  # type: ignore[misc]
    """A file system of pyarrow, for `register_filesystem` of a DuckDB connection: files `lake://…`, to be read."""

    protocol = PROTOCOL

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{PROTOCOL}://")

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: what stands in brackets is a name."""
        return [self._strip_protocol(path)]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _File:
        return _File(self.fs.open_input_file(path))


class _File:
    """An open file that many threads read at once.

    DuckDB shares one among its threads, and reads by `seek`, then `read`: each thread has a place of its own here, or
    one would read at another's.
    """

    mode, closed = "rb", False

    def __init__(self, file: Any) -> None:
        self._file, self._place = file, threading.local()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place: from the start, from where this thread is, or from the end."""
        start = (0, self.tell(), self._file.size())[whence]
        self._place.at = start + offset
        return self.tell()

    def tell(self) -> int:
        """Where this thread is."""
        return getattr(self._place, "at", 0)

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end."""
        left = self._file.size() - self.tell()
        found: bytes = self._file.read_at(left if size < 0 else min(size, left), self.tell())
        self._place.at = self.tell() + len(found)
        return found

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """For all threads."""
        self.closed = True
        self._file.close()
