"""From the bytes of an asset to samples, block by block: no more of a file is in memory than a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import soundfile
from numpy.typing import NDArray

from content_signals.signals.audio_clip.containers import KNOWN, container, is_chained, is_cut
from content_signals.signals.audio_clip.mpeg import counted, says_its_length
from content_signals.signals.audio_clip.plain import sized, untagged
from content_signals.signals.audio_clip.unusable import Unusable

LONGEST_S = (
    15 * 60
)  # longer ones are episodes, mixes, hours of a stream: no clips, and other questions are asked of them
LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
LARGEST_SAMPLE = 100.0  # 40 dB above full scale: no recording is, but whole numbers written as floats are
_BLOCK_SAMPLES = 2**19  # of all channels together: 2 MiB
_UNKNOWN_FRAMES = 2**62  # libsndfile's "as many as come" is the largest number there is

# Largest value of a positive sample by encoding, where it is less than that of 16 bit.
_FULL_SCALE = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}

Block = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """An open asset.

    Attributes:
        encoding: container and encoding as libsndfile names them, e.g. OGG/VORBIS.
        frames: samples a channel by the header.
        full_scale: from this value on a sample cannot grow: the largest there is in the encoding.
    """

    file: soundfile.SoundFile
    encoding: str
    rate: int
    channels: int
    frames: int
    full_scale: float

    @property
    def most_frames(self) -> int:
        """As many as a clip may have."""
        return LONGEST_S * self.rate

    def blocks(self) -> Iterator[Block]:
        """All samples, float32 [frames, channels], full scale 1.

        Raises:
            Unusable: samples that are missing, too many, no numbers, or on another scale.
        """
        size, seen = max(1, _BLOCK_SAMPLES // self.channels), 0
        while len(block := self._read(size)):
            seen += len(block)
            if seen > self.most_frames:
                raise too_long()
            peak = max(float(block.max()), -float(block.min()))  # NaN if any sample is
            if not np.isfinite(peak):
                raise Unusable("samples that are no numbers")
            if peak > LARGEST_SAMPLE:
                raise Unusable("samples far beyond full scale: another encoding than the header says")
            yield block
        if seen < self.frames:
            raise cut_short()
        if not seen:
            raise Unusable("no samples")

    def _read(self, frames: int) -> Block:
        try:
            block: Block = self.file.read(frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError:  # of a header that promised more, or of damage in the middle
            raise Unusable("damaged: the samples cannot be decoded to the end") from None
        return block


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Sound]:
    """An asset's samples. What the bytes are decides how they are decoded: a FLAC named .wav is read as a FLAC.

    Args:
        file: an unbuffered file of the operating system, at its start.

    Raises:
        Unusable: what cannot be decoded, is cut short, or is no clip.
    """
    with untagged(file) as (bare, tagged):
        kind = _kind(bare, tagged=tagged)
        if is_cut(bare, kind):
            raise cut_short()
        if kind == "Ogg" and is_chained(bare):
            raise Unusable("a chained Ogg: several streams follow each other, and the first alone would be read")
        with _with_length(bare, kind) as whole, _decoder(whole, kind) as decoder:
            yield _sound(decoder)


def _kind(file: IO[bytes], *, tagged: bool) -> str:
    """The container. Behind tags, which are an MP3's own, whatever is not known is damage in front of its frames."""
    head = file.read(12)
    file.seek(0)
    if tagged and not head:
        raise Unusable(_no_header("MP3"))
    kind = container(head) or ("MP3" if tagged else None)
    if kind is None:
        raise Unusable(f"not audio that is read here: neither {', '.join(KNOWN[:-1])} nor {KNOWN[-1]}")
    return kind


def _sound(decoder: soundfile.SoundFile) -> Sound:
    if not LOWEST_RATE <= decoder.samplerate <= HIGHEST_RATE:
        raise Unusable(f"a sample rate outside {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz")
    sound = Sound(
        decoder,
        f"{decoder.format}/{decoder.subtype}",
        decoder.samplerate,
        decoder.channels,
        decoder.frames,
        _FULL_SCALE.get(decoder.subtype, 32767 / 32768),
    )
    if sound.frames >= _UNKNOWN_FRAMES:
        raise Unusable("its header does not say how long it is")
    if sound.frames > sound.most_frames:
        raise too_long()
    return sound


@contextmanager
def _with_length(file: IO[bytes], kind: str) -> Iterator[IO[bytes]]:
    """The file, or a copy that says how long it is: of an MP3 that does not count its frames, of a WAV of size 0."""
    if kind == "WAV":
        with sized(file) as whole:
            yield whole
    elif kind != "MP3" or says_its_length(file):
        yield file
    else:
        with _counted(file) as whole:
            yield whole


def _counted(file: IO[bytes]) -> IO[bytes]:
    try:
        copy = counted(file, LONGEST_S + 1)
    except EOFError:
        raise cut_short() from None
    if copy is None:
        raise Unusable(_no_header("MP3"))
    return copy


@contextmanager
def _decoder(file: IO[bytes], kind: str) -> Iterator[soundfile.SoundFile]:
    try:
        # By its descriptor: libsndfile reads it without coming back to Python for every few bytes.
        decoder = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.SoundFileError:
        raise Unusable(_no_header(kind)) from None
    with decoder:
        yield decoder


def _no_header(kind: str) -> str:
    return f"damaged: {kind} by its first bytes, and the rest of its header cannot be read"


def too_long() -> Unusable:
    """It is not decoded to its end."""
    return Unusable(f"longer than {LONGEST_S // 60} minutes")


def cut_short() -> Unusable:
    """Part of it is missing: what is there would be described as if it were all."""
    return Unusable("cut short: it ends before its end")
