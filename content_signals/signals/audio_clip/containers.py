"""What the bytes of an asset are, and whether they end where they should. Its name proves nothing and is not asked."""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from content_signals.signals.audio_clip.unusable import Unusable

# First bytes -> the container. libsndfile knows more, and tries each of them on whatever it is given: a text may look
# like one.
_SIGNATURES = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), "WAV"),
    b"FORM": "AIFF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
}
_FORMS = {"WAV": (b"WAVE",), "AIFF": (b"AIFF", b"AIFC")}  # bytes 8 to 12: such files hold pictures and videos too
KNOWN = ("WAV", "AIFF", "FLAC", "Ogg", "MP3")

_PAGE = b"OggS\0"  # and the version
_LARGEST_PAGE = 27 + 255 + 255 * 255  # RFC 3533: header, table of segments, segments
_PAGE_HEADER, _FIRST_PAGE, _LAST_PAGE = 27, 2, 4  # bytes before the table; flags: of a stream
_SEARCHED_BYTES = 2 * _LARGEST_PAGE  # the last page, and tags that some tools append
# Byte order and name of the chunk of samples.
_SAMPLES = {
    **dict.fromkeys((b"RIFF", b"RF64", b"BW64"), ("<", b"data")),
    b"RIFX": (">", b"data"),
    b"FORM": (">", b"SSND"),
}
# Kinds of chunks that are written behind the samples.
_BEHIND = re.compile(rb"LIST|id3 |ID3 |bext|iXML|axml|cue |smpl|inst|acid|afsp|PEAK|fact|plst|_PMX|umid|JUNK|PAD ")
_OPEN_ENDED = 0x7FFF_0000  # what writes to a pipe does not know the size, and writes 0 or about the largest there is
_ALL_ONES = 0xFFFF_FFFF
_MOST_CHUNKS = 1_000
_MOST_TAGS = 100  # files have one, sometimes two: an endless row of empty ones is no sound


@dataclass(frozen=True)
class SampleChunk:
    """Where a WAV or AIFF has its samples.

    Attributes:
        start: of its samples, in bytes.
        length: bytes of samples, as the file says; about 2**32 where what wrote it did not know.
        length_at, length_format: where that stands, and how (of `struct`).
        is_unsized: whether it says 0 and samples follow: neither nothing nor a row of other chunks up to the end.
    """

    start: int
    length: int
    length_at: int
    length_format: str
    is_unsized: bool


def container(head: bytes) -> str | None:
    """The container by its first twelve bytes; None for one that is not read here.

    Raises:
        Unusable: a WAV or AIFF by its first four bytes alone.
    """
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # an MPEG frame of layer III
        return "MP3"
    kind = next((name for signature, name in _SIGNATURES.items() if head.startswith(signature)), None)
    if kind in _FORMS and len(head) >= 12 and head[8:12] not in _FORMS[kind]:
        family = head[:4].decode()
        raise Unusable(f"not audio that is read here: a file of the {family} family, and no {kind}")
    return kind


def is_cut(file: IO[bytes], kind: str) -> bool:
    """Whether the container itself says that there should be more. Leaves the file at its start.

    FLAC says how many samples there should be, and the decoder counts them; so does an MP3 that `says_its_length`
    (`mpeg.py`).
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


def after_tags(data: mmap.mmap, at: int = 0) -> int:
    """Where the tags that stand at a place end (ID3v2.4, 3.1): the place itself where there are none."""
    for _ in range(_MOST_TAGS):
        head = data[at : at + 10]
        if len(head) < 10 or not head.startswith(b"ID3"):
            break
        size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:])))
        at += 10 + size + (10 if head[5] & 0x10 else 0)
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
    """The chunk of samples says its size. Where there is none the decoder says so."""
    chunk = sample_chunk(file, size)
    return chunk is not None and 0 < chunk.length < _OPEN_ENDED and chunk.start + chunk.length > size


def sample_chunk(file: IO[bytes], size: int) -> SampleChunk | None:
    """The chunk of samples of a WAV or AIFF, None where there is none.

    Args:
        size: of the file, in bytes.
    """
    file.seek(0)
    order, samples = _SAMPLES[file.read(12)[:4]]
    long: tuple[int, int] | None = None
    for name, length, start in _chunks(file, order):
        if name == b"ds64":  # of RF64: sizes of 64 bits, where those of 32 are all ones
            file.seek(start + 8)
            long = (int.from_bytes(file.read(8), "little"), start + 8)
        if name == samples:
            told, at, layout = (*long, "<Q") if long and length == _ALL_ONES else (length, start - 4, f"{order}I")
            return SampleChunk(start, told, at, layout, told == 0 and _samples_follow(file, order, start, size))
    return None


def _chunks(file: IO[bytes], order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, length and start of each chunk from here on."""
    for _ in range(_MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", header)
        start = file.tell()
        yield name, length, start
        file.seek(start + length + length % 2)


def samples_end(file: IO[bytes], start: int, size: int) -> int:
    """Where the samples end that nobody has counted: before chunks that go on to the end of the file, if there are.

    Only kinds of chunks that are written behind samples are looked for, and only near the end: a name may be sound.
    """
    first = max(start, size - _SEARCHED_BYTES)
    file.seek(first)
    tail = file.read(size - first)
    for found in _BEHIND.finditer(tail):
        at = found.start()
        while at + 8 <= len(tail) and _BEHIND.match(tail, at):
            length = int.from_bytes(tail[at + 4 : at + 8], "little")
            at += 8 + length + length % 2
        if at in (len(tail), len(tail) + 1):
            return first + found.start()
    return size


def _samples_follow(file: IO[bytes], order: str, start: int, size: int) -> bool:
    """Whether more stands there than other chunks, such as a list of tags: they end with the file, and have names."""
    file.seek(start)
    at = start
    for name, length, behind in _chunks(file, order):
        if not (name.isascii() and name.decode().isprintable()):
            return True
        at = behind + length + length % 2
    return at not in (size, size + 1)
