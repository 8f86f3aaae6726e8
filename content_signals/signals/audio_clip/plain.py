"""Copies of an asset in a form that the decoder reads: it knows no tags in front, and believes the sizes it is told.

The asset itself is never written to: what is handed in may be the file that landed.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

from content_signals.signals.audio_clip.containers import after_tags, sample_chunk, samples_end
from content_signals.signals.audio_clip.copies import write_all

_STEP_BYTES = 2**20


@contextmanager
def untagged(file: IO[bytes]) -> Iterator[tuple[IO[bytes], bool]]:
    """What stands behind the tags in front (ID3), at its start, and whether there were any.

    libsndfile skips them in front of some containers, and not all kinds: behind one with a footer it finds nothing.
    """
    tagged = file.read(3) == b"ID3"
    file.seek(0)
    if not tagged:
        yield file, False
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = after_tags(data)
    with _copied(file, start) as copy:
        yield copy, True


@contextmanager
def sized(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """A WAV, at its start, whose chunk of samples says its size.

    What writes to a pipe cannot go back and write it, and leaves 0: the samples then go on to the end of the file, or
    to chunks that end with it. BW64 is RF64 under another name, which the decoder does not know.
    """
    size = file.seek(0, os.SEEK_END)
    chunk = sample_chunk(file, size)
    file.seek(0)
    renamed = file.read(4) == b"BW64"
    end = samples_end(file, chunk.start, size) if chunk and chunk.is_unsized else size
    file.seek(0)
    if not renamed and not (chunk and chunk.is_unsized):
        yield file
        return
    with _copied(file, 0) as copy:
        if renamed:
            _overwrite(copy, 0, b"RF64")
        if chunk and chunk.is_unsized:
            _overwrite(copy, chunk.length_at, struct.pack(chunk.length_format, end - chunk.start))
        yield copy


@contextmanager
def _copied(file: IO[bytes], start: int) -> Iterator[IO[bytes]]:
    with TemporaryFile(buffering=0) as copy:
        file.seek(start)
        while step := file.read(_STEP_BYTES):
            write_all(copy, step)
        copy.seek(0)
        yield copy


def _overwrite(file: IO[bytes], at: int, by: bytes) -> None:
    file.seek(at)
    write_all(file, by)
    file.seek(0)
