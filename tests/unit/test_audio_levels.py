"""Levels and loudness: against what can be said of a wave by hand, and against pyloudnorm on the whole recording."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
import soundfile

from content_signals.signals.audio_clip.levels import Level, LevelMeter
from content_signals.signals.audio_clip.loudness import LoudnessMeter
from tests.sounds import AUDIO, needs_audio, noise, sine

RATE = 44_100
FULL_SCALE = 32767 / 32768


def level(samples: np.ndarray, *, block: int = 10_000, full_scale: float = FULL_SCALE, rate: int = RATE) -> Level:
    wave = samples[:, np.newaxis] if samples.ndim == 1 else samples
    meter = LevelMeter(rate, wave.shape[1], full_scale)
    for start in range(0, len(wave), block):
        meter.see(wave[start : start + block])
    return meter.level()


def lufs(samples: np.ndarray, rate: int = RATE, block: int = 10_000) -> float | None:
    wave = samples[:, np.newaxis] if samples.ndim == 1 else samples
    meter = LoudnessMeter(rate, wave.shape[1])
    for start in range(0, len(wave), block):
        meter.see(wave[start : start + block])
    return meter.lufs()


def test_a_sine_of_half_the_scale():
    found = level(sine(997, 1, RATE, 0.5))
    assert found.peak_dbfs == pytest.approx(20 * math.log10(0.5), abs=0.001)
    assert found.rms_dbfs == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.001)
    assert (found.clipping_ratio, found.silence_ratio) == (0, 0)


def test_silence_has_no_level():
    assert level(np.zeros(RATE, np.float32)) == Level(None, None, 0.0, 1.0)


@pytest.mark.parametrize("amplitude", [1e-19, 1e-23, 1e-30, 1e-37])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_faintest_sine_has_both_levels(amplitude, channels):
    """As floats store it: its squares are less than single precision has."""
    found = level(np.stack([sine(997, 1, RATE, amplitude)] * channels, axis=1))
    assert found.peak_dbfs == pytest.approx(20 * math.log10(amplitude), abs=0.001)
    assert found.rms_dbfs == pytest.approx(20 * math.log10(amplitude / math.sqrt(2)), abs=0.001)
    assert found.silence_ratio == 1


@pytest.mark.parametrize("gain", [1.01, 1.5, 4.0])
def test_a_sine_that_is_cut_off_is_clipped_for_as_long_as_it_would_be_above(gain):
    """A sine of amplitude g is above 1 for 2/pi * acos(1/g) of the time."""
    wave = np.clip(sine(441, 1, RATE, gain), -1, 1)
    assert level(wave).clipping_ratio == pytest.approx(2 / math.pi * math.acos(1 / gain), abs=0.03)


def test_a_square_wave_at_full_scale_is_clipped_all_of_the_time():
    assert level(np.sign(sine(441, 1, RATE)) * np.float32(FULL_SCALE)).clipping_ratio > 0.98


def test_a_wave_that_only_touches_full_scale_is_not_clipped():
    assert level(sine(441, 1, RATE, 1.0)).clipping_ratio == 0


def test_clipping_counts_runs_of_three_by_hand():
    one, two, three = [0, 1, 0], [0, 1, -1, 0], [0, 1, 1, -1, 0]
    wave = np.array(one + two + three + [1, 1, 1, 1], np.float32)  # 16 samples, 7 of them in runs of three or more
    assert level(wave).clipping_ratio == 7 / 16
    assert level(np.stack([wave, 0 * wave], axis=1)).clipping_ratio == 7 / 32


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1_000, 100_000])
def test_it_does_not_matter_where_a_block_ends(block):
    wave = np.clip(noise(0.3, RATE, 0.7), -1, 1)[:3_000]
    wave[:900] = 0
    whole, cut = level(wave, block=len(wave)), level(wave, block=block)
    assert (cut.clipping_ratio, cut.silence_ratio) == (whole.clipping_ratio, whole.silence_ratio)
    assert cut.rms_dbfs == pytest.approx(whole.rms_dbfs, abs=1e-6)


def test_silence_is_what_is_weaker_than_60_db_below_full_scale():
    loud, faint = noise(0.4, RATE, 0.1), noise(0.6, RATE, 10 ** (-63 / 20))
    assert level(np.concatenate([loud, faint])).silence_ratio == pytest.approx(0.6, abs=0.001)
    assert level(noise(0.6, RATE, 10 ** (-57 / 20))).silence_ratio == 0


def test_channels_that_cancel_each_other_are_not_silent():
    wave = sine(441, 0.5, RATE)
    assert level(np.stack([wave, -wave], axis=1)).silence_ratio == 0


def test_the_smallest_recording():
    found = level(np.full(1, 0.5, np.float32))
    assert (found.clipping_ratio, found.silence_ratio) == (0, 0)
    assert found.rms_dbfs == found.peak_dbfs == pytest.approx(20 * math.log10(0.5))


@pytest.mark.parametrize("rate", [4_000, 8_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_loudness_is_that_of_pyloudnorm_on_the_whole_recording(rate, channels):
    """Loud, faint and silent parts, so that both gates have something to leave out."""
    parts = [noise(1.3, rate, 0.1, seed=1), noise(1.05, rate, 0.004, seed=2), np.zeros(rate // 2, np.float32)]
    mono = np.concatenate([*parts, noise(0.77, rate, 0.05, seed=3)])
    wave = np.stack([mono * np.float32(0.9**n) for n in range(channels)], axis=1)
    expected = pyloudnorm.Meter(rate).integrated_loudness(wave.astype(np.float64))
    assert lufs(wave, rate) == pytest.approx(expected, abs=0.01)


def test_a_sine_at_full_scale_is_the_reference():
    """BS.1770-4: 997 Hz at full scale in one front channel reads -3.01 LUFS. pyloudnorm's filters are off by 0.04."""
    assert lufs(sine(997, 3, 48_000, 1.0), 48_000) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("block", [1_000, 4_410, 5_001, 10**6])
def test_loudness_does_not_depend_on_blocks(block):
    wave = noise(1.9, RATE)
    assert lufs(wave, block=block) == pytest.approx(lufs(wave), abs=1e-9)


def test_what_has_no_loudness():
    assert lufs(np.zeros(RATE, np.float32)) is None
    assert lufs(noise(2, RATE, 10 ** (-90 / 20))) is None  # all of it below the gate of -70 LUFS
    assert lufs(noise(0.399, RATE)) is None
    assert lufs(noise(0.4, RATE)) is not None
    assert lufs(np.stack([noise(1, RATE)] * 6, axis=1)) is None


@needs_audio
def test_real_loudness_is_that_of_pyloudnorm():
    files = [*sorted((AUDIO / "environment").glob("*/*.ogg"))[::12], *sorted((AUDIO / "music").glob("*.ogg"))[:2]]
    for path in files:
        wave, rate = soundfile.read(path, always_2d=True)
        expected = pyloudnorm.Meter(rate).integrated_loudness(wave)
        assert lufs(wave.astype(np.float32), rate) == pytest.approx(expected, abs=0.01), path.name
