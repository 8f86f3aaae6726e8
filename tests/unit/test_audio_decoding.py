"""Broken assets are known for what they are, and what is whole is decoded to the last sample."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import pytest

from content_signals.signals.audio_clip import decoding
from content_signals.signals.audio_clip.containers import is_chained
from content_signals.signals.audio_clip.decoding import HIGHEST_RATE, LONGEST_S, LOWEST_RATE, opened
from content_signals.signals.audio_clip.unusable import Unusable
from tests.sounds import AUDIO, bytes_of, file_of, needs_audio, noise, sine

STEREO = np.stack([sine(440, 1, 44_100), sine(300, 1, 44_100)], axis=1)
KINDS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"),
    ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


def decoded(content: bytes) -> np.ndarray:
    with file_of(content) as file, opened(file) as sound:
        return np.concatenate(list(sound.blocks()))


def reason(content: bytes) -> str:
    with pytest.raises(Unusable) as caught:
        decoded(content)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "encoding"), KINDS)
def test_a_whole_file_is_decoded_to_the_last_sample(kind, encoding):
    content = bytes_of(STEREO, 44_100, kind, encoding)
    with file_of(content) as file, opened(file) as sound:
        assert (sound.rate, sound.channels, sound.frames) == (44_100, 2, 44_100)
        assert sound.encoding == f"{kind}/{encoding}"
        found = np.concatenate(list(sound.blocks()))
    assert found.shape == STEREO.shape
    inner = slice(4_410, -4_410)  # a lossy encoding rounds the edges
    assert np.abs(found[inner] - STEREO[inner]).max() < 0.05


@pytest.mark.parametrize(("kind", "encoding"), KINDS)
@pytest.mark.parametrize("left", [0.5, 0.9, -1])
def test_a_file_that_was_cut_is_known(kind, encoding, left):
    content = bytes_of(STEREO, 44_100, kind, encoding)
    part = content[:left] if left < 0 else content[: int(left * len(content))]
    assert reason(part) in ("cut short: it ends before its end", "damaged: the samples cannot be decoded to the end")


def test_what_follows_the_end_is_not_missed():
    """Tags behind the last page or chunk."""
    for kind, encoding in KINDS:
        assert len(decoded(bytes_of(STEREO, 44_100, kind, encoding) + b"TAG" + b" " * 125)) == 44_100


@needs_audio
def test_real_ogg_is_whole_and_cut_anywhere_is_cut():
    """At every kind of place: inside a page, at a border of pages, inside a page's header."""
    content = next((AUDIO / "music").glob("*.ogg")).read_bytes()
    assert len(decoded(content)) > 0
    pages = [at for at in range(len(content)) if content.startswith(b"OggS", at)]
    for at in (pages[3], pages[3] + 2, pages[3] + 10, pages[3] + 30, pages[-1], pages[-1] + 26, len(content) - 1):
        assert reason(content[:at]) == "cut short: it ends before its end", at


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF])
def test_a_wave_written_to_a_pipe_does_not_know_its_size(size):
    content = bytearray(bytes_of(STEREO, 44_100))
    content[40:44] = size.to_bytes(4, "little")
    if size:
        assert len(decoded(bytes(content))) == 44_100
    else:
        assert reason(bytes(content)) == "no samples"


ID3 = b"ID3\4\0\0\0\0\1\2" + b"x" * 130


def headless(rate: int, channels: int) -> tuple[bytes, int]:
    """8 s as MP3, loud at first, then silent, so that the bit rate varies; its frames are not counted. And how many."""
    samples = np.concatenate([noise(2.0, rate), np.zeros(6 * rate, np.float32)])
    content = bytes_of(samples if channels == 1 else np.column_stack([samples] * 2), rate, "MP3", "MPEG_LAYER_III")
    at = content.index(b"Xing" if b"Xing" in content[:200] else b"Info")
    frames = int.from_bytes(content[at + 8 : at + 12], "big")
    return content[content.index(content[:2], 4) :], frames * (1152 if rate >= 32_000 else 576)


@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_that_does_not_count_its_frames_is_counted(rate, channels):
    """The decoder by itself stops where it has guessed: 2 of 8 s, here and there."""
    content, samples = headless(rate, channels)
    found = decoded(content)
    assert abs(len(found) - samples) <= 1152
    assert 8.0 <= len(found) / rate < 8.4
    loud, silent = found[rate // 2 : 3 * rate // 2], found[5 * rate : 7 * rate]
    assert np.abs(loud).mean() > 50 * np.abs(silent).mean()


def test_what_is_no_frame_is_not_counted():
    content, _ = headless(44_100, 2)
    whole = decoded(content)
    for odd in (ID3 + content, content + b"TAG" + b" " * 125, content + b"TAG" + b"\xff\xfb\x90\x64" + b" " * 121):
        assert np.array_equal(decoded(odd), whole)
    middle = content.index(content[:2], len(content) // 2)
    between = decoded(content[:middle] + b"\xff\xfb" + b"junk" * 50 + content[middle:])
    assert len(between) == len(whole)
    assert reason(content[:-5]) == "cut short: it ends before its end"


def test_an_mp3_whose_format_changes_is_not_described_by_its_first_part():
    assert reason(headless(44_100, 2)[0] + headless(22_050, 1)[0]) == "its format changes on the way"
    assert reason(headless(44_100, 2)[0] + headless(44_100, 1)[0]) == "its format changes on the way"


def test_an_mp3_of_hours_that_does_not_count_its_frames_is_not_read_to_its_end():
    content, _ = headless(8_000, 1)
    assert reason(content * 150) == "longer than 15 minutes"


def pages(content: bytes) -> list[bytes]:
    """The pages of an Ogg (RFC 3533, 6): 27 bytes, as many sizes as the last of them says, and what has these sizes."""
    found = []
    while content:
        sizes = content[27 : 27 + content[26]]
        found.append(content[: 27 + len(sizes) + sum(sizes)])
        content = content[len(found[-1]) :]
    return found


def serial(content: bytes) -> bytes:
    return content[14:18]


CHAINED = "a chained Ogg: several streams follow each other, and the first alone would be read"


@pytest.mark.parametrize("encoding", ["VORBIS", "OPUS"])
def test_an_ogg_of_several_streams_one_after_the_other_is_not_described_by_the_first(encoding):
    """The decoder by itself reads the second of the first stream, and says nothing of the two that follow."""
    first, second = (
        bytes_of(sine(hz, seconds, 16_000), 16_000, "OGG", encoding) for hz, seconds in ((440, 1), (880, 2))
    )
    assert serial(first) != serial(second)
    assert len(decoded(first)) == 16_000
    assert reason(first + second) == CHAINED
    assert reason(first + first) == CHAINED, "a file joined with itself has one number twice"
    assert reason(first + b"TAG" + b" " * 125 + second) == CHAINED
    assert reason(first + second[:-9]) == "cut short: it ends before its end"


@pytest.mark.parametrize("encoding", ["VORBIS", "OPUS"])
def test_streams_of_an_ogg_side_by_side_are_not_chained(encoding):
    first, second = (pages(bytes_of(sine(hz, 5, 16_000), 16_000, "OGG", encoding)) for hz in (440, 880))
    mixed = [page for pair in zip_longest(first, second, fillvalue=b"") for page in pair]
    found = decoded(b"".join(mixed))[16_000:-16_000, 0]
    loudest = np.abs(np.fft.rfft(found)).argmax() * 16_000 / len(found)
    assert abs(loudest - 440) < 1, "the first stream's sound"


def test_a_page_by_chance_in_the_sound_begins_no_stream():
    """Pages are walked by their sizes: what stands inside of one is not looked at."""
    content = bytes_of(noise(1.0), kind="OGG", encoding="VORBIS")
    *_, last = pages(content)
    at = len(content) - len(last) // 2
    fake = b"OggS\0\2" + bytes(21)
    with file_of(content[:at] + fake + content[at + len(fake) :]) as file:
        assert not is_chained(file)


def test_a_name_proves_nothing():
    """There is no name here at all: what the bytes are decides."""
    assert reason(b"hello, this is a text") == "not audio that is read here: neither WAV, AIFF, FLAC, Ogg nor MP3"
    assert reason(b"\xff\xfeh\0i\0") == "not audio that is read here: neither WAV, AIFF, FLAC, Ogg nor MP3"  # UTF-16
    assert reason(b"RIFF, they said, is what the band plays best") == (
        "damaged: WAV by its first bytes, and the rest of its header cannot be read"
    )
    assert reason(b"OggS" + b"\0" * 1000) == "cut short: it ends before its end"
    no_frames = "damaged: MP3 by its first bytes, and the rest of its header cannot be read"
    assert reason(b"ID3" + b"\0" * 1000) == no_frames
    assert reason(b"ID3" + b"\0" * 500 + b"\xff\xfb\x90\x00" + b"Info\0\0\0\1" + b"\0" * 1000) == no_frames


def test_a_file_with_no_samples_and_one_with_one():
    assert reason(bytes_of(np.zeros(0, np.float32))) == "no samples"
    assert len(decoded(bytes_of(np.full(1, 0.5, np.float32)))) == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(wrong):
    samples = noise(0.5)
    samples[4_000] = wrong
    assert reason(bytes_of(samples, encoding="FLOAT")) == "samples that are no numbers"


def test_whole_numbers_written_as_floats():
    assert reason(bytes_of(sine(440, 0.5, amplitude=30_000), encoding="FLOAT")) == (
        "samples far beyond full scale: another encoding than the header says"
    )


@pytest.mark.parametrize("rate", [LOWEST_RATE, 8_000, HIGHEST_RATE])
def test_rates_from_4_to_192_khz(rate):
    assert len(decoded(bytes_of(noise(0.1, rate), rate))) == rate // 10


@pytest.mark.parametrize("rate", [1, LOWEST_RATE - 1, HIGHEST_RATE + 1])
def test_other_rates_are_damage_or_no_sound(rate):
    assert reason(bytes_of(noise(0.1), rate)) == "a sample rate outside 4,000 to 192,000 Hz"


@pytest.mark.parametrize("channels", [8, 1_024])
def test_many_channels_make_blocks_smaller_not_memory_larger(channels, monkeypatch):
    monkeypatch.setattr(decoding, "_BLOCK_SAMPLES", 4_096)
    content = bytes_of(np.zeros((1_000, channels), np.float32), encoding="PCM_16")
    with file_of(content) as file, opened(file) as sound:
        sizes = [block.size for block in sound.blocks()]
    assert sum(sizes) == 1_000 * channels
    assert max(sizes) <= 4_096


def test_a_file_of_hours_is_refused_by_its_header(monkeypatch):
    """Half an hour of silence is some kilobytes of FLAC."""
    content = bytes_of(np.zeros((LONGEST_S + 1) * LOWEST_RATE, np.int16), LOWEST_RATE, "FLAC")
    monkeypatch.setattr(decoding.Sound, "_read", lambda *_: pytest.fail("it was decoded"))
    assert reason(content) == "longer than 15 minutes"


def test_a_header_that_does_not_know_the_length():
    content = bytearray(bytes_of(STEREO, 44_100, "FLAC"))
    content[21] &= 0xF0  # of STREAMINFO: the 36 bits with the number of samples
    content[22:26] = bytes(4)
    assert reason(bytes(content)) == "its header does not say how long it is"


def test_damage_in_the_middle_ends_no_worker():
    """Random bytes anywhere in the file: it is decoded, or set aside with a reason. Nothing else is raised."""
    random = np.random.default_rng(7)
    told = set()
    for kind, encoding in KINDS:
        whole = bytes_of(STEREO, 44_100, kind, encoding)
        for _ in range(30):
            content = bytearray(whole)
            for at in random.integers(0, len(content), random.integers(1, 40)):
                content[at] = random.integers(256)
            try:
                decoded(bytes(content))
            except Unusable as error:
                told.add(str(error))
    assert told
