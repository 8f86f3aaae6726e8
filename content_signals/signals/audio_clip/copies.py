"""Temporary copies, whole or not at all: a raw file takes what there is room for, and says how much that was."""

from __future__ import annotations

import errno
from typing import IO

# Ours: a full disk, a quota, a limit of files or of their size, a disk that fails.
OUR_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EIO})


def write_all(copy: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of it.

    Raises:
        OSError: there is no room.
    """
    left = memoryview(data)
    while left:
        left = left[copy.write(left) :]
