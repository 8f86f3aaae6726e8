"""What the bytes of an asset are, and whether they end where they should. Its name proves nothing and is not asked."""

from __future__ import annotations

import mmap
import os
import struct
from typing import IO

# First bytes -> the container. libsndfile knows more, and tries each of them on whatever it is given: a text may look
# like one.
_SIGNATURES = {b"RIFF": "WAV", b"RIFX": "WAV", b"FORM": "AIFF", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3"}
KNOWN = ("WAV", "AIFF", "FLAC", "Ogg", "MP3")

_PAGE = b"OggS\0"  # and the version
_LARGEST_PAGE = 27 + 255 + 255 * 255  # RFC 3533: header, table of segments, segments
_PAGE_HEADER, _FIRST_PAGE, _LAST_PAGE = 27, 2, 4  # bytes before the table; flags: of a stream
_SEARCHED_BYTES = 2 * _LARGEST_PAGE  # the last page, and tags that some tools append
_SAMPLES = {b"RIFF": ("<", b"data"), b"RIFX": (">", b"data"), b"FORM": (">", b"SSND")}  # byte order, chunk of samples
_OPEN_ENDED = 0x7FFF_0000  # what writes to a pipe does not know the size, and writes 0 or about the largest there is
_MOST_CHUNKS = 1_000
_FIRST_FRAME = 200  # its header stands behind 38 bytes at most; there may be some padding before


def container(head: bytes) -> str | None:
    """The container by its first bytes, of which four are enough; None for one that is not read here."""
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # an MPEG frame of layer III
        return "MP3"
    return next((name for signature, name in _SIGNATURES.items() if head.startswith(signature)), None)


def is_cut(file: IO[bytes], kind: str) -> bool:
    """Whether the container itself says that there should be more. Leaves the file at its start.

    FLAC says how many samples there should be, and the decoder counts them; so does an MP3 that `says_its_length`.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        if kind == "Ogg":
            return _ogg_is_cut(file, size)
        return kind in ("WAV", "AIFF") and _chunks_are_cut(file, size)
    finally:
        file.seek(0)


def is_chained(file: IO[bytes]) -> bool:
    """Whether streams of an Ogg follow each other (RFC 3533, 4): the decoder reads the first and stops quietly.

    All streams that run side by side begin before any of them goes on, so one that begins later is another link. Its
    number proves nothing: a file that was joined with itself has one twice. Headers of pages alone are read: a tenth of
    a second for the largest file.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at, goes_on = data.find(_PAGE), False
        while at >= 0 and at + _PAGE_HEADER <= len(data):
            if data[at + 5] & _FIRST_PAGE and goes_on:
                return True
            goes_on = goes_on or not data[at + 5] & _FIRST_PAGE
            body = at + _PAGE_HEADER + data[at + 26]
            # Found again behind what is no page: a tag between links, damage.
            at = data.find(_PAGE, body + sum(data[at + _PAGE_HEADER : body]))
        return False


def says_its_length(file: IO[bytes]) -> bool:
    """Whether an MP3 has a header of Xing, LAME or Fraunhofer with the number of its frames. Leaves it at its start.

    Without one the decoder guesses from the size and the first frame, stops where it has guessed, and is wrong
    wherever the bit rate varies.
    """
    try:
        file.seek(after_tags(file))
        frame = file.read(_FIRST_FRAME)
        at = max(frame.find(b"Xing"), frame.find(b"Info"))
        counted = at >= 0 and len(frame) > at + 7 and frame[at + 7] & 1  # a flag: the number of frames is there
        return bool(counted) or b"VBRI" in frame
    finally:
        file.seek(0)


def after_tags(file: IO[bytes]) -> int:
    """Where the tags in front of an MP3 end (ID3v2.4, 3.1)."""
    at = 0
    file.seek(0)
    while (head := file.read(10)).startswith(b"ID3") and len(head) == 10:
        size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:])))
        at += 10 + size + (10 if head[5] & 0x10 else 0)
        file.seek(at)
    return at


def _ogg_is_cut(file: IO[bytes], size: int) -> bool:
    """A stream ends with a page that says so. Without it a decoder stops quietly where the bytes do."""
    start = max(0, size - _SEARCHED_BYTES)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(b"OggS")
    while at > 0 and tail[at + 4 : at + 5] not in (b"", b"\0"):  # by chance, in sound: a page's version is 0
        at = tail.rfind(b"OggS", 0, at)
    page = tail[at:] if at >= 0 else b""
    if len(page) < _PAGE_HEADER or len(page) < _PAGE_HEADER + page[26]:
        return True
    segments = page[_PAGE_HEADER : _PAGE_HEADER + page[26]]
    whole = len(page) >= _PAGE_HEADER + page[26] + sum(segments)
    return not whole or not page[5] & _LAST_PAGE


def _chunks_are_cut(file: IO[bytes], size: int) -> bool:
    """The chunk of samples says its size."""
    file.seek(0)
    order, samples = _SAMPLES[file.read(12)[:4]]
    for _ in range(_MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return False  # no samples: the decoder says so
        name, length = struct.unpack(f"{order}4sI", header)
        if name == samples:
            return bool(0 < length < _OPEN_ENDED and file.tell() + length > size)
        file.seek(length + length % 2, os.SEEK_CUR)
    return False
