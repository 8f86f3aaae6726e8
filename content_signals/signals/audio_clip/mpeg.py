"""An MP3 whose header does not count its frames, counted: the decoder is given a header that does.

Without one it guesses from the size and the first frame, and stops where it has guessed. Headers of frames are as in
ISO/IEC 11172-3 and 13818-3; that of Xing, which counts them, is what encoders write into a first frame of silence.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from content_signals.signals.audio_clip.containers import after_tags
from content_signals.signals.audio_clip.copies import write_all
from content_signals.signals.audio_clip.unusable import Unusable

_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # MPEG 1, 2, 2.5
_MONO = 3
_ROOMY = 9  # number of a bit rate at which a frame has room for the header
_COUNTS = 3  # flags: the number of frames is there, and that of bytes
_FIRST_FRAME = 200  # its header stands behind 38 bytes at most; there may be some padding before
_ENDING_TAG = 128  # bytes of ID3v1, which stands behind the frames
_NEAR = 4_096  # bytes: what tells its size may leave out the frame it stands in, and there may be some padding
_SURE = 4  # frames in a row are no chance
# What looks like the header of a frame. Found without coming back to Python for every byte of 255.
_HEADER = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
_MOST_PLACES = 100_000  # of 256 MiB at random 12,000 look so; a file that is made to takes minutes


@dataclass(frozen=True)
class _Frame:
    """A frame by its header.

    Attributes:
        length: in bytes, the header among them.
    """

    version: int
    rate: int
    channels: int
    length: int

    @property
    def samples(self) -> int:
        """A channel."""
        return 1152 if self.version == 3 else 576

    def is_like(self, other: _Frame) -> bool:
        """Whether both can be of one stream; its bit rate may vary."""
        return (self.version, self.rate, self.channels) == (other.version, other.rate, other.channels)


def says_its_length(file: IO[bytes]) -> bool:
    """Whether an MP3 has a header of Xing, LAME or Fraunhofer that counts all its frames. Leaves it at its start.

    Without one the decoder guesses from the size and the first frame, stops where it has guessed, and is wrong wherever
    the bit rate varies. Where files were joined, the header of the first counts its own, and the decoder stops there.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size = _told_size(data[:_FIRST_FRAME])
        if not size:
            return size is not None
        first = _next(data, 0, None, iter(range(_MOST_PLACES)))
        frame = _frame(data, first) if first >= 0 else None
        return not _goes_on_behind(data, size, frame.length if frame else 0)


def _told_size(frame: bytes) -> int | None:
    """Bytes by the header in the first frame; 0 where it counts frames alone, None where it counts none."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at >= 0 and len(frame) > at + 7 and frame[at + 7] & 1:
        return int.from_bytes(frame[at + 12 : at + 16], "big") if frame[at + 7] & 2 else 0
    at = frame.find(b"VBRI")
    return int.from_bytes(frame[at + 10 : at + 14], "big") if at >= 0 else None


def _goes_on_behind(data: mmap.mmap, at: int, left_out: int) -> bool:
    """Whether another MP3 stands there, be it with tags between. Only what is near is looked at.

    Args:
        left_out: some headers leave out the frame they stand in: so many bytes behind are the same file's last frames.
    """
    at += _ENDING_TAG if data[at : at + 3] == b"TAG" else 0
    at = after_tags(data, at)
    near = data[at : at + _NEAR]
    return any(_is_row(data, at + place.start(), left_out) for place in _HEADER.finditer(near))


def _is_row(data: mmap.mmap, at: int, longer_than: int) -> bool:
    """Whether as many frames stand there as are no chance, and longer together."""
    first, start, found = _frame(data, at), at, 0
    while found < _SURE or at - start <= longer_than:
        frame = _frame(data, at)
        if frame is None or first is None or not frame.is_like(first):
            return False
        at, found = at + frame.length, found + 1
    return True


def counted(file: IO[bytes], most_seconds: float) -> IO[bytes] | None:
    """A copy of an MP3 with its frames alone, and a header that counts them; None where there are none.

    Args:
        most_seconds: longer ones are not read to their end.

    Returns:
        A temporary file at its start, which the caller closes.

    Raises:
        EOFError: the last frame is not whole.
        Unusable: frames of two formats follow each other.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = list(_runs(data, most_seconds))
        if not found:
            return None
        frames, size = sum(count for _, _, count in found), sum(end - first for first, end, _ in found)
        copy = TemporaryFile(buffering=0)  # noqa: SIM115  # closed by the caller, who reads it
        header = _header(data[found[0][0] : found[0][0] + 4], frames, size)
        write_all(copy, header)
        for first, end, _ in found:
            write_all(copy, memoryview(data)[first:end])
    copy.seek(0)
    return copy


def _runs(data: mmap.mmap, most_seconds: float) -> Iterator[tuple[int, int, int]]:
    """Where frames follow each other: first byte, the one behind the last, how many. What is between is no frame."""
    at, seconds = 0, 0.0
    like: _Frame | None = None
    places = iter(range(_MOST_PLACES))
    while seconds <= most_seconds and (at := _next(data, at, like, places)) >= 0:
        first, count = at, 0
        while seconds <= most_seconds and (frame := _frame(data, at)) and frame.is_like(like or frame):
            if at + frame.length > len(data):
                raise EOFError
            like, count = frame, count + 1
            at, seconds = at + frame.length, seconds + frame.samples / frame.rate
        yield first, at, count


def _next(data: mmap.mmap, at: int, like: _Frame | None, places: Iterator[int]) -> int:
    """The next place from which frames follow each other; -1: there is none.

    Args:
        places: as many as may be looked at in the whole file.
    """
    while found := _HEADER.search(data, at):
        at = found.start()
        if next(places, None) is None:
            raise Unusable(f"damaged: {_MOST_PLACES:,} places in it look like frames of an MP3, and are none")
        frame = _frame(data, at)
        if frame and _goes_on(data, at, frame, last=like is None):
            if like and not frame.is_like(like):
                raise Unusable("its format changes on the way")
            return at
        at += 1
    return -1


def _goes_on(data: mmap.mmap, at: int, frame: _Frame, *, last: bool) -> bool:
    """Whether another frame follows: a header is found by chance in any sound, and in tags.

    Args:
        last: whether it may be the only one, of which part is missing.
    """
    following = at + frame.length
    if following >= len(data):
        return last
    after = _frame(data, following)
    return after is not None and after.is_like(frame)


def _frame(data: mmap.mmap, at: int) -> _Frame | None:
    """The frame whose header stands at a place, if one does."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # a frame of layer III
        return None
    version, bits, rates = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rates == 3:  # reserved; a bit rate of its own, which nobody writes
        return None
    rate = _RATES[version][rates]
    length = (144 if version == 3 else 72) * _KBPS[version == 3][bits] * 1000 // rate + (head[2] >> 1 & 1)
    return _Frame(version, rate, 1 if head[3] >> 6 == _MONO else 2, length)


def _header(like: bytes, frames: int, size: int) -> bytes:
    """A frame of silence that counts the others, which the decoder does not play."""
    head = bytes([0xFF, like[1] | 1, _ROOMY << 4 | like[2] & 0x0C, like[3] & 0xC0])  # no checksum, no padding
    version, mono = like[1] >> 3 & 3, like[3] >> 6 == _MONO
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[version == 3, mono]
    rate = _RATES[version][like[2] >> 2 & 3]
    length = (144 if version == 3 else 72) * _KBPS[version == 3][_ROOMY] * 1000 // rate
    told = b"Xing" + struct.pack(">III", _COUNTS, frames, size + length)
    return (head + bytes(side) + told).ljust(length, b"\0")
