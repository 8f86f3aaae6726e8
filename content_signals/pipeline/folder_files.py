"""Files below a folder, on a disk or an object store: listed and read such that one that is odd stops no other."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyarrow import fs

from content_signals.lake.files import filesystem

UNREADABLE = "it cannot be read"  # begins the reasons that may pass: the store may be at fault
UNLISTED = "the folder cannot be listed"  # begins the reasons for which nobody knows which files are there
_LOOP = "it is a link to a folder that it lies in"
_NOT_UTF8 = "its name is not UTF-8: nothing that reads names as text can open it"


@dataclass(frozen=True)
class Found:
    """A file, or a folder that could not be listed.

    Attributes:
        path: bytes of a name that are no UTF-8 are written as backslashes and digits.
        unread: why nothing can be made of it; None where something can.
    """

    path: str
    size: int | None = None
    modified: datetime | None = None
    unread: str | None = None


def folders_of(folder: str) -> list[str]:
    """The folders in a folder; none where it cannot be listed, which `files_of` tells."""
    files, inner = filesystem(folder)
    try:
        if isinstance(files, fs.LocalFileSystem):
            with os.scandir(inner) as entries:
                return [
                    entry.path
                    for entry in entries
                    if _is_text(entry.name) and _is_folder(entry) and not _leads_back(entry)
                ]
        found = files.get_file_info(fs.FileSelector(inner))
        return [f"{folder}/{info.base_name}" for info in found if info.type == fs.FileType.Directory]
    except OSError:
        return []


def files_of(folder: str, suffixes: tuple[str, ...], *, deep: bool) -> Iterator[Found]:
    """The files of a folder whose names end so, whatever the case; `deep`: and of those in it."""
    files, inner = filesystem(folder)
    if isinstance(files, fs.LocalFileSystem):
        yield from _on_disk(inner, suffixes, deep=deep)
        return
    for info in files.get_file_info(fs.FileSelector(inner, allow_not_found=True, recursive=deep)):
        if info.type == fs.FileType.File and info.path.lower().endswith(suffixes):
            yield Found(f"{folder}/{info.path[len(inner) :].lstrip('/')}", info.size, info.mtime)


def _on_disk(folder: str, suffixes: tuple[str, ...], *, deep: bool) -> Iterator[Found]:
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_folder(entry):
                    if _leads_back(entry):
                        yield Found(f"{_text(entry.path)}/", unread=_LOOP)
                    else:
                        below.append(entry.path)
                elif entry.name.lower().endswith(suffixes):
                    yield _file(entry)
    except OSError as error:
        yield Found(f"{_text(folder)}/", unread=f"{UNLISTED}: {error.strerror or error}")
    for sub in below:
        if not _is_text(os.path.basename(sub)):  # noqa: PTH119  a path of bytes that are no text
            yield Found(f"{_text(sub)}/", unread=_NOT_UTF8)
        elif deep:
            yield from _on_disk(sub, suffixes, deep=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one; a link that leads nowhere, or in circles, is none.

    Raises:
        OSError: nobody can tell: then what holds it is not listed either, for files may lie below.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            return False
        raise


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to a folder that it lies in: there is no end to those."""
    if not entry.is_symlink():
        return False
    above = [entry.path]
    while (parent := os.path.dirname(above[-1])) not in ("", above[-1]):  # noqa: PTH120  a path of bytes may be no text
        above.append(parent)
    return os.path.realpath(entry.path) in map(os.path.realpath, above[1:])


def _file(entry: os.DirEntry[str]) -> Found:
    if not _is_text(entry.name):
        return Found(_text(entry.path), unread=_NOT_UTF8)
    try:
        stat = entry.stat()
    except OSError as error:
        return Found(entry.path, unread=_why(error))
    return Found(entry.path, stat.st_size, datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, UTC))


def digest(files: fs.FileSystem, path: str) -> tuple[str | None, str | None]:
    """SHA-256 of a file's bytes, read in blocks; or why there is none."""
    try:
        with files.open_input_stream(path, compression=None) as stream:
            return hashlib.file_digest(_Blocks(stream), "sha256").hexdigest(), None
    except OSError as error:
        return None, _why(error)


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it has gone while the folder was read"
    if isinstance(error, PermissionError):
        return "it may not be read"
    return f"{UNREADABLE}: {error.strerror or error}"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Blocks:
    """What hashlib wants of a file, of an Arrow stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """As files say."""
        return True

    def readinto(self, buffer: bytearray) -> int:
        """Fill a buffer."""
        return int(self._stream.readinto(buffer))
