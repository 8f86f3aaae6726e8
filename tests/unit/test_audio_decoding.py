"""Broken assets are known for what they are, and what is whole is decoded to the last sample."""

from __future__ import annotations

from itertools import zip_longest
from time import process_time

import numpy as np
import pytest

from content_signals.signals.audio_clip import decoding
from content_signals.signals.audio_clip.containers import is_chained
from content_signals.signals.audio_clip.decoding import HIGHEST_RATE, LONGEST_S, LOWEST_RATE, opened
from content_signals.signals.audio_clip.unusable import Unusable
from tests.sounds import AUDIO, bytes_of, file_of, needs_audio, noise, sine

STEREO = np.stack([sine(440, 1, 44_100), sine(300, 1, 44_100)], axis=1)
NO_FRAMES = "damaged: MP3 by its first bytes, and the rest of its header cannot be read"
KINDS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"),
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
@pytest.mark.parametrize("encoding", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wave_written_to_a_pipe_does_not_know_its_size(size, encoding):
    whole = bytes_of(STEREO, 44_100, encoding=encoding)
    content, at = bytearray(whole), whole.index(b"data") + 4
    content[at : at + 4] = content[4:8] = size.to_bytes(4, "little")
    assert np.array_equal(decoded(bytes(content)), decoded(whole))
    content[4:8] = whole[4:8]
    assert np.array_equal(decoded(bytes(content)), decoded(whole))


def test_a_wave_of_size_0_is_described_and_not_written_to():
    content = bytearray(bytes_of(STEREO, 44_100))
    content[40:44] = bytes(4)
    with file_of(bytes(content)) as file:
        with opened(file) as sound:
            assert (sound.encoding, sound.frames) == ("WAV/PCM_16", 44_100)
        file.seek(0)
        assert file.read() == content


def test_a_wave_without_samples_is_not_made_of_its_tags():
    """A list of tags behind a chunk of size 0; samples of zeros have no name."""
    empty = bytes_of(np.zeros(0, np.float32))
    empty = empty[: empty.index(b"data") + 8]
    tags = b"LIST" + (26).to_bytes(4, "little") + b"INFOISFT" + (14).to_bytes(4, "little") + b"Lavf58.29.100\0"
    assert reason(empty) == reason(empty + tags) == reason(empty + tags + tags) == "no samples"
    assert len(decoded(empty + bytes(32_000))) == 16_000


def test_tags_behind_samples_that_nobody_counted_are_no_sound():
    quiet = (0.03 * STEREO).astype(np.float32)
    content = bytearray(bytes_of(quiet, 44_100))
    content[40:44] = bytes(4)
    tags = b"LIST" + (26).to_bytes(4, "little") + b"INFOISFT" + (14).to_bytes(4, "little") + b"Lavf58.29.100\0"
    more = b"id3 " + (5).to_bytes(4, "little") + b"hello\0"
    for behind in (tags, tags + more, b"bext" + (8).to_bytes(4, "little") + b"a" * 8):
        assert np.array_equal(decoded(bytes(content) + behind), decoded(bytes_of(quiet, 44_100)))
    by_chance = bytes(content) + b"LIST" + (2**31).to_bytes(4, "little") + bytes(8)  # a name, and no row of chunks
    assert len(decoded(by_chance)) == 44_100 + 4


def rf64(**changed: bytes) -> bytes:
    """A RF64 whose form, or size in its chunk of 64-bit sizes, is another."""
    content = bytearray(bytes_of(STEREO, 44_100, "RF64", "PCM_16"))
    content[:4] = changed.get("form", b"RF64")
    content[28:36] = changed.get("size", bytes(content[28:36]))
    return bytes(content)


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_a_wave_with_sizes_of_64_bits(form):
    plain = bytes_of(STEREO, 44_100, "WAV", "PCM_16")
    for content in (rf64(form=form), rf64(form=form, size=bytes(8)), ID3 + rf64(form=form)):
        with file_of(content) as file, opened(file) as sound:
            assert (sound.encoding, sound.frames) == ("RF64/PCM_16", 44_100)
            assert np.array_equal(np.concatenate(list(sound.blocks())), decoded(plain))
    assert reason(rf64(form=form)[:-1_000]) == "cut short: it ends before its end"


@pytest.mark.parametrize("form", [b"WEBP", b"AVI ", b"\0\0\0\0"])
def test_what_has_the_form_of_a_wave_alone_is_told(form):
    assert reason(b"RIFF" + (104).to_bytes(4, "little") + form + bytes(100)) == (
        "not audio that is read here: a file of the RIFF family, and no WAV"
    )
    assert reason(b"FORM" + (104).to_bytes(4, "big") + form + bytes(100)) == (
        "not audio that is read here: a file of the FORM family, and no AIFF"
    )


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


def tag(size: int, *, footer: bool = False) -> bytes:
    """ID3v2.4 (3.1): version, flags, a size of seven bits a byte, as many bytes; a footer repeats the header."""
    told = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    return b"ID3\4\0" + flags + told + b"x" * size + (b"3DI\4\0" + flags + told if footer else b"")


@pytest.mark.parametrize(("kind", "encoding"), KINDS)
@pytest.mark.parametrize("tags", [tag(5_000), tag(5_000, footer=True), tag(0) + tag(300_000)], ids=len)
def test_tags_in_front_hide_no_container(kind, encoding, tags):
    content = bytes_of(STEREO, 44_100, kind, encoding)
    with file_of(tags + content) as file, opened(file) as sound:
        assert (sound.encoding, sound.frames) == (f"{kind}/{encoding}", 44_100)
        assert np.array_equal(np.concatenate(list(sound.blocks())), decoded(content))
    assert reason(tags + content[:-1]) in (
        "cut short: it ends before its end",
        "damaged: the samples cannot be decoded to the end",
    )


def test_tags_and_nothing_else():
    for content in (tag(5_000), tag(5_000)[:100], tag(5_000) + b"hello, this is a text", tag(0)):
        assert reason(content) == NO_FRAMES


def test_mp3s_that_were_joined_are_counted_together():
    """Each has a header that counts its own frames: the decoder by itself stops after the first."""
    content, _ = headless(44_100, 2)
    first = bytes_of(STEREO, 44_100, "MP3", "MPEG_LAYER_III")
    assert 2.0 <= len(decoded(first + first)) / 44_100 < 2.3
    for between in (b"", tag(9_000), b"TAG" + b" " * 125, b"TAG" + b" " * 125 + tag(9_000), bytes(500)):
        joined = decoded(first + between + content)
        assert 9.0 <= len(joined) / 44_100 < 9.4
        assert np.abs(joined[44_100 * 3 // 2 : 44_100 * 5 // 2]).mean() > 0.05, "the noise of the second"
    other = bytes_of(noise(2.0, 22_050), 22_050, "MP3", "MPEG_LAYER_III")
    assert reason(first + other) == "its format changes on the way"


def test_an_mp3_whose_header_leaves_out_its_own_frame_is_not_joined():
    """Of variable rate: many small frames of the silence at its end lie where the header's length would be."""
    sound = np.concatenate([noise(4.5, 44_100)[: 44_100 * 4], np.zeros(22_050, np.float32)])
    whole = bytes_of(sound, 44_100, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.5)
    at = max(whole.find(b"Xing"), whole.find(b"Info")) + 12
    told, frame = int.from_bytes(whole[at : at + 4], "big"), whole.index(b"\xff\xfb", 4)
    less = whole[:at] + (told - frame).to_bytes(4, "big") + whole[at + 4 :]
    assert len(decoded(less)) == len(decoded(whole)) == len(sound)


def test_what_stands_behind_an_mp3_is_no_second_one():
    first = bytes_of(STEREO, 44_100, "MP3", "MPEG_LAYER_III")
    frame = first[first.index(first[:2], 4) :][:400]
    for behind in (bytes(9_000), b"TAG" + b" " * 125, tag(9_000), b"APETAGEX" + noise(1.0).tobytes(), frame):
        assert len(decoded(first + behind)) == 44_100


@pytest.mark.parametrize(
    "content",
    [tag(10) + b"\xff" * 30_000_000, tag(10) + b"\xff\xfb\x90\0" * 5_000_000, tag(0) * 3_000_000],
    ids=["0xff", "headers of frames", "empty tags"],
)
def test_what_only_looks_like_an_mp3_takes_no_minutes(content):
    """Each of them took 9 s and more for 20 MB, a byte at a time."""
    started = process_time()
    assert reason(content) in (NO_FRAMES, "damaged: 100,000 places in it look like frames of an MP3, and are none")
    assert process_time() - started < 4


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
        "not audio that is read here: a file of the RIFF family, and no WAV"
    )
    assert reason(b"RIFF") == "damaged: WAV by its first bytes, and the rest of its header cannot be read"
    assert reason(b"OggS" + b"\0" * 1000) == "cut short: it ends before its end"
    assert reason(b"ID3" + b"\0" * 1000) == NO_FRAMES
    assert reason(b"ID3" + b"\0" * 500 + b"\xff\xfb\x90\x00" + b"Info\0\0\0\1" + b"\0" * 1000) == NO_FRAMES


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
