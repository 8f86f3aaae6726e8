"""The bytes of an asset: read once, from wherever they lie, and proved to be those that were ingested."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO

from pyarrow import fs

from content_signals.signals.audio_clip.copies import write_all
from content_signals.signals.audio_clip.unusable import Unusable

LARGEST_BYTES = 256 * 2**20  # 15 minutes of stereo at 48 kHz and 24 bit take 247 MiB
_STEP_BYTES = 2**20


def read_asset(path: str, size: int, sha256: str) -> IO[bytes] | None:
    """The bytes of a file, to be read from their start, or None when they are not what they were at ingest.

    A copy in the worker's temporary folder is read, not the file itself: what is decoded is then exactly what was
    hashed, whoever writes meanwhile, and a file of any length takes no memory.

    Args:
        path: a path of this machine, or the URL of a file system that pyarrow knows.
        size: its bytes at ingest.
        sha256: their SHA-256, 64 hexadecimal digits.

    Returns:
        None when the file has gone, cannot be read now, or has other bytes: then nothing can be said of the content,
        not even that it is broken.

    Raises:
        Unusable: the content has no bytes, or more than `LARGEST_BYTES`. It is not read then.
    """
    if size == 0:
        raise Unusable("zero bytes")
    if size > LARGEST_BYTES:
        raise Unusable(f"larger than {LARGEST_BYTES // 2**20} MiB")
    copy = TemporaryFile(buffering=0)  # noqa: SIM115  # closed by the caller, who reads it
    if _copied(path, size, copy) == sha256:
        copy.seek(0)
        return copy
    copy.close()
    return None


def _copied(path: str, size: int, copy: IO[bytes]) -> str | None:
    """SHA-256 of what was copied; None when it could not be read. No more than `size` bytes and a step are copied."""
    files, inner = _located(path)
    found, seen = hashlib.sha256(), 0
    try:
        stream = files.open_input_stream(inner, compression=None)
    except OSError:
        return None
    with stream:
        while seen <= size:
            # Only reading may fail quietly. A full disk on our side is no fault of the asset.
            try:
                step = stream.read(_STEP_BYTES)
            except OSError:
                return None
            if not step:
                break
            found.update(step)
            write_all(copy, step)
            seen += len(step)
    return found.hexdigest()


def _located(path: str) -> tuple[fs.FileSystem, str]:
    """The file system a path lies on, and the path on it.

    Only scheme and host are read as a URL: a clip may be named `take #1 (50%).ogg`.
    """
    scheme, separator, rest = path.partition("://")
    if not separator:
        return fs.LocalFileSystem(), path
    host, _, inner = rest.partition("/")
    files, root = _file_system(f"{scheme}://{host}/")
    return files, f"{root.rstrip('/')}/{inner}"


@lru_cache(maxsize=8)
def _file_system(url: str) -> tuple[fs.FileSystem, str]:
    """Kept: an object store is asked for its region each time one is made."""
    found, root = fs.FileSystem.from_uri(url)
    return found, str(root)
